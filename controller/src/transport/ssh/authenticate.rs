//! Logging in with keys: each offered once, in order, until the server takes one.

use std::collections::HashSet;

use russh::client::{AuthResult, Handle};
use russh::keys::agent::AgentIdentity;
use russh::keys::{Algorithm, HashAlg, PrivateKeyWithHashAlg, PublicKey};
use russh::{MethodKind, MethodSet};
use tokio::time::timeout;

use super::handshake::Lost;
use super::host_key::Checker;
use super::identity::{Agent, Candidate, Favourite, Identities, Signer, Tried};
use crate::transport::config::HostConfig;
use crate::transport::deadlines::Deadlines;
use crate::transport::error::ConnectFault;

/// Offers keys until one is taken.
pub(super) async fn log_in(
    handle: &mut Handle<Checker>,
    config: &HostConfig,
    identities: Identities,
    favourite: &Favourite,
    deadlines: &Deadlines,
    lost: &Lost,
) -> Result<(), ConnectFault> {
    let Identities { candidates, unusable, mut agent } = identities;
    let mut tried = Vec::new();
    let mut accepts: Option<Vec<String>> = None;
    let mut seen = HashSet::new();
    for candidate in candidates {
        if !seen.insert((candidate.fingerprint(), candidate.certificate.is_some())) {
            continue;
        }
        let offered = timeout(deadlines.authenticate, offer(handle, &config.user, &candidate, agent.as_mut())).await;
        let answer = offered.map_err(|_| ConnectFault::StepTimeout { step: "login", seconds: deadlines.authenticate.as_secs() })?;
        match answer {
            Ok(AuthResult::Success) => {
                favourite.remember(&candidate.public);
                return Ok(());
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
fn gave_up(config: &HostConfig, mut tried: Vec<Tried>, unusable: Vec<Tried>, accepts: Option<Vec<String>>, lost: &Lost) -> ConnectFault {
    if let Some(fault) = lost.no_login() {
        return fault;
    }
    match accepts {
        None if tried.len() < 2 => lost.in_login(),
        accepts => {
            tried.extend(unusable);
            let mut accepts = accepts.unwrap_or_default();
            accepts.push(format!("no more tries ({})", lost.reason()));
            ConnectFault::NotLetIn { user: config.user.clone(), tried, accepts }
        }
    }
}

/// Why an offer has no answer.
enum OfferError {
    NotSigned(String),
    Cut,
}

impl From<russh::Error> for OfferError {
    fn from(_: russh::Error) -> Self {
        OfferError::Cut
    }
}

async fn offer(
    handle: &mut Handle<Checker>,
    user: &str,
    candidate: &Candidate,
    agent: Option<&mut Agent>,
) -> Result<AuthResult, OfferError> {
    let hash = match candidate.public.algorithm() {
        Algorithm::Rsa { .. } => handle.best_supported_rsa_hash().await?.unwrap_or(Some(HashAlg::Sha512)),
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
