//! What a smoke job showed.

use crate::masters::driver::Verdict;
use crate::masters::witness::Shown;
use std::time::Duration;

/// How a smoke job ended.
#[derive(Debug)]
pub enum SmokeOutcome {
    /// Jenkins' verdict: `SUCCESS`, `FAILURE`, `ABORTED`, ...
    Ended(String),
    /// It did not end within this time; what Jenkins said last.
    Late {
        /// The time.
        waited: Duration,
        /// Why it still waits, or that it runs.
        why: String,
    },
    /// Somebody cancelled it.
    Cancelled,
    /// It ran on another node.
    Elsewhere(String),
    /// It went down with the process of the master that ran it, or that kept its place in the queue.
    Restarted,
    /// Jenkins, which did not restart, has neither its queue item nor its build.
    Gone,
    /// It failed, and its agent was gone.
    Vanished,
    /// Jenkins did not tell how it goes until the time was over; what it said last.
    Untold {
        /// The time.
        waited: Duration,
        /// What it said.
        why: String,
    },
}

impl SmokeOutcome {
    /// What it shows of the node: only what the job itself said.
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Ended(result) if result == "SUCCESS" => Verdict::Green,
            Self::Ended(result) if matches!(result.as_str(), "FAILURE" | "UNSTABLE") => Verdict::Red,
            _ => Verdict::Unknown,
        }
    }

    /// Whether anything of it says something about the node.
    pub(super) fn tells_of_its_node(&self) -> bool {
        !matches!(self, Self::Restarted | Self::Gone | Self::Vanished)
    }

    /// Whether another try may well come through: what cut it off has nothing to do with the node.
    pub(super) fn is_worth_another(&self) -> bool {
        matches!(self, Self::Restarted | Self::Vanished)
    }
}

impl std::fmt::Display for SmokeOutcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ended(result) => f.write_str(result),
            Self::Late { waited, why } => write!(f, "not finished within {} s: {why}", waited.as_secs()),
            Self::Cancelled => f.write_str("cancelled"),
            Self::Elsewhere(node) => write!(f, "ran on `{node}`"),
            Self::Restarted => f.write_str("cut off by a restart of Jenkins"),
            Self::Gone => f.write_str("Jenkins does not know it any more; somebody removed it"),
            Self::Vanished => f.write_str("its agent went offline while it ran"),
            Self::Untold { waited, why } => write!(f, "Jenkins did not tell within {} s how it ended: {why}", waited.as_secs()),
        }
    }
}

/// What a smoke job showed.
#[derive(Debug)]
pub struct SmokeReport {
    /// How it ended.
    pub outcome: SmokeOutcome,
    /// The build's page; none when it never started.
    pub url: Option<String>,
    /// The last lines of a red job's console.
    pub tail: Vec<String>,
    /// What of a green job could not be removed.
    pub left: Option<String>,
    /// From the request to the end.
    pub took: Duration,
    /// What it printed of the machine that it ran on.
    pub shown: Shown,
}

impl SmokeReport {
    /// Whether the job passed: anything short of success proves nothing.
    pub fn is_green(&self) -> bool {
        self.outcome.verdict() == Verdict::Green
    }
}
