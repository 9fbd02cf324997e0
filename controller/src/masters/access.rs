//! The way to one master: who opens its sockets, and whose word is taken for its certificate.

use super::dial::Dial;
use crate::mask::RunMask;

/// How a master is reached.
#[derive(Clone, Default)]
pub struct Access {
    /// Opens every connection; none: this process does.
    pub dial: Option<Dial>,
    /// Certificates in PEM, its own or of authorities, that alone may vouch for it; none: the public authorities may (Mozilla's, as built in).
    pub trust: Option<String>,
    /// What nothing that is told of it may show; what is sent to it and given by it in secret is added.
    pub mask: RunMask,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access").field("is_dialled", &self.dial.is_some()).field("trust", &self.trust).finish()
    }
}
