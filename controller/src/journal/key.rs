//! The key under which secrets are compared: one for each site on this machine, made once.

use super::{StateError, create_private};
use crate::private::FileError;
use std::path::{Path, PathBuf};

/// Reads the key below `directory`, or makes it.
///
/// # Errors
/// When it can neither be read nor made.
pub fn site_key(directory: &Path) -> Result<Vec<u8>, StateError> {
    let path = directory.join("hmac.key");
    match read(&path)? {
        Some(key) => Ok(key),
        None => {
            let mut key = [0u8; 32];
            rustix::rand::getrandom(&mut key, rustix::rand::GetRandomFlags::empty()).map_err(StateError::Random)?;
            // Another run may have made one meanwhile: then its key is the site's.
            let is_ours = create_private(&path, &key)?;
            if is_ours { Ok(key.to_vec()) } else { read(&path)?.ok_or_else(|| broken(path)) }
        }
    }
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, StateError> {
    match std::fs::read(path) {
        Ok(key) if key.len() == 32 => Ok(Some(key)),
        Ok(_) => Err(broken(path.to_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(FileError::read(path)(source).into()),
    }
}

/// Made anew, it would have every secret sent and compared anew: that is said, not done.
fn broken(path: PathBuf) -> StateError {
    FileError::read(&path)(std::io::Error::other("it is not a key of 32 bytes; remove it, and a new one is made")).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_that_begin_together_have_one_key() {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("state");
        let keys: Vec<Vec<u8>> = std::thread::scope(|scope| {
            let started: Vec<_> = (0..16).map(|_| scope.spawn(|| site_key(&state).unwrap())).collect();
            started.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
        let left: Vec<_> = std::fs::read_dir(&state).unwrap().map(|one| one.unwrap().file_name()).collect();
        assert_eq!(left, ["hmac.key"]);
    }

    #[test]
    fn a_key_of_another_length_is_not_replaced_without_a_word() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("hmac.key"), b"short").unwrap();
        assert!(matches!(site_key(directory.path()), Err(StateError::File(FileError::Read { .. }))));
        assert_eq!(std::fs::read(directory.path().join("hmac.key")).unwrap(), b"short");
    }
}
