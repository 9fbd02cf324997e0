//! Debian packages that were fetched once. A build works on names of its own for them, so that its `apt-get clean`, and its locks, are nobody else's.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::super::error::ImageError;
use super::{Store, fault};

impl Store {
    /// Makes a directory for apt's archives (`/var/cache/apt/archives`) on the store's file system, with every package that there is.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn lend_packages(&self, to: &Path) -> Result<(), ImageError> {
        let partial = to.join("partial");
        fs::create_dir_all(&partial).map_err(|error| fault("create directory", &partial, error))?;
        // apt looks in as an account of its own, when it may.
        fs::set_permissions(to, fs::Permissions::from_mode(0o755)).map_err(ImageError::file("open to all", to))?;
        link_new(&self.packages(), to).map(drop)
    }

    /// Keeps the packages that a build has fetched; returns how many are new.
    ///
    /// # Errors
    /// When one cannot be kept.
    pub fn keep_packages(&self, from: &Path) -> Result<usize, ImageError> {
        link_new(from, &self.packages())
    }
}

/// Gives each package of one directory a name in the other, where it has none.
fn link_new(from: &Path, to: &Path) -> Result<usize, ImageError> {
    let mut new = 0;
    for entry in fs::read_dir(from).map_err(ImageError::file("read directory", from))? {
        let path: PathBuf = entry.map_err(ImageError::file("read directory", from))?.path();
        // What is half fetched lies in `partial`. A link is no package, wherever it leads.
        let is_package = path.extension() == Some(OsStr::new("deb")) && fs::symlink_metadata(&path).is_ok_and(|data| data.is_file());
        if !is_package {
            continue;
        }
        let name = to.join(path.file_name().unwrap_or_default());
        match fs::hard_link(&path, &name) {
            Ok(()) => new += 1,
            // Another build was first, or has cleaned up.
            Err(error) if matches!(error.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound) => {}
            Err(error) => return Err(fault("keep the package", &name, error)),
        }
    }
    Ok(new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_that_cleans_up_takes_nothing_from_the_others() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store")).unwrap();
        let (one, two) = (dir.path().join("one"), dir.path().join("two"));
        store.lend_packages(&one).unwrap();
        for name in ["a_1_all.deb", "lock", "partial/b_1_all.deb"] {
            fs::write(one.join(name), "text").unwrap();
        }
        std::os::unix::fs::symlink("/etc/passwd", one.join("c_1_all.deb")).unwrap();
        assert_eq!((store.keep_packages(&one).unwrap(), store.keep_packages(&one).unwrap()), (1, 0));
        fs::remove_dir_all(&one).unwrap();
        store.lend_packages(&two).unwrap();
        let mut names: Vec<_> = fs::read_dir(&two).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["a_1_all.deb", "partial"]);
    }
}
