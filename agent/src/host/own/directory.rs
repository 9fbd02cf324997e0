//! A directory of ours, in a place where others may make names too.

use super::opened::{guarded, settle, user};
use crate::host::Entry;
use crate::host::entry::EntryKind;
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// How often a directory that another account puts in the place of ours is moved away before we give up.
const TRIES: u32 = 16;

/// What statfs(2) says of a tmpfs, and of a ramfs.
const IN_MEMORY: [i64; 2] = [0x0102_1994, 0x8584_58f6];

/// A directory of ours: where it is, and what it is made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnDirectory {
    place: PathBuf,
    mode: u32,
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
    fn name(&self) -> &OsStr {
        self.place.file_name().unwrap_or(OsStr::new("."))
    }

    fn parent(&self) -> io::Result<OwnedFd> {
        let above = self.place.parent().unwrap_or(Path::new("/"));
        Ok(rustix::fs::open(above, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
    }

    /// Opens it, checked; none: there is none. A link in its place is followed only where root or we made it and no other could.
    pub(super) fn open(&self) -> io::Result<Option<OwnedFd>> {
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
    pub(super) fn make(&self) -> io::Result<OwnedFd> {
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
