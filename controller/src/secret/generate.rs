//! Secrets made anew.

use super::SecretError;
use ostler_roles::words::Secret;
use russh::keys::{Algorithm, PrivateKey, ssh_key::LineEnding};

/// An OpenSSH ed25519 private key, commented with the secret's name.
///
/// # Errors
/// When the library cannot make or write one.
pub fn ed25519(comment: &str) -> Result<Secret<Vec<u8>>, SecretError> {
    let failed = |error: russh::keys::ssh_key::Error| SecretError::Generate(error.to_string());
    let mut key = PrivateKey::random(&mut rng(), Algorithm::Ed25519).map_err(failed)?;
    key.set_comment(comment);
    let text = key.to_openssh(LineEnding::LF).map_err(failed)?;
    Ok(Secret::new(text.as_bytes().to_vec()))
}

/// A password of letters and digits: 40 of 62 characters are 238 bits.
///
/// # Errors
/// When the kernel gives no random bytes.
pub fn password() -> Result<Secret<Vec<u8>>, SecretError> {
    const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut text = Vec::new();
    while text.len() < 40 {
        let mut bytes = [0u8; 64];
        rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
            .map_err(|error| SecretError::Generate(error.to_string()))?;
        // Values past the last whole multiple of 62 are thrown away, so that every letter is as likely.
        text.extend(bytes.iter().filter(|byte| **byte < 248).map(|byte| LETTERS[usize::from(byte % 62)]));
    }
    text.truncate(40);
    Ok(Secret::new(text))
}

fn rng() -> impl russh::keys::ssh_key::rand_core::CryptoRng {
    russh::keys::key::safe_rng()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_keys_are_read_back() {
        let key = ed25519("launch_key").unwrap();
        let parsed = PrivateKey::from_openssh(key.expose()).unwrap();
        assert_eq!(parsed.comment().as_str_lossy(), "launch_key");
        assert_eq!(password().unwrap().expose().len(), 40);
        assert_ne!(password().unwrap().expose(), password().unwrap().expose());
    }
}
