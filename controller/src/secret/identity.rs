//! The identities that open secrets: `~/.config/ostler/identity.txt`, as age-keygen(1) writes it.

use super::SecretError;
use crate::private::{self, FileError};
use age::secrecy::ExposeSecret;
use age::x25519;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Identities and where they were read.
pub struct Identities {
    /// The file.
    pub file: PathBuf,
    pub(super) keys: Vec<x25519::Identity>,
}

impl std::fmt::Debug for Identities {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identities").field("file", &self.file).field("keys", &self.keys.len()).finish()
    }
}

impl Identities {
    /// Reads the file; none where there is none.
    ///
    /// # Errors
    /// When it cannot be read, others may read it, or a line is no identity.
    pub fn read(file: &Path) -> Result<Option<Self>, SecretError> {
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(FileError::read(file)(source).into()),
        };
        let mode = std::fs::metadata(file).map_err(FileError::read(file))?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(SecretError::OpenToOthers { path: file.to_owned(), mode: mode & 0o7777 });
        }
        let mut keys = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            keys.push(line.parse().map_err(|_| SecretError::NotAnIdentity { path: file.to_owned(), line: index + 1 })?);
        }
        Ok(Some(Self { file: file.to_owned(), keys }))
    }

    /// Makes a new identity file, private from birth; returns its recipient.
    ///
    /// # Errors
    /// When it exists or cannot be written.
    pub fn create(file: &Path) -> Result<String, SecretError> {
        let key = x25519::Identity::generate();
        let recipient = key.to_public().to_string();
        let text = format!(
            "# opens the secrets of ostler sites; keep it private, keep a copy\n# public key: {recipient}\n{}\n",
            key.to_string().expose_secret()
        );
        let failed = |source| SecretError::from(FileError::Write { path: file.to_owned(), source });
        match private::create(file, text.as_bytes()).map_err(failed)? {
            true => Ok(recipient),
            false => Err(failed(std::io::ErrorKind::AlreadyExists.into())),
        }
    }

    /// The public halves.
    pub fn recipients(&self) -> Vec<String> {
        self.keys.iter().map(|key| key.to_public().to_string()).collect()
    }
}
