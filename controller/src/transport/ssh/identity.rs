//! The keys that may open a node: files, certificates, ssh-agent; in OpenSSH's order, the one that worked last first.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{Algorithm, Certificate, HashAlg, PrivateKey, PublicKey, decode_secret_key};
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::stamp::Stamp;
use crate::transport::config::{AgentSocket, HostConfig};
use crate::transport::files;
use crate::transport::login::Tried;

/// How long the agent may take to list its keys. It is a local program.
const AGENT_LISTS: Duration = Duration::from_secs(5);

/// A connection to the agent.
pub(super) type Agent = AgentClient<UnixStream>;

/// Who signs for a key.
#[derive(Clone)]
pub(super) enum Signer {
    File(PathBuf, Arc<PrivateKey>),
    Agent { comment: String },
}

/// A key to offer, perhaps in a certificate. Not to be shown: it may hold a private key.
#[derive(Clone)]
pub(super) struct Candidate {
    pub public: PublicKey,
    pub certificate: Option<Certificate>,
    /// Whether the agent knows the certificate itself, or only the key in it.
    pub certificate_in_agent: bool,
    pub signer: Signer,
}

impl Candidate {
    pub fn fingerprint(&self) -> String {
        self.public.fingerprint(HashAlg::Sha256).to_string()
    }

    /// What the key is called where it is kept.
    pub fn name(&self) -> String {
        match (&self.certificate, &self.signer) {
            (Some(certificate), _) => certificate.key_id().to_owned(),
            (None, Signer::File(file, _)) => file.display().to_string(),
            (None, Signer::Agent { comment }) => comment.clone(),
        }
    }

    pub fn refused(&self) -> Tried {
        let fingerprint = self.fingerprint();
        match (&self.certificate, &self.signer) {
            (Some(certificate), _) => Tried::Certificate { id: certificate.key_id().to_owned(), fingerprint },
            (None, Signer::File(file, _)) => Tried::Key { file: file.clone(), fingerprint },
            (None, Signer::Agent { comment }) => Tried::AgentKey { comment: comment.clone(), fingerprint },
        }
    }
}

/// All that can be offered, and what cannot.
#[derive(Default)]
pub(super) struct Identities {
    pub candidates: Vec<Candidate>,
    pub unusable: Vec<Tried>,
    pub agent: Option<Agent>,
}

/// The key that opened a node last in this run: most fleets have one key, and each refused offer costs a round trip.
#[derive(Debug, Default)]
pub(super) struct LastUsedKey(Mutex<Option<PublicKey>>);

impl LastUsedKey {
    pub fn remember(&self, key: &PublicKey) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(key.clone());
    }

    fn is(&self, key: &PublicKey) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().is_some_and(|known| known.key_data() == key.key_data())
    }
}

/// The key and certificate files that a run has read. Each is read and parsed again only once it is another, however many nodes it opens.
#[derive(Default)]
pub(super) struct KeyFiles {
    keys: Read<Held>,
    certificates: Read<Result<Certificate, String>>,
}

/// What stands in files, with their state when they were read.
type Read<T> = Mutex<HashMap<PathBuf, ([Option<Stamp>; 2], T)>>;

impl fmt::Debug for KeyFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyFiles")
    }
}

impl KeyFiles {
    fn key(&self, file: &Path) -> Held {
        once(&self.keys, file, read_key)
    }

    fn certificate(&self, file: &Path) -> Result<Certificate, String> {
        once(&self.certificates, file, read_certificate)
    }
}

fn once<T: Clone>(known: &Read<T>, file: &Path, read: impl FnOnce(&Path) -> T) -> T {
    // Held while it is read: all nodes of a run ask at once.
    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
    // What is written between the stamps and the reading is read again the next time.
    let stamps = [Stamp::of(file).ok(), Stamp::of(&beside(file)).ok()];
    if let Some((_, held)) = known.get(file).filter(|(seen, _)| *seen == stamps) {
        return held.clone();
    }
    let held = read(file);
    known.insert(file.to_owned(), (stamps, held.clone()));
    held
}

/// What a key file holds.
#[derive(Clone)]
enum Held {
    Private(Arc<PrivateKey>),
    /// Only the public half can be used: the agent must have the rest.
    Public(PublicKey, Tried),
    Nothing(Option<Tried>),
}

/// What the user's files hold.
pub(super) struct Files {
    held: Vec<(PathBuf, Held)>,
    certificates: Vec<Certificate>,
    unusable: Vec<Tried>,
}

/// Reads key and certificate files.
pub(super) fn read_files(config: &HostConfig, known: &KeyFiles) -> Files {
    let held = config.identities.iter().map(|file| (file.clone(), known.key(file))).collect();
    let (certificates, unusable) = read_certificates(&config.identities, &config.certificates, known);
    Files { held, certificates, unusable }
}

/// What the agent lists, and the way to it.
pub(super) type Listed = (Option<Agent>, Vec<Candidate>);

/// Gathers what may be offered to a host.
pub(super) fn collect(config: &HostConfig, files: Files, listed: Result<Listed, Tried>, favourite: &LastUsedKey) -> Identities {
    let Files { held, certificates, mut unusable } = files;
    let (agent, listed) = match listed {
        Ok((agent, listed)) => (agent, listed),
        Err(tried) => {
            unusable.push(tried);
            (None, Vec::new())
        }
    };
    let mut candidates = order(held, listed, config.identities_only, &mut unusable);
    with_certificates(&mut candidates, certificates);
    candidates.retain(|candidate| accepted_type(candidate, &config.key_types));
    candidates.sort_by_key(|candidate| !favourite.is(&candidate.public));
    Identities { candidates, unusable, agent }
}

/// The agent's own keys that stand in files first, then its others, then files that it does not hold (ssh(1), ssh_config(5)).
fn order(held: Vec<(PathBuf, Held)>, mut listed: Vec<Candidate>, only: bool, unusable: &mut Vec<Tried>) -> Vec<Candidate> {
    let (mut first, mut last) = (Vec::new(), Vec::new());
    let mut take = |public: &PublicKey| {
        let mut taken = Vec::new();
        while let Some(at) = listed.iter().position(|candidate| candidate.public.key_data() == public.key_data()) {
            taken.push(listed.remove(at));
        }
        taken
    };
    for (file, held) in held {
        match held {
            Held::Private(key) => {
                let public = key.public_key().clone();
                // A key that we can sign with ourselves needs no agent; a certificate that the agent has for it is kept.
                first.extend(take(&public).into_iter().filter(|candidate| candidate.certificate.is_some()));
                last.push(Candidate { public, certificate: None, certificate_in_agent: false, signer: Signer::File(file, key) });
            }
            Held::Public(public, otherwise) => match take(&public) {
                taken if taken.is_empty() => unusable.push(otherwise),
                taken => first.extend(taken),
            },
            Held::Nothing(why) => unusable.extend(why),
        }
    }
    if !only {
        first.extend(listed);
    }
    first.extend(last);
    first
}

/// Puts a file's certificate before the plain key that it certifies.
fn with_certificates(candidates: &mut Vec<Candidate>, certificates: Vec<Certificate>) {
    for certificate in certificates {
        let Some(at) = candidates.iter().position(|candidate| candidate.public.key_data() == certificate.public_key()) else { continue };
        let mut certified = candidates[at].clone();
        certified.certificate = Some(certificate);
        certified.certificate_in_agent = false;
        candidates.insert(at, certified);
    }
}

/// `PubkeyAcceptedAlgorithms`; an RSA key goes under any of its three names.
fn accepted_type(candidate: &Candidate, types: &[String]) -> bool {
    let names: Vec<String> = match (candidate.public.algorithm(), &candidate.certificate) {
        (Algorithm::Rsa { .. }, None) => ["rsa-sha2-512", "rsa-sha2-256", "ssh-rsa"].map(str::to_owned).into(),
        (Algorithm::Rsa { .. }, Some(_)) => {
            ["rsa-sha2-512", "rsa-sha2-256", "ssh-rsa"].map(|name| format!("{name}-cert-v01@openssh.com")).into()
        }
        (algorithm, None) => vec![algorithm.as_str().to_owned()],
        (algorithm, Some(_)) => vec![algorithm.to_certificate_type()],
    };
    types.is_empty() || names.iter().any(|name| types.contains(name))
}

fn read_key(file: &Path) -> Held {
    let text = match read_text(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let missing = || Tried::Missing { file: file.to_owned() };
            return match public_beside(file) {
                Some(public) => Held::Public(public, missing()),
                // OpenSSH says nothing of its own default names either.
                None => Held::Nothing((!is_default(file)).then(missing)),
            };
        }
        Err(error) => return Held::Nothing(Some(Tried::Unreadable { file: file.to_owned(), reason: error.to_string() })),
    };
    if let Ok(public) = PublicKey::from_openssh(text.trim()) {
        return Held::Public(public, Tried::PublicOnly { file: file.to_owned() });
    }
    if text.contains("BEGIN RSA PRIVATE KEY") {
        let rsa = Tried::RsaFile { file: file.to_owned() };
        return public_beside(file).map_or_else(|| Held::Nothing(Some(rsa.clone())), |public| Held::Public(public, rsa.clone()));
    }
    let parsed = PrivateKey::from_openssh(&text).map_err(|error| error.to_string());
    match parsed.or_else(|_| decode_secret_key(&text, None).map_err(|error| error.to_string())) {
        Ok(key) if matches!(key.algorithm(), Algorithm::Rsa { .. }) => {
            Held::Public(key.public_key().clone(), Tried::RsaFile { file: file.to_owned() })
        }
        Ok(key) if key.is_encrypted() => Held::Public(key.public_key().clone(), Tried::Encrypted { file: file.to_owned() }),
        Ok(key) => Held::Private(Arc::new(key)),
        Err(_) if text.contains("ENCRYPTED") => Held::Nothing(Some(Tried::Encrypted { file: file.to_owned() })),
        Err(reason) => Held::Nothing(Some(Tried::Unreadable { file: file.to_owned(), reason })),
    }
}

/// A comment may be in any character set; a key is ASCII.
fn read_text(file: &Path) -> io::Result<String> {
    files::read(file).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

fn read_certificate(file: &Path) -> Result<Certificate, String> {
    let text = read_text(file).map_err(|error| error.to_string())?;
    Certificate::from_openssh(text.trim()).map_err(|error| error.to_string())
}

/// Reads `FILE.pub`.
fn public_beside(file: &Path) -> Option<PublicKey> {
    PublicKey::from_openssh(read_text(&beside(file)).ok()?.trim()).ok()
}

/// `FILE.pub`.
fn beside(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".pub");
    name.into()
}

fn is_default(file: &Path) -> bool {
    const NAMES: [&str; 7] = ["id_rsa", "id_ecdsa", "id_ecdsa_sk", "id_ed25519", "id_ed25519_sk", "id_xmss", "id_dsa"];
    file.file_name().and_then(|name| name.to_str()).is_some_and(|name| NAMES.contains(&name))
}

/// Reads named certificates, and each `FILE-cert.pub`.
fn read_certificates(identities: &[PathBuf], named: &[PathBuf], known: &KeyFiles) -> (Vec<Certificate>, Vec<Tried>) {
    let (mut certificates, mut faults) = (Vec::new(), Vec::new());
    for file in named {
        match known.certificate(file) {
            Ok(certificate) => certificates.push(certificate),
            Err(reason) => faults.push(Tried::Unreadable { file: file.clone(), reason }),
        }
    }
    for identity in identities {
        let mut name = identity.as_os_str().to_owned();
        name.push("-cert.pub");
        if let Ok(certificate) = known.certificate(Path::new(&name)) {
            certificates.push(certificate);
        }
    }
    (certificates, faults)
}

/// Asks the agent for its keys.
pub(super) async fn list_agent(socket: &AgentSocket) -> Result<Listed, Tried> {
    let path = match socket {
        AgentSocket::None => return Ok((None, Vec::new())),
        AgentSocket::At(path) => path,
    };
    let asking = async {
        let mut agent = AgentClient::connect_uds(path).await.map_err(|error| error.to_string())?;
        let listed = agent.request_identities().await.map_err(|error| error.to_string())?;
        Ok::<_, String>((agent, listed))
    };
    let failed = |reason| Tried::Agent { socket: path.clone(), reason };
    let (agent, listed) = match timeout(AGENT_LISTS, asking).await {
        Ok(answer) => answer.map_err(failed)?,
        Err(_) => return Err(failed(format!("no answer within {} s", AGENT_LISTS.as_secs()))),
    };
    Ok((Some(agent), listed.into_iter().map(of_agent).collect()))
}

fn of_agent(identity: AgentIdentity) -> Candidate {
    match identity {
        AgentIdentity::PublicKey { key, comment } => {
            Candidate { public: key, certificate: None, certificate_in_agent: false, signer: Signer::Agent { comment } }
        }
        AgentIdentity::Certificate { certificate, comment } => Candidate {
            public: PublicKey::from(certificate.public_key().clone()),
            certificate: Some(certificate),
            certificate_in_agent: true,
            signer: Signer::Agent { comment },
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use russh::keys::ssh_key::LineEnding;
    use russh::keys::ssh_key::private::Ed25519Keypair;

    /// A key that was made for this test.
    fn private() -> String {
        let key = PrivateKey::from(Ed25519Keypair::from_seed(&[7; 32]));
        key.to_openssh(LineEnding::LF).unwrap().to_string()
    }

    #[test]
    fn a_key_file_is_parsed_once_and_again_when_it_is_another() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("id");
        let known = KeyFiles::default();
        assert!(matches!(known.key(&file), Held::Nothing(Some(Tried::Missing { .. }))));
        std::fs::write(&file, private()).unwrap();
        let Held::Private(first) = known.key(&file) else { panic!("no key") };
        for _ in 0..100 {
            assert!(matches!(known.key(&file), Held::Private(again) if Arc::ptr_eq(&again, &first)));
        }
        std::fs::remove_file(&file).unwrap();
        assert!(matches!(known.key(&file), Held::Nothing(_)));
        // Its public half is enough for an agent that holds the rest.
        std::fs::write(directory.path().join("id.pub"), first.public_key().to_openssh().unwrap()).unwrap();
        assert!(matches!(known.key(&file), Held::Public(..)));
    }
}
