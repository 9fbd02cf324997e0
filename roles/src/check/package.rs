//! `package`: installed, or offered by the node's package sources.

use super::{Judge, Verdict, fail, pass};
use crate::resource::package::Observed;
use crate::words::{PackageName, Version};
use serde::{Deserialize, Serialize};

/// What helps where a package is not to be had.
const LOOK_AGAIN: &str = "on the node: apt-get update; check the package sources";

/// A package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// Its name.
    pub name: PackageName,
    /// Installed, or offered by the node's package sources.
    pub want: PackageWant,
    /// The version asked for.
    pub version: Option<Version>,
}

/// What must hold of a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PackageWant {
    /// It is installed.
    Installed,
    /// It is installed, or the package sources offer it.
    Offered,
}

/// How it stands and what is offered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// How it stands, as a step sees it.
    pub found: Observed,
    /// Versions offered.
    pub offered: Vec<Version>,
    /// Packages offered that provide it, where none of its name is.
    #[serde(default)]
    pub providers: Vec<String>,
}

impl Judge for Package {
    type Evidence = Evidence;
    const RUNNING: Option<&'static str> = None;

    fn subject(&self) -> Option<String> {
        Some(self.name.to_string())
    }

    fn judge(&self, evidence: &Evidence) -> Verdict {
        let Evidence { found, offered, providers } = evidence;
        let name = &self.name;
        let fits = |version: &Version| self.version.as_ref().is_none_or(|wanted| wanted == version);
        let which = self.version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
        match (found, self.want) {
            (Observed::Installed(version), _) if fits(version) => return pass(format_args!("{name} {version} is installed")),
            (Observed::Provided { by, version }, _) if self.version.is_none() => {
                return pass(format_args!("{name} is provided by {by} {version}"));
            }
            // What is unpacked needs no source any more.
            (Observed::Broken { state, version }, PackageWant::Offered) if fits(version) && !state.ends_with("half-installed") => {
                return pass(format_args!("{name} {version} is {state}, and its step mends that"));
            }
            (_, PackageWant::Offered) => {}
            (found, PackageWant::Installed) => return self.not_installed(found, &which),
        }
        if offered.iter().any(fits) {
            return pass(format_args!("{name}{which} is offered"));
        }
        let by = providers.join(", ");
        let (found, hint) = match (&offered[..], &providers[..]) {
            ([], [_]) if self.version.is_none() => return pass(format_args!("{name} is offered: provided by {by}")),
            ([], []) => (format!("no package source offers {name}"), LOOK_AGAIN),
            ([], _) => {
                (format!("{name} is a virtual package, provided by {by}"), "name the package that is meant, which has a version of its own")
            }
            (offered, _) => (format!("offered: {}", offered.iter().map(Version::as_str).collect::<Vec<_>>().join(", ")), LOOK_AGAIN),
        };
        fail(found, format_args!("{name}{which} installed or offered"), None, hint)
    }
}

impl Package {
    fn not_installed(&self, found: &Observed, which: &str) -> Verdict {
        let name = &self.name;
        let found = match found {
            Observed::Installed(version) => format!("{version} is installed"),
            Observed::Broken { state, version } => format!("{name} {version} is {state}"),
            Observed::Provided { by, .. } => format!("{name} is a virtual package, provided by {by}"),
            Observed::Absent => format!("{name} is not installed"),
        };
        fail(found, format_args!("{name}{which} installed"), None, format_args!("apt-get install {name}"))
    }
}
