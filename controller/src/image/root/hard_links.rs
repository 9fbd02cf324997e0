//! Hard links across layers: overlayfs copies up the name that is written alone, and by its index shows the others as the same file for
//! as long as it is mounted. The layer that is left must have them all, or they part.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir};

use super::super::error::ImageError;

/// Brings the other names of files that were copied up after them. `upper` is the overlay's, `index` what it keeps of hard links.
pub(super) fn keep_together(upper: &OwnedFd, index: &OwnedFd) -> Result<(), ImageError> {
    if is_empty(index).map_err(ImageError::system("read the overlay's index"))? {
        return Ok(());
    }
    for names in linked(Path::new("/"))?.into_values() {
        let is_up = |name: &&PathBuf| rustix::fs::statat(upper, below(name), AtFlags::SYMLINK_NOFOLLOW).is_ok();
        let (up, down): (Vec<_>, Vec<_>) = names.iter().partition(is_up);
        if up.is_empty() {
            continue;
        }
        for name in down {
            // Opened for writing, though nothing is written: overlayfs links it to the copy (ovl_link_up in fs/overlayfs/copy_up.c).
            OpenOptions::new().write(true).open(name).map_err(ImageError::file("keep the hard link", name))?;
        }
    }
    Ok(())
}

fn is_empty(directory: &OwnedFd) -> rustix::io::Result<bool> {
    for entry in Dir::read_from(directory)? {
        let name = entry?.file_name().to_owned();
        if !matches!(OsStr::from_bytes(name.to_bytes()).to_str(), Some("." | "..")) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn below(path: &Path) -> &Path {
    path.strip_prefix("/").unwrap_or(path)
}

/// Files of the tree's own with several names, by what they are.
fn linked(root: &Path) -> Result<HashMap<(u64, u64), Vec<PathBuf>>, ImageError> {
    let mut found: HashMap<_, Vec<PathBuf>> = HashMap::new();
    let device = fs::metadata(root).map_err(ImageError::file("look at", root))?.dev();
    let mut left = vec![root.to_owned()];
    while let Some(dir) = left.pop() {
        for entry in fs::read_dir(&dir).map_err(ImageError::file("read directory", &dir))? {
            let entry = entry.map_err(ImageError::file("read directory", &dir))?;
            let kind = entry.file_type().map_err(ImageError::file("look at", &entry.path()))?;
            if !kind.is_dir() && !kind.is_file() {
                continue;
            }
            // Of what is mounted over it, and not of the entry below.
            let data = fs::symlink_metadata(entry.path()).map_err(ImageError::file("look at", &entry.path()))?;
            if kind.is_dir() {
                if data.dev() == device {
                    left.push(entry.path());
                }
            } else if data.nlink() > 1 {
                found.entry((data.dev(), data.ino())).or_default().push(entry.path());
            }
        }
    }
    Ok(found)
}
