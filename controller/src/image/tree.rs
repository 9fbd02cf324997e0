//! A root tree seen from outside: no link in it leads out of it, whatever it says.

use std::ffi::{CStr, OsStr, OsString};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat, openat, openat2, statat, unlinkat};
use rustix::io::Errno;

use super::error::ImageError;

/// Deeper than any tree that a distribution ships; each level keeps one descriptor.
const DEEPEST: usize = 500;

/// An open root tree. Paths inside are resolved as a process in it would resolve them (openat2(2), `RESOLVE_IN_ROOT`).
#[derive(Debug)]
pub struct Tree {
    root: OwnedFd,
    path: PathBuf,
}

/// One thing in a tree, as a walk meets it: directories before what is in them, names in order.
#[derive(Debug)]
pub struct Visit<'a> {
    /// Where it is, from the tree's root, without a leading slash.
    pub path: &'a Path,
    /// What it is.
    pub stat: &'a Stat,
    dir: BorrowedFd<'a>,
    name: &'a CStr,
}

impl Visit<'_> {
    /// What kind of thing it is.
    #[must_use]
    pub fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.stat.st_mode)
    }

    /// Returns what a link says; none where it is no link.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn target(&self) -> Result<Option<Vec<u8>>, ImageError> {
        if self.kind() != FileType::Symlink {
            return Ok(None);
        }
        let read = rustix::fs::readlinkat(self.dir, self.name, Vec::new());
        read.map(|target| Some(target.into_bytes())).map_err(|error| ImageError::file("read the link", self.path)(error.into()))
    }

    /// Opens it for reading; a link is an error.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(&self) -> Result<File, ImageError> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        openat(self.dir, self.name, flags, Mode::empty()).map(File::from).map_err(|error| ImageError::file("open", self.path)(error.into()))
    }
}

impl Tree {
    /// Opens a tree.
    ///
    /// # Errors
    /// When there is no such directory.
    pub fn open(path: &Path) -> Result<Self, ImageError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| ImageError::file("open the tree", path)(error.into()))?;
        Ok(Self { root, path: path.to_owned() })
    }

    /// Returns where the tree is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn fault(&self, what: &'static str, inside: &str) -> impl FnOnce(Errno) -> ImageError + use<> {
        let path = self.path.join(inside.trim_start_matches('/'));
        move |error| ImageError::File { what, path, source: error.into() }
    }

    /// Opens the directory that a path is in; none where there is none.
    fn parent<'a>(&self, inside: &'a str) -> Result<Option<(OwnedFd, &'a str)>, ImageError> {
        let inside = inside.trim_matches('/');
        let (parent, name) = inside.rsplit_once('/').unwrap_or((".", inside));
        let opened = self.directory(parent);
        match opened {
            Ok(dir) => Ok(Some((dir, name))),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(error) => Err(self.fault("open", parent)(error)),
        }
    }

    fn directory(&self, inside: &str) -> Result<OwnedFd, Errno> {
        let inside = if inside.is_empty() { "." } else { inside };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        openat2(&self.root, inside, flags, Mode::empty(), ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS)
    }

    /// Returns what is at a path, links not followed at its end; none where nothing is.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub fn stat(&self, inside: &str) -> Result<Option<Stat>, ImageError> {
        let Some((dir, name)) = self.parent(inside)? else { return Ok(None) };
        match statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(self.fault("look at", inside)(error)),
        }
    }

    /// Returns whether something is at a path, links followed inside the tree.
    #[must_use]
    pub fn has(&self, inside: &str) -> bool {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        openat2(&self.root, inside.trim_start_matches('/'), flags, Mode::empty(), ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS)
            .is_ok()
    }

    /// Opens a regular file, links followed inside the tree; none where there is none.
    ///
    /// # Errors
    /// When it cannot be opened, or is no regular file.
    pub fn file(&self, inside: &str) -> Result<Option<File>, ImageError> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        match openat2(&self.root, inside.trim_start_matches('/'), flags, Mode::empty(), resolve) {
            Ok(file) => {
                let kind =
                    rustix::fs::fstat(&file).map(|stat| FileType::from_raw_mode(stat.st_mode)).map_err(self.fault("look at", inside))?;
                if kind == FileType::RegularFile {
                    Ok(Some(File::from(file)))
                } else {
                    Err(self.fault("read, since it is no regular file,", inside)(Errno::INVAL))
                }
            }
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(error) => Err(self.fault("open", inside)(error)),
        }
    }

    /// Reads a file; none where there is none.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(&self, inside: &str) -> Result<Option<Vec<u8>>, ImageError> {
        let Some(mut file) = self.file(inside)? else { return Ok(None) };
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(ImageError::file("read", &self.path.join(inside.trim_start_matches('/'))))?;
        Ok(Some(bytes))
    }

    /// Writes a file of root's, making the directories above it; returns whether that changed anything.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, inside: &str, bytes: &[u8], mode: u32) -> Result<bool, ImageError> {
        let plain = self.stat(inside)?.filter(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile);
        if plain.is_some_and(|stat| stat.st_mode & 0o7777 == mode) && self.read(inside)?.as_deref() == Some(bytes) {
            return Ok(false);
        }
        let (dir, name) = self.made_parent(inside)?;
        let aside = format!(".{name}.ostler");
        match unlinkat(&dir, &*aside, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(self.fault("remove what was left of", inside)(error)),
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = openat(&dir, &*aside, flags, Mode::from_raw_mode(0o600)).map_err(self.fault("write", inside))?;
        rustix::fs::fchmod(&file, Mode::from_raw_mode(mode)).map_err(self.fault("set the mode of", inside))?;
        let full = self.path.join(inside.trim_start_matches('/'));
        File::from(file).write_all(bytes).map_err(ImageError::file("write", &full))?;
        rustix::fs::renameat(&dir, &*aside, &dir, name).map_err(self.fault("rename into place", inside))?;
        Ok(true)
    }

    /// Returns what a link says; none where there is no link.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub fn target(&self, inside: &str) -> Result<Option<OsString>, ImageError> {
        let Some((dir, name)) = self.parent(inside)? else { return Ok(None) };
        match rustix::fs::readlinkat(&dir, name, Vec::new()) {
            Ok(target) => Ok(Some(OsString::from_vec(target.into_bytes()))),
            Err(Errno::NOENT | Errno::INVAL) => Ok(None),
            Err(error) => Err(self.fault("read the link", inside)(error)),
        }
    }

    /// Makes a link, whatever was there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn link(&self, inside: &str, target: &str) -> Result<(), ImageError> {
        let (dir, name) = self.made_parent(inside)?;
        if self.target(inside)?.is_some_and(|there| there == target) {
            return Ok(());
        }
        self.remove(inside)?;
        rustix::fs::symlinkat(target, &dir, name).map_err(self.fault("link", inside))
    }

    fn made_parent<'a>(&self, inside: &'a str) -> Result<(OwnedFd, &'a str), ImageError> {
        let inside = inside.trim_matches('/');
        let (parent, name) = inside.rsplit_once('/').unwrap_or((".", inside));
        let mut above = String::new();
        for part in parent.split('/').filter(|part| *part != ".") {
            let dir = self.directory(&above).map_err(self.fault("open", &above))?;
            match rustix::fs::mkdirat(&dir, part, Mode::from_raw_mode(0o755)) {
                // The mask of this process has no say in a tree.
                Ok(()) => rustix::fs::chmodat(&dir, part, Mode::from_raw_mode(0o755), AtFlags::empty()),
                Err(Errno::EXIST) => Ok(()),
                Err(error) => Err(error),
            }
            .map_err(self.fault("create directory for", inside))?;
            above = format!("{above}/{part}").trim_start_matches('/').to_owned();
        }
        let dir = self.directory(&above).map_err(self.fault("open", &above))?;
        Ok((dir, name))
    }

    /// Empties a file that is there, keeping its owner and mode.
    ///
    /// # Errors
    /// When it cannot be opened for writing.
    pub fn empty(&self, inside: &str) -> Result<(), ImageError> {
        let flags = OFlags::WRONLY | OFlags::TRUNC | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        openat2(&self.root, inside.trim_start_matches('/'), flags, Mode::empty(), resolve).map(drop).map_err(self.fault("empty", inside))
    }

    /// Returns the names in a directory, in order; none where there is none.
    ///
    /// # Errors
    /// When it cannot be listed.
    pub fn names(&self, inside: &str) -> Result<Vec<OsString>, ImageError> {
        match self.directory(inside.trim_matches('/')) {
            Ok(dir) => Ok(names_in(dir.as_fd())
                .map_err(self.fault("list", inside))?
                .into_iter()
                .map(|name| OsString::from_vec(name.to_bytes().to_vec()))
                .collect()),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(Vec::new()),
            Err(error) => Err(self.fault("list", inside)(error)),
        }
    }

    /// Removes a thing with all that is in it; returns whether it was there.
    ///
    /// # Errors
    /// When something of it stays.
    pub fn remove(&self, inside: &str) -> Result<bool, ImageError> {
        let Some((dir, name)) = self.parent(inside)? else { return Ok(false) };
        let name = std::ffi::CString::new(name)
            .map_err(|_| ImageError::refused(format!("no path has a zero byte: {inside:?}"), "name another path"))?;
        remove_in(dir.as_fd(), &name, 0).map_err(self.fault("remove", inside))
    }

    /// Walks a directory of the tree and all below it, itself first; nothing where there is none. The whole tree is below `/`.
    ///
    /// # Errors
    /// When something cannot be listed, or the visitor says so.
    pub fn walk(&self, below: &str, visit: &mut dyn FnMut(&Visit<'_>) -> Result<(), ImageError>) -> Result<(), ImageError> {
        let below = below.trim_matches('/');
        let dir = match self.directory(below) {
            Ok(dir) => dir,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
            Err(error) => return Err(self.fault("list", below)(error)),
        };
        let stat = statat(&dir, c"", AtFlags::EMPTY_PATH).map_err(self.fault("look at", below))?;
        visit(&Visit { path: Path::new(below), stat: &stat, dir: dir.as_fd(), name: c"." })?;
        walk_in(dir.as_fd(), Path::new(below), 0, visit)
    }
}

fn names_in(dir: BorrowedFd<'_>) -> Result<Vec<std::ffi::CString>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            names.push(entry.file_name().to_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn walk_in(
    dir: BorrowedFd<'_>,
    above: &Path,
    depth: usize,
    visit: &mut dyn FnMut(&Visit<'_>) -> Result<(), ImageError>,
) -> Result<(), ImageError> {
    if depth > DEEPEST {
        return Err(ImageError::refused(
            format!("directories are nested deeper than {DEEPEST} at /{}", above.display()),
            "remove them from the tree",
        ));
    }
    for name in names_in(dir).map_err(|error| ImageError::file("list", above)(error.into()))? {
        let path = above.join(OsStr::from_bytes(name.to_bytes()));
        let fault = |what| ImageError::file(what, &path);
        let stat = statat(dir, &name, AtFlags::SYMLINK_NOFOLLOW).map_err(|error| fault("look at")(error.into()))?;
        let seen = Visit { path: &path, stat: &stat, dir, name: &name };
        visit(&seen)?;
        if seen.kind() == FileType::Directory {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let below = openat(dir, &name, flags, Mode::empty()).map_err(|error| fault("list")(error.into()))?;
            walk_in(below.as_fd(), &path, depth + 1, visit)?;
        }
    }
    Ok(())
}

fn remove_in(dir: BorrowedFd<'_>, name: &CStr, depth: usize) -> Result<bool, Errno> {
    match unlinkat(dir, name, AtFlags::empty()) {
        Ok(()) => return Ok(true),
        Err(Errno::NOENT) => return Ok(false),
        // unlink(2) of a directory.
        Err(Errno::ISDIR | Errno::PERM) if depth < DEEPEST => {}
        Err(error) => return Err(error),
    }
    let below = openat(dir, name, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    for child in names_in(below.as_fd())? {
        remove_in(below.as_fd(), &child, depth + 1)?;
    }
    unlinkat(dir, name, AtFlags::REMOVEDIR)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn no_link_of_the_tree_leads_out_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let (root, outside) = (dir.path().join("root"), dir.path().join("outside"));
        fs::create_dir_all(root.join("etc")).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("mine"), "mine").unwrap();
        for (name, target) in
            [("absolute", outside.to_str().unwrap()), ("up", "../../outside"), ("file", outside.join("mine").to_str().unwrap())]
        {
            std::os::unix::fs::symlink(target, root.join("etc").join(name)).unwrap();
        }
        let tree = Tree::open(&root).unwrap();
        for gone in ["/etc/absolute/mine", "/etc/up/mine", "/etc/file"] {
            assert_eq!(tree.read(gone).unwrap(), None, "{gone}");
        }
        assert!(!tree.remove("/etc/absolute/mine").unwrap());
        assert!(tree.write("/etc/up/new", b"x", 0o644).is_err(), "a link to nowhere is no directory");
        // A link itself is replaced or removed, never what it names.
        assert!(tree.write("/etc/file", b"x", 0o640).unwrap() && !tree.write("/etc/file", b"x", 0o640).unwrap());
        assert!(tree.remove("/etc/absolute").unwrap() && !tree.remove("/etc/absolute").unwrap());
        assert!(tree.write("/a/b/c", b"", 0o600).unwrap());
        let mut seen = Vec::new();
        tree.walk("/", &mut |visit| {
            seen.push(visit.path.display().to_string());
            Ok(())
        })
        .unwrap();
        assert_eq!(seen, ["", "a", "a/b", "a/b/c", "etc", "etc/file", "etc/up"]);
        assert!(tree.remove("a").unwrap() && !root.join("a").exists());
        assert_eq!(fs::read_to_string(outside.join("mine")).unwrap(), "mine");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
    }
}
