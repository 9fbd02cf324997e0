//! `kernel`: the running one.

use super::{Judge, Verdict, fail, pass};
use crate::words::{ModuleName, Version};
use serde::{Deserialize, Serialize};

/// The running kernel.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kernel {
    /// Lowest good version.
    pub at_least: Option<Version>,
    /// First version that is too new.
    pub below: Option<Version>,
    /// Releases known to be bad: `uname -r` starts with one of these.
    pub not: Vec<String>,
    /// Modules that must be loaded, built in, or in the running kernel's module tree.
    pub modules: Vec<ModuleName>,
    /// Whether the kernel may be shared with a host; none: either.
    pub shared: Option<bool>,
}

/// The running kernel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// `uname -r`.
    pub release: Version,
    /// Whether it is a host's.
    pub shared: bool,
    /// Those of the wanted modules that are neither loaded nor to be had.
    pub missing_modules: Vec<ModuleName>,
}

impl Judge for Kernel {
    type Evidence = Evidence;
    const RUNNING: Option<&'static str> = Some("what runs is the builder's kernel");

    fn judge(&self, evidence: &Evidence) -> Verdict {
        let Evidence { release, shared, missing_modules: missing } = evidence;
        let found = format!("kernel {release}{}", if *shared { ", shared with the host" } else { "" });
        if let Some(wanted) = self.at_least.as_ref().filter(|wanted| release.cmp_release(wanted).is_lt()) {
            return fail(found, format_args!("at least {wanted}"), None, "install a newer kernel package and reboot");
        }
        if let Some(limit) = self.below.as_ref().filter(|limit| release.cmp_release(limit).is_ge()) {
            return fail(found, format_args!("below {limit}"), None, "install an older kernel package and reboot");
        }
        if let Some(bad) = self.not.iter().find(|bad| release.begins_with(bad)) {
            return fail(found, format_args!("not {bad}"), None, "install another kernel package and reboot");
        }
        match self.shared {
            Some(false) if *shared => {
                return fail(found, "a kernel of its own", None, "use a virtual or physical machine, not a container");
            }
            Some(true) if !*shared => return fail(found, "a kernel shared with a host", None, "use a container"),
            Some(_) | None => {}
        }
        if !missing.is_empty() {
            let names: Vec<&str> = missing.iter().map(ModuleName::as_str).collect();
            let names = names.join(", ");
            return fail(
                format_args!("{found}, without {names}"),
                format_args!("modules {names}"),
                Some(names.clone()),
                "install the kernel package that brings them",
            );
        }
        pass(found)
    }
}
