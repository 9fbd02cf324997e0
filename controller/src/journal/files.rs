//! The store as files of one machine, private from birth: `sites/ID/…` below the state directory.

use super::key::site_key;
use super::store::{Holder, Key, Lease, Locked, Log, Store};
use super::{StateError, write_private};
use crate::private::{self, Durable, FileError};
use ostler_roles::words::RunId;
use rustix::fs::{FlockOperation, flock};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long a compare-and-swap of others may stand in the way: each is a few synced writes.
const SWAP_WITHIN: Duration = Duration::from_secs(30);
/// A run's log in its directory.
const LOG: &str = "events.jsonl";

/// One site's directory.
#[derive(Debug, Clone)]
pub struct FileStore(PathBuf);

impl FileStore {
    /// A store in this directory, which is made when something is kept.
    pub fn new(directory: PathBuf) -> Self {
        Self(directory)
    }

    fn path(&self, key: &Key) -> PathBuf {
        self.0.join(key.path())
    }

    fn runs(&self) -> PathBuf {
        self.0.join("runs")
    }

    fn run(&self, run: &RunId) -> PathBuf {
        self.runs().join(run.as_str())
    }

    fn open_lock(&self, name: &Path) -> Result<(PathBuf, File), StateError> {
        let path = self.0.join("lock").join(name);
        make_parent(&path)?;
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = opened.map_err(FileError::write(&path))?;
        Ok((path, file))
    }

    /// Only one compares and swaps at a time.
    fn lock_swap(&self) -> Result<File, StateError> {
        let (path, file) = self.open_lock(Path::new("swap"))?;
        let end = Instant::now() + SWAP_WITHIN;
        while !take(&file, &path)? {
            if Instant::now() >= end {
                return Err(StateError::Busy { path, seconds: SWAP_WITHIN.as_secs() });
            }
            // flock(2) has no deadline of its own: ask again, seldom enough to cost nothing.
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(file)
    }
}

/// Takes a lock without waiting; false: another process has it.
fn take(file: &File, path: &Path) -> Result<bool, StateError> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(StateError::Lock { path: path.to_owned(), source: error.into() }),
    }
}

fn make_parent(path: &Path) -> Result<(), StateError> {
    let Some(parent) = path.parent() else { return Ok(()) };
    Ok(private::make_directory(parent).map_err(FileError::write(path))?)
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, StateError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(FileError::read(path)(error).into()),
    }
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

impl Store for FileStore {
    fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, StateError> {
        read(&self.path(key))
    }

    fn swap(&self, key: &Key, from: Option<&[u8]>, to: Option<&[u8]>) -> Result<bool, StateError> {
        let path = self.path(key);
        let _lock = self.lock_swap()?;
        if read(&path)?.as_deref() != from {
            return Ok(false);
        }
        match to {
            Some(value) => write_private(&path, value, Durable::Yes)?,
            None => private::remove(&path).map_err(FileError::write(&path))?,
        }
        Ok(true)
    }

    fn put(&self, key: &Key, value: &[u8]) -> Result<(), StateError> {
        write_private(&self.path(key), value, Durable::No)
    }

    fn lock(&self, key: &Key, owner: &str) -> Result<Locked, StateError> {
        let (path, mut file) = self.open_lock(key.path())?;
        if take(&file, &path)? {
            file.set_len(0).and_then(|()| write!(file, "{} {owner}", now())).map_err(FileError::write(&path))?;
            return Ok(Locked::Ours(Lease::new(file)));
        }
        // Whoever has just taken it may not have written who it is.
        let text = std::fs::read_to_string(&path).map_err(FileError::read(&path))?;
        let (since, owner) = text.split_once(' ').unwrap_or(("", "another run"));
        let age = since.parse().map_or(0, |since: u64| now().saturating_sub(since));
        Ok(Locked::Held(Holder { owner: owner.to_owned(), age: Duration::from_secs(age) }))
    }

    fn secret_key(&self) -> Result<Vec<u8>, StateError> {
        site_key(&self.0)
    }

    fn begin_log(&self, run: &RunId) -> Result<Box<dyn Log>, StateError> {
        let path = self.run(run).join(LOG);
        make_parent(&path)?;
        let opened = OpenOptions::new().append(true).create_new(true).mode(0o600).open(&path);
        let file = opened.map_err(FileError::write(&path))?;
        take(&file, &path)?;
        Ok(Box::new(FileLog { path, file }))
    }

    fn read_log(&self, run: &RunId) -> Result<Vec<String>, StateError> {
        let path = self.run(run).join(LOG);
        let bytes = std::fs::read(&path).map_err(FileError::read(&path))?;
        // A torn last line is what a power cut leaves.
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        Ok(String::from_utf8_lossy(&bytes[..whole]).lines().map(str::to_owned).collect())
    }

    fn logs(&self) -> Result<Vec<(RunId, Duration)>, StateError> {
        let runs = self.runs();
        let entries = match std::fs::read_dir(&runs) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(FileError::read(&runs)(error).into()),
        };
        let now = SystemTime::now();
        let found = entries.flatten().filter_map(|entry| {
            let run = RunId::parse(entry.file_name().to_str()?).ok()?;
            let written = entry.metadata().and_then(|metadata| metadata.modified()).ok()?;
            // One that has not come yet is of a clock that was wrong: as old as can be.
            Some((run, now.duration_since(written).unwrap_or(Duration::MAX)))
        });
        let mut logs: Vec<(RunId, Duration)> = found.collect();
        logs.sort_by(|one, other| (one.1, &other.0).cmp(&(other.1, &one.0)));
        Ok(logs)
    }

    fn remove_log(&self, run: &RunId) -> Result<(), StateError> {
        let directory = self.run(run);
        let path = directory.join(LOG);
        if let Ok(file) = File::open(&path)
            && !take(&file, &path)?
        {
            return Ok(());
        }
        match std::fs::remove_dir_all(&directory) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(FileError::write(&directory)(error).into()),
            _ => Ok(()),
        }
    }
}

#[derive(Debug)]
struct FileLog {
    path: PathBuf,
    file: File,
}

impl Log for FileLog {
    fn append(&mut self, line: &str) -> Result<(), StateError> {
        let before = self.file.metadata().map_err(FileError::write(&self.path))?.len();
        // One write: a reader sees whole lines.
        self.file.write_all(format!("{line}\n").as_bytes()).map_err(|error| {
            // The next line stands on one of its own. What cannot be taken back is found by whoever reads it.
            let _ = self.file.set_len(before);
            FileError::write(&self.path)(error).into()
        })
    }

    fn place(&self) -> String {
        self.path.display().to_string()
    }
}

#[cfg(test)]
mod tests;
