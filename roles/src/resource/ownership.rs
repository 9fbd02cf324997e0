//! Owner, group and mode: the same for files, directories and downloads.

use super::{Effect, Shown};
use crate::words::{AccountName, Mode};
use serde::{Deserialize, Serialize};

/// Who owns an entry of the file system, and its permission bits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ownership {
    /// The owner's account.
    pub owner: AccountName,
    /// The owning group; the owner's primary group where none is written.
    pub group: Option<AccountName>,
    /// Permission bits.
    pub mode: Mode,
}

/// As found on the node; a number where the account database has no name for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedOwnership {
    /// The owner's name, or its number.
    pub owner: String,
    /// The group's name, or its number.
    pub group: String,
    /// Permission bits.
    pub mode: Mode,
    /// The desired owner's primary group, where the desired owner exists.
    pub primary_group: Option<String>,
}

/// One change of ownership.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum OwnershipChange {
    /// Another owner.
    Owner {
        /// Who it is.
        from: String,
        /// Who it shall be.
        to: AccountName,
    },
    /// Another group.
    Group {
        /// Which it is.
        from: String,
        /// Which it shall be.
        to: String,
    },
    /// Other permission bits.
    Mode {
        /// What they are.
        from: Mode,
        /// What they shall be.
        to: Mode,
    },
}

impl OwnershipChange {
    /// The change as people read it.
    pub fn shown(&self) -> Shown {
        match self {
            Self::Owner { from, to } => Shown::new("owner", from, to),
            Self::Group { from, to } => Shown::new("group", from, to),
            Self::Mode { from, to } => Shown::new("mode", from, to),
        }
    }
}

impl Ownership {
    /// Owned by root, with these bits.
    pub fn root(mode: Mode) -> Self {
        #[expect(clippy::expect_used, reason = "`root` keeps the alphabet of account names")]
        let root = AccountName::parse("root").expect("root is an account name");
        Self { owner: root, group: None, mode }
    }
    /// What must change.
    pub fn diff(&self, observed: &ObservedOwnership) -> Vec<OwnershipChange> {
        let mut changes = Vec::new();
        if observed.owner != self.owner.as_str() {
            changes.push(OwnershipChange::Owner { from: observed.owner.clone(), to: self.owner.clone() });
        }
        let group = self.group.as_ref().map(|group| group.as_str().to_owned()).or_else(|| observed.primary_group.clone());
        if let Some(group) = group.filter(|group| *group != observed.group) {
            changes.push(OwnershipChange::Group { from: observed.group.clone(), to: group });
        }
        if observed.mode != self.mode {
            changes.push(OwnershipChange::Mode { from: observed.mode, to: self.mode });
        }
        changes
    }
    /// The accounts it names.
    pub fn needs(&self) -> Vec<Effect> {
        let mut effects = vec![Effect::User(self.owner.clone())];
        effects.extend(self.group.iter().cloned().map(Effect::Group));
        effects
    }
}
