//! Files of ours: a header line with what it is and its number, then named MessagePack. Replaced whole or not at all.

use super::EngineError;
use serde::{Serialize, de::DeserializeOwned};
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

/// Nothing of ours is larger than a frame may be.
const CAP: u64 = ostler_roles::wire::frame::FRAME_CAP as u64;

/// How much a write is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Durable {
    /// On the disk when the call returns.
    Yes,
    /// Whole or not at all while the machine runs; after a power cut nothing depends on it.
    No,
}

/// The header line of files of this kind.
pub(super) fn header(what: &str) -> String {
    format!("ostler-{what}/1\n")
}

/// Reads a file of ours; none where there is none.
pub(super) fn read<T: DeserializeOwned>(path: &Path, what: &str) -> Result<Option<T>, EngineError> {
    let mut bytes = Vec::new();
    match File::open(path) {
        Ok(file) => file.take(CAP).read_to_end(&mut bytes).map_err(EngineError::read(path))?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(EngineError::read(path)(error)),
    };
    let wrong = |why: String| EngineError::Content { path: path.to_owned(), why };
    let header = header(what);
    let body = bytes.strip_prefix(header.as_bytes()).ok_or_else(|| wrong(format!("it does not begin with `{}`", header.trim_end())))?;
    rmp_serde::from_slice(body).map(Some).map_err(|error| wrong(error.to_string()))
}

/// Writes a file of ours aside and renames it into place.
pub(super) fn write<T: Serialize>(path: &Path, what: &str, value: &T, mode: u32, durable: Durable) -> Result<(), EngineError> {
    let mut bytes = header(what).into_bytes();
    let encoded = rmp_serde::encode::write_named(&mut bytes, value);
    encoded.map_err(|error| EngineError::Content { path: path.to_owned(), why: error.to_string() })?;
    write_bytes(path, &bytes, mode, durable)
}

/// Writes bytes aside and renames them into place.
pub(super) fn write_bytes(path: &Path, bytes: &[u8], mode: u32, durable: Durable) -> Result<(), EngineError> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(format!(".{}", std::process::id()));
    let aside = Path::new(&aside);
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(aside)?;
        file.write_all(bytes)?;
        if durable == Durable::Yes {
            file.sync_all()?;
        }
        std::fs::rename(aside, path)
    })();
    if let Err(error) = written {
        // What was written aside is of no use; the first error is the one to tell.
        let _ = std::fs::remove_file(aside);
        return Err(EngineError::write(path)(error));
    }
    if durable == Durable::Yes { sync_directory(path.parent().unwrap_or(path)) } else { Ok(()) }
}

/// Makes a directory's entries durable.
pub(super) fn sync_directory(path: &Path) -> Result<(), EngineError> {
    File::open(path).and_then(|directory| directory.sync_all()).map_err(EngineError::write(path))
}

/// Makes a directory and those above it; existing ones are left as they are.
pub(super) fn make_directory(path: &Path, mode: u32) -> Result<(), EngineError> {
    if let Some(parent) = path.parent().filter(|parent| !parent.is_dir()) {
        make_directory(parent, 0o755)?;
    }
    match std::fs::DirBuilder::new().mode(mode).create(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(EngineError::write(path)(error)),
    }
}

/// Removes a directory and what is in it; none there is as well.
pub(super) fn remove_tree(path: &Path) -> Result<(), EngineError> {
    match std::fs::remove_dir_all(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(EngineError::write(path)(error)),
    }
}
