//! Whether a host certificate holds for this host now. Who signed it is the caller's question; the rest is asked here,
//! for the SSH library checks neither purpose nor principals. Pure.

use std::time::{SystemTime, UNIX_EPOCH};

use russh::keys::ssh_key::certificate::CertType;
use russh::keys::{Certificate, HashAlg};

/// What is wrong with a certificate that a known authority signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateFault {
    /// Its authority's key is of a type that we cannot verify (RSA), or that `CASignatureAlgorithms` leaves out.
    #[error("it is signed by a key of type {0}, which cannot be verified here or is left out of CASignatureAlgorithms")]
    Authority(String),
    /// It certifies a user.
    #[error("it is a user's certificate")]
    ForUser,
    /// It names other hosts.
    #[error("it is for {}, not for {host}", principals.join(", "))]
    OtherHost {
        /// Whom it names.
        principals: Vec<String>,
        /// Whom we asked for.
        host: String,
    },
    /// It names no host at all; OpenSSH lets such a certificate speak for every host.
    #[error("it names no host")]
    NoHost,
    /// Its time has not come or has passed, or its signature is wrong.
    #[error("it is not valid now (valid from {from} until {until}, in seconds since 1970) or its signature is wrong")]
    NotValid {
        /// First second.
        from: u64,
        /// First second after.
        until: u64,
    },
    /// It carries an option that we must understand and do not (none is defined for hosts).
    #[error("it carries the critical option `{0}`")]
    CriticalOption(String),
}

/// Checks purpose, options, principals, time and signature.
pub(super) fn check(certificate: &Certificate, host: &str, now: SystemTime) -> Result<(), CertificateFault> {
    match certificate.cert_type() {
        CertType::Host => {}
        CertType::User => return Err(CertificateFault::ForUser),
    }
    if let Some((name, _)) = certificate.critical_options().iter().next() {
        return Err(CertificateFault::CriticalOption(name.to_owned()));
    }
    let principals = certificate.valid_principals();
    if principals.is_empty() {
        return Err(CertificateFault::NoHost);
    }
    // Letter by letter, no wildcards, as OpenSSH does; `host` is in lower case.
    if !principals.iter().any(|principal| principal == host) {
        return Err(CertificateFault::OtherHost { principals: principals.to_vec(), host: host.to_owned() });
    }
    let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let authority = certificate.signature_key().fingerprint(HashAlg::Sha256);
    certificate
        .validate_at(seconds, [&authority])
        .map_err(|_| CertificateFault::NotValid { from: certificate.valid_after(), until: certificate.valid_before() })
}
