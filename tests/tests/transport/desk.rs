//! A user's desk: a home with keys and known hosts, nothing of the machine's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use ostler::transport::{
    CommandLine, ConnectError, Deadlines, Ended, Exec, HostSettings, Link, LinkEvent, LocalUser, NewKeys, Ssh, SshLink, SshOptions, Target,
};
use ostler_tests::sshd::{Sshd, keygen, public, run as program};
use tempfile::TempDir;
use tokio::io::AsyncReadExt as _;

pub struct Desk {
    pub home: TempDir,
    pub key: PathBuf,
    pub known_hosts: PathBuf,
    pub config: PathBuf,
    pub agent: Option<PathBuf>,
    pub deadlines: Deadlines,
    pub new_keys: NewKeys,
    events: Arc<Mutex<Vec<LinkEvent>>>,
}

impl Desk {
    pub fn new() -> Self {
        let home = tempfile::Builder::new().prefix("ssh-desk-").tempdir().unwrap();
        let key = keygen(home.path(), "id_ed25519", "ed25519");
        let known_hosts = home.path().join("known_hosts");
        let config = home.path().join("config");
        let desk = Self {
            home,
            key,
            known_hosts,
            config,
            agent: None,
            deadlines: Deadlines { drop_pause: std::time::Duration::from_millis(20), ..Deadlines::default() },
            new_keys: NewKeys::Refuse,
            events: Arc::default(),
        };
        desk.configure("");
        desk
    }

    /// Writes the ssh configuration: the desk's own files, and these lines.
    pub fn configure(&self, lines: &str) {
        let text = format!(
            "{lines}\nHost *\n  User root\n  IdentityFile {}\n  UserKnownHostsFile {}\n  GlobalKnownHostsFile none\n",
            self.key.display(),
            self.known_hosts.display()
        );
        fs::write(&self.config, text).unwrap();
    }

    /// Writes the known hosts.
    pub fn know(&self, lines: &str) {
        fs::write(&self.known_hosts, lines).unwrap();
    }

    /// Knows a server's ed25519 key.
    pub fn know_server(&self, server: &Sshd) {
        let before = fs::read_to_string(&self.known_hosts).unwrap_or_default();
        self.know(&format!("{before}{} {}\n", server.name(), public(&server.host_key("ed25519"))));
    }

    pub fn ssh(&self) -> Ssh {
        Ssh::new(self.options())
    }

    pub fn options(&self) -> SshOptions {
        let (home, agent) = (self.home.path().to_owned(), self.agent.clone());
        let local_user = LocalUser { home, user: "root".to_owned(), agent, machine: "desk".to_owned(), variables: Default::default() };
        let mut options = SshOptions::new(local_user);
        options.config_file = Some(self.config.clone());
        options.deadlines = self.deadlines.clone();
        options.new_keys = self.new_keys;
        let events = Arc::clone(&self.events);
        options.listener = Arc::new(move |_, event| events.lock().unwrap().push(event));
        options
    }

    pub fn events(&self) -> Vec<LinkEvent> {
        self.events.lock().unwrap().clone()
    }

    pub async fn connect(&self, server: &Sshd) -> Result<SshLink, ConnectError> {
        self.ssh().connect(&at(server)).await
    }
}

/// A server as a target.
pub fn at(server: &Sshd) -> Target {
    at_port(server.port)
}

pub fn at_port(port: u16) -> Target {
    Target { host: "127.0.0.1".to_owned(), settings: HostSettings { port: Some(port), ..HostSettings::default() } }
}

pub fn words(words: &[&str]) -> CommandLine {
    CommandLine::from_words(words.iter().copied()).unwrap()
}

pub fn shell(script: &str) -> CommandLine {
    words(&["sh", "-c", script])
}

/// Runs a command to its end, its input left open.
pub async fn run(link: &impl Link, command: &CommandLine) -> (String, Ended) {
    let Exec { stdin, mut stdout, ended } = link.exec(command).await.unwrap();
    let mut text = String::new();
    stdout.read_to_string(&mut text).await.unwrap();
    drop(stdin);
    (text, ended.await)
}

/// A file system of its own, taken away at the end.
pub struct Mounted(pub PathBuf);

impl Mounted {
    pub fn tmpfs(at: &Path, options: &str) -> Self {
        fs::create_dir_all(at).unwrap();
        program("mount", &["-t", "tmpfs", "-o", options, "ostler-test", at.to_str().unwrap()]);
        Self(at.to_owned())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Reads a file of the desk.
pub fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap()
}
