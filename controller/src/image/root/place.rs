//! A root's own directory: what is bound over the tree's files, its /tmp, and the mount points that the tree may lack.

use std::fs::{self, File};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::fs::FlockOperation;

use super::super::error::ImageError;
use super::super::layers::{fault, remove};
use super::ground::{PLANTED, POINTS};
use super::protocol::{Bind, own};

/// Forbids that packages start what they install (policy-rc.d, `invoke-rc.d` in Debian's init-system-helpers).
const POLICY: &str = "#!/bin/sh\nexit 101\n";
/// The layer is synced as a whole once it is made.
const DPKG: &str = "force-unsafe-io\n";

/// The directory. Dropped, it is gone; killed, the root's first process removes it, or the store when it is next opened.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) dir: PathBuf,
    /// Locked for as long as it is used.
    _held: File,
}

impl Place {
    /// Makes one below a directory of many.
    pub(super) fn make(below: &Path, binds: &[Bind], bare: bool) -> Result<Self, ImageError> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(below).map_err(|error| fault("create directory", below, error))?;
        let dir = below.join(format!("root-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
        // Of a killed process of the same number.
        remove(&dir).map_err(ImageError::file("remove", &dir))?;
        create(&dir, 0o700)?;
        let held = File::open(&dir).map_err(ImageError::file("open", &dir))?;
        rustix::fs::flock(&held, FlockOperation::NonBlockingLockExclusive).map_err(|error| ImageError::file("lock", &dir)(error.into()))?;
        let place = Self { dir, _held: held };
        place.fill(binds, bare)?;
        Ok(place)
    }

    fn fill(&self, binds: &[Bind], bare: bool) -> Result<(), ImageError> {
        for (name, mode) in [(own::TREE, 0o755), (own::TMP, 0o1777), (own::PLANT, 0o700), (own::POINTS, 0o755), (own::NAMES, 0o700)] {
            create(&self.dir.join(name), mode)?;
        }
        for bind in binds {
            let is_directory = fs::metadata(&bind.from).map_err(ImageError::file("bind", &bind.from))?.is_dir();
            self.point(&bind.to, is_directory)?;
        }
        // Whoever reads a tree sees nothing that is not its own.
        if bare {
            return Ok(());
        }
        for (name, to) in PLANTED {
            let (text, mode) = if name == "dpkg.cfg" { (DPKG, 0o644) } else { (POLICY, 0o755) };
            file(&self.dir.join(own::PLANT).join(name), text, mode)?;
            self.point(Path::new(to), false)?;
        }
        POINTS.iter().try_for_each(|point| self.point(Path::new(point), true))
    }

    /// Makes a mount point in the lowest layer: where the tree has one, that is the one.
    fn point(&self, at: &Path, is_directory: bool) -> Result<(), ImageError> {
        let inner: PathBuf = at.components().filter(|part| matches!(part, Component::Normal(_))).collect();
        if !at.is_absolute() || at.components().any(|part| part == Component::ParentDir) || inner.as_os_str().is_empty() {
            let what = format!("nothing can be bound over {:?} of a root tree", at.display().to_string());
            return Err(ImageError::refused(what, "give a path below / in the tree, without `..`"));
        }
        let path = self.dir.join(own::POINTS).join(inner);
        let parent = if is_directory { path.as_path() } else { path.parent().unwrap_or(&path) };
        fs::DirBuilder::new().recursive(true).mode(0o755).create(parent).map_err(|error| fault("create directory", parent, error))?;
        if is_directory { Ok(()) } else { file(&path, "", 0o644) }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What cannot be removed now is when the store is next opened.
        let _ = remove(&self.dir);
    }
}

fn create(dir: &Path, mode: u32) -> Result<(), ImageError> {
    let made = fs::create_dir(dir).and_then(|()| fs::set_permissions(dir, fs::Permissions::from_mode(mode)));
    made.map_err(|error| fault("create directory", dir, error))
}

fn file(path: &Path, text: &str, mode: u32) -> Result<(), ImageError> {
    let written = fs::write(path, text).and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(mode)));
    written.map_err(|error| fault("write", path, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_point_outside_the_tree_is_refused_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        for to in ["/", "etc", "/a/../../etc", ""] {
            let bind = Bind { from: dir.path().to_owned(), to: to.into(), read_only: true };
            let refused = Place::make(dir.path(), &[bind], false).unwrap_err();
            assert!(matches!(refused, ImageError::Refused { .. }), "{to}: {refused}");
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        let bind = Bind { from: dir.path().join("none"), to: "/srv".into(), read_only: true };
        assert!(Place::make(dir.path(), &[bind], false).unwrap_err().to_string().starts_with("bind /"));
    }
}
