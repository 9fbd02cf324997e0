//! The way of a run's workers to their labels: one batch, one reload for each write, nothing written when nothing is to do.

use super::client::{BuildbotError, Client};
use super::file::{Worker, WorkerFile};
use super::smoke::{self, SmokeOutcome, SmokeReport};
use super::survey::Survey;
use crate::masters::wait::{Pace, Stop, Wait};
use ostler_roles::master::buildbot::{Desired, Hold, Next, Proof, Stage, WorkerName, next};
use ostler_roles::words::Digest;
use std::time::Duration;

/// How long each wait on the master may last.
#[derive(Debug, Clone)]
pub struct Patience {
    /// Until a reloaded master shows the new files (it takes 0.1 s with few workers).
    pub load: Duration,
    /// Until a worker is connected (one that was refused before tries again within 4 s).
    pub connect: Duration,
    /// Until every smoke job has ended.
    pub smoke: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { load: Duration::from_secs(30), connect: Duration::from_secs(60), smoke: Duration::from_secs(1800) }
    }
}

/// The machine of the master, as far as registration needs it.
pub trait Install {
    /// Writes the files below the master's directory, owned by root, readable by the master, and then reloads the master once.
    ///
    /// # Errors
    /// When any file is not in place or the reload was refused.
    fn install(&mut self, files: &[WorkerFile]) -> Result<(), InstallError>;
}

/// Why files did not get to the master's machine.
#[derive(Debug, thiserror::Error)]
#[error("write worker files on the Buildbot master's machine")]
pub struct InstallError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// Why a whole batch stopped. Running again goes on from what the master then shows.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// The master.
    #[error(transparent)]
    Master(#[from] BuildbotError),
    /// Its machine.
    #[error(transparent)]
    Install(#[from] InstallError),
}

/// What happens on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Worker files are being written, and the master reloaded.
    Writing {
        /// How many for quarantine.
        quarantined: usize,
        /// How many with labels.
        labelled: usize,
    },
    /// The master has loaded them.
    Loaded {
        /// After this time.
        took: Duration,
    },
    /// Workers are waited for.
    Waiting {
        /// These.
        workers: Vec<WorkerName>,
    },
    /// A worker took its smoke job.
    SmokeStarted {
        /// The worker.
        worker: WorkerName,
        /// The build's page.
        url: String,
    },
    /// A smoke job ended.
    SmokeEnded {
        /// The worker.
        worker: WorkerName,
        /// Whether it passed.
        green: bool,
        /// From the request to the end.
        took: Duration,
    },
}

/// How it ended for one worker.
#[derive(Debug)]
#[must_use]
pub enum Ending {
    /// It had its labels, nothing on the node changed, and nothing was done.
    Unchanged,
    /// It passed the smoke job and has its labels.
    Labelled(SmokeReport),
    /// It failed the smoke job and has no labels.
    Red(SmokeReport),
    /// Someone holds it back; it stays in quarantine.
    Held(Hold),
    /// The run was interrupted; whether it still has labels that it had.
    Stopped {
        /// It has labels.
        is_labelled: bool,
        /// What could not be taken back.
        left: Vec<String>,
    },
    /// It did not connect within this time. A label it had stays.
    Absent(Duration),
    /// The master could not use its file.
    Refused(String),
    /// Something else changed the master meanwhile; it is not registered, and another run is needed.
    Unsettled,
    /// The master did not take its file within this time: its configuration could not be loaded, or it was not reloaded.
    NotLoaded(Duration),
}

impl Ending {
    /// Whether the worker is registered: its labels are attached and earned.
    pub fn is_registered(&self) -> bool {
        matches!(self, Self::Unchanged | Self::Labelled(_))
    }
}

impl std::fmt::Display for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unchanged => f.write_str("registered, as before"),
            Self::Labelled(_) => f.write_str("registered: the smoke job passed"),
            Self::Red(report) => write!(f, "not registered: smoke job: {}", report.outcome),
            Self::Held(hold) => write!(f, "not registered: {hold}"),
            Self::Stopped { is_labelled, left } => {
                let labels = if *is_labelled { "it keeps the labels that it had" } else { "it has no labels" };
                write!(f, "not registered: interrupted; {labels} on the master")?;
                left.iter().try_for_each(|left| write!(f, "; {left}"))
            }
            Self::Absent(waited) => write!(f, "the worker did not connect within {} s", waited.as_secs()),
            Self::Unsettled => f.write_str("not registered: the master was changed by someone else meanwhile"),
            Self::Refused(why) => write!(f, "the master cannot use its worker file: {why}"),
            Self::NotLoaded(waited) => write!(f, "the master did not load its worker file within {} s", waited.as_secs()),
        }
    }
}

struct Entry<'a> {
    worker: &'a Worker,
    desired: Desired,
    proof: Proof,
    report: Option<SmokeReport>,
    ending: Option<Ending>,
}

impl Entry<'_> {
    fn next(&self, survey: &Survey) -> Next {
        next(&self.desired, &survey.of(self.worker.name()), self.proof)
    }

    /// Whether its file is written also after an interrupt.
    fn may_finish(&self, survey: &Survey) -> bool {
        match self.next(survey) {
            Next::Write(Stage::Quarantined) => !survey.of(self.worker.name()).attached.is_empty(),
            Next::Write(Stage::Labelled) => self.proof == Proof::Green,
            Next::Release | Next::Connect | Next::Smoke | Next::Held(_) | Next::Settled(_) => false,
        }
    }
}

struct Batch<'a> {
    client: &'a Client,
    machine: &'a mut dyn Install,
    patience: &'a Patience,
    events: &'a mut dyn FnMut(Event),
    entries: Vec<Entry<'a>>,
    survey: Survey,
}

/// Brings workers to their labels; each comes with whether its node changed in this run ([`Proof::Wanted`]) or not ([`Proof::Standing`]).
/// `reason` is shown with the smoke job: the run's id. Blocks; every wait has its deadline in `patience`.
///
/// # Errors
/// When the master cannot be asked or its machine not be written. What one worker does wrong is its [`Ending`], never an error.
pub fn register<'a>(
    client: &'a Client,
    machine: &'a mut dyn Install,
    workers: &'a [(Worker, Proof)],
    reason: &str,
    patience: &'a Patience,
    events: &'a mut dyn FnMut(Event),
) -> Result<Vec<(WorkerName, Ending)>, RegisterError> {
    let entry =
        |(worker, proof): &'a (Worker, Proof)| Entry { worker, desired: worker.desired(), proof: *proof, report: None, ending: None };
    let survey = first_look(client, patience)?;
    let mut batch = Batch { client, machine, patience, events, entries: workers.iter().map(entry).collect(), survey };
    batch.write()?;
    batch.release()?;
    batch.connect()?;
    batch.smoke(reason);
    batch.write()?;
    batch.settle();
    Ok(batch.entries.into_iter().map(|entry| (entry.worker.name().clone(), entry.ending.unwrap_or(Ending::Unsettled))).collect())
}

/// A master that is just starting answers nothing at first.
fn first_look(client: &Client, patience: &Patience) -> Result<Survey, BuildbotError> {
    let mut pace = client.pace(patience.load);
    loop {
        match client.survey() {
            Err(error) if error.is_silence() && pace.wait() == Wait::Again => {}
            other => return other,
        }
    }
}

impl Batch<'_> {
    fn open(&self) -> impl Iterator<Item = &Entry<'_>> {
        self.entries.iter().filter(|entry| entry.ending.is_none())
    }

    /// Looks again; silence is a master in the midst of something, and keeps what was seen before.
    fn look(&mut self) -> Result<(), BuildbotError> {
        match self.client.survey() {
            Ok(survey) => self.survey = survey,
            Err(error) if error.is_silence() => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Writes all files that are due in one go, and waits until the master shows that it has taken them. After an interrupt only what takes
    /// unearned labels off or puts earned ones on is written.
    fn write(&mut self) -> Result<(), RegisterError> {
        let is_stopped = self.client.is_stopped();
        let due = |entry: &Entry| match entry.next(&self.survey) {
            Next::Write(_) if is_stopped && !entry.may_finish(&self.survey) => None,
            Next::Write(stage) => Some(entry.worker.file(stage)),
            Next::Release | Next::Connect | Next::Smoke | Next::Held(_) | Next::Settled(_) => None,
        };
        let files: Vec<WorkerFile> = self.open().filter_map(due).collect();
        if files.is_empty() {
            return Ok(());
        }
        let quarantined = files.iter().filter(|file| file.stage == Stage::Quarantined).count();
        (self.events)(Event::Writing { quarantined, labelled: files.len() - quarantined });
        self.machine.install(&files)?;
        // It takes a moment, and what was written is not to be left unjudged: this wait goes on after an interrupt.
        let mut pace = Pace::new(self.patience.load, &Stop::default());
        loop {
            let is_late = pace.wait() == Wait::Over;
            self.look()?;
            if self.judge_files(&files, is_late) == 0 {
                (self.events)(Event::Loaded { took: pace.waited() });
                return Ok(());
            }
        }
    }

    /// Ends the workers whose files were refused or, when it is late, not loaded; returns how many are still awaited.
    fn judge_files(&mut self, files: &[WorkerFile], is_late: bool) -> usize {
        let mut pending = 0;
        for entry in self.entries.iter_mut().filter(|entry| entry.ending.is_none()) {
            let Some(file) = files.iter().find(|file| file.worker == *entry.worker.name()) else { continue };
            let seen = self.survey.of(entry.worker.name());
            if seen.is_at(&entry.desired, file.stage) {
                continue;
            }
            match seen.refused {
                Some(refusal) if is_late || refusal.digest == Some(Digest::of(&file.bytes)) => {
                    entry.ending = Some(Ending::Refused(refusal.why))
                }
                Some(_) | None if is_late => entry.ending = Some(Ending::NotLoaded(self.patience.load)),
                Some(_) | None => pending += 1,
            }
        }
        pending
    }

    /// Ends the pauses of ours, now that quarantine keeps jobs away.
    fn release(&self) -> Result<(), BuildbotError> {
        let mut paused = self.open().filter(|entry| entry.next(&self.survey) == Next::Release);
        paused.try_for_each(|entry| self.client.unpause(entry.worker.name()))
    }

    /// Waits until every worker that should be connected is, and every pause of ours has ended.
    fn connect(&mut self) -> Result<(), BuildbotError> {
        let mut pace = self.client.pace(self.patience.connect);
        let mut turn = Wait::Again;
        let mut told = false;
        loop {
            let away = |entry: &&Entry| matches!(entry.next(&self.survey), Next::Connect | Next::Release);
            let workers: Vec<WorkerName> = self.open().filter(away).map(|entry| entry.worker.name().clone()).collect();
            if workers.is_empty() || turn == Wait::Stopped {
                return Ok(());
            }
            if turn == Wait::Over {
                for entry in self.entries.iter_mut().filter(|entry| workers.contains(entry.worker.name())) {
                    entry.ending = Some(Ending::Absent(self.patience.connect));
                }
                return Ok(());
            }
            if !told {
                (self.events)(Event::Waiting { workers });
                told = true;
            }
            turn = pace.wait();
            self.look()?;
        }
    }

    /// Runs the smoke job wherever it is due, at once, and notes what it proved.
    fn smoke(&mut self, reason: &str) {
        let mut due = Vec::new();
        for entry in self.entries.iter_mut().filter(|entry| entry.ending.is_none()) {
            match entry.next(&self.survey) {
                Next::Smoke if self.client.is_stopped() => {}
                Next::Smoke => due.push(entry.worker.name().clone()),
                Next::Held(hold) => entry.ending = Some(Ending::Held(hold)),
                Next::Write(_) | Next::Release | Next::Connect | Next::Settled(_) => {}
            }
        }
        for (worker, report) in smoke::run(self.client, &self.survey, &due, reason, self.patience, self.events) {
            if let Some(entry) = self.entries.iter_mut().find(|entry| *entry.worker.name() == worker) {
                entry.proof = match report.outcome {
                    SmokeOutcome::Stopped => entry.proof,
                    _ if report.is_green() => Proof::Green,
                    _ => Proof::Red,
                };
                entry.report = Some(report);
            }
        }
    }

    /// Names the ending of everything that is still open. Only what the master shows now counts as registered.
    fn settle(&mut self) {
        let is_stopped = self.client.is_stopped();
        for entry in self.entries.iter_mut().filter(|entry| entry.ending.is_none()) {
            let seen = self.survey.of(entry.worker.name());
            let is_labelled = next(&entry.desired, &self.survey.of(entry.worker.name()), entry.proof) == Next::Settled(Stage::Labelled);
            entry.ending = Some(match entry.report.take() {
                Some(SmokeReport { outcome: SmokeOutcome::Stopped, tail, .. }) => {
                    Ending::Stopped { is_labelled: !seen.attached.is_empty(), left: tail }
                }
                Some(report) if !report.is_green() => Ending::Red(report),
                Some(report) if is_labelled => Ending::Labelled(report),
                None if is_labelled => Ending::Unchanged,
                Some(_) | None if is_stopped => Ending::Stopped { is_labelled: !seen.attached.is_empty(), left: Vec::new() },
                Some(_) | None => Ending::Unsettled,
            });
        }
    }
}
