//! One mirror, held against its origin.

use super::super::fault::unread;
use super::Cache;
use crate::host::EntryKind;
use crate::host::git::{self, Advertised, Asking};
use crate::host::http::Http;
use ostler_roles::outcome::Failure;
use ostler_roles::resource::git_cache::Mirror;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A server that fails only after so long does not fail at once the next time either.
const SILENCE: Duration = Duration::from_secs(4);

/// Scheme, host and port of an URL; empty for a path.
fn server(url: &str) -> &str {
    let Some(start) = url.find("://") else { return "" };
    let end = url.get(start + 3..).and_then(|rest| rest.find('/')).map_or(url.len(), |slash| start + 3 + slash);
    url.get(..end).unwrap_or("")
}

/// Mirrors that could not be filled in this run, and why: they are not tried twice, and the others are done.
#[derive(Debug, Default)]
pub(crate) struct Failed(Mutex<BTreeMap<String, String>>);

impl Failed {
    pub(super) fn put(&self, place: &str, why: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(place.to_owned(), why);
    }
    pub(super) fn clear(&self, place: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(place);
    }
    pub(super) fn of(&self, place: &str) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(place).cloned()
    }
}

/// What origins had when their mirrors were just filled: what was made is held against that, without asking them again.
#[derive(Debug, Default)]
pub(crate) struct Filled(Mutex<BTreeMap<String, Advertised>>);

impl Filled {
    pub(super) fn put(&self, place: &str, origin: Advertised) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(place.to_owned(), origin);
    }
    /// Good for one look: the next one asks again.
    fn take(&self, place: &str) -> Option<Advertised> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(place)
    }
}

impl Cache<'_> {
    pub(super) fn look(&self, repository: &str, http: &Http, deadline: Instant) -> Result<Mirror, Failure> {
        let place = self.place(repository)?;
        let local = self.local(repository)?;
        let usable = matches!(local, Local::Usable(_));
        if let Some(why) = self.node.git_failed.of(place.as_str()) {
            return Ok(Mirror::Unreachable { why, usable });
        }
        // Broken or missing, it is filled from an origin: that must be there too, or the plan promises what cannot be.
        self.node.git_unreachable.clear(place.as_str());
        let origin = match self.node.git_filled.take(place.as_str()) {
            Some(filled) => Ok((String::new(), filled)),
            None => self.origin(repository, http, deadline),
        };
        Ok(match (origin, local) {
            (Err(why), _) => {
                self.node.git_unreachable.put(place.as_str(), why.clone());
                Mirror::Unreachable { why, usable }
            }
            (Ok(_), Local::Missing) => Mirror::Missing,
            (Ok(_), Local::Broken(why)) => Mirror::Broken(why),
            (Ok((_, origin)), Local::Usable(ours)) => match ours.differences(&origin) {
                0 => Mirror::Fresh,
                count => Mirror::Behind(count),
            },
        })
    }

    /// The first URL that answers, and what it has; else every URL's error.
    pub(super) fn origin(&self, repository: &str, http: &Http, deadline: Instant) -> Result<(String, Advertised), String> {
        let mut said = Vec::new();
        let asking = Asking { http, deadline, account: self.owner.as_ref() };
        for url in self.desired.repositories.get(repository).map(|source| source.urls.as_slice()).unwrap_or_default() {
            let server = server(url);
            if let Some(why) = self.silent.lock().unwrap_or_else(PoisonError::into_inner).get(server) {
                said.push(why.clone());
                continue;
            }
            let began = Instant::now();
            match git::advertised(url, asking) {
                Ok(advertised) => return Ok((url.clone(), advertised)),
                Err(error) => {
                    let why = format!("cannot {error}: {}", error.source);
                    if began.elapsed() >= SILENCE && !server.is_empty() {
                        let known = format!("{} does not answer", crate::host::http::redacted(server));
                        self.silent.lock().unwrap_or_else(PoisonError::into_inner).insert(server.to_owned(), known);
                    }
                    said.push(why);
                }
            }
        }
        Err(said.join("; "))
    }

    fn local(&self, repository: &str) -> Result<Local, Failure> {
        let place = self.place(repository)?;
        let Some(entry) = self.node.host.look(place.as_path()).map_err(unread)? else { return Ok(Local::Missing) };
        if entry.kind != EntryKind::Directory {
            return Ok(Local::Broken(format!("is a {}", entry.kind.word())));
        }
        if let Some(owner) = self.owner.as_ref().filter(|owner| owner.uid != entry.user) {
            return Ok(Local::Broken(format!("belongs to uid {}, not to {}", entry.user, owner.name)));
        }
        let mirror = git::Mirror::read(&self.node.host.outside(place.as_path())).map_err(unread)?;
        if let Some(why) = mirror.broken {
            return Ok(Local::Broken(why));
        }
        let origin = self.desired.repositories.get(repository).and_then(|source| source.urls.last());
        Ok(match (origin, mirror.origin) {
            (Some(wanted), Some(found)) if *wanted != found => Local::Broken(format!("comes from {}", crate::host::http::redacted(&found))),
            (Some(_), None) => Local::Broken("names no origin".to_owned()),
            (Some(_), Some(_)) | (None, _) => Local::Usable(mirror.advertised),
        })
    }
}

/// What is on this node.
enum Local {
    Missing,
    Broken(String),
    Usable(Advertised),
}
