//! The files of a tree: what each is, whose, and the digest of what is in it, reckoned on all cores.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use ostler_roles::words::Digest;
use rustix::fs::FileType;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::super::error::ImageError;
use super::super::tree::{Tree, Visit};

/// Files that wait for their digest, each open.
const WAITING: usize = 64;
/// A file of many names is hashed once: by device and inode.
type Inode = (u64, u64);

/// What is known of something without its content, and which content it has.
type Seen = (Map<String, Value>, Option<Inode>);

/// A file to be hashed, and which of them it is.
struct Work {
    inode: Inode,
    path: PathBuf,
    file: File,
}

/// All that is in the tree, in order of paths, the root directory first.
pub(super) fn read(tree: &Tree) -> Result<Value, ImageError> {
    let (sender, receiver) = sync_channel(WAITING);
    let receiver = Mutex::new(receiver);
    let workers = thread::available_parallelism().map_or(1, |count| count.get().min(8));
    let (walked, digests) = thread::scope(|scope| {
        let all: Vec<_> = (0..workers).map(|_| scope.spawn(|| digests(&receiver))).collect();
        let walked = walk(tree, sender);
        let mut digests = BTreeMap::new();
        for one in all {
            let ended = one.join().unwrap_or_else(|_| Err(ImageError::refused("a thread that hashes ended in the middle", "build again")));
            digests.extend(ended?);
        }
        Ok::<_, ImageError>((walked?, digests))
    })?;
    let files = walked.into_iter().map(|(mut about, inode)| {
        if let Some(digest) = inode.and_then(|inode| digests.get(&inode)) {
            about.insert("sha256".to_owned(), digest.hex().into());
        }
        Value::Object(about)
    });
    Ok(json!({ "v": 1, "files": files.collect::<Vec<_>>() }))
}

/// Meets everything, and gives each content once to who hashes.
fn walk(tree: &Tree, sender: SyncSender<Work>) -> Result<Vec<Seen>, ImageError> {
    let (mut found, mut seen) = (Vec::new(), std::collections::BTreeSet::new());
    tree.walk("/", &mut |visit| {
        let inode = (visit.stat.st_dev, visit.stat.st_ino);
        let regular = visit.kind() == FileType::RegularFile;
        if regular && seen.insert(inode) {
            // Nobody listens any more once one of them has failed, which tells why.
            let _ = sender.send(Work { inode, path: visit.path.to_owned(), file: visit.open()? });
        }
        found.push((about(visit)?, regular.then_some(inode)));
        Ok(())
    })?;
    Ok(found)
}

/// What is known of it without its content.
fn about(visit: &Visit<'_>) -> Result<Map<String, Value>, ImageError> {
    let stat = visit.stat;
    let mut about = Map::new();
    let mut tell = |name: &str, value: Value| about.insert(name.to_owned(), value);
    tell("path", format!("/{}", shown(visit.path.as_os_str().as_bytes())).into());
    tell("mode", format!("{:04o}", stat.st_mode & 0o7777).into());
    tell("owner", format!("{}:{}", stat.st_uid, stat.st_gid).into());
    let kind = match visit.kind() {
        FileType::RegularFile => {
            tell("size", stat.st_size.into());
            "file"
        }
        FileType::Directory => "directory",
        FileType::Symlink => {
            tell("target", shown(&visit.target()?.unwrap_or_default()).into());
            "link"
        }
        FileType::CharacterDevice => {
            tell("device", device(stat.st_rdev));
            "character device"
        }
        FileType::BlockDevice => {
            tell("device", device(stat.st_rdev));
            "block device"
        }
        FileType::Fifo => "fifo",
        FileType::Socket => "socket",
        FileType::Unknown => "unknown",
    };
    tell("kind", kind.into());
    Ok(about)
}

fn device(number: u64) -> Value {
    format!("{}:{}", rustix::fs::major(number), rustix::fs::minor(number)).into()
}

/// A name as text; what is no text is escaped, so that two names stay two.
fn shown(name: &[u8]) -> String {
    std::str::from_utf8(name).map_or_else(|_| name.escape_ascii().to_string(), str::to_owned)
}

/// Hashes until nothing more comes.
fn digests(receiver: &Mutex<Receiver<Work>>) -> Result<Vec<(Inode, Digest)>, ImageError> {
    let (mut found, mut buffer) = (Vec::new(), vec![0; 256 << 10]);
    let mut failed = None;
    // Who feeds waits for room: what comes after a failure is taken too, and thrown away.
    while let Ok(work) = { receiver.lock().unwrap_or_else(PoisonError::into_inner).recv() } {
        if failed.is_none() {
            match digest(work.file, &work.path, &mut buffer) {
                Ok(digest) => found.push((work.inode, digest)),
                Err(error) => failed = Some(error),
            }
        }
    }
    failed.map_or(Ok(found), Err)
}

fn digest(mut file: File, path: &Path, buffer: &mut [u8]) -> Result<Digest, ImageError> {
    let mut hasher = Sha256::new();
    loop {
        match file.read(buffer).map_err(ImageError::file("read", path))? {
            0 => return Ok(Digest::from_bytes(hasher.finalize().into())),
            count => hasher.update(&buffer[..count]),
        }
    }
}
