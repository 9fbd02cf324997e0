//! `git_cache`: bare mirrors of a list of repositories, below one root, readable by the job user.

use super::{AtRest, Basis, Contradiction, Describe, Effect, Resource, Shown};
use crate::words::{AbsPath, AccountName, count, date};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A cache as it shall be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desired {
    /// The directory that holds the mirrors.
    pub root: AbsPath,
    /// What to mirror, by the path below the root (`openstack/nova`, `opendev.org/openstack/nova`).
    pub repositories: BTreeMap<String, Source>,
    /// Who owns the mirrors: the job user.
    pub owner: AccountName,
    /// Those that must be there and fresh; any other may fail without failing the step.
    pub required: BTreeSet<String>,
    /// How many at a time.
    pub workers: u16,
}

/// Where a repository comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Full URLs, tried in this order; the last is the origin.
    pub urls: Vec<String>,
}

/// The cache as found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    /// Every repository of the desired list, by its path.
    pub mirrors: BTreeMap<String, Mirror>,
}

/// One mirror as found, held against its origin's references.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mirror {
    /// No such directory.
    Missing,
    /// There, but not a usable mirror (truncated, shallow, wrong owner, wrong origin): what is wrong.
    Broken(String),
    /// Usable by all that was looked at, but its objects are not those that were proved: in which way.
    Unproved(String),
    /// References differ from the origin's: how many.
    Behind(u32),
    /// The same references as the origin's.
    Fresh,
    /// The origin did not answer: why. The mirror at hand, if any, stays in use.
    Unreachable {
        /// Every URL's error.
        why: String,
        /// Whether a usable mirror is there all the same.
        usable: bool,
        /// When what is there was fetched, in seconds since 1970, where that is known.
        #[serde(default)]
        since: Option<u64>,
    },
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// Fill a missing mirror.
    Clone(String),
    /// Fetch new references.
    Fetch {
        /// Which mirror.
        repository: String,
        /// How many references differ.
        references: u32,
    },
    /// Prove that all its objects are there, and fill it anew where they are not.
    Prove {
        /// Which mirror.
        repository: String,
        /// Why it is not known to be whole.
        why: String,
    },
    /// Fill it anew beside the broken one and swap.
    Replace {
        /// Which mirror.
        repository: String,
        /// What is wrong with it.
        why: String,
    },
}

impl Change {
    /// The repository it is about.
    pub fn repository(&self) -> &str {
        match self {
            Self::Clone(repository)
            | Self::Fetch { repository, .. }
            | Self::Prove { repository, .. }
            | Self::Replace { repository, .. } => repository,
        }
    }
}

impl Describe for Change {
    fn shown(&self) -> Shown {
        let beyond = |shown: Shown| shown.resting_on(Basis::Beyond);
        match self {
            // It may have been away when the plan was made.
            Self::Clone(repository) => beyond(Shown::new(repository, "absent", "mirrored")),
            Self::Fetch { repository, references } => {
                beyond(Shown::new(repository, format_args!("{} behind", count(u64::from(*references), "reference")), "fresh"))
            }
            Self::Prove { repository, why } => beyond(Shown::new(repository, why, "proved and fresh, or mirrored from scratch")),
            // What stands there goes: only what was shown.
            Self::Replace { repository, why } => Shown::new(repository, why, "mirrored from scratch").resting_on(Basis::Passing),
        }
    }
}

impl Resource for Desired {
    type Observed = Observed;
    type Change = Change;
    const AT_REST: &'static str = "Whole.";

    fn key(&self) -> String {
        self.root.to_string()
    }

    fn at_rest(&self) -> AtRest<Self> {
        AtRest::Whole
    }

    fn diff(&self, observed: &Observed) -> Result<Vec<Change>, Contradiction> {
        let mut changes = Vec::new();
        let (mut unreachable, mut origin) = (Vec::new(), "");
        for (repository, source) in &self.repositories {
            match observed.mirrors.get(repository).unwrap_or(&Mirror::Missing) {
                Mirror::Missing => changes.push(Change::Clone(repository.clone())),
                Mirror::Broken(why) => changes.push(Change::Replace { repository: repository.clone(), why: why.clone() }),
                Mirror::Unproved(why) => changes.push(Change::Prove { repository: repository.clone(), why: why.clone() }),
                Mirror::Behind(references) => changes.push(Change::Fetch { repository: repository.clone(), references: *references }),
                Mirror::Fresh => {}
                Mirror::Unreachable { why, .. } if self.required.contains(repository) => {
                    unreachable.push(format!("{repository}: {why}"));
                    origin = source.urls.last().map_or("", String::as_str);
                }
                // A repository that is not required is reported with its reason, and never fails the step.
                Mirror::Unreachable { .. } => {}
            }
        }
        // The reachable ones are filled all the same: apply reports the required ones that it could not reach.
        if changes.is_empty() && !unreachable.is_empty() {
            return Err(Contradiction {
                why: format!("required repositories cannot be reached: {}", unreachable.join("; ")),
                hint: format!("check the URLs and the route from the node: git ls-remote '{origin}'"),
            });
        }
        Ok(changes)
    }

    fn provides(&self) -> Vec<Effect> {
        vec![Effect::Path(self.root.clone())]
    }

    fn needs(&self) -> Vec<Effect> {
        let git = crate::words::PackageName::parse("git").map(Effect::Package);
        let urls = self.repositories.values().flat_map(|source| &source.urls);
        let local = urls.filter_map(|url| AbsPath::parse(url.strip_prefix("file://").unwrap_or(url)).ok()).map(Effect::Path);
        let own = [Effect::Path(self.root.clone()), Effect::User(self.owner.clone()), Effect::Answers];
        own.into_iter().chain(git.ok()).chain(local).collect()
    }

    fn path(&self) -> Option<&AbsPath> {
        Some(&self.root)
    }

    fn unchanged(&self, observed: &Observed) -> String {
        let stale = observed.mirrors.values().filter(|mirror| matches!(mirror, Mirror::Unreachable { .. })).count();
        match stale {
            0 => format!("{} mirrors are fresh", self.repositories.len()),
            stale => format!("{} mirrors are fresh, {stale} could not be reached", self.repositories.len() - stale),
        }
    }

    fn shortfalls(&self, observed: &Observed) -> Vec<String> {
        let old = |(repository, mirror): (&String, &Mirror)| {
            let Mirror::Unreachable { why, usable, since } = mirror else { return None };
            let have = match (usable, since) {
                (false, _) => "no usable mirror is there".to_owned(),
                (true, Some(since)) => format!("what is there was fetched {}", date(*since)),
                (true, None) => "what is there may be old".to_owned(),
            };
            Some(format!("{repository}: {have}; {why}"))
        };
        observed.mirrors.iter().filter_map(old).collect()
    }
}
