//! What travels with a value.

use std::collections::BTreeSet;
use std::sync::Arc;

/// What travels with a value through every expression and template.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Marks {
    /// The secrets it was made of, by name; empty for a public value.
    pub secrets: BTreeSet<Arc<str>>,
    /// It belongs to this node alone: its name, host, addresses, host keys.
    pub own: bool,
    /// It is of the machine that the node is, and of no other that has the same system: its processors, its memory, what it runs in. While
    /// an image is built these are the builder's.
    pub machine: bool,
    /// A secret decided which value this is, or whether it is any: not even that may be told.
    pub chosen: bool,
    /// Nobody gave it yet: it stands for any value of its type.
    pub assumed: bool,
}

impl Marks {
    /// Those of both.
    pub fn join(&mut self, other: &Self) {
        self.secrets.extend(other.secrets.iter().cloned());
        self.own |= other.own;
        self.machine |= other.machine;
        self.chosen |= other.chosen;
        self.assumed |= other.assumed;
    }

    /// The same as those of a value that a secret among them chose; public ones choose nothing that must be hidden.
    #[must_use]
    pub fn choosing(mut self) -> Self {
        self.chosen |= self.is_secret();
        self
    }

    /// Whether the value must not be shown.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        !self.secrets.is_empty()
    }

    /// The names of the secrets, for people.
    #[must_use]
    pub fn secret_names(&self) -> String {
        self.secrets.iter().map(AsRef::as_ref).collect::<Vec<&str>>().join("+")
    }
}
