//! What this machine's own apt and pip configuration name: the mirror for root trees, the hosts the gateway lets through.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::LabError;
use super::spec::Suite;
use crate::environment::Environment;

/// Where packages come from, as the machine says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sources {
    /// Base of the Debian archive (`deb MIRROR suite main`).
    pub(crate) mirror: String,
    /// Hosts the gateway may reach, with `host:port` where the port is not the scheme's.
    pub(crate) allowed: BTreeSet<String>,
    /// Those of them that the machine reaches by https alone.
    pub(crate) secure: BTreeSet<String>,
}

impl Sources {
    /// Reads the machine's configuration.
    pub(crate) fn of_this_machine(environment: &Environment) -> Result<Self, LabError> {
        let apt = Path::new("/etc/apt");
        let entries = apt_entries(apt)?;
        let own = own_suite();
        let named = entries.iter().find(|entry| entry.suites.iter().any(|suite| Some(suite) == own.as_ref()));
        let mirror = named.map(|entry| entry.uri.trim_end_matches('/').to_owned()).ok_or_else(|| LabError::NoMirror(apt.to_owned()))?;
        let uris: Vec<String> = entries.iter().map(|entry| entry.uri.clone()).chain(pip_indexes(environment)).collect();
        let by = |scheme: &str| uris.iter().filter(|uri| uri.starts_with(scheme)).filter_map(|uri| authority(uri)).collect::<BTreeSet<_>>();
        let secure = &by("https://") - &by("http://");
        Ok(Self { mirror, allowed: uris.iter().filter_map(|uri| authority(uri)).collect(), secure })
    }

    /// The one-line source of a suite: the main archive alone, so that a cached tree and its nodes agree.
    pub(crate) fn line(&self, suite: Suite) -> String {
        format!("deb {} {suite} main", self.mirror)
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Entry {
    uri: String,
    suites: Vec<String>,
}

fn own_suite() -> Option<String> {
    let text = fs::read_to_string("/etc/os-release").ok()?;
    text.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME=")).map(|word| word.trim_matches('"').to_owned())
}

fn apt_entries(apt: &Path) -> Result<Vec<Entry>, LabError> {
    let mut files = vec![apt.join("sources.list")];
    let parts = apt.join("sources.list.d");
    if let Ok(list) = fs::read_dir(&parts) {
        let mut more: Vec<PathBuf> = list.filter_map(Result::ok).map(|entry| entry.path()).collect();
        more.sort();
        files.extend(more);
    }
    let mut entries = Vec::new();
    for path in files {
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(LabError::file("read", &path)(error)),
        };
        match path.extension().and_then(|end| end.to_str()) {
            Some("sources") => entries.extend(deb822(&text)),
            Some("list") => entries.extend(one_line(&text)),
            _ => {}
        }
    }
    Ok(entries)
}

/// Parses `deb [options] uri suite component...` lines (sources.list(5)).
fn one_line(text: &str) -> Vec<Entry> {
    let parse = |line: &str| {
        let rest = line.trim().strip_prefix("deb")?.strip_prefix([' ', '\t'])?.trim_start();
        let rest = if rest.starts_with('[') { rest.split_once(']')?.1 } else { rest };
        let mut words = rest.split_whitespace();
        Some(Entry { uri: words.next()?.to_owned(), suites: vec![words.next()?.to_owned()] })
    };
    text.lines().filter_map(parse).collect()
}

/// Parses stanzas of the deb822 format (sources.list(5)); `Enabled: no` leaves one out.
fn deb822(text: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    for stanza in text.split("\n\n") {
        let field = |name: &str| {
            let mut value = String::new();
            let mut inside = false;
            for line in stanza.lines().filter(|line| !line.starts_with('#')) {
                if line.starts_with([' ', '\t']) {
                    if inside {
                        value.push_str(line);
                    }
                } else if let Some((key, rest)) = line.split_once(':') {
                    inside = key.eq_ignore_ascii_case(name);
                    if inside {
                        value.push_str(rest);
                    }
                }
            }
            value.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        };
        if field("Enabled").first().is_some_and(|word| word == "no") || !field("Types").iter().any(|word| word == "deb") {
            continue;
        }
        let suites = field("Suites");
        entries.extend(field("URIs").into_iter().map(|uri| Entry { uri, suites: suites.clone() }));
    }
    entries
}

/// Index and link addresses of pip's configuration files and variables.
fn pip_indexes(environment: &Environment) -> Vec<String> {
    let mut files = vec![PathBuf::from("/etc/pip.conf")];
    files.extend(environment.home.iter().flat_map(|home| [home.join(".config/pip/pip.conf"), home.join(".pip/pip.conf")]));
    let mut found = environment.pip_indexes.clone();
    for text in files.iter().filter_map(|path| fs::read_to_string(path).ok()) {
        let keys = ["index-url", "extra-index-url", "find-links"];
        let value =
            |line: &str| line.split_once('=').filter(|(key, _)| keys.contains(&key.trim())).map(|(_, value)| value.trim().to_owned());
        found.extend(text.lines().filter_map(value));
    }
    found.iter().flat_map(|value| value.split_whitespace()).map(str::to_owned).collect()
}

/// Returns `host` or `host:port` of an http or https address, without user and password.
pub(crate) fn authority(uri: &str) -> Option<String> {
    let (scheme, rest) = uri.split_once("://")?;
    let default = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => return None,
    };
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    Some(host.strip_suffix(default).unwrap_or(host).to_ascii_lowercase()).filter(|host| !host.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_apt_formats_are_read() {
        let old = "# deb http://no.example/ x main\ndeb [arch=amd64 signed-by=/k] https://a.example/debian bookworm main\ndeb-src http://b.example/ x y\n";
        assert_eq!(one_line(old), [Entry { uri: "https://a.example/debian".into(), suites: vec!["bookworm".into()] }]);
        let new = "Types: deb\n# note\nURIs: http://a.example/debian\n  http://b.example/debian\nSuites: bookworm bookworm-updates\n\nTypes: deb\nEnabled: no\nURIs: http://c.example\nSuites: x\n\nTypes: deb-src\nURIs: http://d.example\nSuites: x\n";
        let suites = vec!["bookworm".to_owned(), "bookworm-updates".to_owned()];
        let uris: Vec<_> = deb822(new);
        assert_eq!(
            uris,
            [
                Entry { uri: "http://a.example/debian".into(), suites: suites.clone() },
                Entry { uri: "http://b.example/debian".into(), suites }
            ]
        );
    }

    #[test]
    fn an_authority_has_neither_password_nor_default_port() {
        assert_eq!(authority("http://me:pw@Mirror.example:80/debian").as_deref(), Some("mirror.example"));
        assert_eq!(authority("https://h.example:8443/x").as_deref(), Some("h.example:8443"));
        assert_eq!(authority("file:///srv"), None);
        assert_eq!(authority("http:///x"), None);
    }
}
