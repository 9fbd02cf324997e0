//! The files of a build: written aside, synced, renamed, with their checksums and manifests.
//!
//! A build is `NAME-BUILD.FORMAT`, the checksums beside each, and `NAME-BUILD.d/` with manifests, which comes last: what has none is no
//! build. While one is made or removed, `NAME-BUILD.building` is there and locked; where it is there and free, who made it was killed,
//! and the next build of the image clears up. Files aside are `NAME-BUILD.FORMAT-part`: one suffix, as nodepool's clean-up wants it.

mod builds;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::thread;

use rustix::fs::FlockOperation;
use serde_json::Value;

use super::error::ImageError;
use super::{manifest, tools};

pub use builds::{Build, builds, current, find, hold, remove, retain, set_current};

/// Marks what is being made or removed.
const BUILDING: &str = "building";
/// Follows a format's name while its file is written.
const PART: &str = "-part";

/// Who may read what a build leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Readable {
    /// Everybody: nothing in an image is secret.
    #[default]
    All,
    /// Its owner: secrets are baked.
    Owner,
}

/// A build that is being made: removed with all its files when dropped.
#[derive(Debug)]
pub struct HalfBuild {
    dir: PathBuf,
    stem: String,
    build: String,
    /// Locked for as long as this is there.
    lock: Option<File>,
    readable: Readable,
}

impl HalfBuild {
    /// Begins the next build of an image, in this directory, and clears up what a killed one left.
    ///
    /// # Errors
    /// When the directory cannot be written.
    pub fn next(dir: &Path, name: &str, readable: Readable) -> Result<Self, ImageError> {
        fs::create_dir_all(dir).map_err(ImageError::file("create directory", dir))?;
        builds::sweep(dir, name)?;
        let mut number = builds::numbers(dir, name)?.last().copied().unwrap_or_default();
        loop {
            number += 1;
            let stem = format!("{name}-{number}");
            // Another build may have taken this number a moment ago.
            if let Some(lock) = lock_new(&dir.join(format!("{stem}.{BUILDING}")))? {
                return Ok(Self { dir: dir.to_owned(), stem, build: number.to_string(), lock: Some(lock), readable });
            }
        }
    }

    /// Begins a build whose files are to be named so (`DIR/NAME-BUILD`), as another program has settled.
    ///
    /// # Errors
    /// When another process makes the same one, or the directory cannot be written.
    pub fn at(out: &Path, readable: Readable) -> Result<Self, ImageError> {
        let stem = out
            .file_name()
            .and_then(|name| name.to_str())
            .ok_or_else(|| ImageError::refused(format!("{} names no file", out.display()), "name a file without its suffix"))?;
        let dir = out.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::create_dir_all(dir).map_err(ImageError::file("create directory", dir))?;
        let marker = dir.join(format!("{stem}.{BUILDING}"));
        if let Some(_left) = builds::lock_left(&marker)? {
            builds::clear(dir, stem)?;
        }
        let start = format!("{stem}.");
        if let Some(there) = names(dir)?.iter().find(|name| name.starts_with(&start) && !name.ends_with(BUILDING)) {
            return Err(ImageError::refused(format!("{} is there already", dir.join(there).display()), "remove it, or name another file"));
        }
        let lock = lock_new(&marker)?.ok_or_else(|| {
            ImageError::refused(format!("another process is building {}", out.display()), "wait for its end, or name another file")
        })?;
        let build = stem.rsplit_once('-').map_or(stem, |(_, build)| build).to_owned();
        Ok(Self { dir: dir.to_owned(), stem: stem.to_owned(), build, lock: Some(lock), readable })
    }

    /// Returns the build's number, or what another program calls it.
    #[must_use]
    pub fn build(&self) -> &str {
        &self.build
    }

    /// Returns where the file of a format is to be written.
    #[must_use]
    pub fn aside(&self, format: &str) -> PathBuf {
        self.dir.join(format!("{}.{format}{PART}", self.stem))
    }

    /// Makes it a build: checksums, manifests (`NAME.json` each), all on the disk before their names are. Returns the files of the formats.
    ///
    /// # Errors
    /// When something cannot be written: nothing of the build is then there.
    pub fn commit(mut self, formats: &[&str], manifests: &[(&str, Value)]) -> Result<Vec<PathBuf>, ImageError> {
        let mode = if self.readable == Readable::All { 0o644 } else { 0o600 };
        let mut renames = Vec::new();
        for format in formats {
            let aside = self.aside(format);
            let file = File::open(&aside).map_err(ImageError::file("open", &aside))?;
            file.set_permissions(fs::Permissions::from_mode(mode))
                .and_then(|()| file.sync_all())
                .map_err(ImageError::file("sync", &aside))?;
            let whole = format!("{}.{format}", self.stem);
            for (suffix, sum) in sums(&aside)? {
                let name = format!("{whole}.{suffix}");
                write_new(&self.aside(&format!("{format}-{suffix}")), mode, format!("{sum}  {whole}\n").as_bytes())?;
                renames.push((self.aside(&format!("{format}-{suffix}")), self.dir.join(name)));
            }
            renames.push((aside, self.dir.join(whole)));
        }
        let directory = self.aside("d");
        fs::create_dir(&directory).map_err(ImageError::file("create directory", &directory))?;
        for (name, value) in manifests {
            let text = manifest::text(value);
            write_new(&directory.join(format!("{name}.json")), mode, text.as_bytes())?;
        }
        fs::set_permissions(&directory, fs::Permissions::from_mode(mode | (mode & 0o444) >> 2))
            .map_err(ImageError::file("set the mode of", &directory))?;
        sync_directory(&directory)?;
        renames.push((directory, self.dir.join(format!("{}.d", self.stem))));
        for (from, to) in &renames {
            fs::rename(from, to).map_err(ImageError::file("rename into place", to))?;
        }
        sync_directory(&self.dir)?;
        let marker = self.dir.join(format!("{}.{BUILDING}", self.stem));
        fs::remove_file(&marker).map_err(ImageError::file("remove", &marker))?;
        self.lock = None;
        Ok(formats.iter().map(|format| self.dir.join(format!("{}.{format}", self.stem))).collect())
    }
}

impl Drop for HalfBuild {
    fn drop(&mut self) {
        if self.lock.is_some() {
            // What cannot be removed now is removed by the next build.
            let _ = builds::clear(&self.dir, &self.stem);
        }
    }
}

/// Makes a marker and locks it; none where there is one.
fn lock_new(marker: &Path) -> Result<Option<File>, ImageError> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(marker) {
        Ok(file) => {
            rustix::fs::flock(&file, FlockOperation::LockExclusive).map_err(|error| ImageError::file("lock", marker)(error.into()))?;
            // Whoever clears up may have been quicker, and have taken it for a dead one's.
            Ok(Some(file).filter(|file| is_at(file, marker)))
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(None),
        Err(error) => Err(ImageError::file("create", marker)(error)),
    }
}

/// Whether an open file is still the one of that name.
fn is_at(file: &File, path: &Path) -> bool {
    let own = file.metadata().map(|data| (data.dev(), data.ino()));
    own.is_ok_and(|own| path.metadata().is_ok_and(|data| (data.dev(), data.ino()) == own))
}

/// Both checksums of a file, made at the same time.
fn sums(path: &Path) -> Result<Vec<(&'static str, String)>, ImageError> {
    let sum = |program: &'static str| -> Result<String, ImageError> {
        let output = tools::run(tools::program(program, "coreutils")?.arg("--binary").arg(path))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        // A name with a newline or a backslash in it is announced by a backslash.
        Ok(text.trim_start_matches('\\').split_whitespace().next().unwrap_or_default().to_owned())
    };
    thread::scope(|scope| {
        let other = scope.spawn(|| sum("md5sum"));
        let sha256 = sum("sha256sum");
        let md5 =
            other.join().unwrap_or_else(|_| Err(crate::lab::LabError::Refused("a checksum's thread ended in the middle".into()).into()));
        Ok(vec![("md5", md5?), ("sha256", sha256?)])
    })
}

fn write_new(path: &Path, mode: u32, bytes: &[u8]) -> Result<(), ImageError> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(ImageError::file("create", path))?;
    let permissions = fs::Permissions::from_mode(mode);
    file.write_all(bytes)
        .and_then(|()| file.set_permissions(permissions))
        .and_then(|()| file.sync_all())
        .map_err(ImageError::file("write", path))
}

fn sync_directory(path: &Path) -> Result<(), ImageError> {
    File::open(path).and_then(|dir| dir.sync_all()).map_err(ImageError::file("sync", path))
}

/// The names in a directory that are text.
fn names(dir: &Path) -> Result<BTreeSet<String>, ImageError> {
    let wrong = || ImageError::file("list", dir);
    let list = match fs::read_dir(dir) {
        Ok(list) => list,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(error) => return Err(wrong()(error)),
    };
    list.filter_map(|entry| entry.map(|entry| entry.file_name().into_string().ok()).transpose()).collect::<Result<_, _>>().map_err(wrong())
}
