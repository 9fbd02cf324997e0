//! Kinds at work on a tree of their own: applied twice, drifted, refused.

mod accounts;
mod checks;
mod commands;
mod downloads;
mod files;
mod git;
mod hostile;
mod packages;
mod server;

use super::*;
use crate::engine::{Applied, Differing, Provider as _};
use ostler_roles::catalog::Step;
use ostler_roles::mask::Mask;
use ostler_roles::resource::{Basis, Desired, Ownership, Shown};
use ostler_roles::words::{AbsPath, AccountName, Content, Digest, Mode, Origin, RoleName, Secret, SecretRef, Span};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

const KEY: &[u8] = b"the site's key";

/// A root tree with our own account in it, and the provider on it.
struct Fixture {
    tree: tempfile::TempDir,
    provider: NodeProvider,
    blobs: HashMap<Digest, Vec<u8>>,
    secrets: HashMap<Digest, Vec<u8>>,
    told: Mutex<Vec<Event>>,
}

impl Fixture {
    fn new() -> Self {
        let tree = tempfile::tempdir().unwrap();
        // What a run masks: of all tests, for they share a process.
        crate::host::child::mask_output(Mask::of([b"hunter2-hunter2".as_slice()]));
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        for directory in ["etc", "tmp", "var/lib/dpkg", "srv", "home"] {
            std::fs::create_dir_all(tree.path().join(directory)).unwrap();
        }
        // Where the tests do not run as root, our own account goes by root's name.
        let passwd = format!("root:x:{uid}:{gid}:root:/root:/bin/bash\nci:x:1001:1001::/home/ci:/bin/sh\n");
        std::fs::write(tree.path().join("etc/passwd"), passwd).unwrap();
        std::fs::write(tree.path().join("etc/group"), format!("root:x:{gid}:\nadm:x:4:\nci:x:1001:\n")).unwrap();
        std::fs::write(tree.path().join("etc/shadow"), "root:*:19000::::::\nci:!:19000::::::\n").unwrap();
        let provider = NodeProvider::at(tree.path(), Some(Secret::new(KEY.to_vec()))).unwrap();
        Self { tree, provider, blobs: HashMap::new(), secrets: HashMap::new(), told: Mutex::new(Vec::new()) }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.tree.path().join(path.trim_start_matches('/'))
    }

    fn blob(&mut self, bytes: &[u8]) -> Content {
        let blob = ostler_roles::words::Blob::of(bytes);
        self.blobs.insert(blob.digest, bytes.to_vec());
        Content::Blob(blob)
    }

    fn secret(&mut self, bytes: &[u8]) -> Content {
        let hmac = SecretRef::hmac(KEY, bytes);
        self.secrets.insert(hmac, bytes.to_vec());
        Content::Secret(SecretRef { name: "launch_key".to_owned(), hmac })
    }

    fn apply(&self, desired: &Desired) -> Result<Applied, Failure> {
        self.apply_until(desired, Instant::now() + Duration::from_secs(60), &|| false)
    }

    fn apply_until(&self, desired: &Desired, deadline: Instant, cancelled: &(dyn Fn() -> bool + Sync)) -> Result<Applied, Failure> {
        let step = step(desired.clone());
        let found = self.provider.examine(desired)?;
        if found.changes.is_empty() {
            return Ok(Applied { changes: Vec::new(), notes: Vec::new(), started: false });
        }
        self.with_work(deadline, cancelled, |work| self.provider.apply(&[Differing { step: &step, found: &found }], work).remove(0))
    }

    fn with_work<T>(&self, deadline: Instant, cancelled: &(dyn Fn() -> bool + Sync), act: impl FnOnce(&ApplyContext<'_>) -> T) -> T {
        let tell = |event| self.told.lock().unwrap().push(event);
        let blob = |digest: &Digest| self.blobs.get(digest).cloned().ok_or_else(|| std::io::Error::from(std::io::ErrorKind::NotFound));
        let secret = |digest: &Digest| Ok(self.secrets.get(digest).cloned());
        act(&ApplyContext { deadline, cancelled, tell: &tell, index: 0, blob: &blob, secret: &secret })
    }

    /// Applies twice: what the first changed; the second changes nothing.
    fn twice(&self, desired: &Desired) -> Vec<Shown> {
        let planned = self.provider.examine(desired).unwrap();
        let first = self.apply(desired).unwrap();
        assert_eq!(planned.changes, first.changes);
        let second = self.apply(desired).unwrap();
        assert_eq!(second.changes, []);
        let again = self.provider.examine(desired).unwrap();
        assert_eq!(again.changes, []);
        assert!(!again.why.is_empty());
        self.provider.sync().unwrap();
        first.changes
    }
}

fn step(desired: Desired) -> Step {
    Step {
        desired,
        role: RoleName::parse("base").unwrap(),
        origin: Origin::default(),
        within: Span::seconds(60),
        watches: Vec::new(),
        together: None,
        while_busy: false,
    }
}

fn at(path: &str) -> AbsPath {
    AbsPath::parse(path).unwrap()
}

fn mode(text: &str) -> Mode {
    Mode::parse(text).unwrap()
}

fn owned(bits: &str) -> Ownership {
    Ownership::root(mode(bits))
}

fn fields(shown: &[Shown]) -> Vec<&str> {
    shown.iter().map(|shown| shown.field.as_str()).collect()
}

fn bits(path: &Path) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions()) & 0o7777
}

fn account(name: &str) -> AccountName {
    AccountName::parse(name).unwrap()
}
