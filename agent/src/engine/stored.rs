//! Files of ours: a header line with what it is and its number, then named MessagePack. Replaced whole or not at all.

use super::EngineError;
pub(super) use crate::host::own::Durable;
use crate::host::own::OwnPath;
use ostler_roles::words::write_named;
use serde::{Serialize, de::DeserializeOwned};

/// Nothing of ours is larger than a frame may be.
const CAP: u64 = ostler_roles::wire::frame::FRAME_CAP as u64;

/// The header line of files of this kind.
pub(super) fn header(what: &str) -> String {
    format!("ostler-{what}/1\n")
}

/// Reads a file of ours; none where there is none.
pub(super) fn read<T: DeserializeOwned>(path: &OwnPath, what: &str) -> Result<Option<T>, EngineError> {
    let Some(bytes) = path.read(CAP).map_err(EngineError::read(path))? else { return Ok(None) };
    let wrong = |why: String| EngineError::Content { path: path.to_path_buf(), why };
    // As an older release could leave it, which did not wait for the disk.
    if bytes.iter().all(|byte| *byte == 0) {
        return Err(wrong("a power cut took what was in it: remove it".to_owned()));
    }
    let header = header(what);
    let body = bytes.strip_prefix(header.as_bytes()).ok_or_else(|| wrong(format!("it does not begin with `{}`", header.trim_end())))?;
    rmp_serde::from_slice(body).map(Some).map_err(|error| wrong(error.to_string()))
}

/// Writes a file of ours aside and renames it into place.
pub(super) fn write<T: Serialize>(path: &OwnPath, what: &str, value: &T, mode: u32, durable: Durable) -> Result<(), EngineError> {
    let mut bytes = header(what).into_bytes();
    let encoded = write_named(&mut bytes, value);
    encoded.map_err(|error| EngineError::Content { path: path.to_path_buf(), why: error.to_string() })?;
    write_bytes(path, &bytes, mode, durable)
}

/// Writes bytes aside and renames them into place.
pub(super) fn write_bytes(path: &OwnPath, bytes: &[u8], mode: u32, durable: Durable) -> Result<(), EngineError> {
    path.write(bytes, mode, durable).map_err(EngineError::write(path))
}

/// Removes a directory and what is in it; none there is as well.
pub(super) fn remove_tree(path: &OwnPath) -> Result<(), EngineError> {
    path.remove_tree().map_err(EngineError::write(path))
}
