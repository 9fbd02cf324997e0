//! Real sshd's on loopback, each with its own keys and files in a scratch directory; they end with their value.

#![expect(clippy::unwrap_used, reason = "test support: a server that cannot be set up fails its test where it stands")]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

use tempfile::TempDir;

/// Ports that the tests' servers take, one after the other.
static NEXT_PORT: AtomicU16 = AtomicU16::new(0);
const FIRST_PORT: u16 = 23000;
const PORTS: u16 = 100;

/// Returns a loopback port that nobody listens on.
pub fn free_port() -> u16 {
    // Each test process begins elsewhere, so that two of them rarely meet.
    let start = u16::try_from(std::process::id() % u32::from(PORTS)).unwrap();
    for _ in 0..PORTS {
        let port = FIRST_PORT + (start + NEXT_PORT.fetch_add(1, Ordering::Relaxed)) % PORTS;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port among {FIRST_PORT}..{}", FIRST_PORT + PORTS);
}

/// Runs a program that must succeed; returns what it printed.
pub fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Makes a key pair without a passphrase; returns the private file.
pub fn keygen(directory: &Path, name: &str, kind: &str) -> PathBuf {
    keygen_with(directory, name, kind, "")
}

/// Makes a key pair; returns the private file.
pub fn keygen_with(directory: &Path, name: &str, kind: &str, passphrase: &str) -> PathBuf {
    let file = directory.join(name);
    run("ssh-keygen", &["-q", "-t", kind, "-N", passphrase, "-C", name, "-f", file.to_str().unwrap()]);
    file
}

/// Reads the public half of a key file: type and key, no comment.
pub fn public(file: &Path) -> String {
    let text = fs::read_to_string(format!("{}.pub", file.display())).unwrap();
    text.split_ascii_whitespace().take(2).collect::<Vec<_>>().join(" ")
}

/// A running sshd.
#[derive(Debug)]
pub struct Sshd {
    /// Its port on 127.0.0.1 and ::1.
    pub port: u16,
    /// Its scratch directory.
    pub directory: TempDir,
    child: Child,
}

impl Sshd {
    /// Starts a server with an ed25519 host key that lets in `client`'s key, with further lines of configuration.
    pub fn start(client: &Path, lines: &str) -> Self {
        Self::with_host_keys(client, &["ed25519"], lines)
    }

    /// Starts a server with host keys of these types.
    pub fn with_host_keys(client: &Path, kinds: &[&str], lines: &str) -> Self {
        Self::prepare(client, kinds).serve(lines)
    }

    /// Makes a server's keys and files, to be changed before it starts.
    pub fn prepare(client: &Path, kinds: &[&str]) -> Prepared {
        let directory = tempfile::Builder::new().prefix("ssh-").tempdir().unwrap();
        for kind in kinds {
            keygen(directory.path(), &format!("host_{kind}"), kind);
        }
        fs::write(directory.path().join("authorized_keys"), format!("{}\n", public(client))).unwrap();
        Prepared { directory, kinds: kinds.iter().map(|kind| (*kind).to_owned()).collect() }
    }

    /// Returns the private file of a host key.
    pub fn host_key(&self, kind: &str) -> PathBuf {
        self.directory.path().join(format!("host_{kind}"))
    }

    /// Returns the name under which its keys are recorded.
    pub fn name(&self) -> String {
        format!("[127.0.0.1]:{}", self.port)
    }

    /// Returns what it has logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap()
    }
}

/// A server's keys and files.
#[derive(Debug)]
pub struct Prepared {
    directory: TempDir,
    kinds: Vec<String>,
}

impl Prepared {
    /// Returns the private file of a host key.
    pub fn host_key(&self, kind: &str) -> PathBuf {
        self.directory.path().join(format!("host_{kind}"))
    }

    /// Starts the server, with further lines of configuration; `@DIR@` is its directory.
    pub fn serve(self, lines: &str) -> Sshd {
        let Self { directory, kinds } = self;
        fs::create_dir_all("/run/sshd").unwrap();
        let path = directory.path().display().to_string();
        let host_keys: String = kinds.iter().map(|kind| format!("HostKey {path}/host_{kind}\n")).collect();
        let lines = lines.replace("@DIR@", &path);
        for _ in 0..10 {
            let port = free_port();
            let configuration = format!(
                "Port {port}\nListenAddress 127.0.0.1\nListenAddress ::1\n{host_keys}AuthorizedKeysFile {path}/authorized_keys\n\
                 PidFile none\nUsePAM no\nStrictModes no\nLogLevel VERBOSE\n{lines}\n"
            );
            let file = directory.path().join("sshd_config");
            fs::write(&file, configuration).unwrap();
            let mut child = Command::new("/usr/sbin/sshd")
                .args(["-D", "-e", "-f"])
                .arg(&file)
                .stdin(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            if listens(&mut child, directory.path()) {
                return Sshd { port, directory, child };
            }
            child.wait().unwrap();
        }
        panic!("no sshd came up in {path}: {}", fs::read_to_string(directory.path().join("log")).unwrap());
    }
}

/// Waits until the server says that it listens; its log goes to a file from then on.
fn listens(child: &mut Child, directory: &Path) -> bool {
    let mut reader = BufReader::new(child.stderr.take().unwrap());
    let log = directory.join("log");
    let mut text = String::new();
    loop {
        let before = text.len();
        if reader.read_line(&mut text).unwrap() == 0 {
            fs::write(&log, &text).unwrap();
            return false;
        }
        if text[before..].contains("Server listening on 127.0.0.1") {
            break;
        }
    }
    let mut file = fs::File::create(&log).unwrap();
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut text.as_bytes(), &mut file);
        let _ = std::io::copy(&mut reader, &mut file);
    });
    true
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A running ssh-agent.
#[derive(Debug)]
pub struct Agent {
    /// Its socket.
    pub socket: PathBuf,
    child: Child,
}

impl Agent {
    /// Starts an agent and hands it a key (and the certificate beside it).
    pub fn holding(directory: &Path, keys: &[&Path]) -> Self {
        let socket = directory.join("agent.sock");
        let mut child = Command::new("ssh-agent").arg("-D").arg("-a").arg(&socket).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.contains("SSH_AUTH_SOCK"), "{line}");
        for key in keys {
            fs::set_permissions(key, fs::Permissions::from_mode(0o600)).unwrap();
            let added = Command::new("ssh-add").arg("-q").arg(key).env("SSH_AUTH_SOCK", &socket).stdin(Stdio::null()).status().unwrap();
            assert!(added.success());
        }
        Self { socket, child }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
