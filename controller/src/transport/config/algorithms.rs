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

/// Words in a kex list that are no algorithms but must be in it (RFC 8308; the strict exchange of CVE-2023-48795).
const KEX_EXTENSIONS: [kex::Name; 2] = [kex::EXTENSION_SUPPORT_AS_CLIENT, kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT];

impl Algorithms {
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
        let ours = Preferred::DEFAULT;
        let mut exchanges = pick("KexAlgorithms", &self.kex, known_kex, ours.kex.to_vec())?;
        for extension in KEX_EXTENSIONS {
            if !exchanges.contains(&extension) {
                exchanges.push(extension);
            }
        }
        let ciphers = pick("Ciphers", &self.ciphers, known_cipher, ours.cipher.to_vec())?;
        let macs = pick("MACs", &self.macs, known_mac, ours.mac.to_vec())?;
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
