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

/// Levels that are gone down where nothing can be moved up; each has two descriptors.
const LEVELS: u32 = 64;

/// Removes what is in a directory, however deep it is nested, with no more descriptors and no more memory for that: what stands in its
/// directories is moved up into itself first. Where rename(2) takes nothing out of a directory (what an overlay has from below, another
/// project's quota), that is emptied by itself. No link is followed. Whoever adds to it keeps us here until `stops`.
fn empty(top: &OwnedFd, levels: u32, stops: &dyn Fn() -> bool) -> Result<(), Errno> {
    let (mut moved, mut before) = (0u64, None);
    while before != Some(moved) {
        before = Some(moved);
        each(top, stops, &mut |name| {
            let below = rustix::fs::openat(top, name, DIRECTORY, Mode::empty())?;
            let up = each(&below, stops, &mut |deeper| {
                while !stops() {
                    moved += 1;
                    match rustix::fs::renameat(&below, deeper, top, format!(".{moved}")) {
                        Err(Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR) => {}
                        done => return done,
                    }
                }
                Err(Errno::CANCELED)
            });
            match up {
                Err(Errno::XDEV) if levels > 0 => empty(&below, levels - 1, stops)?,
                up => up?,
            }
            rustix::fs::unlinkat(top, name, AtFlags::REMOVEDIR)
        })?;
    }
    Ok(())
}

/// Removes each name of a directory, and hands on those of directories that are not empty.
fn each(directory: &OwnedFd, stops: &dyn Fn() -> bool, deep: &mut dyn FnMut(&CStr) -> Result<(), Errno>) -> Result<(), Errno> {
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        if stops() {
            return Err(Errno::CANCELED);
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

    /// Removes a tree; one that is not there is no error. No link in it is followed. `stops` is asked at each name.
    ///
    /// # Errors
    /// When the kernel says no, or it is not empty when it stops.
    pub fn remove_tree(&self, path: &Path, stops: &dyn Fn() -> bool) -> Result<(), OsError> {
        match self.look(path)? {
            None => return Ok(()),
            Some(entry) if entry.kind == EntryKind::Directory => {}
            Some(_) => return self.remove(path),
        }
        let fail = |source: Errno| {
            let source = match source {
                Errno::CANCELED => std::io::Error::other("it was not empty yet when its time was over, or the run was cancelled"),
                Errno::XDEV => std::io::Error::other(format!("directories that cannot be renamed are nested more than {LEVELS} deep")),
                source => source.into(),
            };
            OsError::new(Operation::Remove, path.display(), source)
        };
        // By the opened directory above it: who may rename a part of the way cannot lead us elsewhere.
        let removed = self.place(path).and_then(|(parent, name)| {
            self.touch(&parent);
            empty(&rustix::fs::openat(&parent, &name, DIRECTORY, Mode::empty())?, LEVELS, stops)?;
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
    /// Those of [`Self::remove_tree`].
    pub fn empty_directory(&self, path: &Path, stops: &dyn Fn() -> bool) -> Result<(), OsError> {
        for name in self.list(path)?.unwrap_or_default() {
            self.remove_tree(&path.join(name), stops)?;
        }
        Ok(())
    }

    /// Bytes of the files in a directory, not below it; none where it cannot be read. Of very many, those of some.
    pub fn bytes_in(&self, path: &Path) -> u64 {
        let names = self.list_some(path, SUMMED).ok().flatten().unwrap_or_default();
        names.iter().filter_map(|name| self.look(&path.join(name)).ok().flatten()).map(|entry| entry.length).sum()
    }

    /// Puts the tree `aside` in the place of whatever stands at `path`, in one step, and removes what stood there. What an overlay has from a layer
    /// below cannot be exchanged (rename(2), EXDEV): that is removed first.
    ///
    /// # Errors
    /// When the kernel says no; then `path` is as it was, or is gone. Those of [`Self::remove_tree`], once it is done.
    pub fn swap_in(&self, aside: &Path, path: &Path, stops: &dyn Fn() -> bool) -> Result<(), OsError> {
        let fail = |source: Errno| OsError::new(Operation::Rename, path.display(), source);
        let (parent, name) = self.place(path).map_err(fail)?;
        let (aside_parent, aside_name) = self.place(aside).map_err(fail)?;
        self.touch(&parent);
        if self.look(path)?.is_none() {
            return rustix::fs::renameat(&aside_parent, &aside_name, &parent, &name).map_err(fail);
        }
        match rustix::fs::renameat_with(&aside_parent, &aside_name, &parent, &name, rustix::fs::RenameFlags::EXCHANGE) {
            Err(Errno::XDEV) => {
                self.remove_tree(path, stops)?;
                rustix::fs::renameat(&aside_parent, &aside_name, &parent, &name).map_err(fail)
            }
            exchanged => exchanged.map_err(fail).and_then(|()| self.remove_tree(aside, stops)),
        }
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

#[cfg(test)]
mod tests {
    use crate::host::Host;
    use crate::host::tests::{SmallDisk, proves_as_root};
    use std::path::Path;
    use std::process::Command;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::{Duration, Instant};

    #[test]
    fn who_adds_to_a_tree_as_fast_as_it_goes_keeps_nobody_in_its_removal() {
        let directory = tempfile::tempdir().unwrap();
        let (top, over) = (directory.path().join("top"), AtomicBool::new(false));
        let (begun, within) = (Instant::now(), |begun: Instant, seconds| begun.elapsed() < Duration::from_secs(seconds));
        let attack = |attacker: u32| {
            let chain = directory.path().join(format!("chain{attacker}"));
            // Not for ever, whatever becomes of the removal.
            for number in (0..).take_while(|_| within(begun, 20) && !over.load(Ordering::Relaxed)) {
                std::fs::create_dir_all(chain.join(["d"; 30].join("/"))).unwrap();
                // Once it is removed there is nowhere to put it.
                let _ = std::fs::create_dir(&top);
                let _ = std::fs::rename(&chain, top.join(format!("{attacker}-{number}")));
            }
        };
        let took = std::thread::scope(|scope| {
            (0..3).for_each(|attacker| drop(scope.spawn(move || attack(attacker))));
            std::thread::sleep(Duration::from_millis(500));
            let begun = Instant::now();
            let removed = Host::running().unwrap().remove_tree(&top, &|| !within(begun, 2));
            over.store(true, Ordering::Relaxed);
            if let Err(error) = removed {
                assert!(error.source.to_string().starts_with("it was not empty yet"), "{error}: {}", error.source);
            }
            begun.elapsed()
        });
        assert!(took < Duration::from_secs(15), "{took:?}");
    }

    /// An overlay on a disk of its own, with directories from below; gone when it is dropped.
    struct Overlay(std::path::PathBuf);

    impl Overlay {
        fn over(disk: &Path, lower: &str) -> Self {
            std::fs::create_dir_all(disk.join("lower").join(lower)).unwrap();
            std::fs::write(disk.join("lower").join(lower).join("file"), "").unwrap();
            ["upper", "work", "merged"].iter().for_each(|name| std::fs::create_dir(disk.join(name)).unwrap());
            let mut mount = Command::new("mount");
            mount.current_dir(disk).args(["-t", "overlay", "-o", "redirect_dir=off,lowerdir=lower,upperdir=upper,workdir=work"]);
            assert!(mount.args(["overlay", "merged"]).status().unwrap().success());
            Self(disk.join("merged"))
        }
    }

    impl Drop for Overlay {
        fn drop(&mut self) {
            let _ = Command::new("umount").arg("-l").arg(&self.0).status();
        }
    }

    #[test]
    fn a_tree_that_comes_from_an_image_is_removed_though_nothing_in_it_can_be_renamed() {
        if !proves_as_root("the removal of what an overlay has from below") {
            return;
        }
        let host = Host::running().unwrap();
        for (nested, refused) in [(20, None), (60, None), (80, Some("directories that cannot be renamed are nested more than 64 deep"))] {
            let directory = tempfile::tempdir().unwrap();
            let disk = SmallDisk::at(directory.path());
            let overlay = Overlay::over(disk.path(), &format!("top/{}", vec!["d"; nested].join("/")));
            let top = overlay.0.join("top");
            let said = std::fs::rename(top.join("d/d"), top.join("up")).unwrap_err();
            assert_eq!(said.kind(), std::io::ErrorKind::CrossesDevices);
            // What was written since, and can be renamed, stands among it.
            std::fs::create_dir_all(top.join("d/d/new/new/new")).unwrap();
            if nested == 20 {
                let aside = overlay.0.join("aside");
                std::fs::create_dir_all(aside.join("whole")).unwrap();
                host.swap_in(&aside, &top, &|| false).unwrap();
                assert!(top.join("whole").exists() && !top.join("d").exists() && !aside.exists());
                continue;
            }
            let removed = host.remove_tree(&top, &|| false);
            assert_eq!(removed.err().map(|error| error.source.to_string()).as_deref(), refused);
            assert_eq!(top.exists(), refused.is_some());
        }
    }
}
