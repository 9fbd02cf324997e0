//! Writing files whole: aside, private from birth, with owner and mode before the name.

use super::attributes::{Attributes, Writing};
use super::{Host, Operation, OsError};
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// Proves a new file, by its path outside the tree, before it gets its name.
pub type Proof<'a, E> = &'a dyn Fn(&Path) -> Result<(), E>;

/// Files that a node needs to boot, or to let us in: durable at once, not at the end of the run.
const VITAL: [&str; 19] = [
    "/etc/ssh/",
    "/etc/systemd/network/",
    "/etc/netplan/",
    "/etc/NetworkManager/",
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/security/",
    "/etc/group",
    "/etc/shadow",
    "/etc/sudoers",
    "/etc/fstab",
    "/boot/",
    "/etc/default/grub",
    "/etc/initramfs-tools/",
    "/etc/modules-load.d/",
    "/etc/network/",
    "/etc/passwd",
    "/etc/pam.d/",
];

/// Keys, too: where sshd reads them without being told otherwise, or below `/etc/ssh`.
fn is_vital(path: &Path) -> bool {
    let begins = |vital: &&str| path.as_os_str().as_bytes().starts_with(vital.as_bytes());
    VITAL.iter().any(begins) || path.parent().is_some_and(|parent| parent.ends_with(".ssh"))
}

impl Host {
    /// Replaces `path` by a file with these bytes, or leaves it as it was.
    ///
    /// # Errors
    /// When any part of it fails, or `proof` does.
    pub fn write<E: From<OsError>>(&self, path: &Path, bytes: &[u8], writing: Writing, proof: Option<Proof<'_, E>>) -> Result<(), E> {
        let fail = |operation: Operation| move |source: Errno| OsError::new(operation, path.display(), source);
        let (parent, name) = self.place(path).map_err(fail(Operation::Write))?;
        let aside = aside(&name);
        match rustix::fs::unlinkat(&parent, &aside, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(source) => return Err(fail(Operation::Write)(source).into()),
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(&parent, &aside, flags, Mode::from_raw_mode(0o600)).map_err(fail(Operation::Write))?;
        self.touch(&parent);
        let vital = is_vital(path);
        let filled = self.attributes_for(&opened, (&parent, &name), path, writing).and_then(|kept| {
            self.fill(opened, path, bytes, writing, &kept, vital)?;
            Ok(kept)
        });
        let proved = filled.map_err(E::from).and_then(|kept| match proof {
            Some(proof) => proof(&self.outside(&path.with_file_name(&aside))).map(|()| kept),
            None => Ok(kept),
        });
        let done = proved.and_then(|kept| {
            match rustix::fs::renameat(&parent, &aside, &parent, &name) {
                // A file that is itself mounted (a container's /etc/hosts) cannot be replaced: only its bytes can.
                Err(Errno::BUSY) => {
                    self.overwrite((&parent, &name), path, bytes, writing, &kept)?;
                    rustix::fs::unlinkat(&parent, &aside, AtFlags::empty()).map_err(fail(Operation::Remove))?;
                }
                renamed => renamed.map_err(fail(Operation::Rename))?,
            }
            if vital {
                let directory = rustix::fs::openat(&parent, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
                directory.and_then(rustix::fs::fsync).map_err(fail(Operation::Sync))?;
            }
            Ok(())
        });
        if done.is_err() {
            // What went wrong is told; a file left aside is removed by the next write of the same name.
            let _ = rustix::fs::unlinkat(&parent, &aside, AtFlags::empty());
        }
        done
    }

    fn overwrite(
        &self,
        (parent, name): (&OwnedFd, &OsStr),
        path: &Path,
        bytes: &[u8],
        writing: Writing,
        kept: &Attributes,
    ) -> Result<(), OsError> {
        let fail = |source: Errno| OsError::new(Operation::Write, path.display(), source);
        let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        let opened = rustix::fs::openat(parent, name, flags, Mode::empty()).map_err(fail)?;
        if FileType::from_raw_mode(rustix::fs::fstat(&opened).map_err(fail)?.st_mode) != FileType::RegularFile {
            return Err(fail(Errno::INVAL));
        }
        rustix::fs::ftruncate(&opened, 0).map_err(fail)?;
        self.fill(opened, path, bytes, writing, kept, true)
    }

    fn fill(&self, opened: OwnedFd, path: &Path, bytes: &[u8], writing: Writing, kept: &Attributes, vital: bool) -> Result<(), OsError> {
        let mut file = File::from(opened);
        file.write_all(bytes).map_err(|source| OsError::new(Operation::Write, path.display(), source))?;
        self.own(&file, path, writing, kept)?;
        if vital {
            return file.sync_all().map_err(|source| OsError::new(Operation::Sync, path.display(), source));
        }
        self.wrote(&file);
        Ok(())
    }

    /// Owner first: a change of owner takes set-id bits away (chown(2)). Then the ACL: a mode alone would give the group what is its mask's.
    pub(super) fn own(&self, file: &File, path: &Path, writing: Writing, kept: &Attributes) -> Result<(), OsError> {
        let fail = |operation: Operation| move |source: Errno| OsError::new(operation, path.display(), source);
        let stat = rustix::fs::fstat(file).map_err(fail(Operation::Own))?;
        if (stat.st_uid, stat.st_gid) != (writing.user, writing.group) {
            rustix::fs::fchown(file, Some(Uid::from_raw(writing.user)), Some(Gid::from_raw(writing.group)))
                .map_err(fail(Operation::Own))?;
        }
        kept.give_acl(file, writing.mode).map_err(fail(Operation::Keep))?;
        rustix::fs::fchmod(file, Mode::from_raw_mode(writing.mode)).map_err(fail(Operation::Own))?;
        kept.give_rest(file).map_err(fail(Operation::Keep))
    }

    /// Gives a file or directory that is there another owner, group or mode.
    ///
    /// # Errors
    /// When it is neither, or the kernel says no.
    pub fn set_ownership(&self, path: &Path, writing: Writing) -> Result<(), OsError> {
        let file = self.opened_to_own(path)?;
        self.own(&file, path, writing, &Attributes::default())?;
        self.wrote(&file);
        Ok(())
    }

    /// A file or directory whose owner may be changed.
    pub(super) fn opened_to_own(&self, path: &Path) -> Result<File, OsError> {
        let fail = |source: Errno| OsError::new(Operation::Own, path.display(), source);
        let (parent, name) = self.place(path).map_err(fail)?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        let opened = rustix::fs::openat(&parent, &name, flags, Mode::empty()).map_err(fail)?;
        let (stat, above) = (rustix::fs::fstat(&opened).map_err(fail)?, rustix::fs::fstat(&parent).map_err(fail)?);
        // In a directory of another account a second name may be a trap: the file could be one of root's.
        if stat.st_nlink > 1 && self.is_shared(&above) && FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile {
            return Err(fail(Errno::MLINK));
        }
        Ok(File::from(opened))
    }

    /// Opens a new, private file in the place of `path`, replacing what a crash left there.
    ///
    /// # Errors
    /// When the kernel says no.
    pub fn create_private(&self, path: &Path) -> Result<File, OsError> {
        let fail = |source: Errno| OsError::new(Operation::Write, path.display(), source);
        self.remove(path)?;
        let (parent, name) = self.place(path).map_err(fail)?;
        self.touch(&parent);
        // Appending: who reads it by the same descriptor moves no writer's place.
        let flags = OFlags::RDWR | OFlags::APPEND | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(&parent, &name, flags, Mode::from_raw_mode(0o600)).map(File::from).map_err(fail)
    }

    /// Opens a private file of ours to go on with it; none: no such file, or not one that we made.
    ///
    /// # Errors
    /// When the kernel says no.
    pub fn open_to_append(&self, path: &Path) -> Result<Option<File>, OsError> {
        let fail = |source: Errno| OsError::new(Operation::Write, path.display(), source);
        let (parent, name) = self.place(path).map_err(fail)?;
        let flags = OFlags::RDWR | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        let file = match rustix::fs::openat(&parent, &name, flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT | Errno::LOOP) => return Ok(None),
            Err(source) => return Err(fail(source)),
        };
        let stat = rustix::fs::fstat(&file).map_err(fail)?;
        let ours = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile && stat.st_uid == self.user && stat.st_nlink == 1;
        self.touch(&parent);
        Ok(ours.then(|| File::from(file)))
    }

    /// Writes into a file of the kernel (/proc/sys), which has no other bytes to keep.
    ///
    /// # Errors
    /// When the kernel does not take it.
    pub fn set_kernel_value(&self, path: &Path, value: &str) -> Result<(), OsError> {
        let fail = |source: Errno| OsError::new(Operation::Set, path.display(), source);
        let (parent, name) = self.place(path).map_err(fail)?;
        let flags = OFlags::WRONLY | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(rustix::fs::openat(&parent, &name, flags, Mode::empty()).map_err(fail)?);
        file.write_all(value.as_bytes()).map_err(|source| OsError::new(Operation::Set, path.display(), source))
    }

    /// Removes a file or link; one that is not there is no error.
    ///
    /// # Errors
    /// When the kernel says no.
    pub fn remove(&self, path: &Path) -> Result<(), OsError> {
        self.unlink(path, AtFlags::empty())
    }

    /// Removes an empty directory; one that is not there is no error.
    ///
    /// # Errors
    /// When it is not empty, or the kernel says no.
    pub fn remove_directory(&self, path: &Path) -> Result<(), OsError> {
        self.unlink(path, AtFlags::REMOVEDIR)
    }

    fn unlink(&self, path: &Path, flags: AtFlags) -> Result<(), OsError> {
        let done = self.place(path).and_then(|(parent, name)| {
            self.touch(&parent);
            rustix::fs::unlinkat(&parent, &name, flags)
        });
        match done {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(source) => Err(OsError::new(Operation::Remove, path.display(), source)),
        }
    }

    /// Makes `path` a symbolic link to `target`, replacing a link that is there in one step.
    ///
    /// # Errors
    /// When the kernel says no.
    pub fn link(&self, path: &Path, target: &str) -> Result<(), OsError> {
        let fail = |source: Errno| OsError::new(Operation::MakeLink, path.display(), source);
        let (parent, name) = self.place(path).map_err(fail)?;
        self.touch(&parent);
        let aside = aside(&name);
        match rustix::fs::unlinkat(&parent, &aside, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(source) => return Err(fail(source)),
        }
        rustix::fs::symlinkat(target, &parent, &aside).map_err(fail)?;
        rustix::fs::renameat(&parent, &aside, &parent, &name).map_err(|source| {
            let _ = rustix::fs::unlinkat(&parent, &aside, AtFlags::empty());
            OsError::new(Operation::Rename, path.display(), source)
        })
    }

    /// Renames within the tree; both in directories that are looked up with care.
    ///
    /// # Errors
    /// When the kernel says no.
    pub fn rename(&self, from: &Path, to: &Path) -> Result<(), OsError> {
        let fail = |source: Errno| OsError::new(Operation::Rename, to.display(), source);
        let (old_parent, old) = self.place(from).map_err(fail)?;
        let (new_parent, new) = self.place(to).map_err(fail)?;
        self.touch(&old_parent);
        self.touch(&new_parent);
        rustix::fs::renameat(&old_parent, &old, &new_parent, &new).map_err(fail)
    }
}

/// Where a file is made before it gets its name.
pub fn aside_path(path: &Path) -> PathBuf {
    path.with_file_name(aside(path.file_name().unwrap_or(OsStr::new("file"))))
}

/// The name beside `name` under which it is made: the same each time, so that one left by a crash is found again; with a leading
/// dot, which sudoers.d, cron.d and their like pass over.
fn aside(name: &OsStr) -> OsString {
    let kept = name.as_bytes();
    // 255 bytes is the limit of a name (path_resolution(7)).
    let kept = if kept.len() > 200 { ostler_roles::words::Digest::of(kept).hex().into_bytes() } else { kept.to_vec() };
    let mut aside = OsString::from(".");
    aside.push(OsStr::from_bytes(&kept));
    aside.push(".ostler-new");
    aside
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::tests::{SmallDisk, proves_as_root};

    #[test]
    fn what_lets_us_in_again_survives_a_power_cut_at_once() {
        if !proves_as_root("what lets us in again survives a power cut") {
            return;
        }
        let (directory, later) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let disk = SmallDisk::at(directory.path());
        let host = Host::at(disk.path()).unwrap();
        let all = [
            "/etc/ssh/sshd_config",
            "/etc/systemd/network/10-lan.network",
            "/etc/netplan/lan.yaml",
            "/etc/NetworkManager/system-connections/lan",
            "/etc/nsswitch.conf",
            "/etc/security/access.conf",
            "/etc/resolv.conf",
            "/etc/shadow",
            "/etc/group",
            "/home/ci/.ssh/authorized_keys",
        ];
        for path in all.map(Path::new) {
            std::fs::create_dir_all(host.outside(path.parent().unwrap())).unwrap();
            host.write::<OsError>(path, b"whole\n", Writing { user: 0, group: 0, mode: 0o600 }, None).unwrap();
        }
        let found = disk.after_a_power_cut(later.path());
        for path in all {
            let text = std::fs::read_to_string(found.path().join(&path[1..])).unwrap_or_default();
            assert_eq!(text, "whole\n", "{path}");
        }
    }
}
