//! Lists of algorithms in the user's order, kept to those we have.

use std::borrow::Cow;

use russh::keys::{Algorithm, EcdsaCurve};
use russh::{Preferred, cipher, compression, kex, mac};

/// The user's lists, by OpenSSH's names. Empty: ours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Algorithms {
    /// Key exchange.
    pub kex: Vec<String>,
    /// Ciphers.
    pub ciphers: Vec<String>,
    /// Message authentication.
    pub macs: Vec<String>,
    /// Host key types, certificates among them.
    pub host_keys: Vec<String>,
    /// Types of keys that may sign a host certificate.
    pub ca_signatures: Vec<String>,
    /// Whether to compress (zlib).
    pub compression: bool,
}

/// A list that leaves nothing we have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("none of {kind} ({}) is known here", names.join(","))]
pub struct NothingLeft {
    /// The option.
    pub kind: &'static str,
    /// The list.
    pub names: Vec<String>,
}

/// Host key types that we can verify, ours first to last. No RSA: its crate has an advisory without a fix.
const HOST_KEYS: [Algorithm; 4] = [
    Algorithm::Ed25519,
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
];

/// Key exchanges that we offer: post-quantum hybrid first (FIPS 203; draft-ietf-sshm-mlkem-hybrid-kex), then those of OpenSSH's defaults. None with
/// SHA-1.
const EXCHANGES: [kex::Name; 10] = [
    kex::MLKEM768X25519_SHA256,
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::ECDH_SHA2_NISTP256,
    kex::ECDH_SHA2_NISTP384,
    kex::ECDH_SHA2_NISTP521,
    kex::DH_GEX_SHA256,
    kex::DH_G16_SHA512,
    kex::DH_G18_SHA512,
    kex::DH_G14_SHA256,
];

/// Ciphers that we offer: those with authentication of their own first.
const CIPHERS: [cipher::Name; 6] =
    [cipher::CHACHA20_POLY1305, cipher::AES_256_GCM, cipher::AES_128_GCM, cipher::AES_256_CTR, cipher::AES_192_CTR, cipher::AES_128_CTR];

/// Message authentication that we offer: encrypt-then-MAC first, none with SHA-1.
const MACS: [mac::Name; 4] = [mac::HMAC_SHA512_ETM, mac::HMAC_SHA256_ETM, mac::HMAC_SHA512, mac::HMAC_SHA256];

/// Words in a kex list that are no algorithms but must be in it (RFC 8308; the strict exchange of CVE-2023-48795).
const KEX_EXTENSIONS: [kex::Name; 2] = [kex::EXTENSION_SUPPORT_AS_CLIENT, kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT];

impl Algorithms {
    /// Returns the user's own option for a kind of algorithm, in the SSH library's words (`Kex`, `Key`, `Cipher`, `Mac`); none where it is not set.
    pub fn written(&self, kind: &str) -> Option<&'static str> {
        let (list, option) = match kind {
            "Kex" => (&self.kex, "KexAlgorithms"),
            "Key" => (&self.host_keys, "HostKeyAlgorithms"),
            "Cipher" => (&self.ciphers, "Ciphers"),
            "Mac" => (&self.macs, "MACs"),
            _ => return None,
        };
        (!list.is_empty()).then_some(option)
    }

    /// Returns what we offer: recorded host key types first, certificates only where an authority is recorded.
    ///
    /// # Errors
    /// A list of the user's in which nothing is left.
    pub fn preferred(&self, recorded: &[&str], with_certificates: bool) -> Result<Preferred, NothingLeft> {
        let plain = |name: &str| HOST_KEYS.iter().find(|algorithm| algorithm.as_str() == name).cloned();
        let certified = |name: &str| HOST_KEYS.iter().find(|algorithm| algorithm.to_certificate_type() == name).cloned();
        let mut keys = pick("HostKeyAlgorithms", &self.host_keys, plain, HOST_KEYS.to_vec())?;
        // A stable sort: within each half the user's order stays.
        keys.sort_by_key(|algorithm| !recorded.contains(&algorithm.as_str()));
        let certificates = if !with_certificates {
            Vec::new()
        } else if self.host_keys.is_empty() {
            HOST_KEYS.to_vec()
        } else {
            self.host_keys.iter().filter_map(|name| certified(name)).collect()
        };
        let mut exchanges = pick("KexAlgorithms", &self.kex, known_kex, EXCHANGES.to_vec())?;
        for extension in KEX_EXTENSIONS {
            if !exchanges.contains(&extension) {
                exchanges.push(extension);
            }
        }
        let ciphers = pick("Ciphers", &self.ciphers, known_cipher, CIPHERS.to_vec())?;
        let macs = pick("MACs", &self.macs, known_mac, MACS.to_vec())?;
        let compression =
            if self.compression { vec![compression::ZLIB_LEGACY, compression::ZLIB, compression::NONE] } else { vec![compression::NONE] };
        Ok(Preferred {
            kex: Cow::Owned(exchanges),
            key: Cow::Owned(keys),
            host_key_certificates: Cow::Owned(certificates),
            cipher: Cow::Owned(ciphers),
            mac: Cow::Owned(macs),
            compression: Cow::Owned(compression),
        })
    }
}

/// Keeps what we know of a list; no list is our own.
fn pick<T>(kind: &'static str, names: &[String], known: impl Fn(&str) -> Option<T>, ours: Vec<T>) -> Result<Vec<T>, NothingLeft> {
    if names.is_empty() {
        return Ok(ours);
    }
    let kept: Vec<T> = names.iter().filter_map(|name| known(name)).collect();
    if kept.is_empty() { Err(NothingLeft { kind, names: names.to_vec() }) } else { Ok(kept) }
}

/// `none` and the words that are no algorithms never come from a list.
fn known_kex(name: &str) -> Option<kex::Name> {
    if name == "none" || name.starts_with("ext-info") || name.starts_with("kex-strict") { None } else { kex::Name::try_from(name).ok() }
}

fn known_cipher(name: &str) -> Option<cipher::Name> {
    if ["none", "clear"].contains(&name) { None } else { cipher::Name::try_from(name).ok() }
}

fn known_mac(name: &str) -> Option<mac::Name> {
    if name == "none" { None } else { mac::Name::try_from(name).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `ssh -G -F none` of OpenSSH 10.0, cut to what we know.
    const OPENSSH: [(&str, &str); 3] = [
        (
            "kex",
            "mlkem768x25519-sha256 curve25519-sha256 curve25519-sha256@libssh.org ecdh-sha2-nistp256 ecdh-sha2-nistp384 ecdh-sha2-nistp521",
        ),
        ("cipher", "chacha20-poly1305@openssh.com aes128-gcm@openssh.com aes256-gcm@openssh.com aes128-ctr aes192-ctr aes256-ctr"),
        ("mac", "hmac-sha2-256-etm@openssh.com hmac-sha2-512-etm@openssh.com hmac-sha2-256 hmac-sha2-512"),
    ];

    #[test]
    fn what_we_offer_by_ourselves_is_as_strong_as_openssh_and_meets_it() {
        let ours = Algorithms::default().preferred(&[], false).unwrap();
        let names = |kind: &str| -> Vec<String> {
            match kind {
                "kex" => ours.kex.iter().map(|name| name.as_ref().to_owned()).collect(),
                "cipher" => ours.cipher.iter().map(|name| name.as_ref().to_owned()).collect(),
                _ => ours.mac.iter().map(|name| name.as_ref().to_owned()).collect(),
            }
        };
        assert_eq!(names("kex")[0], "mlkem768x25519-sha256");
        for (kind, theirs) in OPENSSH {
            let names = names(kind);
            assert!(theirs.split(' ').all(|name| names.iter().any(|known| known == name)), "{kind}: {names:?}");
            assert!(
                names.iter().all(|name| !name.ends_with("sha1") && !name.contains("sha1-") && !name.contains("cbc")),
                "{kind}: {names:?}"
            );
        }
    }
}
