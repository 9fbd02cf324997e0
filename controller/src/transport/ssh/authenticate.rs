//! Logging in with keys: each offered once, in order, until the server takes one.

use std::collections::HashSet;

use russh::client::{AuthResult, Handle};
use russh::keys::agent::AgentIdentity;
use russh::keys::{Algorithm, HashAlg, PrivateKeyWithHashAlg, PublicKey};
use russh::{MethodKind, MethodSet};
use tokio::time::timeout;

use super::handshake::ConnectionEnd;
use super::host_key::Checker;
use super::identity::{Agent, Candidate, Identities, LastUsedKey, Signer};
use crate::transport::config::HostConfig;
use crate::transport::deadlines::Deadlines;
use crate::transport::error::ConnectFault;
use crate::transport::link::Login;
use crate::transport::login::{NO_MORE_TRIES, Tried};

/// Offers keys until one is taken.
pub(super) async fn log_in(
    handle: &mut Handle<Checker>,
    config: &HostConfig,
    identities: Identities,
    favourite: &LastUsedKey,
    deadlines: &Deadlines,
    lost: &ConnectionEnd,
) -> Result<Option<Login>, ConnectFault> {
    let Identities { candidates, unusable, mut agent } = identities;
    let mut tried = Vec::new();
    let mut accepts: Option<Vec<String>> = None;
    let mut seen = HashSet::new();
    let line = |candidate: &Candidate| candidate.public.to_openssh().ok();
    let keys: Vec<String> = candidates.iter().filter(|candidate| candidate.certificate.is_none()).filter_map(line).collect();
    for candidate in candidates {
        if !seen.insert((candidate.fingerprint(), candidate.certificate.is_some())) {
            continue;
        }
        let offered = timeout(deadlines.authenticate, offer(handle, config, &candidate, agent.as_mut())).await;
        let answer = offered.map_err(|_| ConnectFault::StepTimeout { step: "login", seconds: deadlines.authenticate.as_secs() })?;
        match answer {
            Ok(AuthResult::Success) => {
                favourite.remember(&candidate.public);
                let key = line(&candidate).filter(|_| candidate.certificate.is_none());
                return Ok(key.map(|key| Login { user: config.user.clone(), key, offered: keys }));
            }
            Ok(AuthResult::Failure { remaining_methods, .. }) if handle.is_closed() && remaining_methods.is_empty() => {
                tried.push(candidate.refused());
                return Err(gave_up(config, tried, unusable, accepts, lost));
            }
            Ok(AuthResult::Failure { remaining_methods, partial_success }) => {
                let more_wanted = || Tried::MoreWanted { fingerprint: candidate.fingerprint() };
                tried.push(if partial_success { more_wanted() } else { candidate.refused() });
                let keys_go_on = remaining_methods.contains(&MethodKind::PublicKey);
                accepts = Some(names(&remaining_methods));
                if !keys_go_on {
                    break;
                }
            }
            Err(OfferError::NotSigned(reason)) => {
                tried.push(Tried::NotSigned { name: candidate.name(), reason });
            }
            Err(OfferError::OnlySha1) => tried.push(Tried::OnlySha1 { name: candidate.name() }),
            Err(OfferError::Cut) => {
                return Err(lost.in_login());
            }
        }
    }
    let accepts = match accepts {
        Some(accepts) => accepts,
        None => ask(handle, &config.user, deadlines).await,
    };
    tried.extend(unusable);
    Err(ConnectFault::NotLetIn { user: config.user.clone(), tried, accepts })
}

/// The server ended the connection after an offer: too many tries (`MaxAuthTries`), or something worse.
fn gave_up(
    config: &HostConfig,
    mut tried: Vec<Tried>,
    unusable: Vec<Tried>,
    accepts: Option<Vec<String>>,
    lost: &ConnectionEnd,
) -> ConnectFault {
    if let Some(fault) = lost.no_login() {
        return fault;
    }
    match accepts {
        None if tried.len() < 2 => lost.in_login(),
        accepts => {
            tried.extend(unusable);
            let mut accepts = accepts.unwrap_or_default();
            accepts.push(format!("{NO_MORE_TRIES} ({})", lost.reason()));
            ConnectFault::NotLetIn { user: config.user.clone(), tried, accepts }
        }
    }
}

/// Why an offer has no answer.
enum OfferError {
    NotSigned(String),
    /// The server takes RSA signatures with SHA-1 alone, or the user's list leaves no other.
    OnlySha1,
    Cut,
}

impl From<russh::Error> for OfferError {
    fn from(_: russh::Error) -> Self {
        OfferError::Cut
    }
}

async fn offer(
    handle: &mut Handle<Checker>,
    config: &HostConfig,
    candidate: &Candidate,
    agent: Option<&mut Agent>,
) -> Result<AuthResult, OfferError> {
    let user = &config.user;
    let hash = match candidate.public.algorithm() {
        Algorithm::Rsa { .. } => rsa_hash(&config.key_types, handle.best_supported_rsa_hash().await?).ok_or(OfferError::OnlySha1)?,
        _ => None,
    };
    match (&candidate.signer, &candidate.certificate) {
        (Signer::File(_, key), None) => Ok(handle.authenticate_publickey(user, PrivateKeyWithHashAlg::new(key.clone(), hash)).await?),
        (Signer::File(_, key), Some(certificate)) => Ok(handle.authenticate_openssh_cert(user, key.clone(), certificate.clone()).await?),
        (Signer::Agent { .. }, certificate) => {
            let Some(agent) = agent else { return Err(OfferError::NotSigned("the agent is gone".to_owned())) };
            let mut signer = AgentSigner { agent, plain: (!candidate.certificate_in_agent).then(|| candidate.public.clone()) };
            match certificate {
                None => handle.authenticate_publickey_with(user, candidate.public.clone(), hash, &mut signer).await,
                Some(certificate) => handle.authenticate_certificate_with(user, certificate.clone(), hash, &mut signer).await,
            }
        }
    }
}

/// How an RSA key signs: `Some(None)` is SHA-1, which is broken (RFC 8332, 6) and is used only where the user's own `PubkeyAcceptedAlgorithms` name
/// `ssh-rsa`. `best` is the best that the server says it takes, if it says anything (RFC 8308, `server-sig-algs`). None: not at all.
fn rsa_hash(accepted: &[String], best: Option<Option<HashAlg>>) -> Option<Option<HashAlg>> {
    let allows = |name: &str| accepted.iter().any(|known| known == name || known.strip_suffix("-cert-v01@openssh.com") == Some(name));
    let is_allowed = |hash: &Option<HashAlg>| match hash {
        Some(HashAlg::Sha512) => accepted.is_empty() || allows("rsa-sha2-512"),
        Some(_) => accepted.is_empty() || allows("rsa-sha2-256"),
        None => allows("ssh-rsa"),
    };
    let all = [Some(HashAlg::Sha512), Some(HashAlg::Sha256), None];
    // A server that takes SHA-512 takes SHA-256 too: OpenSSH, libssh, Dropbear, MINA name both.
    let from = best.and_then(|best| all.iter().position(|hash| *hash == best)).unwrap_or(0);
    all[from..].iter().find(|hash| is_allowed(hash)).copied()
}

/// Signs through the agent; with the plain key where the agent does not know the certificate made of it.
struct AgentSigner<'a> {
    agent: &'a mut Agent,
    plain: Option<PublicKey>,
}

impl russh::Signer for AgentSigner<'_> {
    type Error = OfferError;

    async fn auth_sign(&mut self, key: &AgentIdentity, hash: Option<HashAlg>, to_sign: Vec<u8>) -> Result<Vec<u8>, OfferError> {
        let plain = self.plain.clone().map(AgentIdentity::from);
        let signed = self.agent.sign_request(plain.as_ref().unwrap_or(key), hash, to_sign).await;
        signed.map_err(|error| OfferError::NotSigned(error.to_string()))
    }
}

impl From<russh::SendError> for OfferError {
    fn from(_: russh::SendError) -> Self {
        OfferError::Cut
    }
}

/// With nothing to offer, asks what the server would take.
async fn ask(handle: &mut Handle<Checker>, user: &str, deadlines: &Deadlines) -> Vec<String> {
    match timeout(deadlines.authenticate, handle.authenticate_none(user)).await {
        Ok(Ok(AuthResult::Failure { remaining_methods, .. })) => names(&remaining_methods),
        Ok(Ok(AuthResult::Success)) => vec!["anybody, without a key".to_owned()],
        Ok(Err(_)) | Err(_) => Vec::new(),
    }
}

fn names(methods: &MethodSet) -> Vec<String> {
    methods.iter().map(|method| <&'static str>::from(method).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_rsa_key_signs_with_sha1_only_where_the_users_list_says_so() {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let (sha512, sha256, sha1) = (Some(HashAlg::Sha512), Some(HashAlg::Sha256), None);
        let rows = [
            (list(&[]), None, Some(sha512)),
            (list(&[]), Some(sha512), Some(sha512)),
            (list(&[]), Some(sha256), Some(sha256)),
            (list(&[]), Some(sha1), None),
            (list(&["ssh-ed25519", "rsa-sha2-256"]), Some(sha512), Some(sha256)),
            (list(&["rsa-sha2-512"]), Some(sha256), None),
            (list(&["rsa-sha2-512", "rsa-sha2-256"]), Some(sha1), None),
            (list(&["rsa-sha2-512", "ssh-rsa"]), Some(sha1), Some(sha1)),
            (list(&["ssh-rsa"]), None, Some(sha1)),
            (list(&["rsa-sha2-512-cert-v01@openssh.com"]), None, Some(sha512)),
        ];
        for (accepted, best, expected) in rows {
            assert_eq!(rsa_hash(&accepted, best), expected, "{accepted:?}, {best:?}");
        }
    }
}
