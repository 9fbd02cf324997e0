//! `package`: a Debian package, installed or removed.

use super::{Contradiction, Describe, Effect, Resource, Shown};
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
    /// Unpacked or half configured: the state's word.
    Broken(String),
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
}

impl Describe for Change {
    fn shown(&self) -> Shown {
        match self {
            Self::Install(Some(version)) => Shown::new("package", "absent", version),
            Self::Install(None) => Shown::new("package", "absent", "installed"),
            Self::SetVersion { from, to } => Shown::new("version", from, to),
            Self::Mend(state) => Shown::new("package", state, "installed"),
            Self::Remove => Shown::new("package", "installed", "absent"),
        }
    }
}

impl Resource for Desired {
    type Observed = Observed;
    type Change = Change;
    const TRANSACTION: bool = true;

    fn key(&self) -> String {
        self.name.to_string()
    }

    fn diff(&self, observed: &Observed) -> Result<Vec<Change>, Contradiction> {
        Ok(match (&self.state, observed) {
            (State::Removed, Observed::Absent) => Vec::new(),
            (State::Removed, Observed::Installed(_) | Observed::Broken(_)) => vec![Change::Remove],
            (State::Installed { version }, Observed::Absent) => vec![Change::Install(version.clone())],
            (State::Installed { .. }, Observed::Broken(state)) => vec![Change::Mend(state.clone())],
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
            Observed::Broken(state) => state.clone(),
        }
    }
}
