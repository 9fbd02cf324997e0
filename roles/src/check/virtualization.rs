//! `virtualization`: the kind of machine.

use super::{Judge, Verdict, fail, pass};
use serde::{Deserialize, Serialize};

/// The kind of machine, in the words of systemd-detect-virt(1); `none` for bare metal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Virtualization {
    /// One of these; empty: any.
    pub any_of: Vec<String>,
    /// None of these.
    pub none_of: Vec<String>,
}

/// What it is, in the same words.
pub type Evidence = String;

impl Judge for Virtualization {
    type Evidence = Evidence;
    const RUNNING: Option<&'static str> = Some("the kind of machine is what it becomes");

    fn judge(&self, found: &Evidence) -> Verdict {
        let hint = "use another kind of machine for this role";
        if !self.any_of.is_empty() && !self.any_of.iter().any(|kind| kind == found) {
            return fail(found, format_args!("one of {}", self.any_of.join(", ")), None, hint);
        }
        if self.none_of.iter().any(|kind| kind == found) {
            return fail(found, format_args!("none of {}", self.none_of.join(", ")), None, hint);
        }
        pass(found)
    }
}
