//! The Python environments of master and worker: made once by the script that nodes run too, kept in the cache.

use sha2::Digest as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Which half of Buildbot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// `buildbot`.
    Master,
    /// `buildbot-worker`.
    Worker,
}

impl Side {
    fn word(self) -> &'static str {
        match self {
            Self::Master => "master",
            Self::Worker => "worker",
        }
    }
}

/// A file of the role library.
pub fn library(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../roles/library").join(path)
}

fn cache() -> PathBuf {
    ostler::environment::Environment::read().cache
}

/// Where `make wheels` puts the wheels.
pub fn wheels() -> PathBuf {
    cache().join("wheels")
}

/// Copies the pinned wheels to where a lab serves `http://10.78.0.1:8088/wheels/`.
///
/// # Panics
/// When they are not there.
pub fn serve_wheels(lab: &ostler::lab::Lab) {
    let to = lab.www().join("wheels");
    std::fs::create_dir_all(&to).expect("directory");
    for wheel in std::fs::read_dir(wheels()).expect("the wheels: run `make wheels`").filter_map(Result::ok) {
        std::fs::copy(wheel.path(), to.join(wheel.file_name())).expect("wheel");
    }
}

/// Returns an environment with exactly the pinned packages.
///
/// # Panics
/// When the wheels are not there: a test that cannot run has failed.
pub fn venv(side: Side) -> PathBuf {
    let requirements = library(&format!("files/buildbot/{}-requirements.txt", side.word()));
    installed(&format!("buildbot-{}", side.word()), &requirements, &wheels())
}

/// Returns an environment with exactly the packages that a requirement file pins, from a directory of wheels.
///
/// # Panics
/// As [`venv`].
pub fn installed(named: &str, requirements: &Path, wheels: &Path) -> PathBuf {
    let pinned = std::fs::read(requirements).expect("the repository has its requirement files");
    let name: String = sha2::Sha256::digest(&pinned).iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    let home = cache().join("venvs");
    std::fs::create_dir_all(&home).expect("the cache can be written");
    let path = home.join(format!("{named}-{name}"));
    let lock = std::fs::File::create(path.with_extension("lock")).expect("the cache can be written");
    lock.lock().expect("a lock in the cache"); // several test processes may want it at once
    if std::fs::read(path.join("requirements.txt")).is_ok_and(|installed| installed == pinned) {
        return path;
    }
    let are_there = std::fs::read_dir(wheels).is_ok_and(|entries| entries.flatten().any(|entry| entry.path().extension().is_some()));
    assert!(are_there, "no wheels in {}: run `make wheels` first (needs the package index once)", wheels.display());
    // Nodes have Debian's Python; on a developer's machine another one may come first in PATH, but the wheels fit this one alone.
    let done = Command::new(library("files/buildbot/install-venv"))
        .args([path.as_os_str(), requirements.as_os_str(), wheels.as_os_str()])
        .env("PATH", "/usr/bin:/bin")
        .env("PIP_CONFIG_FILE", "/dev/null")
        .env_remove("PIP_FIND_LINKS")
        .output()
        .expect("install-venv starts");
    assert!(
        done.status.success(),
        "install-venv failed; are all wheels there (`make wheels`), and python3-venv 3.11?\n{}{}",
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr)
    );
    path
}
