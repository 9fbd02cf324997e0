//! A CI master as runs see it: one trait that each kind of master implements, and the types that all of them share.

use super::wait::Cancellation;
use super::witness::{Shown, Witness};
use ostler_roles::catalog::Step;
use ostler_roles::master::{Difference, Proof, Standing};
use ostler_roles::words::NodeName;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Any error of one kind of master.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why a master could not be asked or told.
#[derive(Debug, thiserror::Error)]
pub enum MasterError {
    /// The run was interrupted; what could not be taken back.
    #[error("interrupted{}", left.as_ref().map_or_else(String::new, |left| format!("; {left}")))]
    Stopped {
        /// What is left on the master and could not be taken back.
        left: Option<String>,
    },
    /// Everything else, in the master's own words.
    #[error(transparent)]
    Failed(Cause),
    /// The same, with the last lines of a log that tell why.
    #[error("{source}")]
    WithLog {
        /// What went wrong.
        source: Cause,
        /// The last lines.
        log: Vec<String>,
    },
}

impl MasterError {
    /// An error of one kind of master.
    pub fn failed(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Failed(Box::new(error))
    }

    /// The error of the kind of master, when it is of this type.
    pub fn of<E: std::error::Error + 'static>(&self) -> Option<&E> {
        match self {
            Self::Failed(source) | Self::WithLog { source, .. } => source.downcast_ref(),
            Self::Stopped { .. } => None,
        }
    }

    /// All of it on one line, causes included.
    pub fn told(&self) -> String {
        match self {
            Self::Failed(source) | Self::WithLog { source, .. } => told(&**source),
            Self::Stopped { .. } => self.to_string(),
        }
    }
}

/// An error on one line, causes included.
pub fn told(error: &(dyn std::error::Error + 'static)) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        told.push_str(&format!(": {error}"));
        cause = error.source();
    }
    told
}

/// What of this site's is on a master though the site no longer says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    /// Its name there.
    pub name: String,
    /// The node that it was made for, where the master knows.
    pub node: Option<NodeName>,
}

/// What a look at a master shows.
#[derive(Debug, Default)]
pub struct Observation {
    /// Of each executor that was asked for: how it stands, or why that cannot be told of this one.
    pub standings: BTreeMap<NodeName, Result<Standing, MasterError>>,
    /// Executors of this site that were not asked for.
    pub ours: Vec<Orphan>,
}

/// Whether an executor is out of service.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Cordon {
    /// It takes no new jobs, by this call.
    Made,
    /// It takes no new jobs: a run of ours holds it already, or did and was cut; or somebody does since a moment ago.
    Ours,
    /// The master does not have it: there is nothing to take out of service.
    Absent,
    /// Somebody else holds it; that stays as it is.
    Theirs(String),
}

impl Cordon {
    /// Whether it was this call that took it out of service.
    pub fn is_made(&self) -> bool {
        *self == Self::Made
    }
}

/// Why an executor was not taken out of service, or why that is not known.
#[derive(Debug)]
pub struct CordonError {
    /// What went wrong.
    pub error: MasterError,
    /// The master was told and has not answered: it may have done it.
    pub is_told: bool,
}

impl From<MasterError> for CordonError {
    /// The master was not told.
    fn from(error: MasterError) -> Self {
        Self { error, is_told: false }
    }
}

impl CordonError {
    /// The master was told.
    pub fn told(error: MasterError) -> Self {
        Self { error, is_told: true }
    }
}

/// How the wait for what runs on an executor ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Drain {
    /// It runs no job and, held as it is, takes none.
    Idle,
    /// The time was over first.
    Busy,
    /// Nothing holds it any more: a job may begin there at any moment.
    Unheld,
}

/// What a smoke job showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// How it ended.
    pub verdict: Verdict,
    /// How that is said.
    pub text: String,
    /// The job's page; none when it never started.
    pub url: Option<String>,
    /// The last lines of one that did not pass.
    pub tail: Vec<String>,
    /// Something else than the node cut it off: another try may well come through.
    pub was_cut_off: bool,
    /// What of it could not be removed from the master.
    pub left: Option<String>,
    /// From the request to the end.
    pub took: Duration,
    /// What it printed of the machine that it ran on.
    pub shown: Shown,
}

/// The end of a smoke job. Only what the job itself said is green or red.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It passed.
    Green,
    /// It failed.
    Red,
    /// It did not come to an end of its own.
    Unknown,
}

impl Report {
    /// Whether the job passed: anything short of success proves nothing.
    pub fn is_green(&self) -> bool {
        self.verdict == Verdict::Green
    }
}

/// What happens to one executor on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Something that executors share was made or set.
    Shared(String),
    /// It is being made, or set, as it is in quarantine.
    Quarantining {
        /// The master does not have it yet.
        is_new: bool,
        /// The values that are set.
        changes: Vec<Difference>,
    },
    /// The master has taken a new configuration.
    Loaded {
        /// After this time.
        took: Duration,
    },
    /// What it needs on its own node was brought there, or changed.
    Equipped,
    /// Something that nobody is to find out by himself.
    Note(String),
    /// A wait lasts.
    Waiting {
        /// Until what: completes "waits until".
        what: String,
        /// For so long already.
        waited: Duration,
        /// Until so long at most.
        until: Duration,
    },
    /// Its smoke job was asked for.
    Smoking,
    /// Its smoke job runs.
    Running {
        /// Its page.
        url: String,
    },
    /// Its smoke job ended.
    Smoked {
        /// How.
        verdict: Verdict,
        /// How that is said.
        text: String,
        /// From the request to the end.
        took: Duration,
    },
    /// Its labels are being attached.
    Labelling {
        /// The values that are set.
        changes: Vec<Difference>,
    },
}

/// Hears what happens to one executor.
pub type EventSink<'a> = &'a (dyn Fn(Event) + Sync);

/// One master, opened for the executors of a run. Every call blocks, has a deadline of its own, may be made from many threads at once, and
/// is about one executor by its name there: what goes wrong with one is no matter of the others.
pub trait Driver: std::fmt::Debug + Send + Sync {
    /// Looks at these executors and at what else of this site's is there: reads only, one listing however many they are.
    ///
    /// # Errors
    /// When the master cannot be asked at all.
    fn observe(&self, names: &[NodeName], tell: EventSink<'_>) -> Result<Observation, MasterError>;

    /// What executors share on the master, such as credentials, and is not as it should be. Reads only.
    ///
    /// # Errors
    /// When the master cannot be asked.
    fn shared(&self) -> Result<Vec<Difference>, MasterError> {
        Ok(Vec::new())
    }

    /// Every value that a run would change for an executor that stands so.
    fn plan(&self, standing: &Standing, proof: Proof) -> Vec<Difference> {
        plan(standing, proof)
    }

    /// Lets an executor take no new jobs, and shows people this reason. A mark of somebody else's stays.
    ///
    /// # Errors
    /// [`CordonError`]: when the master cannot be told, or does not answer.
    fn cordon(&self, name: &NodeName, reason: &str, tell: EventSink<'_>) -> Result<Cordon, CordonError>;

    /// Waits until an executor that is held runs no job, for as long as it is held.
    ///
    /// # Errors
    /// When the master cannot be asked.
    fn drain(&self, name: &NodeName, patience: Duration, tell: EventSink<'_>) -> Result<Drain, MasterError>;

    /// Ends a hold of ours, and no other.
    ///
    /// # Errors
    /// When the master cannot be told.
    fn uncordon(&self, name: &NodeName, tell: EventSink<'_>) -> Result<(), MasterError>;

    /// Whether [`Self::cordon`], [`Self::drain`] and [`Self::uncordon`] may be asked of what this site once had on the master, too.
    fn holds_former(&self) -> bool {
        false
    }

    /// Makes or sets an executor as it is in quarantine: it has no labels and takes its smoke job alone.
    ///
    /// # Errors
    /// When it is not so afterwards.
    fn quarantine(&self, name: &NodeName, tell: EventSink<'_>) -> Result<(), MasterError>;

    /// Whether [`Self::quarantine`] ends the jobs that run on a labelled executor: then it is drained first.
    fn quarantine_ends_jobs(&self) -> bool;

    /// Brings what executors share on the master, and what this one, which the master has, needs on its own node. True when something was
    /// changed on its node: then its labels are to be earned again.
    ///
    /// # Errors
    /// When it is not in place afterwards.
    fn equip(&self, _name: &NodeName, _is_connected: bool, _tell: EventSink<'_>) -> Result<bool, MasterError> {
        Ok(false)
    }

    /// Waits until an executor is connected.
    ///
    /// # Errors
    /// When it is not, in time.
    fn connect(&self, name: &NodeName, tell: EventSink<'_>) -> Result<(), MasterError>;

    /// The way to the node that an executor is on.
    ///
    /// # Errors
    /// When this run has no such executor.
    fn witness(&self, name: &NodeName) -> Result<Arc<dyn Witness>, MasterError>;

    /// Runs the smoke job on a quarantined, connected executor. The job first prints the file at [`Witness::path`]; what it printed, and not
    /// what that proves, is the driver's to tell.
    ///
    /// # Errors
    /// When the master cannot be asked for it. How the job ended is no error.
    fn prove(&self, name: &NodeName, tell: EventSink<'_>) -> Result<Report, MasterError>;

    /// Attaches the labels of an executor that has earned them.
    ///
    /// # Errors
    /// When it is not so afterwards.
    fn label(&self, name: &NodeName, tell: EventSink<'_>) -> Result<(), MasterError>;

    /// Removes an executor of this site's; gone already is done.
    ///
    /// # Errors
    /// When it is still there afterwards, or somebody else's.
    fn retire(&self, name: &NodeName) -> Result<(), MasterError>;

    /// What [`Self::equip`] would make so on an executor's own node, which only the node itself can compare; none: nothing. Asks for it, and
    /// brings nothing.
    ///
    /// # Errors
    /// When the master does not say what that is.
    fn equipment(&self, _name: &NodeName) -> Result<Vec<Step>, MasterError> {
        Ok(Vec::new())
    }

    /// These executors are on their way from now on: what they want written at the same time may be written in one go.
    fn begin(&self, _names: &[NodeName]) {}

    /// This one no longer is.
    fn end(&self, _name: &NodeName) {}

    /// Why an executor can earn no labels whatever is done, as far as it is known by now.
    fn objection(&self, _name: &NodeName) -> Option<String> {
        None
    }

    /// How many executors may be on their way at once.
    fn workers(&self) -> usize;

    /// Whether the run is to stop.
    fn stop(&self) -> &Cancellation;
}

/// Every value that a run would change for an executor that stands so.
fn plan(standing: &Standing, proof: Proof) -> Vec<Difference> {
    match (standing, proof) {
        (_, Proof::Lapsed) if standing.is_labelled() => vec![Difference::new("labels", "attached", "taken off until a run comes through")],
        (_, Proof::Lapsed) => Vec::new(),
        (Standing::Absent, _) => vec![Difference::new("executor", "absent", "registered, once its smoke job has passed")],
        (Standing::There(found), Proof::Standing) if found.to_labels.is_empty() && found.hold.as_ref().is_none_or(|hold| !hold.is_ours) => {
            Vec::new()
        }
        (Standing::There(found), _) if found.to_labels.is_empty() => {
            vec![Difference::new("labels", "attached", "taken off until its smoke job has passed again")]
        }
        (Standing::There(found), _) => found.to_labels.clone(),
    }
}
