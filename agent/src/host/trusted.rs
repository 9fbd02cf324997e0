//! What root starts, and where: only what no other account could put something else in the place of.

use super::place::LINKS;
use super::rivals::Rival;
use super::unsynced::place_of;
use super::{EntryKind, Host, Operation, OsError};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// Where a program of ours would begin.
#[derive(Debug)]
pub enum WorkingDirectory {
    /// Opened, and nobody else's.
    Ours(OwnedFd),
    /// Another account could lead it elsewhere.
    Foreign {
        /// By this directory.
        directory: PathBuf,
        /// Who that is.
        rival: Rival,
    },
}

impl Host {
    /// The directory `path`, opened for a program of ours to begin in: only where no other account owns a directory on the way, or may
    /// rename in one, for it could put another in its place.
    ///
    /// # Errors
    /// When it is not there, or cannot be opened.
    pub fn enter(&self, path: &Path) -> Result<WorkingDirectory, OsError> {
        let fail = |source: Errno| OsError::new(Operation::Open, path.display(), source);
        let inside = path.strip_prefix("/").unwrap_or(path);
        let mut foreign = None;
        let opened = self.walk(inside, &mut |directory| {
            let stat = rustix::fs::fstat(directory)?;
            if let Some(rival) = self.rival_in(directory, &stat) {
                foreign.get_or_insert((place_of(directory), rival));
                return Err(Errno::ACCESS);
            }
            Ok(())
        });
        match (opened, foreign) {
            (Err(_), Some((directory, rival))) => Ok(WorkingDirectory::Foreign { directory, rival }),
            (opened, _) => opened.map(WorkingDirectory::Ours).map_err(fail),
        }
    }

    /// Who could put something else in the place of a program that root is to start: by which directory or file. Links are
    /// followed as the kernel would. None: nobody, or nothing is there that could be started.
    ///
    /// # Errors
    /// When it cannot be told.
    pub fn replaceable(&self, program: &Path) -> Result<Option<(PathBuf, Rival)>, OsError> {
        let mut path = program.to_owned();
        for _ in 0..LINKS {
            match self.enter(path.parent().unwrap_or(Path::new("/"))) {
                Ok(WorkingDirectory::Ours(_)) => {}
                Ok(WorkingDirectory::Foreign { directory, rival }) => return Ok(Some((directory, rival))),
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
                Some(_) => return Ok(self.writer_at(&path)?.map(|rival| (path, rival))),
                None => return Ok(None),
            }
        }
        Err(OsError::new(Operation::Look, program.display(), Errno::LOOP))
    }

    /// Who may write what stands there.
    fn writer_at(&self, path: &Path) -> Result<Option<Rival>, OsError> {
        let opened = self.place(path).and_then(|(parent, name)| {
            let opened = rustix::fs::openat(&parent, &name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
            Ok((rustix::fs::fstat(&opened)?, opened))
        });
        match opened {
            Ok((stat, opened)) => Ok(self.writer_of(&opened, &stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(source) => Err(OsError::new(Operation::Look, path.display(), source)),
        }
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
            assert!(matches!(enter(ours), Ok(WorkingDirectory::Ours(_))), "{ours}");
        }
        assert!(matches!(enter("/open/build"), Ok(WorkingDirectory::Foreign { directory, .. }) if directory.ends_with("open")));
        assert_eq!(enter("/srv/none").unwrap_err().source.kind(), std::io::ErrorKind::NotFound);
        if crate::host::tests::proves_as_root("a program of ours begins below no directory of another account") {
            std::os::unix::fs::chown(at("srv"), Some(4242), None).unwrap();
            for foreign in ["/srv", "/srv/build", "/srv/none"] {
                assert!(matches!(enter(foreign), Ok(WorkingDirectory::Foreign { rival: Rival::Owner(4242), .. })), "{foreign}");
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
            assert_eq!(by(program), Some((foreign.into(), Rival::Owner(4242))), "{program}");
        }
        std::fs::set_permissions(at("usr/bin/good"), std::os::unix::fs::PermissionsExt::from_mode(0o757)).unwrap();
        assert_eq!(by("/usr/bin/link"), Some(("good".into(), Rival::Everybody)));
    }
}
