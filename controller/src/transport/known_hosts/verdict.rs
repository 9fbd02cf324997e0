//! What the records say of a key that a host shows. Pure.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use russh::keys::{Algorithm, Certificate, PublicKey};

use super::certificate::{self, CertificateFault};
use super::entry::{Entry, Marker};
use super::file::KnownHostsFile;

/// An entry and the file it stands in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The file.
    pub file: PathBuf,
    /// The entry.
    pub entry: Entry,
}

impl Record {
    /// Returns `file:line`.
    pub fn place(&self) -> String {
        format!("{}:{}", self.file.display(), self.entry.line)
    }
}

/// What a host showed.
#[derive(Debug, Clone, Copy)]
pub enum Presented<'a> {
    /// A plain key.
    Key(&'a PublicKey),
    /// A certificate.
    Certificate {
        /// It.
        certificate: &'a Certificate,
        /// Whether signatures of its authority's type count.
        counts: bool,
    },
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// This very key is recorded, or a recorded authority vouches for it.
    Known,
    /// Nothing is recorded of this host.
    Unknown,
    /// Something else is recorded of this host, also when it is a key of another type.
    Changed {
        /// What is recorded, in the files' order.
        recorded: Vec<Record>,
    },
    /// This key, or the authority that signed it, is recorded as revoked.
    Revoked {
        /// Where.
        by: Record,
    },
    /// A recorded authority signed it, but not for this host, this time or this purpose; and its key is not recorded for itself.
    BadCertificate {
        /// The authority's record.
        authority: Record,
        /// What is wrong.
        fault: CertificateFault,
    },
}

/// All that is recorded of one host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Records {
    host: String,
    principal: String,
    pub(super) own: Vec<Record>,
    portless: Vec<Record>,
    pub(super) authorities: Vec<Record>,
    pub(super) revoked: Vec<Record>,
}

impl Records {
    /// Picks from the files what speaks of a host. `name` and `portless` come from [`super::host_names`]; `principal`
    /// is the name a certificate must be for (without a port).
    pub fn of<'a>(
        files: impl IntoIterator<Item = (&'a Path, &'a KnownHostsFile)>,
        name: &str,
        portless: Option<&str>,
        principal: &str,
    ) -> Self {
        let mut records = Self { host: name.to_owned(), principal: principal.to_ascii_lowercase(), ..Self::default() };
        let names: Vec<&str> = std::iter::once(name).chain(portless).collect();
        for (file, book) in files {
            for entry in book.entries(&names) {
                let exact = entry.hosts.matches(name);
                let list = match entry.marker {
                    Marker::Revoked => &mut records.revoked,
                    Marker::CertAuthority => &mut records.authorities,
                    Marker::Key if exact => &mut records.own,
                    Marker::Key => &mut records.portless,
                };
                list.push(Record { file: file.to_owned(), entry });
            }
        }
        records
    }

    /// Returns the name under which a new key would be recorded.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the types of the recorded keys: to be offered first, since any other type counts as changed.
    pub fn key_types(&self) -> Vec<&str> {
        let list = if self.own.is_empty() { &self.portless } else { &self.own };
        list.iter().map(|record| record.entry.key_type.as_str()).collect()
    }

    /// Returns whether a certificate could be of use.
    pub fn has_authority(&self) -> bool {
        !self.authorities.is_empty()
    }

    /// Returns whether every recorded key is of a type that we cannot verify (RSA), so that no answer could be "known".
    pub fn only_unverifiable(&self) -> Option<&Record> {
        let verifiable = |record: &&Record| matches!(record.entry.key_type.parse(), Ok(Algorithm::Ed25519 | Algorithm::Ecdsa { .. }));
        if self.has_authority() || self.own.iter().any(|record| verifiable(&record)) {
            return None;
        }
        self.own.first()
    }

    /// Judges what the host shows at a given time.
    pub fn judge(&self, presented: Presented<'_>, now: SystemTime) -> Verdict {
        match presented {
            Presented::Key(key) => self.judge_key(&wire(key)),
            Presented::Certificate { certificate, counts } => self.judge_certificate(certificate, counts, now),
        }
    }

    fn judge_key(&self, key: &[u8]) -> Verdict {
        if let Some(by) = find(&self.revoked, key) {
            return Verdict::Revoked { by: by.clone() };
        }
        if find(&self.own, key).is_some() {
            return Verdict::Known;
        }
        if !self.own.is_empty() {
            return Verdict::Changed { recorded: self.own.clone() };
        }
        // As OpenSSH does: nothing under [host]:port, but the very key under the bare name.
        if find(&self.portless, key).is_some() { Verdict::Known } else { Verdict::Unknown }
    }

    fn judge_certificate(&self, certificate: &Certificate, counts: bool, now: SystemTime) -> Verdict {
        let authority = wire(&PublicKey::from(certificate.signature_key().clone()));
        let subject = wire(&PublicKey::from(certificate.public_key().clone()));
        if let Some(by) = find(&self.revoked, &authority).or_else(|| find(&self.revoked, &subject)) {
            return Verdict::Revoked { by: by.clone() };
        }
        let Some(record) = find(&self.authorities, &authority) else {
            // Nobody we know vouches for it: the key inside may still be recorded for itself (OpenSSH does the same).
            return self.judge_key(&subject);
        };
        let checked = if counts {
            certificate::check(certificate, &self.principal, now)
        } else {
            Err(CertificateFault::Authority(certificate.signature_key().algorithm().as_str().to_owned()))
        };
        // Where it does not hold the key inside counts here too, as in OpenSSH; but it is not taken for a new one.
        match (checked, self.judge_key(&subject)) {
            (Ok(()), _) => Verdict::Known,
            (Err(fault), Verdict::Unknown) => Verdict::BadCertificate { authority: record.clone(), fault },
            (Err(_), verdict) => verdict,
        }
    }
}

fn find<'a>(records: &'a [Record], key: &[u8]) -> Option<&'a Record> {
    records.iter().find(|record| record.entry.key == key)
}

/// A key that cannot be written back matches nothing.
fn wire(key: &PublicKey) -> Vec<u8> {
    key.to_bytes().unwrap_or_default()
}
