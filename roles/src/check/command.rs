//! `command`: a program that must exit well; it runs as `nobody` unless told otherwise.

use super::{Judge, Verdict, fail, pass};
use crate::resource::command::Desired;
use serde::{Deserialize, Serialize};

/// What is run.
pub type Command = Box<Desired>;

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Its exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// Last lines of its output.
    pub output: String,
}

impl Judge for Command {
    type Evidence = Evidence;
    const RUNNING: Option<&'static str> = Some("it is asked of what runs");

    fn subject(&self) -> Option<String> {
        Some(self.name.to_string())
    }

    fn judge(&self, evidence: &Evidence) -> Verdict {
        let Evidence { code, output } = evidence;
        let good = if self.accept.is_empty() { *code == Some(0) } else { code.is_some_and(|code| self.accept.contains(&code)) };
        let ended = code.map_or_else(|| "ended by a signal".to_owned(), |code| format!("exit status {code}"));
        let run = self.run.join(" ");
        if good {
            return pass(format_args!("`{run}`: {ended}"));
        }
        let found = if output.is_empty() { ended } else { format!("{ended}: {output}") };
        fail(found, format_args!("`{run}` ends well"), None, "run it by hand on the node, as the same user")
    }
}
