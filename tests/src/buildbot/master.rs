//! One Buildbot master and its workers as child processes that die with the test.

use super::front::Front;
use super::venv::{Side, library, venv};
use ostler::masters::buildbot::{Account, Client};
use ostler::masters::http::{Access, Http};
use ostler_roles::words::Secret;
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The password of the account `ostler`.
pub const PASSWORD: &str = "planted-web-password";
/// What workers show the master.
pub const WORKER_PASSWORD: &str = "planted-worker-password";
const PORT: u16 = 8010;
const WORKER_PORT: u16 = 9989;
static MASTERS: AtomicU32 = AtomicU32::new(0);

/// A loopback address that nothing else on this machine uses: made of this process's number, so that the ports can be fixed.
pub(crate) fn address() -> Ipv4Addr {
    let master = MASTERS.fetch_add(1, Ordering::Relaxed);
    assert!(master < 62, "more servers in one program than there are addresses for");
    let [_, a, b, c] = ((std::process::id() << 6) | (master + 1)).to_be_bytes();
    // Never 127.0.x.y.
    Ipv4Addr::new(127, a | 0x80, b, c)
}

/// Starts a program that the kernel ends with us.
pub(crate) fn start(program: &Path, arguments: &[&str], directory: &Path, log: &Path) -> Child {
    let out = std::fs::File::create(log).expect("a log file");
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program).args(arguments).current_dir(directory);
    command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", directory).env("PYTHONUNBUFFERED", "1");
    command.stdin(Stdio::null()).stdout(out.try_clone().expect("a log file")).stderr(out).spawn().expect("setpriv (util-linux) starts")
}

fn write(path: &Path, mode: u32, bytes: &[u8]) {
    let mut file =
        std::fs::OpenOptions::new().create(true).truncate(true).write(true).mode(mode).open(path).expect("a file in the scratch directory");
    std::io::Write::write_all(&mut file, bytes).expect("a file in the scratch directory");
}

/// A running master with one builder `unit` for the label `debian`.
#[derive(Debug)]
pub struct Master {
    scratch: tempfile::TempDir,
    address: Ipv4Addr,
    child: Child,
}

impl Master {
    /// Starts an empty master and waits until it answers.
    ///
    /// # Panics
    /// When it does not within 60 s; its log is shown.
    pub fn start() -> Self {
        Self::start_by(&library("files/buildbot/master.cfg"))
    }

    /// The same, by this `master.cfg`.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub fn start_by(configuration: &Path) -> Self {
        let scratch = tempfile::Builder::new().prefix("buildbot-").tempdir().expect("a scratch directory");
        let address = address();
        let home = scratch.path().join("master");
        for directory in ["master", "master/workers.d", "master/secrets"] {
            std::fs::create_dir(scratch.path().join(directory)).expect("a scratch directory");
        }
        for (from, to) in [(configuration, "master.cfg"), (&library("files/buildbot/buildbot.tac"), "buildbot.tac")] {
            std::fs::copy(from, home.join(to)).expect("the library's file");
        }
        let settings = json!({
            "title": "test", "url": format!("http://{address}:{PORT}/"),
            "http_port": format!("tcp:{PORT}:interface={address}"), "worker_port": format!("tcp:{WORKER_PORT}:interface={address}"),
            "builders": [{"name": "unit", "label": "debian", "run": [["hostname"], ["true"]]}],
        });
        write(&home.join("master.json"), 0o644, settings.to_string().as_bytes());
        write(&home.join("secrets/password"), 0o600, PASSWORD.as_bytes());
        write(&home.join("secrets/worker-password"), 0o600, WORKER_PASSWORD.as_bytes());
        let bin = venv(Side::Master).join("bin");
        let log = scratch.path().join("master.log");
        let upgraded = start(&bin.join("buildbot"), &["upgrade-master", "--quiet", "."], &home, &log).wait().expect("it ends");
        assert!(upgraded.success(), "upgrade-master: {}", std::fs::read_to_string(&log).unwrap_or_default());
        let child = start(&bin.join("twistd"), &["--nodaemon", "--no_save", "--pidfile=", "--python=buildbot.tac"], &home, &log);
        let master = Self { scratch, address, child };
        master.until("the master answers", || master.client().survey().is_ok());
        master
    }

    /// Its base address.
    pub fn url(&self) -> String {
        format!("http://{}:{PORT}/", self.address)
    }

    /// Plain HTTP to it, without an account.
    pub fn http(&self) -> Http {
        Http::new(&self.url(), Duration::from_secs(30), Access::default()).expect("a good base")
    }

    /// The client under test, with the right password.
    pub fn client(&self) -> Client {
        self.client_as(PASSWORD)
    }

    /// The client under test, with this password.
    pub fn client_as(&self, password: &str) -> Client {
        Client::new(self.http(), Some(Account { name: "ostler".to_owned(), password: Secret::new(password.to_owned()) }))
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((self.address, PORT))
    }

    /// The client under test, by way of this front.
    pub fn client_behind(&self, front: &Front) -> Client {
        let http = Http::new(&front.url(), Duration::from_secs(30), Access::default()).expect("a good base");
        Client::new(http, Some(Account { name: "ostler".to_owned(), password: Secret::new(PASSWORD.to_owned()) }))
    }

    /// Its directory.
    pub fn home(&self) -> PathBuf {
        self.scratch.path().join("master")
    }

    /// Its process number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.scratch.path().join("master.log")).unwrap_or_default()
    }

    /// How often it took up a configuration since its start.
    pub fn reloads(&self) -> usize {
        self.log().matches("beginning configuration update").count()
    }

    /// Whether its process is there.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for something the master or a worker is about to do.
    ///
    /// # Panics
    /// After 60 s; the log is shown.
    pub fn until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let start = Instant::now();
        while !holds() {
            assert!(start.elapsed() < Duration::from_secs(60), "not within 60 s: {what}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    /// Starts a worker; it knocks until the master knows it.
    pub fn worker(&self, name: &str) -> WorkerProcess {
        self.worker_with(name, WORKER_PASSWORD)
    }

    /// Starts a worker with a password of its own.
    pub fn worker_with(&self, name: &str, password: &str) -> WorkerProcess {
        let home = self.scratch.path().join(format!("worker-{name}"));
        let work = home.join("workspace");
        std::fs::create_dir_all(&work).expect("a scratch directory");
        std::fs::set_permissions(&home, std::fs::Permissions::from_mode(0o700)).expect("a scratch directory");
        std::fs::copy(library("files/buildbot/worker.tac"), home.join("worker.tac")).expect("the library's file");
        write(&home.join("password"), 0o600, password.as_bytes());
        let said = json!({"name": name, "master_host": self.address.to_string(), "master_port": WORKER_PORT, "directory": work});
        write(&home.join("worker.json"), 0o644, said.to_string().as_bytes());
        let twistd = venv(Side::Worker).join("bin/twistd");
        let log = self.scratch.path().join(format!("worker-{name}.log"));
        let child = start(&twistd, &["--nodaemon", "--no_save", "--pidfile=", "--python=../worker.tac"], &work, &log);
        WorkerProcess { child, log }
    }

    /// Runs the builder `unit` to its end; returns the result and the name of the worker that ran it.
    pub fn run_unit(&self) -> (i64, String) {
        let http = self.http();
        http.log_in("auth/login", "ostler", &Secret::new(PASSWORD.to_owned())).expect("the account is known");
        let call = json!({"jsonrpc": "2.0", "id": 1, "method": "force", "params": {"builderNames": ["unit"]}});
        let answer: Value = http.post_json("api/v2/forceschedulers/force", &call).expect("a build request");
        let request =
            answer.pointer("/result/1").and_then(Value::as_object).and_then(|map| map.values().next()).expect("a build request").clone();
        let path = format!("api/v2/builds?buildrequestid={request}&property=workername");
        let mut build = Value::Null;
        self.until("the job of `unit` has ended", || {
            let builds: Value = http.get_json(&path).expect("a list of builds");
            build = builds["builds"][0].clone();
            build["complete"] == true
        });
        let worker = build.pointer("/properties/workername/0").and_then(Value::as_str).unwrap_or_default().to_owned();
        (build["results"].as_i64().unwrap_or(-1), worker)
    }
}

impl Drop for Master {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A running worker.
#[derive(Debug)]
pub struct WorkerProcess {
    child: Child,
    log: PathBuf,
}

impl WorkerProcess {
    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// It does nothing more, and its connection stays as it is, as after a power cut.
    pub fn freeze(&self) {
        let stopped = Command::new("kill").args(["-STOP", &self.child.id().to_string()]).status();
        assert!(stopped.is_ok_and(|status| status.success()), "a process of ours can be stopped");
    }
}

impl Drop for WorkerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
