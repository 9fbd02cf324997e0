//! The agent's facilities on a bench: a directory with a node, and the moment at which to be killed.

use super::FakeProvider;
use ostler_agent::engine::{EngineError, Facilities, Moment, Provider, StatePaths};
use ostler_roles::facts::{Facts, Kernel, LiveFacts, System};
use ostler_roles::outcome::Failure;
use ostler_roles::wire::message::Become;
use ostler_roles::words::{Bytes, Digest, Version};
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

/// Which directory is the bench.
pub const BENCH: &str = "OSTLER_BENCH";
/// The moment, as `Debug` prints it, at which the process kills itself.
pub const KILL: &str = "OSTLER_BENCH_KILL";
/// Set: the login half is not root.
pub const LOGIN: &str = "OSTLER_BENCH_LOGIN";

/// The facilities.
#[derive(Debug)]
pub struct FakeFacilities {
    bench: PathBuf,
    paths: StatePaths,
    kill: Option<String>,
    root: bool,
    program: PathBuf,
}

impl FakeFacilities {
    /// As the environment says.
    #[expect(clippy::disallowed_methods, reason = "the fake agent's own variables, not the product's")]
    pub fn from_environment(words: &[String]) -> Self {
        let bench = PathBuf::from(std::env::var_os(BENCH).expect("a bench is named"));
        let login = std::env::var_os(LOGIN).is_some() && words == ["serve"];
        let program = std::env::current_exe().expect("a program has a file");
        Self { paths: StatePaths::below(&bench), kill: std::env::var(KILL).ok(), bench, root: !login, program }
    }
    /// The node's stable facts, unless the bench says otherwise.
    pub fn fixed_facts() -> Facts {
        Facts {
            hostname: "build-1".to_owned(),
            system: System {
                id: "debian".to_owned(),
                version: "12".to_owned(),
                codename: "bookworm".to_owned(),
                family: "debian".to_owned(),
            },
            arch: "amd64".to_owned(),
            kernel: Kernel { release: Version("6.1.0-1-amd64".to_owned()), shared: false },
            virtualization: "none".to_owned(),
            cpus: 4,
            memory: Bytes(8 << 30),
            addresses: Vec::new(),
            host_keys: Vec::new(),
            package_manager: "apt".to_owned(),
            init: "systemd".to_owned(),
        }
    }
}

impl Facilities for FakeFacilities {
    fn facts(&self) -> Result<Facts, Failure> {
        Ok(Self::fixed_facts())
    }
    fn live(&self) -> Result<LiveFacts, Failure> {
        Ok(LiveFacts::default())
    }
    fn provider(&self, _secret_key: &[u8]) -> Result<Box<dyn Provider + '_>, Failure> {
        Ok(Box::new(FakeProvider::on(&self.bench.join("node.json"))))
    }
    fn paths(&self) -> &StatePaths {
        &self.paths
    }
    fn digest(&self) -> Digest {
        Digest::of(b"the fake agent")
    }
    fn roots_copy(&self) -> Option<PathBuf> {
        Some(self.program.clone())
    }
    fn install(&self) -> Result<PathBuf, EngineError> {
        Ok(self.program.clone())
    }
    fn is_root(&self) -> bool {
        self.root
    }
    fn has_systemd(&self) -> bool {
        false
    }
    fn escalator(&self, _become: Become) -> Option<PathBuf> {
        Some(self.bench.join("sudo")).filter(|path| path.exists())
    }
    fn grace(&self) -> Duration {
        // A bench has no children to end.
        Duration::from_secs(if self.bench.join("impatient").exists() { 0 } else { 120 })
    }
    fn passed(&self, moment: Moment) {
        let moment = format!("{moment:?}");
        let path = self.bench.join("moments");
        let opened = std::fs::OpenOptions::new().append(true).create(true).open(path);
        // In one write: two processes note their moments here.
        opened.and_then(|mut file| file.write_all(format!("{moment}\n").as_bytes())).expect("the bench can be written");
        if self.kill.as_deref() == Some(moment.as_str()) {
            let me = rustix::process::getpid();
            rustix::process::kill_process(me, rustix::process::Signal::KILL).expect("a process may kill itself");
            // The signal is on its way.
            loop {
                std::thread::park();
            }
        }
    }
}
