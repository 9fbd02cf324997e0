//! A place in a directory of ours: its file read and replaced whole, its directory made, listed and removed.

use super::directory::OwnDirectory;
use super::opened::{beneath, checked, of_descriptor, readable_by, settle};
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// How often a file that others may open is replaced before we give up.
const TRIES: u32 = 16;

/// How much a write is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durable {
    /// On the disk when the call returns.
    Yes,
    /// Whole or not at all while the machine runs; after a power cut nothing depends on it.
    No,
}

/// A place in a directory of ours. As a [`Path`] it is for messages; whoever opens it does so by its own functions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnPath {
    root: OwnDirectory,
    rest: PathBuf,
    whole: PathBuf,
}

impl std::ops::Deref for OwnPath {
    type Target = Path;
    fn deref(&self) -> &Path {
        &self.whole
    }
}

impl AsRef<Path> for OwnPath {
    fn as_ref(&self) -> &Path {
        &self.whole
    }
}

impl OwnDirectory {
    /// A place in it.
    pub fn join(&self, rest: impl Into<PathBuf>) -> OwnPath {
        let rest = rest.into();
        OwnPath { whole: self.path().join(&rest), rest, root: self.clone() }
    }

    /// The names in it, sorted; none where there is no such directory.
    ///
    /// # Errors
    /// When it cannot be read, or is not ours.
    pub fn names(&self) -> io::Result<Vec<OsString>> {
        self.join("").names()
    }
}

fn none<T>(error: io::Error) -> io::Result<Option<T>> {
    if error.kind() == io::ErrorKind::NotFound { Ok(None) } else { Err(error) }
}

impl OwnPath {
    /// A place below it.
    #[must_use]
    pub fn below(&self, name: &str) -> Self {
        self.root.join(self.rest.join(name))
    }

    /// Opens its file for reading; none where there is none.
    ///
    /// # Errors
    /// When it cannot be opened, is no regular file, or is not ours.
    pub fn open(&self) -> io::Result<Option<File>> {
        let Some(root) = self.root.open()? else { return Ok(None) };
        match beneath(&root, &self.rest, OFlags::RDONLY, 0) {
            Ok(file) => checked(file).map(Some),
            Err(error) => none(error.into()),
        }
    }

    /// The bytes of its file, at most `cap`; none where there is none.
    ///
    /// # Errors
    /// As for [`Self::open`], and when it is longer.
    pub fn read(&self, cap: u64) -> io::Result<Option<Vec<u8>>> {
        let Some(file) = self.open()? else { return Ok(None) };
        let mut bytes = Vec::new();
        file.take(cap + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > cap { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(Some(bytes)) }
    }

    /// Whether something stands there.
    pub fn is_there(&self) -> bool {
        self.root.open().ok().flatten().is_some_and(|root| beneath(&root, &self.rest, OFlags::PATH, 0).is_ok())
    }

    /// Its file, opened to be locked; made where it is missing. One that another account may open (an older version made such) gives way
    /// to a new one: a lock that somebody holds on it counts for nothing.
    ///
    /// # Errors
    /// When it cannot be made or opened.
    pub fn open_lock(&self) -> io::Result<File> {
        let parent = self.make_parent(0o700)?;
        for _ in 0..TRIES {
            let file = checked(beneath(&parent, self.name(), OFlags::RDWR | OFlags::CREATE, 0o600)?)?;
            if rustix::fs::fstat(&file)?.st_mode & 0o077 == 0 {
                return Ok(file);
            }
            rustix::fs::unlinkat(&parent, self.name(), AtFlags::empty())?;
        }
        Err(io::Error::new(io::ErrorKind::PermissionDenied, "others may open it"))
    }

    /// Makes its file, to append to; one that is there already is an error.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create_to_append(&self, mode: u32) -> io::Result<File> {
        let parent = self.make_parent(0o700)?;
        Ok(File::from(beneath(&parent, self.name(), OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::EXCL, mode)?))
    }

    /// Makes the names durable that lead to it.
    ///
    /// # Errors
    /// When the disk says no.
    pub fn sync_names(&self) -> io::Result<()> {
        let Some(root) = self.root.open()? else { return Ok(()) };
        let mut directories = self.rest.ancestors().skip(1);
        let sync = |above: &Path| rustix::fs::fsync(beneath(&root, above, OFlags::RDONLY | OFlags::DIRECTORY, 0)?);
        Ok(directories.try_for_each(sync)?)
    }

    /// Replaces its file by one with these bytes, whole or not at all. The directory above it is made where it is missing.
    ///
    /// # Errors
    /// When any part of it fails; the file that was there is as it was.
    pub fn write(&self, bytes: &[u8], mode: u32, durable: Durable) -> io::Result<()> {
        self.write_below(bytes, mode, 0o700, durable)
    }

    /// The same, in a file that this account may read too, and no other. Where the file system has no ACLs, by the account's group, if
    /// nobody else is in that: `alone`.
    ///
    /// # Errors
    /// As for [`Self::write`], and when it cannot be given to this account alone.
    pub fn write_readable(&self, bytes: &[u8], uid: u32, alone: Option<u32>, durable: Durable) -> io::Result<()> {
        self.put(bytes, |file| readable_by(file, uid, alone), 0o700, durable)
    }

    /// The same in directories of this mode.
    ///
    /// # Errors
    /// As for [`Self::write`].
    pub fn write_below(&self, bytes: &[u8], mode: u32, directories: u32, durable: Durable) -> io::Result<()> {
        // Whatever umask we were given.
        self.put(bytes, |file| Ok(rustix::fs::fchmod(file, Mode::from_raw_mode(mode))?), directories, durable)
    }

    fn put(&self, bytes: &[u8], open_to: impl Fn(&File) -> io::Result<()>, directories: u32, durable: Durable) -> io::Result<()> {
        let parent = self.make_parent(directories)?;
        let mut aside = self.name().as_os_str().to_owned();
        aside.push(format!(".{}", std::process::id()));
        let written = (|| {
            match rustix::fs::unlinkat(&parent, &aside, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
            let mut file = File::from(beneath(&parent, Path::new(&aside), OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL, 0o600)?);
            file.write_all(bytes)?;
            open_to(&file)?;
            if durable == Durable::Yes {
                file.sync_all()?;
            }
            // Closed before it has its name: nobody can run a program that somebody has open for writing (execve(2), ETXTBSY).
            drop(file);
            rustix::fs::renameat(&parent, &aside, &parent, self.name())?;
            if durable == Durable::Yes { Ok(rustix::fs::fsync(&parent)?) } else { Ok(()) }
        })();
        if written.is_err() {
            // What was written aside is of no use; the first error is the one to tell.
            let _ = rustix::fs::unlinkat(&parent, &aside, AtFlags::empty());
        }
        written
    }

    /// Makes it a directory with this mode, and those above it; one of ours that is there is given the mode.
    ///
    /// # Errors
    /// When it cannot be made, or is not ours.
    pub fn make_directory(&self, mode: u32) -> io::Result<()> {
        self.made(&self.rest, mode).map(drop)
    }

    /// Makes it a directory that must not be there yet.
    ///
    /// # Errors
    /// When something is there already, or it cannot be made.
    pub fn make_new_directory(&self, mode: u32) -> io::Result<()> {
        let parent = self.make_parent(0o700)?;
        Ok(rustix::fs::mkdirat(&parent, self.name(), Mode::from_raw_mode(mode))?)
    }

    /// The names in its directory, sorted; none where there is no such directory.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn names(&self) -> io::Result<Vec<OsString>> {
        let Some(root) = self.root.open()? else { return Ok(Vec::new()) };
        let directory = match beneath(&root, &self.rest, OFlags::RDONLY | OFlags::DIRECTORY, 0) {
            Ok(directory) => directory,
            Err(Errno::NOENT) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&directory)? {
            let name = entry?.file_name().to_owned();
            let name = OsStr::from_bytes(name.to_bytes());
            if name != "." && name != ".." {
                names.push(name.to_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    /// Length and time of the last change of its file, or of its directory; none where there is none.
    ///
    /// # Errors
    /// When that cannot be told.
    pub fn length_and_time(&self) -> io::Result<Option<(u64, SystemTime)>> {
        let Some(root) = self.root.open()? else { return Ok(None) };
        match beneath(&root, &self.rest, OFlags::PATH, 0) {
            Ok(file) => {
                // By the descriptor: an O_PATH one can be asked.
                let metadata = std::fs::metadata(of_descriptor(&file))?;
                Ok(Some((metadata.len(), metadata.modified()?)))
            }
            Err(error) => none(error.into()),
        }
    }

    /// Removes its file; none there is as well.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(&self) -> io::Result<()> {
        let Some(parent) = self.parent()? else { return Ok(()) };
        match rustix::fs::unlinkat(&parent, self.name(), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes its directory and what is in it; none there is as well. No link is followed.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove_tree(&self) -> io::Result<()> {
        let Some(parent) = self.parent()? else { return Ok(()) };
        match std::fs::remove_dir_all(of_descriptor(&parent).join(self.name())) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn name(&self) -> &Path {
        Path::new(self.rest.file_name().unwrap_or(OsStr::new(".")))
    }

    /// The opened directory that holds it; none where there is none.
    fn parent(&self) -> io::Result<Option<OwnedFd>> {
        let Some(root) = self.root.open()? else { return Ok(None) };
        match beneath(&root, self.rest.parent().unwrap_or(Path::new("")), OFlags::RDONLY | OFlags::DIRECTORY, 0) {
            Ok(directory) => Ok(Some(directory)),
            Err(error) => none(error.into()),
        }
    }

    fn make_parent(&self, mode: u32) -> io::Result<OwnedFd> {
        self.made(self.rest.parent().unwrap_or(Path::new("")), mode)
    }

    /// Opens the directory at `rest`; it and those above it are made where they are missing.
    fn made(&self, rest: &Path, mode: u32) -> io::Result<OwnedFd> {
        let mut here = self.root.make()?;
        for part in rest.components() {
            let name = part.as_os_str();
            match rustix::fs::mkdirat(&here, name, Mode::from_raw_mode(mode)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            here = beneath(&here, Path::new(name), OFlags::RDONLY | OFlags::DIRECTORY, 0)?;
            settle(&here, mode)?;
        }
        Ok(here)
    }
}
