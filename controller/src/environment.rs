//! Every environment variable the program reads: name, meaning, default. Nothing else reads the environment (but clap, for
//! `OSTLER_*` twins of flags).

use ostler_roles::words::PasswdLine;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The environment, read once.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// `NO_COLOR`: any value but the empty one turns colours off (no-color.org).
    pub no_color: bool,
    /// `TERM`: `dumb` turns colours and live lines off.
    pub term: Option<String>,
    /// `CI`: any value but the empty one turns live lines off.
    pub ci: bool,
    /// `HOME`: where `~` is; unset, the home that `/etc/passwd` names.
    pub home: Option<PathBuf>,
    /// `XDG_STATE_HOME`, default `~/.local/state`: what is kept of each site, by its `id`: the last 200 logs of its runs, none for longer than 90 days, last facts, the key for secrets' HMACs, whose proof is owed; labs with their sockets.
    pub state: PathBuf,
    /// `XDG_CACHE_HOME`, default `~/.cache`: the lab's root trees, images and packages; what `ssh -G` said of each host, for as long as the configuration is the same.
    pub cache: PathBuf,
    /// `XDG_CONFIG_HOME`, default `~/.config`: `ostler/identity.txt`, the key that opens secrets.
    pub config: PathBuf,
    /// `OSTLER_IDENTITY`: another file with the age identities that open secrets.
    pub identity: Option<PathBuf>,
    /// `OSTLER_SUDO_PASSWORD_FILE`: a private file whose first line is the sudo password, for use without a terminal.
    pub sudo_password_file: Option<PathBuf>,
    /// `USER` or `LOGNAME`: who asks, for the lock's name on nodes (the account's name where neither is set).
    pub user: String,
    /// `PATH`: where the lab looks for the programs it runs.
    pub search: Vec<PathBuf>,
    /// `PIP_INDEX_URL`, `PIP_EXTRA_INDEX_URL`, `PIP_FIND_LINKS`: what pip on this machine may reach, lab nodes may too.
    pub pip_indexes: Vec<String>,
    /// `DIB_RELEASE`, `DIB_IMAGE_NAME`, `DIB_IMAGE_CACHE`, `DIB_CHECKSUM`, `DIB_DEBUG_TRACE`, `ELEMENTS_PATH`: what nodepool-builder says to `ostler image dib`.
    pub dib: Variables,
    /// All of it, for the paths of your ssh configuration that name a variable (`${NAME}`).
    pub variables: Variables,
    /// `SSH_AUTH_SOCK`: the ssh-agent.
    pub ssh_auth_sock: Option<PathBuf>,
}

/// Variables by their names. Never shown: there may be secrets among them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Variables(BTreeMap<String, String>);

impl Variables {
    /// Returns a variable's value; none where it is not set, or no text.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Returns all of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl FromIterator<(String, String)> for Variables {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(all: I) -> Self {
        Self(all.into_iter().collect())
    }
}

impl std::fmt::Debug for Variables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Variables({})", self.0.len())
    }
}

impl Environment {
    /// Reads it.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    pub fn read() -> Self {
        let path = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let text = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let (name, own_home) = own_account().unzip();
        let home = path("HOME").or_else(|| own_home.flatten());
        let below = |name: &str, default: &str| base(path(name)).unwrap_or_else(|| in_home(home.as_deref(), default));
        Self {
            no_color: set("NO_COLOR"),
            term: text("TERM"),
            ci: set("CI"),
            state: below("XDG_STATE_HOME", ".local/state").join("ostler"),
            cache: below("XDG_CACHE_HOME", ".cache").join("ostler"),
            config: below("XDG_CONFIG_HOME", ".config").join("ostler"),
            identity: path("OSTLER_IDENTITY"),
            sudo_password_file: path("OSTLER_SUDO_PASSWORD_FILE"),
            user: text("USER").or_else(|| text("LOGNAME")).or(name).unwrap_or_else(|| "unknown".to_owned()),
            search: std::env::var_os("PATH").map(|value| std::env::split_paths(&value).collect()).unwrap_or_default(),
            pip_indexes: ["PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"]
                .iter()
                .filter_map(|name| std::env::var(name).ok())
                .flat_map(|value| value.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
                .collect(),
            variables: named(std::env::vars_os(), |_| true),
            dib: named(std::env::vars_os(), |name| name.starts_with("DIB_") || name == "ELEMENTS_PATH"),
            ssh_auth_sock: path("SSH_AUTH_SOCK"),
            home,
        }
    }
}

/// Those variables that are text, by their names.
fn named(all: std::env::VarsOs, is_wanted: impl Fn(&str) -> bool) -> Variables {
    let text = all.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    text.filter(|(name, _)| is_wanted(name)).collect()
}

/// A base directory that was named. A relative one does not count (XDG Base Directory Specification): it would be another one in each working
/// directory.
fn base(named: Option<PathBuf>) -> Option<PathBuf> {
    named.filter(|path| path.is_absolute())
}

/// A directory of ours in the home. Where there is none, never one in which others write: there anybody could lay a key or a journal.
fn in_home(home: Option<&Path>, name: &str) -> PathBuf {
    home.unwrap_or(Path::new("/")).join(name)
}

/// The name and home of the account that this process has, by the accounts file; none for one from a directory service.
pub fn own_account() -> Option<(String, Option<PathBuf>)> {
    let passwd = std::fs::read_to_string("/etc/passwd").ok()?;
    account(&passwd, rustix::process::getuid().as_raw()).map(|(name, home)| (name.to_owned(), home))
}

/// An account's name and home.
fn account(passwd: &str, uid: u32) -> Option<(&str, Option<PathBuf>)> {
    let found = passwd.lines().filter_map(PasswdLine::read).find(|line| line.uid == uid)?;
    Some((found.name, Some(found.home).filter(|home| home.starts_with('/')).map(PathBuf::from)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_home_nothing_of_ours_is_looked_for_where_everybody_writes() {
        assert_eq!(in_home(None, ".config"), Path::new("/.config"));
        assert_eq!(in_home(Some(Path::new("/home/ci")), ".config"), Path::new("/home/ci/.config"));
    }

    #[test]
    fn a_relative_base_directory_does_not_count() {
        assert_eq!(base(Some(PathBuf::from("/srv/state"))), Some(PathBuf::from("/srv/state")));
        assert_eq!((base(Some(PathBuf::from("state"))), base(None)), (None, None));
    }

    #[test]
    fn an_account_has_its_name_and_home_from_its_line() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\n# a comment\n\nci:x:1000:100::/home/ci:/bin/sh\nodd:x:7:7::relative:/bin/sh\n";
        assert_eq!(account(passwd, 1000), Some(("ci", Some(PathBuf::from("/home/ci")))));
        assert_eq!(account(passwd, 0), Some(("root", Some(PathBuf::from("/root")))));
        assert_eq!(account(passwd, 7), Some(("odd", None)));
        assert_eq!((account(passwd, 100), account("", 0)), (None, None));
    }
}
