//! What is ours and nobody else's: files below a directory of our own, opened beneath it, never followed elsewhere, never waited for,
//! and believed only when owner, type and mode of the very thing that was opened say that no other account can have written it.

mod opened;

use super::Entry;
use super::entry::EntryKind;
pub(super) use opened::beneath;
use opened::{checked, guarded, readable_by, settle, user};
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// How often a directory that another account puts in the place of ours is moved away before we give up.
const TRIES: u32 = 16;

/// What statfs(2) says of a tmpfs, and of a ramfs.
const IN_MEMORY: [i64; 2] = [0x0102_1994, 0x8584_58f6];

/// How much a write is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durable {
    /// On the disk when the call returns.
    Yes,
    /// Whole or not at all while the machine runs; after a power cut nothing depends on it.
    No,
}

/// A directory of ours: where it is, and what it is made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnDirectory {
    place: PathBuf,
    mode: u32,
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
    /// A directory at this absolute path.
    pub fn new(place: impl Into<PathBuf>, mode: u32) -> Self {
        Self { place: place.into(), mode }
    }
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.place
    }
    /// A place in it.
    pub fn join(&self, rest: impl Into<PathBuf>) -> OwnPath {
        let rest = rest.into();
        OwnPath { whole: self.place.join(&rest), rest, root: self.clone() }
    }

    fn name(&self) -> &OsStr {
        self.place.file_name().unwrap_or(OsStr::new("."))
    }

    fn parent(&self) -> io::Result<OwnedFd> {
        let above = self.place.parent().unwrap_or(Path::new("/"));
        Ok(rustix::fs::open(above, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
    }

    /// Opens it, checked; none: there is none. A link in its place is followed only where root or we made it and no other could.
    fn open(&self) -> io::Result<Option<OwnedFd>> {
        let opened = self.parent().and_then(|parent| self.open_in(&parent));
        match opened {
            Ok(directory) => guarded(&rustix::fs::fstat(&directory)?).map(|()| Some(directory)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn open_in(&self, parent: &OwnedFd) -> io::Result<OwnedFd> {
        let (here, above) = (rustix::fs::statat(parent, self.name(), AtFlags::SYMLINK_NOFOLLOW)?, rustix::fs::fstat(parent)?);
        let led = Entry::of(&here).kind == EntryKind::Link && guarded(&above).is_ok() && (here.st_uid == 0 || here.st_uid == user());
        let follow = if led { OFlags::empty() } else { OFlags::NOFOLLOW };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | follow;
        Ok(rustix::fs::openat(parent, self.name(), flags, Mode::empty())?)
    }

    /// Opens it, made where it is missing, with its mode. What another account has put in its place is moved aside: there it stays.
    fn make(&self) -> io::Result<OwnedFd> {
        std::fs::create_dir_all(self.place.parent().unwrap_or(Path::new("/")))?;
        let parent = self.parent()?;
        let mut foreign = None;
        for _ in 0..TRIES {
            match rustix::fs::mkdirat(&parent, self.name(), Mode::from_raw_mode(self.mode)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            let here = rustix::fs::statat(&parent, self.name(), AtFlags::SYMLINK_NOFOLLOW)?;
            if here.st_uid != 0 && here.st_uid != user() {
                foreign = Some(here.st_uid);
                self.move_aside(&parent)?;
                continue;
            }
            let directory = self.open_in(&parent)?;
            settle(&directory, self.mode)?;
            return Ok(directory);
        }
        let who = foreign.map_or_else(String::new, |uid| format!(" of uid {uid}"));
        Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("something{who} stands there again and again")))
    }

    /// Where everybody may make names (/dev/shm), everybody may have made ours. One step puts our own in its place.
    fn move_aside(&self, parent: &OwnedFd) -> io::Result<()> {
        let aside = format!(".{}-{}", self.name().to_string_lossy(), uuid()?);
        rustix::fs::mkdirat(parent, &aside, Mode::from_raw_mode(self.mode))?;
        match rustix::fs::renameat_with(parent, &aside, parent, self.name(), rustix::fs::RenameFlags::EXCHANGE) {
            Ok(()) => Ok(()),
            // Gone meanwhile: made at the next try.
            Err(Errno::NOENT) => Ok(rustix::fs::unlinkat(parent, &aside, AtFlags::REMOVEDIR)?),
            Err(error) => {
                let _ = rustix::fs::unlinkat(parent, &aside, AtFlags::REMOVEDIR);
                Err(error.into())
            }
        }
    }

    /// The names in it, sorted; none where there is no such directory.
    ///
    /// # Errors
    /// When it cannot be read, or is not ours.
    pub fn names(&self) -> io::Result<Vec<OsString>> {
        self.join("").names()
    }

    /// Makes sure of it: made where it is missing, with its mode, and nobody's but ours.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn prepare(&self) -> io::Result<()> {
        self.make().map(drop)
    }

    /// Whether it lies, or would lie, in memory.
    pub fn is_in_memory(&self) -> bool {
        let there = self.place.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
        // i64 on most architectures, i32 on some: compared as what it prints.
        #[allow(clippy::useless_conversion, reason = "the field's type differs between architectures")]
        rustix::fs::statfs(there).is_ok_and(|stat| IN_MEMORY.contains(&i64::from(stat.f_type)))
    }
}

fn uuid() -> io::Result<String> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/random/uuid")?.trim().to_owned())
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

/// The kernel's own path to what was opened.
pub(super) fn of_descriptor(opened: impl AsFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", opened.as_fd().as_raw_fd()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::tests::{as_nobody, proves_as_root};
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt};

    /// A directory in which everybody may make names, as /dev/shm is.
    fn shared() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o1777)).unwrap();
        directory
    }

    #[test]
    fn what_another_account_made_first_is_moved_aside_and_nothing_in_it_is_opened() {
        if !proves_as_root("what another account made in the place of our directory") {
            return;
        }
        // A named pipe would be waited for, a link would lead elsewhere.
        for made in ["mkdir -p ostler/run && mkfifo ostler/run/key", "ln -s /etc ostler", "mkfifo ostler", "touch ostler"] {
            let shared = shared();
            as_nobody(shared.path(), made);
            let store = OwnDirectory::new(shared.path().join("ostler"), 0o700);
            let key = store.join("run").below("key");
            assert!(key.read(100).is_err(), "{made}: not ours");
            key.write(b"value", 0o600, Durable::No).unwrap();
            assert_eq!(key.read(100).unwrap().unwrap(), b"value", "{made}");
            let ours = std::fs::symlink_metadata(store.path()).unwrap();
            assert_eq!((ours.uid(), ours.mode() & 0o7777, ours.is_dir()), (0, 0o700, true), "{made}");
            let all = std::fs::read_dir(shared.path()).unwrap().count();
            assert_eq!(all, 2, "{made}: what was there is its owner's still");
            assert!(!Path::new("/etc/run/key").exists());
            assert!(!as_nobody(shared.path(), "cat ostler/run/key"), "{made}: for us alone");
        }
    }

    #[test]
    fn a_file_that_others_could_have_written_is_not_believed() {
        let directory = tempfile::tempdir().unwrap();
        let record = OwnDirectory::new(directory.path().join("state"), 0o755).join("node");
        assert_eq!(record.read(100).unwrap(), None);
        record.write(b"12345", 0o644, Durable::Yes).unwrap();
        assert_eq!(record.read(5).unwrap().unwrap(), b"12345");
        assert_eq!(record.read(4).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        std::fs::set_permissions(&record, PermissionsExt::from_mode(0o666)).unwrap();
        assert_eq!(record.read(100).unwrap_err().to_string(), "others may write there (mode 0666), so it is not believed");
        std::fs::remove_file(&record).unwrap();
        std::os::unix::fs::symlink("/etc/hostname", &record).unwrap();
        assert!(record.read(100).is_err(), "a link is not followed");
        std::fs::remove_file(&record).unwrap();
        if proves_as_root("a record of another account is not believed") {
            std::fs::write(&record, b"x").unwrap();
            std::os::unix::fs::chown(&record, Some(4242), None).unwrap();
            assert_eq!(record.read(100).unwrap_err().to_string(), "it belongs to uid 4242 and is not believed");
            std::fs::set_permissions(directory.path().join("state"), PermissionsExt::from_mode(0o777)).unwrap();
            std::os::unix::fs::chown(&record, Some(0), None).unwrap();
            assert!(record.read(100).is_err(), "nor in a directory where they could have put it");
        }
    }

    #[test]
    fn our_directory_may_be_a_link_that_root_made_to_another_disk() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("disk")).unwrap();
        std::os::unix::fs::symlink("disk", directory.path().join("state")).unwrap();
        let record = OwnDirectory::new(directory.path().join("state"), 0o755).join("runs").below("1");
        record.write(b"x", 0o600, Durable::No).unwrap();
        assert_eq!(std::fs::read(directory.path().join("disk/runs/1")).unwrap(), b"x");
        record.remove_tree().unwrap_err();
        OwnDirectory::new(directory.path().join("state"), 0o755).join("runs").remove_tree().unwrap();
        assert!(!record.is_there() && record.read(9).unwrap().is_none());
    }

    #[test]
    fn what_one_account_may_read_its_group_may_not() {
        if !proves_as_root("what one account may read its group may not") {
            return;
        }
        const ONE: u32 = 65_534;
        let directory = tempfile::tempdir().unwrap();
        std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let file = OwnDirectory::new(directory.path().join("proofs"), 0o711).join("nonce");
        let reads = |uid: u32| {
            let mut command = std::process::Command::new("cat");
            let quiet = command.arg(&*file).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
            std::os::unix::process::CommandExt::gid(std::os::unix::process::CommandExt::uid(quiet, uid), ONE).status().unwrap().success()
        };
        file.write_readable(b"once", ONE, None, Durable::No).unwrap();
        assert!(reads(ONE) && !reads(4242), "both have its group");
        assert_eq!(file.read(9).unwrap().unwrap(), b"once");
        let entry = std::fs::metadata(&file).unwrap();
        assert_eq!((entry.uid(), entry.gid(), entry.mode() & 0o222), (0, 0, 0));
        // Without ACLs the group is the way, where it is that account's alone.
        let plain = std::fs::File::create(directory.path().join("plain")).unwrap();
        assert!(opened::by_group(&plain, None).is_err());
        opened::by_group(&plain, Some(ONE)).unwrap();
        let entry = plain.metadata().unwrap();
        assert_eq!((entry.uid(), entry.gid(), entry.mode() & 0o7777), (0, ONE, 0o440));
    }
}
