//! What a file shall hold.

use super::{Blob, SecretRef};
use serde::{Deserialize, Serialize};

/// Bytes that a file shall hold: public, by digest (the agent asks for those it lacks), or secret, by reference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Content {
    /// Public bytes.
    Blob(Blob),
    /// Secret bytes: never a blob, never in a plan, compared by HMAC.
    Secret(SecretRef),
}

impl Content {
    /// The secret bytes, if they are.
    pub fn secret(&self) -> Option<&SecretRef> {
        if let Self::Secret(secret) = self { Some(secret) } else { None }
    }
}
