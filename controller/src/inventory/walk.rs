//! Files of a directory, with the guards that keep a site inside itself: no links out, no pipes, no floods.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::ReadSiteError;
use crate::stamp::Stamp;

/// The largest file of a site, in bytes; larger things are downloads.
pub const MAX_FILE: u64 = 64 << 20;
/// The largest file whose text is kept, in bytes: templates and lists.
pub const MAX_TEXT: u64 = 1 << 20;
/// How many files a site may have.
pub const MAX_FILES: usize = 20_000;
/// How deep its directories may be.
const MAX_DEPTH: usize = 16;

/// All files below `root/dir`, as paths relative to `root`, sorted. A directory that is not there has none.
///
/// # Errors
/// What cannot be read, and what must not be: links out of the site, special files, too many.
pub(super) fn files(root: &Path, dir: &str) -> Result<Vec<String>, ReadSiteError> {
    let mut found = Vec::new();
    let start = root.join(dir);
    match fs::symlink_metadata(&start) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(source) => return Err(ReadSiteError::Read { path: start, source }),
        Ok(meta) if meta.is_dir() => below(root, &start, 0, &mut found)?,
        Ok(_) => return Err(ReadSiteError::Special { path: start }),
    }
    found.sort();
    Ok(found)
}

/// The files below one directory.
fn below(root: &Path, dir: &Path, depth: usize, found: &mut Vec<String>) -> Result<(), ReadSiteError> {
    let fail = |source| ReadSiteError::Read { path: dir.to_owned(), source };
    for entry in fs::read_dir(dir).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let path = entry.path();
        if found.len() >= MAX_FILES || depth >= MAX_DEPTH {
            return Err(ReadSiteError::Many { path, limit: MAX_FILES, depth: MAX_DEPTH });
        }
        let kind = entry.file_type().map_err(|source| ReadSiteError::Read { path: path.clone(), source })?;
        if kind.is_dir() {
            // A repository inside the site is somebody else's.
            if entry.file_name() != ".git" {
                below(root, &path, depth + 1, found)?;
            }
        } else if kind.is_file() || kind.is_symlink() {
            found.push(relative(root, &path)?);
        } else {
            return Err(ReadSiteError::Special { path });
        }
    }
    Ok(())
}

/// The path below `root`, as text.
fn relative(root: &Path, path: &Path) -> Result<String, ReadSiteError> {
    path.strip_prefix(root).ok().and_then(Path::to_str).map(str::to_owned).ok_or_else(|| ReadSiteError::Name { path: path.to_owned() })
}

/// One file of the site, open, and its length. A link is followed to a file of the site and nowhere else.
///
/// # Errors
/// What cannot be read, and what must not be.
pub(super) fn open(root: &Path, relative: &str) -> Result<(fs::File, fs::Metadata), ReadSiteError> {
    let path = root.join(relative);
    let fail = |source| ReadSiteError::Read { path: path.clone(), source };
    let real = if fs::symlink_metadata(&path).map_err(fail)?.is_symlink() { target(root, &path)? } else { path.clone() };
    let meta = fs::symlink_metadata(&real).map_err(fail)?;
    if !meta.is_file() {
        return Err(ReadSiteError::Special { path });
    }
    let file = fs::File::open(&real).map_err(fail)?;
    // What was looked at by its name may be another by now.
    let meta = file.metadata().map_err(fail)?;
    if meta.len() > MAX_FILE {
        return Err(ReadSiteError::Large { path, length: meta.len(), limit: MAX_FILE });
    }
    Ok((file, meta))
}

/// The bytes of one file of the site, and the state in which it was found.
///
/// # Errors
/// As for [`open`].
pub(super) fn read(root: &Path, relative: &str) -> Result<(Vec<u8>, Stamp), ReadSiteError> {
    let (file, meta) = open(root, relative)?;
    let path = root.join(relative);
    // Read one byte more than allowed: the file may grow meanwhile.
    let mut bytes = Vec::with_capacity(usize::try_from(meta.len()).unwrap_or_default());
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(|source| ReadSiteError::Read { path: path.clone(), source })?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(ReadSiteError::Large { path, length: bytes.len() as u64, limit: MAX_FILE });
    }
    Ok((bytes, Stamp::from(&meta)))
}

/// The bytes of one file of the site.
///
/// # Errors
/// As for [`open`].
pub(super) fn bytes(root: &Path, relative: &str) -> Result<Vec<u8>, ReadSiteError> {
    read(root, relative).map(|(bytes, _)| bytes)
}

/// Where a link leads: a file inside the site, or an error.
fn target(root: &Path, link: &Path) -> Result<PathBuf, ReadSiteError> {
    let fail = |source| ReadSiteError::Read { path: link.to_owned(), source };
    let real = fs::canonicalize(link).map_err(fail)?;
    let home = fs::canonicalize(root).map_err(fail)?;
    let inside = real.strip_prefix(&home).is_ok_and(|rest| !rest.starts_with(".git"));
    if inside && real.is_file() { Ok(real) } else { Err(ReadSiteError::Link { path: link.to_owned(), target: real }) }
}
