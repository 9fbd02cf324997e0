//! Making directories.

use super::{EntryKind, Host, Operation, OsError, Writing};
use ostler_roles::words::AbsPath;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::path::Path;

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
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = File::from(rustix::fs::openat(&parent, &name, flags, Mode::empty()).map_err(fail)?);
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
        let fail = |source: std::io::Error| OsError::new(Operation::Remove, path.display(), source);
        match self.look(path)? {
            None => return Ok(()),
            Some(entry) if entry.kind == EntryKind::Directory => {}
            Some(_) => return self.remove(path),
        }
        let (parent, name) = match self.place(path) {
            Ok(place) => place,
            Err(Errno::NOENT) => return Ok(()),
            Err(source) => return Err(fail(source.into())),
        };
        self.touch(&parent);
        // By the opened directory above it: who may rename a part of the way cannot lead us elsewhere. remove_dir_all itself follows no
        // link, at the end of this way or below it.
        match std::fs::remove_dir_all(Path::new(&format!("/proc/self/fd/{}", parent.as_raw_fd())).join(name)) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(fail(source)),
            Ok(()) | Err(_) => Ok(()),
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

    /// Bytes of the files in a directory, not below it; none where it cannot be read.
    pub fn bytes_in(&self, path: &Path) -> u64 {
        let names = self.list(path).ok().flatten().unwrap_or_default();
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
