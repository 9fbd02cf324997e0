//! Making directories.

use super::{EntryKind, Host, Operation, OsError, Writing};
use ostler_roles::words::AbsPath;
use rustix::fs::{AtFlags, Dir, Mode, OFlags};
use rustix::io::Errno;
use std::ffi::CStr;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;

/// How a directory is opened that another account may have made.
const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// Names of a directory of which sizes are added up.
const SUMMED: usize = 4096;

/// Removes what is in a directory, however deep it is nested, with no more descriptors and no more memory for that: what stands in its
/// directories is moved up into itself first. No link is followed.
fn empty(top: &OwnedFd) -> Result<(), Errno> {
    let (mut moved, mut before) = (0u64, None);
    while before != Some(moved) {
        before = Some(moved);
        each(top, |name| {
            let below = rustix::fs::openat(top, name, DIRECTORY, Mode::empty())?;
            each(&below, |deeper| {
                loop {
                    moved += 1;
                    match rustix::fs::renameat(&below, deeper, top, format!(".{moved}")) {
                        Err(Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR) => {}
                        done => return done,
                    }
                }
            })?;
            rustix::fs::unlinkat(top, name, AtFlags::REMOVEDIR)
        })?;
    }
    Ok(())
}

/// Removes each name of a directory, and hands on those of directories that are not empty.
fn each(directory: &OwnedFd, mut deep: impl FnMut(&CStr) -> Result<(), Errno>) -> Result<(), Errno> {
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let removed = match rustix::fs::unlinkat(directory, name, AtFlags::empty()) {
            Err(Errno::ISDIR) => rustix::fs::unlinkat(directory, name, AtFlags::REMOVEDIR),
            removed => removed,
        };
        match if matches!(removed, Err(Errno::NOTEMPTY | Errno::EXIST)) { deep(name) } else { removed } {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(source) => return Err(source),
        }
    }
    Ok(())
}

impl Host {
    /// Makes a directory with this owner and mode: private until it has both. One that is there is only given them.
    ///
    /// # Errors
    /// When something else stands there, or the kernel says no.
    pub fn make_directory(&self, path: &Path, writing: Writing) -> Result<(), OsError> {
        let fail = |source: Errno| OsError::new(Operation::MakeDirectory, path.display(), source);
        let (parent, name) = self.place(path).map_err(fail)?;
        match rustix::fs::mkdirat(&parent, &name, Mode::from_raw_mode(0o700)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(source) => return Err(fail(source)),
        }
        self.touch(&parent);
        let opened = File::from(rustix::fs::openat(&parent, &name, DIRECTORY, Mode::empty()).map_err(fail)?);
        self.own(&opened, path, writing, &super::attributes::Attributes::default())?;
        self.wrote(&opened);
        Ok(())
    }

    /// Makes a parent that no role declares: root:root 0755. One that is there is left alone.
    ///
    /// # Errors
    /// When something else stands there, or the kernel says no.
    pub fn make_parent(&self, path: &Path) -> Result<(), OsError> {
        if self.look(path)?.is_some() {
            return Ok(());
        }
        let (user, group) = self.default_owner();
        self.make_directory(path, Writing { user, group, mode: 0o755 })
    }

    /// Makes the directories above `path` that are missing, each as [`Self::make_parent`] does.
    ///
    /// # Errors
    /// When something else stands there, or the kernel says no.
    pub fn make_parents(&self, path: &Path) -> Result<(), OsError> {
        let mut above: Vec<&Path> = path.ancestors().skip(1).filter(|above| above.parent().is_some()).collect();
        above.reverse();
        above.into_iter().try_for_each(|above| self.make_parent(above))
    }

    /// Removes a tree; one that is not there is no error. No link in it is followed.
    ///
    /// # Errors
    /// When the kernel says no.
    pub fn remove_tree(&self, path: &Path) -> Result<(), OsError> {
        match self.look(path)? {
            None => return Ok(()),
            Some(entry) if entry.kind == EntryKind::Directory => {}
            Some(_) => return self.remove(path),
        }
        let fail = |source: Errno| OsError::new(Operation::Remove, path.display(), source);
        // By the opened directory above it: who may rename a part of the way cannot lead us elsewhere.
        let removed = self.place(path).and_then(|(parent, name)| {
            self.touch(&parent);
            empty(&rustix::fs::openat(&parent, &name, DIRECTORY, Mode::empty())?)?;
            rustix::fs::unlinkat(&parent, &name, AtFlags::REMOVEDIR)
        });
        match removed {
            Err(Errno::NOENT) => Ok(()),
            removed => removed.map_err(fail),
        }
    }

    /// Removes everything in a directory; the directory stays. No link in it is followed.
    ///
    /// # Errors
    /// When the kernel says no.
    pub fn empty_directory(&self, path: &Path) -> Result<(), OsError> {
        for name in self.list(path)?.unwrap_or_default() {
            self.remove_tree(&path.join(name))?;
        }
        Ok(())
    }

    /// Bytes of the files in a directory, not below it; none where it cannot be read. Of very many, those of some.
    pub fn bytes_in(&self, path: &Path) -> u64 {
        let names = self.list_some(path, SUMMED).ok().flatten().unwrap_or_default();
        names.iter().filter_map(|name| self.look(&path.join(name)).ok().flatten()).map(|entry| entry.length).sum()
    }

    /// Puts the tree `aside` in the place of whatever stands at `path`, in one step, and removes what stood there.
    ///
    /// # Errors
    /// When the kernel says no; then `path` is as it was.
    pub fn swap_in(&self, aside: &Path, path: &Path) -> Result<(), OsError> {
        let fail = |source: Errno| OsError::new(Operation::Rename, path.display(), source);
        let (parent, name) = self.place(path).map_err(fail)?;
        let (aside_parent, aside_name) = self.place(aside).map_err(fail)?;
        self.touch(&parent);
        if self.look(path)?.is_none() {
            return rustix::fs::renameat(&aside_parent, &aside_name, &parent, &name).map_err(fail);
        }
        rustix::fs::renameat_with(&aside_parent, &aside_name, &parent, &name, rustix::fs::RenameFlags::EXCHANGE).map_err(fail)?;
        self.remove_tree(aside)
    }

    /// The directories above `path` that are missing, outermost first.
    ///
    /// # Errors
    /// When it cannot be told, or something else stands in the place of one.
    pub fn missing_parents(&self, path: &AbsPath) -> Result<Vec<AbsPath>, OsError> {
        let mut missing = Vec::new();
        let mut above = path.parent();
        while let Some(directory) = above.filter(|directory| directory.as_str() != "/") {
            match self.look(directory.as_path())? {
                None => {}
                Some(entry) if matches!(entry.kind, EntryKind::Directory | EntryKind::Link) => break,
                Some(_) => return Err(OsError::new(Operation::Look, path, Errno::NOTDIR)),
            }
            above = directory.parent();
            missing.push(directory);
        }
        missing.reverse();
        Ok(missing)
    }
}
