//! Values that no output shows.

use super::Digest;
use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

/// A secret value in memory. `Debug` and `Display` print a mask; reading it is an explicit act. Its memory is overwritten when it goes.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<T: Zeroize> Secret<T> {
    /// Wraps a value.
    pub fn new(value: T) -> Self {
        Self(value)
    }
    /// The value itself: only where it is put to use.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> std::fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(***)")
    }
}
impl<T: Zeroize> std::fmt::Display for Secret<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// Stands for a secret value in catalogs, plans, journals and on disk.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SecretRef {
    /// What it is, for people: the secrets' names it was made of.
    pub name: String,
    /// HMAC-SHA-256 (RFC 2104) of the whole value under the site's key: equality without the value.
    pub hmac: Digest,
}

impl SecretRef {
    /// The HMAC of `value` under `key`, as both halves compute it.
    pub fn hmac(key: &[u8], value: &[u8]) -> Digest {
        use hmac::{KeyInit as _, Mac as _};
        #[expect(clippy::expect_used, reason = "HMAC takes a key of any length (RFC 2104 section 2)")]
        let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(key).expect("any length is a key");
        mac.update(value);
        Digest::from_bytes(mac.finalize().into_bytes().into())
    }
}

/// A text that may be secret: an environment's value, a command's input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sensitive {
    /// May be shown.
    Plain(String),
    /// Only its reference is here.
    Secret(SecretRef),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_prints_a_mask() {
        let secret = Secret::new("hunter2".to_owned());
        assert_eq!(format!("{secret:?} {secret}"), "Secret(***) ***");
    }

    #[test]
    fn the_hmac_is_the_standard_one() {
        // RFC 4231, test case 2.
        let digest = SecretRef::hmac(b"Jefe", b"what do ya want for nothing?");
        assert_eq!(digest.hex(), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }
}
