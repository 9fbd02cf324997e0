//! `package`: a Debian package, installed or removed.

use super::{AtRest, Contradiction, Describe, Effect, Resource, Shown};
use crate::words::{PackageName, Version};
use serde::{Deserialize, Serialize};

/// A package as it shall be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desired {
    /// Its name.
    pub name: PackageName,
    /// Installed or not.
    pub state: State,
}

/// What a package shall be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// Installed, in this version where one is given.
    Installed {
        /// The very version, as `apt-cache policy` prints it.
        version: Option<Version>,
    },
    /// Not installed; configuration files may stay.
    Removed,
}

/// A package as in dpkg's status file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Observed {
    /// Not installed.
    Absent,
    /// "install ok installed".
    Installed(Version),
    /// Begun and not finished: an interrupted dpkg, a script that failed.
    Broken {
        /// dpkg's word for it: "half-configured".
        state: String,
        /// The version that was being installed.
        version: Version,
    },
    /// Neither it nor anything of its name is to be had: a package that is installed provides it.
    Provided {
        /// That package.
        by: String,
        /// Its version.
        version: Version,
    },
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// Install it.
    Install(Option<Version>),
    /// Another version.
    SetVersion {
        /// Which it is.
        from: Version,
        /// Which it shall be.
        to: Version,
    },
    /// Finish what an interrupted run left.
    Mend(String),
    /// Remove it.
    Remove,
    /// Remove what an interrupted run left of it.
    Clear(String),
}

impl Describe for Change {
    fn shown(&self) -> Shown {
        match self {
            Self::Install(Some(version)) => Shown::new("package", "absent", version),
            Self::Install(None) => Shown::new("package", "absent", "installed"),
            Self::SetVersion { from, to } => Shown::new("version", from, to),
            Self::Mend(state) => Shown::new("package", state, "installed"),
            Self::Remove => Shown::new("package", "installed", "absent"),
            Self::Clear(state) => Shown::new("package", state, "absent"),
        }
    }
}

impl Resource for Desired {
    type Observed = Observed;
    type Change = Change;
    const TRANSACTION: bool = true;
    const AT_REST: &'static str = "It is installed or removed whole; no service of it is started.";

    fn key(&self) -> String {
        self.name.to_string()
    }

    fn at_rest(&self) -> AtRest<Self> {
        AtRest::Whole
    }

    fn diff(&self, observed: &Observed) -> Result<Vec<Change>, Contradiction> {
        Ok(match (&self.state, observed) {
            (State::Removed, Observed::Absent | Observed::Provided { .. }) => Vec::new(),
            (State::Removed, Observed::Installed(_)) => vec![Change::Remove],
            (State::Removed, Observed::Broken { state, .. }) => vec![Change::Clear(state.clone())],
            (State::Installed { version }, Observed::Absent) => vec![Change::Install(version.clone())],
            (State::Installed { .. }, Observed::Broken { state, .. }) => vec![Change::Mend(state.clone())],
            (State::Installed { version: None }, Observed::Provided { .. }) => Vec::new(),
            (State::Installed { version: Some(_) }, Observed::Provided { by, .. }) => {
                return Err(Contradiction {
                    why: format!("{} is a virtual package, provided by {by}", self.name),
                    hint: "name the package that is meant, which has a version of its own".to_owned(),
                });
            }
            (State::Installed { version: None }, Observed::Installed(_)) => Vec::new(),
            (State::Installed { version: Some(wanted) }, Observed::Installed(found)) if wanted == found => Vec::new(),
            (State::Installed { version: Some(wanted) }, Observed::Installed(found)) => {
                vec![Change::SetVersion { from: found.clone(), to: wanted.clone() }]
            }
        })
    }

    fn provides(&self) -> Vec<Effect> {
        vec![Effect::Packaged]
    }

    fn needs(&self) -> Vec<Effect> {
        vec![Effect::Package(self.name.clone())]
    }

    fn unchanged(&self, observed: &Observed) -> String {
        match observed {
            Observed::Installed(version) => format!("already at {version}"),
            Observed::Absent => "is not installed".to_owned(),
            Observed::Broken { state, .. } => state.clone(),
            Observed::Provided { by, version } => format!("provided by {by} {version}"),
        }
    }
}
