//! What sealing found that must not be in an image.

use std::fmt;

/// Something that must not be in an image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Remains {
    /// Where, without what is secret in it.
    pub path: String,
    /// What it is.
    pub what: &'static str,
}

impl fmt::Display for Remains {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.what)
    }
}
