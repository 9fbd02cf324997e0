//! Every environment variable the program reads: name, meaning, default. Nothing else reads the environment (but clap, for
//! `OSTLER_*` twins of flags).

use std::path::PathBuf;

/// The environment, read once.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// `NO_COLOR`: any value but the empty one turns colours off (no-color.org).
    pub no_color: bool,
    /// `TERM`: `dumb` turns colours and live lines off.
    pub term: Option<String>,
    /// `CI`: any value but the empty one turns live lines off.
    pub ci: bool,
    /// `HOME`: where `~` is.
    pub home: Option<PathBuf>,
    /// `XDG_STATE_HOME`, default `~/.local/state`: journals of runs, last facts, the key for secrets' HMACs, whose proof is owed, labs with their sockets.
    pub state: PathBuf,
    /// `XDG_CACHE_HOME`, default `~/.cache`: the lab's root trees, images and packages.
    pub cache: PathBuf,
    /// `XDG_CONFIG_HOME`, default `~/.config`: `ostler/identity.txt`, the key that opens secrets.
    pub config: PathBuf,
    /// `OSTLER_IDENTITY`: another file with the age identities that open secrets.
    pub identity: Option<PathBuf>,
    /// `OSTLER_SUDO_PASSWORD_FILE`: a private file whose first line is the sudo password, for use without a terminal.
    pub sudo_password_file: Option<PathBuf>,
    /// `USER` or `LOGNAME`: who asks, for the lock's name on nodes.
    pub user: String,
    /// `PATH`: where the lab looks for the programs it runs.
    pub search: Vec<PathBuf>,
    /// `PIP_INDEX_URL`, `PIP_EXTRA_INDEX_URL`, `PIP_FIND_LINKS`: what pip on this machine may reach, lab nodes may too.
    pub pip_indexes: Vec<String>,
    /// `SSH_AUTH_SOCK`: the ssh-agent.
    pub ssh_auth_sock: Option<PathBuf>,
}

impl Environment {
    /// Reads it.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    pub fn read() -> Self {
        let path = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let text = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let home = path("HOME");
        let below = |name: &str, default: &str| {
            path(name).or_else(|| home.as_ref().map(|home| home.join(default))).unwrap_or_else(|| PathBuf::from("/tmp").join(default))
        };
        Self {
            no_color: set("NO_COLOR"),
            term: text("TERM"),
            ci: set("CI"),
            state: below("XDG_STATE_HOME", ".local/state").join("ostler"),
            cache: below("XDG_CACHE_HOME", ".cache").join("ostler"),
            config: below("XDG_CONFIG_HOME", ".config").join("ostler"),
            identity: path("OSTLER_IDENTITY"),
            sudo_password_file: path("OSTLER_SUDO_PASSWORD_FILE"),
            user: text("USER").or_else(|| text("LOGNAME")).unwrap_or_else(|| "unknown".to_owned()),
            search: std::env::var_os("PATH").map(|value| std::env::split_paths(&value).collect()).unwrap_or_default(),
            pip_indexes: ["PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"]
                .iter()
                .filter_map(|name| std::env::var(name).ok())
                .flat_map(|value| value.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
                .collect(),
            ssh_auth_sock: path("SSH_AUTH_SOCK"),
            home,
        }
    }
}
