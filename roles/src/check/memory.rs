//! `memory`: what is installed.

use super::{Judge, Verdict, fail, pass};
use crate::words::Bytes;
use serde::{Deserialize, Serialize};

/// Installed memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// At least so much in all.
    pub total: Bytes,
}

/// How much there is.
pub type Evidence = Bytes;

impl Judge for Memory {
    type Evidence = Evidence;
    const RUNNING: Option<&'static str> = Some("its memory is that of the machine that it becomes");

    fn judge(&self, total: &Evidence) -> Verdict {
        if *total >= self.total {
            return pass(format_args!("{total} of memory"));
        }
        fail(
            format_args!("{total} of memory"),
            format_args!("at least {}", self.total),
            Some(Bytes(self.total.count() - total.count()).to_string()),
            "use a larger machine, or lower the role's memory parameter",
        )
    }
}
