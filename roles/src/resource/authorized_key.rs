//! `authorized_key`: one public key that may log in to an account (sshd(8), AUTHORIZED_KEYS FILE FORMAT).

use super::{Contradiction, Describe, Effect, Resource, Shown};
use crate::words::AccountName;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// One key of one account as it shall be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desired {
    /// Whose login.
    pub user: AccountName,
    /// Algorithm and base64 blob: what identifies the key.
    pub key: KeyBlob,
    /// The comment written behind it.
    pub comment: String,
    /// Options written before it, joined with commas; empty for none.
    pub options: String,
    /// The key shall not be there.
    pub absent: bool,
    /// When set, keys of the account that are not in it go: the keys that any role of this node declares.
    pub only: Option<BTreeSet<KeyBlob>>,
}

/// Algorithm and base64 blob of a public key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KeyBlob {
    /// `ssh-ed25519`, ...
    pub algorithm: String,
    /// Base64.
    pub blob: String,
}

impl KeyBlob {
    /// The last twelve characters of the blob: enough for people to tell keys apart.
    pub fn short(&self) -> String {
        let tail: String = self.blob.trim_end_matches('=').chars().rev().take(12).collect();
        format!("{} ...{}", self.algorithm, tail.chars().rev().collect::<String>())
    }
}

/// The account's keys as found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    /// Whether the account exists.
    pub user_exists: bool,
    /// Every key with its options and comment.
    pub keys: Vec<ObservedKey>,
    /// What is wrong with owner or mode of the file or its directory, so that sshd would ignore it (StrictModes).
    pub unsafe_modes: Option<String>,
}

/// One line of the files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedKey {
    /// Algorithm and blob.
    pub key: KeyBlob,
    /// Options; empty for none.
    pub options: String,
    /// Comment.
    pub comment: String,
    /// It stands in a further file that sshd reads as well (sshd_config(5), AuthorizedKeysFile) and nothing is written into: its name.
    #[serde(default)]
    pub elsewhere: Option<String>,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// Add the key.
    Add,
    /// Other options or comment.
    Rewrite {
        /// Options and comment found.
        from: String,
        /// Options and comment wanted.
        to: String,
    },
    /// Take this key away.
    Remove(KeyBlob),
    /// Take it away from a further file that sshd reads.
    RemoveElsewhere {
        /// Which key.
        key: KeyBlob,
        /// The file's name.
        file: String,
    },
    /// Owner and mode as sshd wants them.
    Modes(String),
}

impl Describe for Change {
    fn shown(&self) -> Shown {
        match self {
            Self::Add => Shown::new("key", "absent", "present"),
            Self::Rewrite { from, to } => Shown::new("options", from, to),
            Self::Remove(key) => Shown::new("key", key.short(), "absent"),
            Self::RemoveElsewhere { key, file } => Shown::new(&format!("key in {file}"), key.short(), "absent"),
            Self::Modes(found) => Shown::new("modes", found, "private to the account"),
        }
    }
}

impl Resource for Desired {
    type Observed = Observed;
    type Change = Change;

    fn key(&self) -> String {
        format!("{}/{}", self.user, self.key.short())
    }

    fn diff(&self, observed: &Observed) -> Result<Vec<Change>, Contradiction> {
        let mut changes = Vec::new();
        // sshd takes the first line that lets the key in: one that is wrong counts before one that is right.
        let same = || observed.keys.iter().filter(|found| found.key == self.key && found.elsewhere.is_none());
        let found = same().find(|found| found.options != self.options || found.comment != self.comment).or_else(|| same().next());
        match (self.absent, found) {
            (true, Some(_)) => changes.push(Change::Remove(self.key.clone())),
            (false, None) => changes.push(Change::Add),
            (false, Some(found)) if found.options != self.options || found.comment != self.comment => changes.push(Change::Rewrite {
                from: format!("{} {}", found.options, found.comment).trim().to_owned(),
                to: format!("{} {}", self.options, self.comment).trim().to_owned(),
            }),
            (true, None) | (false, Some(_)) => {}
        }
        if let Some(only) = &self.only {
            let foreign = observed.keys.iter().filter(|found| !only.contains(&found.key) && found.key != self.key);
            changes.extend(foreign.filter(|found| found.elsewhere.is_none()).map(|found| Change::Remove(found.key.clone())));
        }
        // What further files hold lets in too: there a key is foreign, or our own without the options that restrict it.
        let foreign = |found: &ObservedKey| self.only.as_ref().is_some_and(|only| !only.contains(&found.key) && found.key != self.key);
        let open = |found: &ObservedKey| found.key == self.key && (self.absent || found.options != self.options);
        let further = observed.keys.iter().filter(|found| foreign(found) || open(found));
        let further: BTreeSet<(&KeyBlob, &String)> = further.filter_map(|found| Some((&found.key, found.elsewhere.as_ref()?))).collect();
        changes.extend(further.into_iter().map(|(key, file)| Change::RemoveElsewhere { key: key.clone(), file: file.clone() }));
        if let (false, Some(found)) = (self.absent, &observed.unsafe_modes) {
            changes.push(Change::Modes(found.clone()));
        }
        Ok(changes)
    }

    fn provides(&self) -> Vec<Effect> {
        Vec::new()
    }

    fn needs(&self) -> Vec<Effect> {
        vec![Effect::User(self.user.clone())]
    }

    fn unchanged(&self, _observed: &Observed) -> String {
        if self.absent { "is not there".to_owned() } else { format!("may log in as {}", self.user) }
    }
}
