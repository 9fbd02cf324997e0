//! How things ended, and the events that tell it. A run's events are its state: reports are folds over them.

use crate::check::Verdict;
use crate::resource::{ResourceId, Shown};
use crate::words::{Bytes, RunId};
use serde::{Deserialize, Serialize};

/// How one resource ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was so already: why.
    Unchanged {
        /// One sentence.
        why: String,
    },
    /// It was changed, observed again, and is as desired.
    Changed {
        /// What was changed.
        changes: Vec<Shown>,
        /// Worth knowing though not an error: a repository that could not be reached.
        notes: Vec<String>,
    },
    /// It could not be made so.
    Failed(Failure),
    /// Its turn did not come: why.
    NotStarted {
        /// One sentence.
        because: String,
    },
}

/// Why something failed, bounded, with secrets masked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What kind of failure it is: the code that `ostler explain` knows.
    pub kind: FailureKind,
    /// What was being done, and what came in between.
    pub message: String,
    /// The causes below it, outermost first.
    pub causes: Vec<String>,
    /// The program that failed, where one did.
    pub command: Option<CommandFailure>,
    /// What to do next, where the agent knows.
    pub hint: Option<String>,
}

/// Kinds of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The state of the node could not be read.
    Observe,
    /// The node contradicts the role.
    Contradiction,
    /// A change could not be made.
    Apply,
    /// A change was made and the node is still not as desired.
    DidNotConverge,
    /// The node moved between plan and turn.
    Moved,
    /// The deadline passed.
    Deadline,
    /// Cancelled by a person.
    Cancelled,
    /// The disk is full, or out of inodes.
    NoSpace,
    /// A secret that only a controller can bring is missing.
    NeedsController,
    /// The escalation does not take the password.
    WrongPassword,
    /// A proof after the steps did not hold.
    Verify,
    /// A defect of ours.
    Internal,
}

/// A program that ended badly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandFailure {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// How it ended.
    pub status: Ended,
    /// Last lines of its output, both streams.
    pub tail: Vec<String>,
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// With this exit code.
    Exit(i32),
    /// By this signal.
    Signal(i32),
    /// It was not started.
    NotStarted,
    /// By us, at its deadline.
    Deadline,
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exit(code) => write!(f, "exit status {code}"),
            Self::Signal(signal) => write!(f, "ended by signal {signal}"),
            Self::NotStarted => f.write_str("could not be started"),
            Self::Deadline => f.write_str("stopped at its deadline"),
        }
    }
}

/// One thing that happened on a node in a run. Lifecycle events are journalled; `Progress` is not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The runner has the lock and begins.
    Started {
        /// Which run.
        run: RunId,
        /// How many steps the catalog has.
        steps: u32,
        /// Where the runner goes on after an earlier end: the first unfinished step.
        resumed_at: Option<u32>,
    },
    /// A step's turn has come.
    StepStarted {
        /// Its place in the catalog.
        index: u32,
        /// Its name.
        id: ResourceId,
    },
    /// How far a long step is. Never journalled, may be dropped.
    Progress {
        /// The step.
        index: u32,
        /// What is being done: `openstack/nova`.
        what: String,
        /// Items done, and of how many.
        items: Option<(u32, u32)>,
        /// Bytes done, and of how many where that is known.
        bytes: Option<(Bytes, Option<Bytes>)>,
    },
    /// A step has ended.
    StepDone {
        /// Its place in the catalog.
        index: u32,
        /// Its name.
        id: ResourceId,
        /// How.
        outcome: Outcome,
        /// How long it took, in milliseconds.
        millis: u64,
    },
    /// A watcher acted because something it watches had changed.
    Triggered {
        /// The step that watches.
        index: u32,
        /// Its name.
        id: ResourceId,
        /// What it did: restarted, reloaded, ran.
        action: crate::catalog::Action,
        /// What had changed.
        because: Vec<ResourceId>,
    },
    /// A proof after the steps.
    Verified {
        /// Its place among the catalog's proofs.
        index: u32,
        /// Its name.
        name: String,
        /// Its answer.
        verdict: Verdict,
    },
    /// Something a person should know: a wait for a lock, a retry.
    Note {
        /// The step it belongs to.
        index: Option<u32>,
        /// One sentence.
        text: String,
    },
    /// The last event of a run.
    Ended {
        /// How.
        ending: Ending,
        /// How long the runner ran, in milliseconds.
        millis: u64,
    },
}

/// How a run ended on a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Every step and every proof holds.
    Good {
        /// Steps that changed something.
        changed: u32,
        /// Steps that were so already.
        unchanged: u32,
        /// The node's new generation.
        generation: u64,
    },
    /// A step or a proof failed; what came after was not started.
    Failed,
    /// Cancelled between two steps.
    Cancelled,
}
