//! The way to one master: who opens its sockets, and whose word is taken for its certificate.

use super::dial::Dial;
use std::sync::Arc;
use ureq::tls::{PemItem, RootCerts, parse_pem};

/// How a master is reached.
#[derive(Clone, Default)]
pub struct Way {
    /// Opens every connection; none: this process does.
    pub dial: Option<Dial>,
    /// Certificates in PEM that alone may vouch for it; none: the public authorities may (Mozilla's, as built in).
    pub trust: Option<String>,
}

impl std::fmt::Debug for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Way").field("is_dialled", &self.dial.is_some()).field("trust", &self.trust).finish()
    }
}

impl Way {
    /// Who may vouch for the master; none when its `trust` holds no certificate or a broken one.
    pub(super) fn roots(&self) -> Option<RootCerts> {
        let Some(pem) = &self.trust else { return Some(RootCerts::WebPki) };
        let mut certificates = Vec::new();
        for item in parse_pem(pem.as_bytes()) {
            match item {
                Ok(PemItem::Certificate(certificate)) => certificates.push(certificate),
                Ok(_) => {}
                Err(_) => return None,
            }
        }
        (!certificates.is_empty()).then(|| RootCerts::Specific(Arc::new(certificates)))
    }
}
