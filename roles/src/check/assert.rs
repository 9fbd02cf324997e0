//! `assert`: a relation between parameters and facts.

use super::{Judge, Verdict, fail, pass};
use serde::{Deserialize, Serialize};

/// A relation that was decided when the catalog was compiled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assert {
    /// Whether it holds.
    pub holds: bool,
    /// What to say when it does not.
    pub say: String,
    /// The expression, as written.
    pub that: String,
}

/// Nothing has to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence;

impl Judge for Assert {
    type Evidence = Evidence;
    const RUNNING: Option<&'static str> = None;

    fn subject(&self) -> Option<String> {
        Some(self.that.clone())
    }

    fn judge(&self, _: &Evidence) -> Verdict {
        if self.holds { pass(&self.that) } else { fail(&self.say, &self.that, None, "change the parameters that it names") }
    }
}
