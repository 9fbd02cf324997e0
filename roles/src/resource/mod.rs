//! Resource kinds: what is desired, what is observed, and the pure difference. One file a kind.

mod alterations;
mod at_rest;
mod each_kind;
mod effect;
pub mod ownership;

macro_rules! modules {
    ($($(#[$doc:meta])* $variant:ident = $word:ident;)*) => { $(pub mod $word;)* };
}
crate::each_kind!(modules);

pub use alterations::Alterations;
pub use at_rest::AtRest;
pub use effect::{Effect, Standing};
pub use ownership::Ownership;

use crate::words::{AbsPath, Content, SecretRef};
use serde::{Deserialize, Serialize};

/// Kind and identity (path, name): stable across edits of everything else. Printed as written in roles: `file /etc/motd`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ResourceId {
    /// The kind's word.
    pub kind: Kind,
    /// The kind's natural key.
    pub key: String,
}

impl std::fmt::Display for ResourceId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.kind.word(), self.key)
    }
}

/// One difference as people read it: a field, what it is, what it shall be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// The field's word in a role, or the resource's presence.
    pub field: String,
    /// What was observed.
    pub from: String,
    /// What is desired.
    pub to: String,
    /// What of it must still be so when its turn comes.
    #[serde(default, skip_serializing_if = "Basis::is_node")]
    pub basis: Basis,
}

/// What a difference rests on: how much of it must have been shown before it may be made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// The node: what is there now was seen by whoever agreed, and what it becomes.
    #[default]
    Node,
    /// The node, but what is there goes on by itself (a unit that systemd tries again, a file that is being fetched): what it becomes was seen.
    Passing,
    /// What is not on the node (how far an origin has gone on, whether it answers): whoever wants the resource wants this too.
    Beyond,
}

impl Basis {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
    fn is_node(&self) -> bool {
        *self == Self::Node
    }
}

/// Field, present value where it must still be so, future value.
pub type Essence<'s> = (&'s str, Option<&'s str>, &'s str);

impl Shown {
    /// A difference in `field`.
    pub fn new(field: &str, from: impl std::fmt::Display, to: impl std::fmt::Display) -> Self {
        Self { field: field.to_owned(), from: from.to_string(), to: to.to_string(), basis: Basis::Node }
    }

    /// The same, resting on something else than on the node as it is.
    #[must_use]
    pub fn resting_on(self, basis: Basis) -> Self {
        Self { basis, ..self }
    }

    /// Whether it is among those that were shown, as far as it rests on what was.
    pub fn is_among(&self, shown: &[Self]) -> bool {
        match self.basis {
            Basis::Node => shown.contains(self),
            Basis::Passing => shown.iter().any(|one| (&one.field, &one.to) == (&self.field, &self.to)),
            Basis::Beyond => true,
        }
    }

    /// What of it must still be true when its turn comes: none of what rests on nothing here.
    pub fn essence(&self) -> Option<Essence<'_>> {
        let from = (self.basis == Basis::Node).then_some(self.from.as_str());
        (self.basis != Basis::Beyond).then_some((&self.field, from, &self.to))
    }
}

/// Why a difference cannot be mended by us: the desired state and the node contradict each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{why}")]
pub struct Contradiction {
    /// What stands in the way.
    pub why: String,
    /// What a person can do.
    pub hint: String,
}

impl Contradiction {
    /// At the path stands something of another kind than the role's.
    pub(crate) fn other_kind(path: &AbsPath, stands: &str, wanted: &str) -> Self {
        let hint = if stands == "symbolic link" {
            "name what it leads to in the role, or move it away by hand"
        } else {
            "move it away by hand: nothing of others is replaced unasked"
        };
        Self { why: format!("{path} is a {stands}, not a {wanted}"), hint: hint.to_owned() }
    }
}

/// What every kind declares, purely.
pub trait Resource: Sized {
    /// What can be read of it on a node.
    type Observed;
    /// One typed change.
    type Change: Describe + Clone;
    /// Its identity among resources of its kind.
    fn key(&self) -> String;
    /// What must change so that `observed` becomes this; empty when it is so already.
    ///
    /// # Errors
    /// When the two contradict each other and no change of ours may mend it.
    fn diff(&self, observed: &Self::Observed) -> Result<Vec<Self::Change>, Contradiction>;
    /// What exists once this is applied.
    fn provides(&self) -> Vec<Effect>;
    /// What its observation or application reads of the node.
    fn needs(&self) -> Vec<Effect>;
    /// One sentence for "unchanged": why nothing is to be done.
    fn unchanged(&self, observed: &Self::Observed) -> String;
    /// What is not as wished and cannot be mended from here, though nothing fails for it: told in every run.
    fn shortfalls(&self, _observed: &Self::Observed) -> Vec<String> {
        Vec::new()
    }
    /// Public and secret contents that must be at hand to apply it.
    fn contents(&self) -> Vec<&Content> {
        Vec::new()
    }
    /// Secrets that must be at hand to apply it.
    fn secrets(&self) -> Vec<&SecretRef> {
        self.contents().into_iter().filter_map(Content::secret).collect()
    }
    /// Where it stands in the tree of files: who watches a directory above hears of it. None: nowhere.
    fn path(&self) -> Option<&AbsPath> {
        None
    }
    /// What is to be read again behind it.
    fn alters(&self) -> Vec<Effect> {
        self.provides()
    }
    /// Whether consecutive ones make one transaction.
    const TRANSACTION: bool = false;
    /// What of it is made so in an image while that is built: a sentence of the reference.
    const AT_REST: &'static str;
    /// The same of this one. Without a default: whoever adds a kind says it.
    fn at_rest(&self) -> AtRest<Self>;
}

/// How a change is shown in plans and reports.
pub trait Describe {
    /// The change as a field, its present and its future value.
    fn shown(&self) -> Shown;
    /// Whether it makes a path where nothing is: then nothing of it, its owner included, is compared before.
    fn makes_path(&self) -> bool {
        false
    }
}

/// A kind's own types, as members of the closed sets of all kinds.
pub trait Member: Resource<Observed: Into<Observed>> {
    /// The desired state, if it is one of this kind.
    fn desired(of: &Desired) -> Option<&Self>;
    /// The observed state, if it is one of this kind.
    fn observed(of: &Observed) -> Option<&Self::Observed>;
}

macro_rules! sets {
    ($($(#[$doc:meta])* $variant:ident = $word:ident;)*) => {
        /// The words for kinds, as in roles and reports.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Kind { $($(#[$doc])* $variant),* }

        impl Kind {
            /// All kinds, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];
            /// The kind's word.
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => stringify!($word)),* }
            }
            /// Whether consecutive resources of it make one transaction.
            pub fn is_transaction(self) -> bool {
                match self { $(Self::$variant => $word::Desired::TRANSACTION),* }
            }
            /// What of it is made so in an image while that is built, in a sentence.
            pub fn at_rest(self) -> &'static str {
                match self { $(Self::$variant => $word::Desired::AT_REST),* }
            }
        }

        /// What one resource of a node shall be.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Desired { $($(#[$doc])* $variant($word::Desired)),* }

        /// What was read of it on the node.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Observed { $($(#[$doc])* $variant($word::Observed)),* }

        impl Desired {
            /// Its kind.
            pub fn kind(&self) -> Kind {
                match self { $(Self::$variant(_) => Kind::$variant),* }
            }
            /// Kind and identity.
            pub fn id(&self) -> ResourceId {
                ResourceId { kind: self.kind(), key: match self { $(Self::$variant(desired) => desired.key()),* } }
            }
            /// What exists once this is applied.
            pub fn provides(&self) -> Vec<Effect> {
                match self { $(Self::$variant(desired) => desired.provides()),* }
            }
            /// What its observation or application reads of the node.
            pub fn needs(&self) -> Vec<Effect> {
                match self { $(Self::$variant(desired) => desired.needs()),* }
            }
            /// What is to be read again behind it.
            pub fn alters(&self) -> Vec<Effect> {
                match self { $(Self::$variant(desired) => desired.alters()),* }
            }
            /// Contents that must be at hand to apply it.
            pub fn contents(&self) -> Vec<&Content> {
                match self { $(Self::$variant(desired) => desired.contents()),* }
            }
            /// Secrets that must be at hand to apply it.
            pub fn secrets(&self) -> Vec<&SecretRef> {
                match self { $(Self::$variant(desired) => desired.secrets()),* }
            }
            /// Where it stands in the tree of files; none: nowhere.
            pub fn path(&self) -> Option<&AbsPath> {
                match self { $(Self::$variant(desired) => desired.path()),* }
            }
            /// What it is in a tree of files on which nothing runs.
            pub fn at_rest(&self) -> AtRest<Self> {
                match self { $(Self::$variant(desired) => desired.at_rest().map(Self::$variant)),* }
            }
        }

        $(
            impl From<$word::Desired> for Desired {
                fn from(desired: $word::Desired) -> Self {
                    Self::$variant(desired)
                }
            }
            impl From<$word::Observed> for Observed {
                fn from(observed: $word::Observed) -> Self {
                    Self::$variant(observed)
                }
            }
            impl Member for $word::Desired {
                fn desired(of: &Desired) -> Option<&Self> {
                    if let Desired::$variant(desired) = of { Some(desired) } else { None }
                }
                fn observed(of: &Observed) -> Option<&Self::Observed> {
                    if let Observed::$variant(observed) = of { Some(observed) } else { None }
                }
            }
        )*
    };
}
crate::each_kind!(sets);

#[cfg(test)]
mod cases;
