//! Looking paths up without being led astray: a link on the way is followed only when root or we made it, in a directory where no other
//! account could have put it.

use super::{Entry, EntryKind, Host, Operation, OsError};
use ostler_roles::words::Bytes;
use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

/// The kernel's limit of links on one way (path_resolution(7)).
pub(super) const LINKS: usize = 40;

impl Host {
    /// What stands at `path`; none: nothing, or a directory on the way is missing.
    ///
    /// # Errors
    /// When it cannot be told.
    pub fn look(&self, path: &Path) -> Result<Option<Entry>, OsError> {
        let found = self.place(path).and_then(|(parent, name)| rustix::fs::statat(&parent, &name, AtFlags::SYMLINK_NOFOLLOW));
        match found {
            Ok(stat) => Ok(Some(Entry::of(&stat))),
            Err(Errno::NOENT) => Ok(None),
            Err(source) => Err(OsError::new(Operation::Look, path.display(), source)),
        }
    }

    /// Opens a regular file for reading; none: no such file.
    ///
    /// # Errors
    /// When it cannot be opened, or is no regular file.
    pub fn open(&self, path: &Path) -> Result<Option<(File, Entry)>, OsError> {
        Ok(self.open_below(path)?.map(|(file, entry, _)| (file, entry)))
    }

    /// The same, and the directory that it was found in.
    fn open_below(&self, path: &Path) -> Result<Option<(File, Entry, OwnedFd)>, OsError> {
        let fail = |source: Errno| OsError::new(Operation::Read, path.display(), source);
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        let opened = self.place(path).and_then(|(parent, name)| Ok((rustix::fs::openat(&parent, &name, flags, Mode::empty())?, parent)));
        match opened {
            Ok((file, parent)) => {
                let entry = Entry::of(&rustix::fs::fstat(&file).map_err(fail)?);
                match entry.kind {
                    EntryKind::File => Ok(Some((File::from(file), entry, parent))),
                    EntryKind::Directory => Err(fail(Errno::ISDIR)),
                    EntryKind::Link | EntryKind::Special(_) => Err(fail(Errno::INVAL)),
                }
            }
            Err(Errno::NOENT) => Ok(None),
            Err(source) => Err(fail(source)),
        }
    }

    /// The bytes of a regular file, at most `cap` of them; none: no such file.
    ///
    /// # Errors
    /// When it cannot be read, or is longer.
    pub fn read(&self, path: &Path, cap: u64) -> Result<Option<Vec<u8>>, OsError> {
        let Some((file, entry)) = self.open(path)? else { return Ok(None) };
        bytes_of(file, &entry, cap).map(Some).map_err(|source| OsError::new(Operation::Read, path.display(), source))
    }

    /// The bytes of a regular file that will be written back, with what the very same opening shows of it; none: no such file.
    ///
    /// Where another account may make names, a name may be a trap: a second one of a file that this account may not read, which we
    /// would copy for it. Only a file with one name, of that account or ours, is read there.
    ///
    /// # Errors
    /// When it cannot be read, is longer, or may be such a trap.
    pub fn read_to_edit(&self, path: &Path, cap: u64) -> Result<Option<(Vec<u8>, Entry)>, OsError> {
        let fail = |source: std::io::Error| OsError::new(Operation::Read, path.display(), source);
        let Some((file, entry, parent)) = self.open_below(path)? else { return Ok(None) };
        let above = rustix::fs::fstat(&parent).map_err(|error| fail(error.into()))?;
        if self.is_shared(&above) {
            let refuse = |why: String| Err(fail(std::io::Error::new(std::io::ErrorKind::PermissionDenied, why)));
            let foreign = above.st_uid != 0 && above.st_uid != self.user;
            let who = if foreign { format!("uid {}", above.st_uid) } else { "others than its owner".to_owned() }
                + " may make names in its directory";
            if entry.names > 1 {
                return refuse(format!(
                    "it is one of {} names of a file (find / -xdev -samefile tells the others), and {who}",
                    entry.names
                ));
            }
            if ![self.user, above.st_uid].contains(&entry.user) {
                return refuse(format!("it belongs to uid {}, and {who}", entry.user));
            }
        }
        let bytes = bytes_of(file, &entry, cap).map_err(fail)?;
        Ok(Some((bytes, entry)))
    }

    /// Whether other accounts than root and us may make names where this stands.
    ///
    /// # Errors
    /// When it cannot be told.
    pub fn is_beside_others(&self, path: &Path) -> Result<bool, OsError> {
        let above = self.place(path).and_then(|(parent, _)| rustix::fs::fstat(&parent));
        above.map(|above| self.is_shared(&above)).map_err(|source| OsError::new(Operation::Look, path.display(), source))
    }

    /// Whether other accounts than root and us may make names in this directory.
    pub(super) fn is_shared(&self, directory: &Stat) -> bool {
        (directory.st_uid != 0 && directory.st_uid != self.user) || directory.st_mode & 0o022 != 0
    }

    /// What stands at `path` once a link at its end is followed, whoever made it: only to look.
    ///
    /// # Errors
    /// When it cannot be told.
    pub fn look_through(&self, path: &Path) -> Result<Option<Entry>, OsError> {
        Ok(self.end_of(path)?.map(|(_, entry)| entry))
    }

    /// As [`Self::look_through`], and where that stands.
    ///
    /// # Errors
    /// As there.
    pub fn end_of(&self, path: &Path) -> Result<Option<(PathBuf, Entry)>, OsError> {
        let mut path = path.to_owned();
        for _ in 0..LINKS {
            match self.look(&path)? {
                Some(entry) if entry.kind == EntryKind::Link => {
                    let target = self.read_link(&path)?.unwrap_or_default();
                    path = path.parent().unwrap_or(Path::new("/")).join(target);
                }
                found => return Ok(found.map(|entry| (path, entry))),
            }
        }
        Err(OsError::new(Operation::Look, path.display(), Errno::LOOP))
    }

    /// Like `read`, and a link at the end is followed when root or we made it: os-release(5), resolv.conf(5).
    ///
    /// # Errors
    /// When it cannot be read, or is longer.
    pub fn read_through(&self, path: &Path, cap: u64) -> Result<Option<Vec<u8>>, OsError> {
        let mut path = path.to_owned();
        for _ in 0..LINKS {
            match self.look(&path)? {
                Some(entry) if entry.kind == EntryKind::Link && (entry.user == 0 || entry.user == self.user) => {
                    let target = self.read_link(&path)?.unwrap_or_default();
                    path = path.parent().unwrap_or(Path::new("/")).join(target);
                }
                Some(_) | None => break,
            }
        }
        self.read(&path, cap)
    }

    /// What a symbolic link points to, as written; none: nothing there.
    ///
    /// # Errors
    /// When it is no link, or cannot be read.
    pub fn read_link(&self, path: &Path) -> Result<Option<PathBuf>, OsError> {
        match self.place(path).and_then(|(parent, name)| rustix::fs::readlinkat(&parent, &name, Vec::new())) {
            Ok(target) => Ok(Some(PathBuf::from(OsStr::from_bytes(target.as_bytes())))),
            Err(Errno::NOENT) => Ok(None),
            Err(source) => Err(OsError::new(Operation::Read, path.display(), source)),
        }
    }

    /// The names in a directory, sorted; none: no such directory.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn list(&self, path: &Path) -> Result<Option<Vec<OsString>>, OsError> {
        self.list_some(path, usize::MAX)
    }

    /// The same of no more than so many, whichever come first.
    ///
    /// # Errors
    /// As for [`Self::list`].
    pub fn list_some(&self, path: &Path, most: usize) -> Result<Option<Vec<OsString>>, OsError> {
        let fail = |source: Errno| OsError::new(Operation::Read, path.display(), source);
        let opened = self
            .directory(path)
            .and_then(|directory| rustix::fs::openat(&directory, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()));
        let directory = match opened {
            Ok(directory) => directory,
            Err(Errno::NOENT) => return Ok(None),
            Err(source) => return Err(fail(source)),
        };
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&directory).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name != "." && name != ".." {
                names.push(name.to_owned());
            }
            if names.len() >= most {
                break;
            }
        }
        names.sort();
        Ok(Some(names))
    }

    /// The opened directory that holds `path`, and its last part.
    pub(super) fn place(&self, path: &Path) -> Result<(OwnedFd, OsString), Errno> {
        let name = path.file_name().unwrap_or(OsStr::new("."));
        let parent = self.directory(path.parent().unwrap_or(Path::new("/")))?;
        self.answers_in(&parent, name)?;
        Ok((parent, name.to_owned()))
    }

    /// The opened directory `path` (O_PATH): by one call where no link is on the way.
    pub(super) fn directory(&self, path: &Path) -> Result<OwnedFd, Errno> {
        self.answers(&self.outside(path))?;
        let inside = path.strip_prefix("/").unwrap_or(path);
        let inside = if inside.as_os_str().is_empty() { Path::new(".") } else { inside };
        let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS | ResolveFlags::BENEATH;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match rustix::fs::openat2(&self.root, inside, flags, Mode::empty(), resolve) {
            // A link on the way, or a kernel before 5.6, or a sandbox without the call.
            Err(Errno::LOOP | Errno::NOSYS | Errno::PERM | Errno::XDEV) => self.walk(inside, &mut |_| Ok(())),
            other => other,
        }
    }

    /// Part by part; a link is followed only when root or we own it and its directory, so that no other account can lead us. Each directory
    /// on the way is shown to `pass`, the last one too.
    pub(super) fn walk(&self, inside: &Path, pass: &mut dyn FnMut(&OwnedFd) -> Result<(), Errno>) -> Result<OwnedFd, Errno> {
        let mut ahead: Vec<OsString> = parts(inside);
        let mut way = vec![self.root.as_fd().try_clone_to_owned().map_err(|_| Errno::MFILE)?];
        let mut links = 0;
        while let Some(part) = ahead.pop() {
            if part == ".." {
                if way.len() > 1 {
                    way.pop();
                }
                continue;
            }
            let Some(here) = way.last() else { return Err(Errno::NOENT) };
            self.answers_in(here, &part)?;
            let next = rustix::fs::openat(here, &part, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
            let entry = Entry::of(&rustix::fs::fstat(&next)?);
            match entry.kind {
                EntryKind::Directory => {
                    pass(&next)?;
                    way.push(next);
                }
                EntryKind::Link => {
                    links += 1;
                    let foreign = entry.user != 0 && entry.user != self.user;
                    if links > LINKS || foreign || self.rival_in(here, &rustix::fs::fstat(here)?).is_some() {
                        return Err(Errno::LOOP);
                    }
                    let target = rustix::fs::readlinkat(&next, "", Vec::new())?;
                    let target = Path::new(OsStr::from_bytes(target.as_bytes()));
                    if target.is_absolute() {
                        way.truncate(1);
                    }
                    ahead.extend(parts(target));
                }
                EntryKind::File | EntryKind::Special(_) => return Err(Errno::NOTDIR),
            }
        }
        way.pop().ok_or(Errno::NOENT)
    }
}

/// All bytes of an opened file, at most `cap`.
fn bytes_of(file: File, entry: &Entry, cap: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(usize::try_from(entry.length.min(cap)).unwrap_or(0) + 1);
    file.take(cap + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 <= cap {
        return Ok(bytes);
    }
    let (length, cap) = (Bytes(entry.length.max(bytes.len() as u64)), Bytes(cap));
    Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, format!("it has {length}, and at most {cap} are read")))
}

/// The parts of a path, last first.
fn parts(path: &Path) -> Vec<OsString> {
    let parts = path.components().filter_map(|component| match component {
        Component::Normal(part) => Some(part.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    });
    parts.collect::<Vec<_>>().into_iter().rev().collect()
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
    fn absolute_links_stay_inside_the_tree() {
        let (tree, host) = tree();
        std::fs::create_dir_all(tree.path().join("run/x")).unwrap();
        std::fs::create_dir_all(tree.path().join("var")).unwrap();
        std::os::unix::fs::symlink("/run", tree.path().join("var/run")).unwrap();
        std::fs::write(tree.path().join("run/x/f"), "inside").unwrap();
        assert_eq!(host.read(Path::new("/var/run/x/f"), 100).unwrap().unwrap(), b"inside");
        std::os::unix::fs::symlink("../../../../../../run", tree.path().join("var/up")).unwrap();
        assert_eq!(host.read(Path::new("/var/up/x/f"), 100).unwrap().unwrap(), b"inside");
    }

    #[test]
    fn a_link_of_another_account_is_not_followed() {
        let (tree, host) = tree();
        if !crate::host::tests::proves_as_root("a link of another account is not followed") {
            return;
        }
        std::fs::create_dir_all(tree.path().join("etc")).unwrap();
        let link = tree.path().join("home");
        std::os::unix::fs::symlink("/etc", &link).unwrap();
        assert!(host.look(Path::new("/home/passwd")).unwrap().is_none());
        std::os::unix::fs::lchown(&link, Some(4242), Some(4242)).unwrap();
        let error = host.look(Path::new("/home/passwd")).unwrap_err();
        assert!(error.is_loop(), "{error:?}");
    }

    #[test]
    fn a_link_of_roots_is_not_followed_where_another_account_could_have_put_it() {
        let (tree, host) = tree();
        if !crate::host::tests::proves_as_root("a link of root's in another account's directory is not followed") {
            return;
        }
        std::fs::create_dir_all(tree.path().join("etc")).unwrap();
        std::fs::create_dir_all(tree.path().join("home/ci")).unwrap();
        std::fs::write(tree.path().join("etc/passwd"), "x").unwrap();
        std::os::unix::fs::symlink("/etc", tree.path().join("home/ci/mine")).unwrap();
        assert!(host.look(Path::new("/home/ci/mine/passwd")).unwrap().is_some());
        // It can be renamed by who owns the directory.
        std::os::unix::fs::chown(tree.path().join("home/ci"), Some(4242), Some(4242)).unwrap();
        assert!(host.look(Path::new("/home/ci/mine/passwd")).unwrap_err().is_loop());
    }

    #[test]
    fn a_second_name_where_another_account_makes_names_is_not_copied() {
        let (tree, host) = tree();
        let at = |path: &str| tree.path().join(path);
        std::fs::create_dir_all(at("etc")).unwrap();
        std::fs::create_dir_all(at("home/ci")).unwrap();
        std::fs::write(at("etc/shadow"), "root:hash").unwrap();
        std::fs::hard_link(at("etc/shadow"), at("home/ci/keys")).unwrap();
        let read = |path: &str| host.read_to_edit(Path::new(path), 100);
        assert_eq!(read("/etc/shadow").unwrap().unwrap().0, b"root:hash", "nobody else makes names here");
        std::fs::set_permissions(at("home/ci"), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        let refused = read("/home/ci/keys").unwrap_err();
        let said = refused.source.to_string();
        assert!(said.starts_with("it is one of 2 names of a file"), "{said}");
        assert!(said.ends_with("and others than its owner may make names in its directory"), "{said}");
        std::fs::write(at("home/ci/own"), "own").unwrap();
        assert_eq!(read("/home/ci/own").unwrap().unwrap().0, b"own");
        assert!(read("/home/ci/none").unwrap().is_none());
        if host.is_root() {
            std::fs::set_permissions(at("home/ci"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
            std::os::unix::fs::chown(at("home/ci"), Some(4242), Some(4242)).unwrap();
            assert!(read("/home/ci/keys").unwrap_err().source.to_string().ends_with("and uid 4242 may make names in its directory"));
            std::os::unix::fs::chown(at("home/ci/own"), Some(4243), Some(4242)).unwrap();
            assert!(read("/home/ci/own").unwrap_err().source.to_string().starts_with("it belongs to uid 4243"));
        }
    }

    #[test]
    fn a_loop_of_links_ends() {
        let (tree, host) = tree();
        std::os::unix::fs::symlink("b", tree.path().join("a")).unwrap();
        std::os::unix::fs::symlink("a", tree.path().join("b")).unwrap();
        assert!(host.look(Path::new("/a/x")).unwrap_err().is_loop());
    }

    #[test]
    fn too_long_a_file_is_an_error_and_not_cut() {
        let (tree, host) = tree();
        std::fs::write(tree.path().join("f"), "12345").unwrap();
        assert_eq!(host.read(Path::new("/f"), 5).unwrap().unwrap(), b"12345");
        assert_eq!(host.read(Path::new("/f"), 4).unwrap_err().source.kind(), std::io::ErrorKind::FileTooLarge);
        assert_eq!(host.read(Path::new("/none/f"), 4).unwrap(), None);
    }
}
