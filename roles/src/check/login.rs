//! `login`: an account that a job can log in to.

use super::{Judge, Verdict, fail, pass};
use crate::words::AccountName;
use serde::{Deserialize, Serialize};

/// An account that a job can log in to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// The account.
    pub user: AccountName,
}

/// None when it works, else what is wrong.
pub type Evidence = Option<String>;

impl Judge for Login {
    type Evidence = Evidence;
    const RUNNING: Option<&'static str> = Some("nobody logs in to what does not run");

    fn subject(&self) -> Option<String> {
        Some(self.user.to_string())
    }

    fn judge(&self, evidence: &Evidence) -> Verdict {
        let wanted = format!("{} can log in", self.user);
        match evidence {
            None => pass(wanted),
            Some(why) => fail(why, wanted, None, format_args!("as root on the node: su - {} -c true", self.user)),
        }
    }
}
