//! The key under which secrets are compared: one for each site on this machine, made once.

use super::{StateError, write_private};
use std::path::Path;

/// Reads the key below `directory`, or makes it.
///
/// # Errors
/// When it can neither be read nor made.
pub fn site_key(directory: &Path) -> Result<Vec<u8>, StateError> {
    let path = directory.join("hmac.key");
    match std::fs::read(&path) {
        Ok(key) if key.len() == 32 => return Ok(key),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(source) => return Err(StateError::Read { path, source }),
    }
    let mut key = [0u8; 32];
    rustix::rand::getrandom(&mut key, rustix::rand::GetRandomFlags::empty()).map_err(StateError::Random)?;
    write_private(&path, &key)?;
    Ok(key.to_vec())
}
