//! What root starts, and where: only what no other account could put something else in the place of.

use super::place::LINKS;
use super::touched::place_of;
use super::{Entry, EntryKind, Host, Operation, OsError};
use rustix::io::Errno;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// Where a program of ours would begin.
#[derive(Debug)]
pub enum Entered {
    /// Opened, and nobody else's.
    Ours(OwnedFd),
    /// Another account could lead it elsewhere.
    Foreign {
        /// By this directory.
        directory: PathBuf,
        /// Who owns that.
        user: u32,
    },
}

impl Host {
    /// The directory `path`, opened for a program of ours to begin in: only where no other account owns a directory on the way, or may
    /// make names in one, for it could put another in its place.
    ///
    /// # Errors
    /// When it is not there, or cannot be opened.
    pub fn enter(&self, path: &Path) -> Result<Entered, OsError> {
        let fail = |source: Errno| OsError::new(Operation::Open, path.display(), source);
        let inside = path.strip_prefix("/").unwrap_or(path);
        let mut foreign = None;
        let opened = self.walk(inside, &mut |directory| {
            let stat = rustix::fs::fstat(directory)?;
            if self.others_rename_in(&stat) {
                foreign.get_or_insert((place_of(directory), stat.st_uid));
                return Err(Errno::ACCESS);
            }
            Ok(())
        });
        match (opened, foreign) {
            (Err(_), Some((directory, user))) => Ok(Entered::Foreign { directory, user }),
            (opened, _) => opened.map(Entered::Ours).map_err(fail),
        }
    }

    /// Who could put something else in the place of a program that root is to start: by which directory or file, and its owner. Links are
    /// followed as the kernel would. None: nobody, or nothing is there that could be started.
    ///
    /// # Errors
    /// When it cannot be told.
    pub fn replaceable(&self, program: &Path) -> Result<Option<(PathBuf, u32)>, OsError> {
        let mut path = program.to_owned();
        for _ in 0..LINKS {
            match self.enter(path.parent().unwrap_or(Path::new("/"))) {
                Ok(Entered::Ours(_)) => {}
                Ok(Entered::Foreign { directory, user }) => return Ok(Some((directory, user))),
                Err(error) if matches!(error.source.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
                    return Ok(None);
                }
                Err(error) => return Err(error),
            }
            match self.look(&path)? {
                Some(entry) if entry.kind == EntryKind::Link => {
                    let target = self.read_link(&path)?.unwrap_or_default();
                    path = path.parent().unwrap_or(Path::new("/")).join(target);
                }
                Some(entry) if self.others_write(&entry) => return Ok(Some((path, entry.user))),
                Some(_) | None => return Ok(None),
            }
        }
        Err(OsError::new(Operation::Look, program.display(), Errno::LOOP))
    }

    /// Whether other accounts than root and us may write this file. Root's group is root.
    fn others_write(&self, file: &Entry) -> bool {
        let (ours, of_group) = (file.user == 0 || file.user == self.user, file.group == 0 || file.group == self.group);
        !ours || file.mode & 0o002 != 0 || (file.mode & 0o020 != 0 && !of_group)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> (tempfile::TempDir, Host) {
        let tree = tempfile::tempdir().unwrap();
        let host = Host::at(tree.path()).unwrap();
        (tree, host)
    }

    #[test]
    fn a_program_of_ours_begins_only_where_no_other_account_could_lead_it() {
        let (tree, host) = tree();
        let at = |path: &str| tree.path().join(path);
        let mode = |path: &str, bits| std::fs::set_permissions(at(path), std::os::unix::fs::PermissionsExt::from_mode(bits)).unwrap();
        for directory in ["srv/build", "tmp/build", "open/build"] {
            std::fs::create_dir_all(at(directory)).unwrap();
        }
        std::os::unix::fs::symlink("srv", at("link")).unwrap();
        mode("tmp", 0o1777);
        mode("open", 0o777);
        let enter = |path: &str| host.enter(Path::new(path));
        for ours in ["/", "/srv/build", "/link/build", "/tmp/build"] {
            assert!(matches!(enter(ours), Ok(Entered::Ours(_))), "{ours}");
        }
        assert!(matches!(enter("/open/build"), Ok(Entered::Foreign { directory, .. }) if directory.ends_with("open")));
        assert_eq!(enter("/srv/none").unwrap_err().source.kind(), std::io::ErrorKind::NotFound);
        if crate::host::tests::proves_as_root("a program of ours begins below no directory of another account") {
            std::os::unix::fs::chown(at("srv"), Some(4242), None).unwrap();
            for foreign in ["/srv", "/srv/build", "/srv/none"] {
                assert!(matches!(enter(foreign), Ok(Entered::Foreign { user: 4242, .. })), "{foreign}");
            }
        }
    }

    #[test]
    fn a_program_of_roots_is_one_that_no_other_account_can_replace() {
        let (tree, host) = tree();
        if !crate::host::tests::proves_as_root("a program of root's is one that no other account can replace") {
            return;
        }
        let at = |path: &str| tree.path().join(path);
        let own = |path: &str, user| std::os::unix::fs::lchown(at(path), Some(user), None).unwrap();
        for directory in ["usr/bin", "home/ci"] {
            std::fs::create_dir_all(at(directory)).unwrap();
        }
        own("home/ci", 4242);
        for program in ["usr/bin/good", "usr/bin/theirs", "home/ci/roots"] {
            std::fs::write(at(program), "").unwrap();
        }
        own("usr/bin/theirs", 4242);
        for (name, target) in
            [("usr/bin/link", "good"), ("usr/bin/astray", "/home/ci/roots"), ("usr/bin/other", "theirs"), ("bin", "usr/bin")]
        {
            std::os::unix::fs::symlink(target, at(name)).unwrap();
        }
        let by = |path: &str| host.replaceable(Path::new(path)).unwrap().map(|(by, user)| (by.file_name().unwrap().to_owned(), user));
        for good in ["/usr/bin/good", "/usr/bin/link", "/bin/good", "/usr/bin/none", "/none/none"] {
            assert_eq!(by(good), None, "{good}");
        }
        for (program, foreign) in
            [("/home/ci/roots", "ci"), ("/usr/bin/astray", "ci"), ("/bin/theirs", "theirs"), ("/usr/bin/other", "theirs")]
        {
            assert_eq!(by(program), Some((foreign.into(), 4242)), "{program}");
        }
        std::fs::set_permissions(at("usr/bin/good"), std::os::unix::fs::PermissionsExt::from_mode(0o757)).unwrap();
        assert_eq!(by("/usr/bin/link"), Some(("good".into(), 0)));
    }
}
