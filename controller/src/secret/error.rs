//! What can go wrong with secrets.

use crate::private::FileError;
use ostler_roles::mask::SHORTEST;
use ostler_roles::words::NameError;
use std::path::PathBuf;

/// Largest secret: keys and passwords are far smaller, and every spelling of it is looked for in all that is printed.
pub(super) const CAP: u64 = 64 * 1024;

/// What can go wrong with secrets. No variant carries a value.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The identity file is open to others.
    #[error("{path} has mode {mode:04o}: others may read it (chmod 600 it)")]
    OpenToOthers {
        /// Which.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// A line of the identity file is no identity.
    #[error("{path}:{line}: not an age identity (AGE-SECRET-KEY-1...)")]
    NotAnIdentity {
        /// Which.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
    },
    /// A recipient of the site is none.
    #[error("`{0}` is not an age public key (age1...): a letter of it is wrong")]
    NotARecipient(String),
    /// The site names no recipient.
    #[error("ostler.yaml names no recipients: add `secrets: {{recipients: [age1...]}}`")]
    NoRecipients,
    /// The secret cannot be opened with the identities at hand.
    #[error("secret {name} cannot be opened: {why}")]
    CannotOpen {
        /// Which.
        name: String,
        /// Why.
        why: String,
    },
    /// There is such a secret already, with another value.
    #[error("secret {0} is there already with another value; --replace replaces it")]
    Exists(String),
    /// The name is no secret's name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A value that could not be masked.
    #[error("secret {0} has fewer than {SHORTEST} characters: it stands in ordinary words, and could not be kept out of what is printed")]
    TooShort(String),
    /// An empty value.
    #[error("the value is empty")]
    Empty,
    /// The value is too long.
    #[error("the value is longer than {CAP} bytes")]
    TooLong,
    /// A key could not be made.
    #[error("make a key: {0}")]
    Generate(String),
}
