//! `swap`: room to swap to.

use super::{Judge, Verdict, fail, pass};
use crate::words::Bytes;
use serde::{Deserialize, Serialize};

/// Room to swap to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swap {
    /// At least so much in all.
    pub total: Bytes,
}

/// How much there is.
pub type Evidence = Bytes;

impl Judge for Swap {
    type Evidence = Evidence;
    const RUNNING: Option<&'static str> = Some("its swap space is that of the machine that it becomes");

    fn judge(&self, total: &Evidence) -> Verdict {
        if *total >= self.total {
            return pass(format_args!("{total} of swap"));
        }
        fail(format_args!("{total} of swap"), format_args!("at least {}", self.total), None, "add a swap file")
    }
}
