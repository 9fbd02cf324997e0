//! What the tests of images stand on: a small Debian, made once, and looks at this machine.

use std::fs;
use std::net::{IpAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use ostler::environment::Environment;
use ostler::image::base::{self, Base};
use ostler::image::layers::{Layer, Store};
use ostler::image::root::{Bind, Root, RootSetup, RootSpec};
use ostler_tests::lab::program;

/// The base that this machine's own archive makes.
pub fn debootstrap() -> Base {
    Base::Debootstrap { suite: "bookworm".to_owned(), mirrors: Vec::new(), components: Vec::new(), head: None }
}

/// The store that is kept from run to run.
pub fn kept_store() -> Store {
    Store::open(&Environment::read().cache.join("image-tests")).expect("the store opens")
}

/// A small Debian as a layer.
pub fn debian() -> &'static Layer {
    static MADE: OnceLock<Layer> = OnceLock::new();
    MADE.get_or_init(|| {
        let mut layers = base::ensure(&kept_store(), &debootstrap(), &Environment::read(), &|_| {}).expect("a base");
        assert_eq!(layers.len(), 1);
        layers.remove(0)
    })
}

/// A root tree on the small Debian, and what it stands in.
pub struct Stage {
    pub dir: tempfile::TempDir,
    pub spec: RootSpec,
}

impl Stage {
    /// One that can be written.
    pub fn new() -> Self {
        // On the disk that the base is on: /tmp may be memory.
        let dir = tempfile::Builder::new().prefix("stage-").tempdir_in(kept_store().dir()).expect("a directory");
        for name in ["upper", "work"] {
            fs::create_dir(dir.path().join(name)).expect("made");
        }
        let upper = Some((dir.path().join("upper"), dir.path().join("work")));
        let spec = RootSpec { layers: vec![debian().tree.clone()], upper, binds: Vec::new(), bare: false };
        Self { dir, spec }
    }

    /// With a directory of its own over a path of the tree.
    pub fn bound(mut self, to: &str) -> Self {
        let from = self.dir.path().join(format!("bind-{}", self.spec.binds.len()));
        fs::create_dir(&from).expect("made");
        self.spec.binds.push(Bind { from, to: to.into(), read_only: false });
        self
    }

    pub fn setup(&self) -> RootSetup {
        RootSetup { program: program(), scratch: self.scratch() }
    }

    pub fn scratch(&self) -> PathBuf {
        self.dir.path().join("scratch")
    }

    pub fn enter(&self) -> Root {
        Root::enter(&self.spec, &self.setup()).expect("the root is there")
    }

    /// All that is in the upper directory.
    pub fn written(&self) -> Vec<String> {
        below(&self.dir.path().join("upper"))
    }

    /// Asserts that nothing is left of the roots but what was written.
    pub fn assert_over(&self) {
        assert_eq!(below(&self.scratch()), Vec::<String>::new());
        assert_eq!(mounts(self.dir.path()), Vec::<String>::new());
    }
}

/// Paths below a directory, sorted.
pub fn below(dir: &Path) -> Vec<String> {
    let (mut found, mut left) = (Vec::new(), vec![dir.to_owned()]);
    while let Some(at) = left.pop() {
        for entry in fs::read_dir(&at).into_iter().flatten().flatten() {
            found.push(entry.path().strip_prefix(dir).expect("below").display().to_string());
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                left.push(entry.path());
            }
        }
    }
    found.sort();
    found
}

/// What a shell script in a root tree ends with.
pub fn ran(root: &Root, script: &str) -> Output {
    root.run(&["/bin/bash", "-c", script], &[]).expect("it runs")
}

/// What a shell script in a root tree prints.
pub fn said(root: &Root, script: &str) -> String {
    let output = ran(root, script);
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Lines of any process's mount table that name this directory: it must be one of the test's own.
pub fn mounts(dir: &Path) -> Vec<String> {
    let name = dir.file_name().and_then(|name| name.to_str()).expect("a name");
    let tables = processes().into_iter().filter_map(|pid| fs::read_to_string(format!("/proc/{pid}/mountinfo")).ok());
    tables.flat_map(|table| table.lines().filter(|line| line.contains(name)).map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// Command lines of this machine's processes that hold this.
pub fn commands(text: &str) -> Vec<String> {
    let lines = processes().into_iter().filter_map(|pid| fs::read_to_string(format!("/proc/{pid}/cmdline")).ok());
    lines.map(|line| line.replace('\0', " ")).filter(|line| line.contains(text)).collect()
}

fn processes() -> Vec<u32> {
    let names = fs::read_dir("/proc").expect("there").flatten();
    names.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// Waits for something to be so.
pub fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < end, "{what}: not within 30 s");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// An address of this machine that is not loopback.
pub fn own_address() -> IpAddr {
    let socket = UdpSocket::bind("0.0.0.0:0").expect("bound");
    // Nothing is sent: the kernel only picks the way.
    socket.connect("198.51.100.1:9").expect("this machine has a way out");
    socket.local_addr().expect("bound").ip()
}
