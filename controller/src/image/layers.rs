//! The store of layers: each made once, by the digest of everything that went in before it.

mod packages;
mod removal;

pub(crate) use removal::{DIRECTORY, remove, remove_at};

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use ostler_roles::words::Digest;
use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};

use super::error::ImageError;

/// The version of a layer's description.
const FORMAT: u32 = 1;
/// How long another builder may take over a layer that is wanted here too.
const LOCK_LIMIT: Duration = Duration::from_secs(3600);
/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// The name of a layer's description beside its tree.
const ABOUT: &str = "layer.json";

/// Layers below one directory, which nobody else can look into: there are set-uid programs in them.
#[derive(Debug, Clone)]
pub struct Store {
    dir: PathBuf,
}

/// A layer: its own files only, whiteouts as overlayfs makes them. While one of these is held, nobody trims it.
#[derive(Debug, Clone)]
pub struct Layer {
    /// The digest of everything that went into it.
    pub key: Digest,
    /// Its files.
    pub tree: PathBuf,
    /// Their size on the disk.
    pub bytes: u64,
    /// What is known of how it was made.
    pub about: LayerAbout,
    /// Its description, locked for as long as it is used.
    _used: Arc<File>,
}

/// What is known of how a layer was made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerAbout {
    /// What it is, for people.
    pub name: String,
    /// The layer that it lies on; none for a base.
    pub parent: Option<Digest>,
    /// What went into it, by name: tells why another one had to be made.
    pub inputs: BTreeMap<String, String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Description {
    format: u32,
    key: Digest,
    bytes: u64,
    about: LayerAbout,
}

impl Store {
    /// Opens the store, making it where it is missing; removes what killed builders left in it.
    ///
    /// # Errors
    /// When its directory cannot be made or locked.
    pub fn open(dir: &Path) -> Result<Self, ImageError> {
        let store = Self { dir: dir.to_owned() };
        for made in [dir.to_owned(), store.layers(), store.scratch(), store.packages()] {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(&made).map_err(|error| fault("create directory", &made, error))?;
        }
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).map_err(ImageError::file("close to others", dir))?;
        store.sweep()?;
        Ok(store)
    }

    /// Returns where roots may put what is theirs alone ([`super::root::RootSetup`]).
    #[must_use]
    pub fn scratch(&self) -> PathBuf {
        self.dir.join("scratch")
    }

    /// Returns where Debian packages are kept that were fetched; a build gets names of its own for them ([`Store::lend_packages`]).
    #[must_use]
    pub fn packages(&self) -> PathBuf {
        self.dir.join("packages")
    }

    fn layers(&self) -> PathBuf {
        self.dir.join("layers")
    }

    /// Returns the directory of the store.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns a layer that is whole; that counts as its use.
    #[must_use]
    pub fn get(&self, key: &Digest) -> Option<Layer> {
        let layer = self.look(key)?;
        // A store that cannot be written can be read all the same.
        let _ = layer._used.set_modified(SystemTime::now());
        Some(layer)
    }

    /// Returns all layers that are whole.
    #[must_use]
    pub fn list(&self) -> Vec<Layer> {
        let names = fs::read_dir(self.layers()).into_iter().flatten().flatten();
        let keys: BTreeSet<Digest> = names.filter_map(|entry| Digest::parse(entry.file_name().to_str()?).ok()).collect();
        keys.iter().filter_map(|key| self.look(key)).collect()
    }

    fn look(&self, key: &Digest) -> Option<Layer> {
        let dir = self.layers().join(key.to_string());
        let file = OpenOptions::new().read(true).open(dir.join(ABOUT)).ok()?;
        // Locked by the one who removes it.
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared).ok()?;
        let (ours, there) = (file.metadata().ok()?, fs::metadata(dir.join(ABOUT)).ok()?);
        let description: Description = serde_json::from_reader(io::BufReader::new(&file)).ok()?;
        let tree = dir.join("tree");
        let whole = ours.ino() == there.ino() && description.format == FORMAT && description.key == *key && tree.is_dir();
        whole.then(|| Layer { key: *key, tree, bytes: description.bytes, about: description.about, _used: Arc::new(file) })
    }

    /// Begins a layer, waiting for whoever makes the same one. Where there is one by then, `commit` returns that.
    ///
    /// # Errors
    /// When it cannot be begun, or another one takes too long over it.
    pub fn begin(&self, key: &Digest) -> Result<HalfLayer, ImageError> {
        let lock = self.lock(key, LOCK_LIMIT)?;
        let half = HalfLayer { store: self.clone(), key: *key, dir: self.layers().join(format!(".{key}.part")), lock, is_over: false };
        remove(&half.dir).map_err(ImageError::file("remove", &half.dir))?;
        // Damaged, or of another version: it would stand in the way.
        let whole = self.layers().join(key.to_string());
        if whole.exists() && self.look(key).is_none() {
            remove(&whole).map_err(ImageError::file("remove the damaged layer", &whole))?;
        }
        make(&half.dir, 0o700)?;
        // The tree's own root directory is seen by all in it.
        make(&half.upper_path(), 0o755)?;
        make(&half.work_path(), 0o700)?;
        Ok(half)
    }

    /// Returns the layer of this key; where it is missing, `build` fills a half one.
    ///
    /// # Errors
    /// When it cannot be made; nothing of it is there then.
    pub fn ensure(
        &self,
        key: &Digest,
        about: &LayerAbout,
        build: impl FnOnce(&HalfLayer) -> Result<(), ImageError>,
    ) -> Result<Layer, ImageError> {
        if let Some(layer) = self.get(key) {
            return Ok(layer);
        }
        let half = self.begin(key)?;
        // Who waited finds it ready.
        if let Some(layer) = self.get(key) {
            return Ok(layer);
        }
        build(&half).map_err(|error| self.full(error))?;
        half.commit(about)
    }

    /// Removes layers, the one that was used longest ago first, until no more than `budget` bytes are left or the rest is in use or to be
    /// kept. Returns what was removed.
    ///
    /// # Errors
    /// When one cannot be removed.
    pub fn trim(&self, budget: u64, keep: &BTreeSet<Digest>) -> Result<Vec<Digest>, ImageError> {
        let used = |layer: &Layer| layer._used.metadata().and_then(|data| data.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
        let mut all: Vec<(SystemTime, Digest, u64)> = self.list().iter().map(|layer| (used(layer), layer.key, layer.bytes)).collect();
        all.sort();
        let mut left: u64 = all.iter().map(|(_, _, bytes)| bytes).sum();
        let mut removed = Vec::new();
        for (_, key, bytes) in all {
            if left <= budget {
                break;
            }
            if !keep.contains(&key) && self.remove(&key)? {
                left = left.saturating_sub(bytes);
                removed.push(key);
            }
        }
        Ok(removed)
    }

    /// Removes a layer; false: it is in use, or not there.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(&self, key: &Digest) -> Result<bool, ImageError> {
        let (dir, gone) = (self.layers().join(key.to_string()), self.layers().join(format!(".{key}.gone")));
        let Ok(about) = File::open(dir.join(ABOUT)) else { return Ok(false) };
        if rustix::fs::flock(&about, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Ok(false);
        }
        remove(&gone).map_err(ImageError::file("remove", &gone))?;
        // By another name at once: nobody takes what is half removed for a layer.
        fs::rename(&dir, &gone).map_err(ImageError::file("remove", &dir))?;
        remove(&gone).map_err(ImageError::file("remove", &gone))?;
        Ok(true)
    }

    /// Locks the making of a layer; the lock's file goes with the lock.
    fn lock(&self, key: &Digest, limit: Duration) -> Result<File, ImageError> {
        let path = self.layers().join(format!(".{key}.lock"));
        let end = Instant::now() + limit;
        loop {
            if let Some(lock) = try_lock(&path)? {
                return Ok(lock);
            }
            if Instant::now() >= end {
                return Err(ImageError::Deadline { what: format!("another build's work on the layer {}", key.short()), after: limit });
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Removes what builders left that were killed: half layers that nobody makes, half removed ones, scratch that nobody holds.
    fn sweep(&self) -> Result<(), ImageError> {
        let layers = self.layers();
        for entry in fs::read_dir(&layers).map_err(ImageError::file("read directory", &layers))?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let Some((key, kind)) = name.strip_prefix('.').and_then(|name| name.split_once('.')) else { continue };
            let lock_path = layers.join(format!(".{key}.lock"));
            let (left, lock) = (entry.path(), try_lock(&lock_path)?);
            if kind != "lock" && lock.is_some() {
                remove(&left).map_err(ImageError::file("remove", &left))?;
            }
            if lock.is_some() {
                let _ = fs::remove_file(&lock_path);
            }
        }
        for entry in fs::read_dir(self.scratch()).map_err(ImageError::file("read directory", &self.scratch()))?.flatten() {
            let held = File::open(entry.path()).map(|dir| rustix::fs::flock(&dir, FlockOperation::NonBlockingLockExclusive).map(|()| dir));
            if matches!(held, Ok(Ok(_))) {
                remove(&entry.path()).map_err(ImageError::file("remove", &entry.path()))?;
            }
        }
        Ok(())
    }

    /// Says of a failure that the disk is full, where it is: programs say so in words of their own.
    fn full(&self, error: ImageError) -> ImageError {
        let room = rustix::fs::statvfs(&self.dir).map(|at| at.f_bavail.saturating_mul(at.f_frsize));
        let is_told = matches!(error, ImageError::Full { .. });
        // What failed may have been removed already: a disk that was full has little room still.
        match room {
            Ok(room) if !is_told && (room < 1 << 20 || chain(&error).contains("No space left on device")) => {
                ImageError::Full { dir: self.dir.clone(), source: Box::new(error) }
            }
            _ => error,
        }
    }
}

/// A layer that is being made. Dropped, it is gone; killed, it is gone when the store is next opened.
#[derive(Debug)]
pub struct HalfLayer {
    store: Store,
    key: Digest,
    dir: PathBuf,
    lock: File,
    is_over: bool,
}

impl HalfLayer {
    /// Returns the directory for its files: overlayfs' upper one.
    #[must_use]
    pub fn upper(&self) -> PathBuf {
        self.upper_path()
    }

    /// Returns the directory that overlayfs works in, on the same file system.
    #[must_use]
    pub fn work(&self) -> PathBuf {
        self.work_path()
    }

    fn upper_path(&self) -> PathBuf {
        self.dir.join("tree")
    }

    fn work_path(&self) -> PathBuf {
        self.dir.join("work")
    }

    /// Makes a layer of it: synced, then renamed into place. Nothing may be mounted on it any more.
    ///
    /// # Errors
    /// When it cannot be written; nothing of it is there then.
    pub fn commit(mut self, about: &LayerAbout) -> Result<Layer, ImageError> {
        if let Some(layer) = self.store.get(&self.key) {
            return Ok(layer);
        }
        let (work, tree, dir) = (self.work_path(), self.upper_path(), self.dir.clone());
        remove(&work).map_err(ImageError::file("remove", &work))?;
        let bytes = size(&tree).map_err(ImageError::file("measure", &tree))?;
        let description = Description { format: FORMAT, key: self.key, bytes, about: about.clone() };
        let (path, whole) = (dir.join(ABOUT), self.store.layers().join(self.key.to_string()));
        let text = serde_json::to_vec_pretty(&description).map_err(|error| fault("write", &path, error.into()))?;
        crate::private::write(&path, &text, crate::private::Durable::No).map_err(|error| fault("write", &path, error))?;
        // The name must not be on the disk before what it stands for (rename(2) orders nothing).
        let synced = File::open(&dir).and_then(|open| Ok(rustix::fs::syncfs(open)?));
        synced.map_err(|error| fault("sync", &dir, error))?;
        fs::rename(&dir, &whole).map_err(|error| fault("rename into place", &whole, error))?;
        self.is_over = true;
        let layers = self.store.layers();
        File::open(&layers).and_then(|open| open.sync_all()).map_err(|error| fault("sync", &layers, error))?;
        self.store.get(&self.key).ok_or(ImageError::Damaged(whole))
    }
}

impl Drop for HalfLayer {
    fn drop(&mut self) {
        if !self.is_over {
            // What cannot be removed now is when the store is next opened.
            let _ = remove(&self.dir);
        }
        // Before the lock is given back: who waits for it sees that its file is gone.
        let _ = fs::remove_file(self.store.layers().join(format!(".{}.lock", self.key)));
        let _ = rustix::fs::flock(&self.lock, FlockOperation::Unlock);
    }
}

/// Takes a lock whose file is still there; none: somebody has it.
fn try_lock(path: &Path) -> Result<Option<File>, ImageError> {
    let open = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
    let file = open.map_err(|error| fault("create", path, error))?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(ImageError::file("lock", path)(error.into())),
        // Removed by whoever had it: another one's lock may have the name by now.
        Ok(()) if file.metadata().is_ok_and(|data| data.nlink() == 0) => Ok(None),
        Ok(()) => Ok(Some(file)),
    }
}

fn make(dir: &Path, mode: u32) -> Result<(), ImageError> {
    let made = fs::create_dir(dir).and_then(|()| fs::set_permissions(dir, fs::Permissions::from_mode(mode)));
    made.map_err(|error| fault("create directory", dir, error))
}

/// A failed write, told as a full disk where it is one.
pub(crate) fn fault(what: &'static str, path: &Path, error: io::Error) -> ImageError {
    let is_full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
    let failed = ImageError::file(what, path)(error);
    let dir = path.parent().unwrap_or(path).to_owned();
    if is_full { ImageError::Full { dir, source: Box::new(failed) } } else { failed }
}

fn chain(error: &ImageError) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

/// Bytes on the disk of a tree, a file of many names once.
fn size(tree: &Path) -> io::Result<u64> {
    let (mut bytes, mut seen, mut left) = (0, BTreeSet::new(), vec![tree.to_owned()]);
    while let Some(dir) = left.pop() {
        for entry in fs::read_dir(&dir)? {
            let entry = entry?;
            let data = entry.metadata()?;
            if data.is_dir() {
                left.push(entry.path());
            } else if data.nlink() > 1 && !seen.insert(data.ino()) {
                continue;
            }
            bytes += data.blocks() * 512;
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
