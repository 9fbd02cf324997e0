//! One mirror, held against its origin.

use super::request::{Done, Task};
use super::worker::{ANSWER, Worker};
use crate::host::git::{self, Advertised, Asking, Proved};
use crate::host::{EntryKind, OsError};
use ostler_roles::resource::git_cache::Mirror;
use ostler_roles::words::Digest;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

/// A server that fails only after so long does not fail at once the next time either.
const SILENCE: Duration = Duration::from_secs(4);

/// Scheme, host and port of an URL; empty for a path.
fn server(url: &str) -> &str {
    let Some(start) = url.find("://") else { return "" };
    let end = url.get(start + 3..).and_then(|rest| rest.find('/')).map_or(url.len(), |slash| start + 3 + slash);
    url.get(..end).unwrap_or("")
}

impl Worker<'_> {
    pub(super) fn look(&self, task: &Task, filled: Option<Digest>) -> Done {
        let local = self.local(task);
        if let Local::Usable(ours, _) = &local
            && filled == Some(ours.digest())
        {
            return Done::Looked(Mirror::Fresh);
        }
        // Broken or missing, it is filled from an origin: that must be there too, or the plan promises what cannot be.
        Done::Looked(match (self.origin(task, Instant::now() + ANSWER), local) {
            (Err(why), Local::Usable(_, proved)) => {
                let since = if let Proved::Since(seconds) = proved { Some(seconds) } else { None };
                Mirror::Unreachable { why, usable: true, since }
            }
            (_, Local::Untold(why)) => Mirror::Unreachable { why, usable: true, since: None },
            (Err(why), Local::Missing | Local::Broken(_)) => Mirror::Unreachable { why, usable: false, since: None },
            (Ok(_), Local::Missing) => Mirror::Missing,
            (Ok(_), Local::Broken(why)) => Mirror::Broken(why),
            (Ok(_), Local::Usable(_, Proved::Not(why))) => Mirror::Unproved(why.to_owned()),
            (Ok((_, origin)), Local::Usable(ours, Proved::Since(_))) => match ours.differences(&origin) {
                0 => Mirror::Fresh,
                count => Mirror::Behind(count),
            },
        })
    }

    /// The first URL that answers, and what it has; else every URL's error.
    pub(super) fn origin(&self, task: &Task, deadline: Instant) -> Result<(String, Advertised), String> {
        let mut said = Vec::new();
        let asking = Asking { http: &self.http, deadline, account: self.owner };
        for url in &task.urls {
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

    fn local(&self, task: &Task) -> Local {
        let entry = match self.host.look(task.place.as_path()) {
            Ok(None) => return Local::Missing,
            // It is another account's, whose bytes are none of ours.
            _ if self.owner.is_none() => return Local::Broken("its owner is not there".to_owned()),
            Ok(Some(entry)) => entry,
            Err(error) => return unread(&error),
        };
        if entry.kind != EntryKind::Directory {
            return Local::Broken(format!("is a {}", entry.kind.word()));
        }
        if let Some(owner) = self.owner.filter(|owner| owner.uid != entry.user) {
            return Local::Broken(format!("belongs to uid {}, not to {}", entry.user, owner.name));
        }
        let path = self.host.outside(task.place.as_path());
        let mirror = match git::Mirror::read(&path) {
            Ok(mirror) => mirror,
            Err(error) => return unread(&error),
        };
        if let Some(why) = mirror.broken {
            return Local::Broken(why);
        }
        match (task.urls.last(), mirror.origin) {
            (Some(wanted), Some(found)) if *wanted != found => Local::Broken(format!("comes from {}", crate::host::http::redacted(&found))),
            (Some(_), None) => Local::Broken("names no origin".to_owned()),
            (Some(_), Some(_)) | (None, _) => match git::proved(&path) {
                Ok(proved) => Local::Usable(mirror.advertised, proved),
                Err(error) => unread(&error),
            },
        }
    }
}

/// What is on this node.
enum Local {
    Missing,
    Broken(String),
    /// Nobody knows: it is left as it is.
    Untold(String),
    Usable(Advertised, Proved),
}

fn unread(error: &OsError) -> Local {
    let why = format!("cannot be read: cannot {error}: {}", error.source);
    if git::is_its_fault(error) { Local::Broken(why) } else { Local::Untold(why) }
}
