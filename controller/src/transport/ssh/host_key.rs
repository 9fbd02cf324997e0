//! The host's key, checked against the records while keys are agreed on; and what russh tells us of a connection.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use russh::Names;
use russh::client::{DisconnectReason, Handler, Session};
use russh::keys::{Algorithm, HashAlg, PublicKey, PublicKeyOrCertificate};

use super::handshake::ConnectionEnd;
use crate::transport::config::{HostConfig, NewKeys, Target};
use crate::transport::error::HostKeyFault;
use crate::transport::event::{LinkEvent, Listener};
use crate::transport::files;
use crate::transport::known_hosts::{self, CertificateFault, KnownHostsFiles, Presented, Record, Records, Verdict};
use crate::transport::link::quoted;

/// What the checker can say: the SSH library's faults pass through it.
#[derive(Debug)]
pub(super) enum HandlerError {
    HostKey(HostKeyFault),
    Ssh(russh::Error),
}

impl From<russh::Error> for HandlerError {
    fn from(error: russh::Error) -> Self {
        HandlerError::Ssh(error)
    }
}

/// Looks into every file of known hosts that there is, and picks what speaks of the host.
pub(super) fn read_records(config: &HostConfig, known: &KnownHostsFiles) -> Result<Records, HostKeyFault> {
    let mut books = Vec::new();
    for file in config.user_known_hosts.iter().chain(&config.global_known_hosts) {
        match known.open(file) {
            Ok(book) => books.push((file, book)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(HostKeyFault::Unreadable { file: file.display().to_string(), reason: error.to_string() }),
        }
    }
    let alias = config.host_key_alias.as_deref();
    let (name, portless) = known_hosts::host_names(&config.hostname, config.port, alias);
    let files = books.iter().map(|(file, book)| (file.as_path(), book.as_ref()));
    let records = Records::of(files, &name, portless.as_deref(), alias.unwrap_or(&config.hostname));
    match records.only_unverifiable() {
        Some(record) => Err(HostKeyFault::Unverifiable { record: record.place(), key_type: record.entry.key_type.clone() }),
        None => Ok(records),
    }
}

/// Decides about the host's key, and listens to the connection.
pub(super) struct Checker {
    pub target: Target,
    /// Its host, with its port when that is not 22.
    pub shown: String,
    pub records: Records,
    pub new_keys: NewKeys,
    /// Where a new key is written.
    pub own_file: Option<PathBuf>,
    pub looked_in: Vec<PathBuf>,
    pub hash_names: bool,
    /// How long the writing may take.
    pub patience: Duration,
    pub ca_signatures: Vec<String>,
    pub lost: ConnectionEnd,
    pub listener: Listener,
    pub banner_room: BannerRoom,
}

/// How many characters of banners are told yet: a server may send them for as long as a login takes.
#[derive(Debug)]
pub(super) struct BannerRoom(usize);

impl Default for BannerRoom {
    fn default() -> Self {
        Self(8 * 1024)
    }
}

impl BannerRoom {
    /// What of a banner is told; none: there is no room left.
    fn take(&mut self, banner: &str) -> Option<String> {
        let text: String = banner.chars().take(self.0).collect();
        self.0 -= text.chars().count();
        (!text.is_empty()).then_some(text)
    }
}

impl Checker {
    async fn decide(&self, presented: Presented<'_>, key: &PublicKey) -> Result<(), HostKeyFault> {
        let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
        let key_type = key.algorithm().as_str().to_owned();
        match self.records.judge(presented, SystemTime::now()) {
            Verdict::Known => Ok(()),
            Verdict::Unknown => match self.new_keys {
                NewKeys::Accept => self.accept(key, fingerprint).await,
                NewKeys::Refuse => {
                    let files = self.looked_in.iter().map(|file| file.display().to_string()).collect();
                    Err(HostKeyFault::Unknown { fingerprint, key_type, files })
                }
            },
            Verdict::Changed { recorded } => {
                let shown = |record: &Record| format!("{} ({})", record.place(), record.entry.key_type);
                let remove = removal(&recorded, self.records.host());
                Err(HostKeyFault::Changed { fingerprint, key_type, recorded: recorded.iter().map(shown).collect(), remove })
            }
            Verdict::Revoked { by } => Err(HostKeyFault::Revoked { fingerprint, by: by.place() }),
            // Its authority is no obstacle for a key that would be taken without it.
            Verdict::BadCertificate { fault: CertificateFault::Authority(_), .. } if self.new_keys == NewKeys::Accept => {
                self.accept(key, fingerprint).await
            }
            Verdict::BadCertificate { authority, fault } => Err(HostKeyFault::Certificate { authority: authority.place(), fault }),
        }
    }

    async fn accept(&self, key: &PublicKey, fingerprint: String) -> Result<(), HostKeyFault> {
        let file = self.own_file.clone().ok_or(HostKeyFault::NotRecorded(known_hosts::AppendError::NoFile))?;
        let (name, owned, hash, path) = (self.records.host().to_owned(), key.clone(), self.hash_names, file.clone());
        let written = files::within(self.patience, move || known_hosts::append(&path, &name, &owned, hash)).await;
        let undone = |undone: files::FileWorkError| known_hosts::AppendError::Io { file: file.clone(), reason: undone.to_string() };
        written.map_err(|fault| HostKeyFault::NotRecorded(undone(fault)))??;
        let (host, file) = (self.shown.clone(), file.display().to_string());
        (self.listener)(&self.target, LinkEvent::HostKeyAccepted { host, fingerprint, file });
        Ok(())
    }
}

/// Commands that take these records out of their files. `ssh-keygen -R` leaves a line with a pattern alone (ssh-keygen(1)).
fn removal(recorded: &[Record], name: &str) -> Vec<String> {
    let mut files: BTreeMap<String, (Vec<String>, bool)> = BTreeMap::new();
    for record in recorded {
        let (lines, is_named) = files.entry(quoted(&record.file.display().to_string())).or_default();
        if record.entry.hosts.is_pattern() { lines.push(format!("{}d", record.entry.line)) } else { *is_named = true }
    }
    let commands = files.into_iter().map(|(file, (lines, is_named))| {
        // Lines are counted before any goes.
        let by_line = (!lines.is_empty()).then(|| format!("sed -i {} {file}", quoted(&lines.join(";"))));
        let by_name = is_named.then(|| format!("ssh-keygen -R {} -f {file}", quoted(name)));
        [by_line, by_name].into_iter().flatten()
    });
    commands.flatten().collect()
}

impl Handler for Checker {
    type Error = HandlerError;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, HandlerError> {
        let key = shown.public_key();
        let presented = match shown {
            PublicKeyOrCertificate::PublicKey { key, .. } => Presented::Key(key),
            PublicKeyOrCertificate::Certificate(certificate) => {
                let counts = self.counts(&certificate.signature_key().algorithm());
                Presented::Certificate { certificate, counts }
            }
        };
        self.decide(presented, &key).await.map_err(HandlerError::HostKey)?;
        Ok(true)
    }

    async fn kex_done(&mut self, _: Option<&[u8]>, names: &Names, _: &mut Session) -> Result<(), HandlerError> {
        let (kex, cipher) = (names.kex.as_ref(), names.cipher.as_ref());
        tracing::debug!(host = self.shown, kex, cipher, host_key = names.key.as_str(), "keys agreed on");
        Ok(())
    }

    async fn auth_banner(&mut self, banner: &str, _: &mut Session) -> Result<(), HandlerError> {
        if self.lost.note_no_login(banner) {
            return Ok(());
        }
        if let Some(text) = self.banner_room.take(banner) {
            (self.listener)(&self.target, LinkEvent::Banner { host: self.target.host.clone(), text });
        }
        Ok(())
    }

    async fn disconnected(&mut self, reason: DisconnectReason<HandlerError>) -> Result<(), HandlerError> {
        self.lost.note(match reason {
            DisconnectReason::ReceivedDisconnect(info) => format!("the server ended it: {}", info.message),
            DisconnectReason::Error(HandlerError::Ssh(russh::Error::KeepaliveTimeout)) => "no answer to keepalives".to_owned(),
            DisconnectReason::Error(HandlerError::Ssh(error)) => error.to_string(),
            DisconnectReason::Error(HandlerError::HostKey(fault)) => fault.to_string(),
        });
        Ok(())
    }
}

impl Checker {
    /// `CASignatureAlgorithms`, which is empty for all, as far as we can verify.
    fn counts(&self, algorithm: &Algorithm) -> bool {
        let listed = self.ca_signatures.is_empty() || self.ca_signatures.iter().any(|known| known == algorithm.as_str());
        listed && !matches!(algorithm, Algorithm::Rsa { .. } | Algorithm::Dsa)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_banners_no_more_is_told_than_of_one() {
        let mut room = BannerRoom(7);
        let told = ["five\n", "ünd", "more", ""].map(|banner| room.take(banner));
        assert_eq!(told, [Some("five\n".to_owned()), Some("ün".to_owned()), None, None]);
    }
}
