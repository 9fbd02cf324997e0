//! The messages. `docs/decisions/0001-run-protocol.md` says who sends which when, and what happens on loss at every arrow.

use crate::catalog::Catalog;
use crate::challenge::Place;
use crate::facts::{Facts, LiveFacts};
use crate::ledger::{Ledger, Proved};
use crate::outcome::{Event, Failure};
use crate::plan::Plan;
use crate::texts::{Edit, Text, Texts};
use crate::words::{AccountName, Digest, NodeName, RunId, Span};
use serde::{Deserialize, Serialize};

/// Number of this message set. Both ends refuse another one by name.
pub const SCHEMA: u32 = 3;

/// Controller to agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToAgent {
    /// First: how to go on. May stand right behind the exec, before `Hello` has come.
    Open(Open),
    /// The password that was asked for, once.
    Password(Hidden),
    /// What the node shall be; asks for a plan.
    Catalog {
        /// The catalog.
        catalog: Box<Catalog>,
        /// The node's generation that it was compiled on; none: whichever the node has. Another one is `Stale`.
        #[serde(default)]
        base: Option<u64>,
        /// It is a part of what the node shall be: of actions that are owed by other steps nothing is told.
        #[serde(default)]
        part: bool,
        /// Send the present content of files that would change.
        want_old: bool,
        /// The key under which secrets are compared.
        secret_key: Hidden,
    },
    /// Contents that were asked for: any time between `NeedBlobs` and `Go`. Several frames may follow each other.
    Blobs(Vec<BlobData>),
    /// Do what was planned.
    Go {
        /// The run's id.
        run: RunId,
        /// The plan that was shown.
        plan: Digest,
        /// The generation it was made on.
        generation: u64,
        /// Values of the secrets that changing steps need.
        secrets: Vec<SecretData>,
        /// What no output of the run may show: every secret of the catalog, whether its value is needed or not.
        #[serde(default)]
        masked: Vec<Hidden>,
        /// Who asks: `user@host`, for the lock's name.
        controller: String,
        /// Whether what the run changes has to be proved before the node may have its labels.
        #[serde(default = "owes")]
        owes: bool,
    },
    /// Show the events of a run from one on.
    Attach {
        /// Which run; none: the active or last one.
        run: Option<RunId>,
        /// Events already seen.
        after: u64,
    },
    /// Stop the run between two steps. Also while its events are being shown.
    Cancel {
        /// Which run.
        run: RunId,
    },
    /// A smoke job has passed on this node: to be kept, unless the node was changed since.
    Prove(Proved),
    /// Gives the node a nonce: whatever shows it ran here. It goes with the conversation at the latest.
    Challenge {
        /// Where it is read.
        place: Place,
        /// Whoever runs as this account may read it.
        account: AccountName,
        /// The nonce; none: the one that is there is taken away.
        nonce: Option<Hidden>,
    },
    /// Nothing more will come; the agent ends.
    Bye,
}

/// A run owes a proof where nothing else is said.
fn owes() -> bool {
    true
}

/// How to go on after `Hello`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Open {
    /// The controller's message set.
    pub schema: u32,
    /// The inventory's name of the node.
    pub node: NodeName,
    /// How to become root; none: stay who you are.
    pub r#become: Option<Become>,
}

/// How to become root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Become {
    /// sudo(8).
    Sudo,
    /// doas(1).
    Doas,
}

/// Agent to controller.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToController {
    /// First, only where `Open` asks for another account: who was logged in. `Hello` comes from the root half.
    Login(Login),
    /// First from the half that does the work: who answers, and what is here.
    Hello(Box<Hello>),
    /// The escalation asks for a password.
    AskPassword {
        /// Who it asks for.
        user: String,
        /// What it said before its question that a password alone may not mend: told where none can be given.
        #[serde(default)]
        said: Option<Box<Failure>>,
    },
    /// The catalog was compiled from other facts or on another generation: compile again from these.
    Stale {
        /// The present facts.
        facts: Box<Facts>,
        /// The present generation.
        generation: u64,
    },
    /// Changing steps need these contents, and the node lacks them. Stands right before `Planned`, which does not wait for
    /// them: only `Go` does, so whoever wants the plan alone sends none.
    NeedBlobs(Vec<Digest>),
    /// The answer to a catalog.
    Planned(Box<Plan>),
    /// `Go`, `Attach` or `Cancel` was not done: why. Nothing was changed.
    Refused(Refusal),
    /// `Go` was taken: the detached runner has the run.
    Going {
        /// The run.
        run: RunId,
    },
    /// An event of the run, numbered from 1 in the order of the journal; 0 for one that is not journalled.
    Event {
        /// Number.
        seq: u64,
        /// What happened.
        event: Box<Event>,
    },
    /// The run has ended, and its last event has been sent.
    Done {
        /// The run.
        run: RunId,
        /// Number of its last event.
        last: u64,
    },
    /// The run was cut off: its runner is gone and its journal has no end. All that is in it has been sent; the next run goes on
    /// at the first unfinished step.
    Cut {
        /// The run.
        run: RunId,
        /// Number of the last event in its journal.
        last: u64,
    },
    /// `Cancel` was taken: the run stops before its next step.
    Cancelling {
        /// The run.
        run: RunId,
    },
    /// What was proved is kept.
    Proved,
    /// The nonce is in its place, or was there until now; false: it was not there any more.
    Challenge(bool),
    /// Nothing else was to be said for a while: the agent is there. No answer is wanted.
    Alive,
    /// The agent cannot go on; the stream ends.
    Fault(Failure),
}

/// Who was logged in, before the agent becomes someone else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// The agent's message set.
    pub schema: u32,
    /// Digest of the agent's own file.
    pub agent: Digest,
    /// The account that was logged in.
    pub user: String,
}

/// Who answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    /// The agent's message set.
    pub schema: u32,
    /// Digest of the agent's own file.
    pub agent: Digest,
    /// The account it runs as.
    pub user: String,
    /// Whether that is root.
    pub root: bool,
    /// Changes at each boot (/proc/sys/kernel/random/boot_id).
    pub boot_id: String,
    /// The run that is going on, or was cut off and can be resumed.
    pub run: Option<ActiveRun>,
    /// The generation kept on the node; 0 before the first run.
    pub generation: u64,
    /// What its labels rest on.
    #[serde(default)]
    pub ledger: Ledger,
    /// What holds for the whole run.
    pub facts: Facts,
    /// What changes under our feet.
    pub live: LiveFacts,
}

/// A run that has not ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActiveRun {
    /// Its id.
    pub run: RunId,
    /// Whether its runner lives.
    pub alive: bool,
    /// Whose it is: `user@host`.
    pub controller: String,
    /// When it began, in seconds since 1970 by the node's clock.
    pub since: u64,
    /// How long ago that was, by the node's clock.
    #[serde(default)]
    pub age: Span,
    /// Events in its journal.
    pub events: u64,
    /// Whether what it changes is to be proved. One that only writes a master's files for its workers, or brings an agent to a node that is in
    /// quarantine, owes nothing; and nobody lets an executor in with it.
    #[serde(default = "owed")]
    pub owes: bool,
}

/// What is not told is owed.
fn owed() -> bool {
    true
}

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// Another run has the node.
    #[error("run {} of {} has had the node for {}", .0.run.short(), .0.controller, .0.age)]
    Locked(ActiveRun),
    /// The node's generation is no longer the plan's.
    #[error("the node has moved from generation {planned} to {found} since the plan was made")]
    Moved {
        /// The plan's.
        planned: u64,
        /// The node's.
        found: u64,
    },
    /// The node was changed since what was proved on it.
    #[error("the node was changed again: generation {found}, and {proved} was proved")]
    ChangedSince {
        /// What was proved.
        proved: u64,
        /// The node's.
        found: u64,
    },
    /// The plan named is not the one that was made here.
    #[error("the plan named is not the one that was made here")]
    OtherPlan,
    /// A requirement of the plan does not hold, or one of its steps is impossible.
    #[error("a requirement does not hold, or a step is impossible")]
    Unmet,
    /// Contents that were asked for have not come.
    #[error("{0} of the contents that the plan needs have not come")]
    MissingBlobs(u32),
    /// Only root may change the node.
    #[error("the agent is not root")]
    NotRoot,
    /// The node cannot be given a nonce: why.
    #[error("the node cannot be given a nonce: {0}")]
    NoChallenge(String),
    /// No such run on this node.
    #[error("the node knows no run {}", .0.as_ref().map_or("at all", |run| run.short()))]
    NoRun(Option<RunId>),
    /// Another controller has begun to start a run, which is not on record yet.
    #[error("another controller is just starting a run")]
    Starting,
    /// The runner could not be started: why.
    #[error("the runner could not be started: {0}")]
    NoRunner(String),
}

/// One content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobData {
    /// Its address.
    pub digest: Digest,
    /// Its bytes, or the next part of them: parts come in order, the last one completes the digest.
    #[serde(with = "serde_bytes")]
    pub bytes: Vec<u8>,
    /// Whether more parts follow.
    pub more: bool,
}

/// One secret's value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretData {
    /// Its HMAC, as the catalog names it.
    pub hmac: Digest,
    /// Its value.
    pub value: Hidden,
}

/// Bytes that cross the wire and show nowhere. Their memory is overwritten when they go.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hidden(#[serde(with = "serde_bytes")] pub Vec<u8>);

impl Drop for Hidden {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.0);
    }
}

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hidden(***)")
    }
}

impl Texts for ToController {
    /// But for facts: the digest of those must stay what it is.
    fn texts(&mut self, edit: Edit<'_>) {
        match self {
            Self::AskPassword { user, said } => {
                edit(Text::One(user));
                if let Some(said) = said {
                    said.texts(edit);
                }
            }
            Self::Planned(plan) => plan.texts(edit),
            Self::Refused(Refusal::NoRunner(why) | Refusal::NoChallenge(why)) => edit(Text::One(why)),
            Self::Event { seq: _, event } => event.texts(edit),
            Self::Fault(failure) => failure.texts(edit),
            Self::Login(_)
            | Self::Hello(_)
            | Self::Stale { .. }
            | Self::NeedBlobs(_)
            | Self::Proved
            | Self::Challenge(_)
            | Self::Refused(_)
            | Self::Going { .. }
            | Self::Done { .. }
            | Self::Cut { .. }
            | Self::Cancelling { .. }
            | Self::Alive => {}
        }
    }
}
