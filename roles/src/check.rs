//! Checks: requirements before a run, proofs after it. They never write, and have three answers. One file a kind.

mod demand;
mod each_check;

macro_rules! modules {
    ($($(#[$doc:meta])* $variant:ident = $word:ident;)*) => {$(
        pub mod $word;
        pub use $word::$variant;
    )*};
}
crate::each_check!(modules);

pub use demand::{Demands, Share, Write};
pub use package::PackageWant;

use serde::{Deserialize, Serialize};

/// What every kind of check declares, purely.
pub trait Judge {
    /// What is read on the node for it.
    type Evidence;
    /// Why it is asked of a running machine alone; none: of an image while that is built, too. Without a default, as for a kind.
    const RUNNING: Option<&'static str>;

    /// What it is about, after its word in reports: `disk /opt`.
    fn subject(&self) -> Option<String> {
        None
    }

    /// The answer, from what was read.
    fn judge(&self, evidence: &Self::Evidence) -> Verdict;
}

macro_rules! sets {
    ($($(#[$doc:meta])* $variant:ident = $word:ident;)*) => {
        /// Something that must be true of a good node.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Check { $($(#[$doc])* $variant($variant)),* }

        /// What was read on the node for a check.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Evidence {
            $($(#[$doc])* $variant($word::Evidence),)*
            /// It could not be read: why.
            Unreadable(String),
        }

        impl Check {
            /// All kinds of checks: their words, and why they are asked of a running machine alone.
            pub const ALL: &'static [(&'static str, Option<&'static str>)] = &[$((stringify!($word), <$variant as Judge>::RUNNING)),*];

            /// Its kind's word.
            pub fn word(&self) -> &'static str {
                match self { $(Self::$variant(_) => stringify!($word)),* }
            }

            /// Why it is asked of a running machine alone; none: of an image while that is built, too.
            pub fn running(&self) -> Option<&'static str> {
                match self { $(Self::$variant(_) => <$variant as Judge>::RUNNING),* }
            }

            /// What it is about; none: the whole node.
            pub fn subject(&self) -> Option<String> {
                match self { $(Self::$variant(check) => check.subject()),* }
            }

            /// The answer, from what was read on the node. Evidence of another kind is *could not tell*.
            pub fn judge(&self, evidence: &Evidence) -> Verdict {
                match (self, evidence) {
                    $((Self::$variant(check), Evidence::$variant(evidence)) => check.judge(evidence),)*
                    (_, Evidence::Unreadable(why)) => Verdict::CouldNotTell { why: why.clone() },
                    ($(Self::$variant(_))|+, _) => Verdict::CouldNotTell { why: "the agent read something else than was asked for".to_owned() },
                }
            }
        }
    };
}
crate::each_check!(sets);

/// The answer to a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It holds: with the numbers.
    Pass {
        /// What was found.
        found: String,
    },
    /// It does not hold.
    Fail {
        /// What was found.
        found: String,
        /// What is wanted.
        wanted: String,
        /// How much is missing, where that is a number.
        missing: Option<String>,
        /// The one thing to do.
        hint: String,
    },
    /// It could not be told, which fails.
    CouldNotTell {
        /// Why.
        why: String,
    },
}

impl Verdict {
    /// Whether the node may go on.
    pub fn passed(&self) -> bool {
        matches!(self, Self::Pass { .. })
    }
}

fn pass(found: impl std::fmt::Display) -> Verdict {
    Verdict::Pass { found: found.to_string() }
}

fn fail(found: impl std::fmt::Display, wanted: impl std::fmt::Display, missing: Option<String>, hint: impl std::fmt::Display) -> Verdict {
    Verdict::Fail { found: found.to_string(), wanted: wanted.to_string(), missing, hint: hint.to_string() }
}

impl std::fmt::Display for Check {
    /// The check's name in reports: `disk /opt`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())?;
        self.subject().map_or(Ok(()), |subject| write!(f, " {subject}"))
    }
}

#[cfg(test)]
mod tests {
    //! Data cases: `tests/cases/check-<name>.json`, each a check, what was read, and the answer.

    use super::*;
    use std::path::Path;

    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        name: String,
        check: Check,
        evidence: Evidence,
        verdict: Verdict,
    }

    fn run(check: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/cases/check-{check}.json"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let cases: Vec<Case> = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(cases.len() >= 2, "{}", path.display());
        for case in cases {
            assert_eq!(case.check.judge(&case.evidence), case.verdict, "{check}: {}", case.name);
        }
    }

    macro_rules! cases {
        ($($(#[$doc:meta])* $variant:ident = $word:ident;)*) => {$(
            #[test]
            fn $word() {
                run(stringify!($word));
            }
        )*};
    }
    crate::each_check!(cases);
}
