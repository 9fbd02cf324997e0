//! Buildbot as a driver: worker files on the master's machine, and what came of them over REST.

use super::client::{BuildbotError, Client};
use super::file::{Worker, WorkerFile};
use super::smoke;
use super::survey::Survey;
use super::survey_cache::SurveyCache;
use crate::masters::driver::{Cordon, CordonError, Drain, Driver, Event, EventSink, MasterError, Observation, Orphan, Report};
use crate::masters::files::{Files, Install};
use crate::masters::wait::{Cancellation, Poll, Wait, WaitReporter};
use crate::masters::witness::Witness;
use ostler_roles::master::buildbot::{OUR_PAUSE, WorkerName, standing};
use ostler_roles::master::{Site, Stage};
use ostler_roles::words::{Digest, NodeName};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Waiting for a worker costs little here; each is one thread.
const WORKERS: usize = 64;

/// How long each wait on the master may last.
#[derive(Debug, Clone)]
pub struct Patience {
    /// Until a reloaded master shows the new files (it takes 0.1 s with few workers).
    pub load: Duration,
    /// Until a worker is connected (one that was refused before tries again within 4 s).
    pub connect: Duration,
    /// Until a smoke job has ended.
    pub smoke: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { load: Duration::from_secs(30), connect: Duration::from_secs(60), smoke: Duration::from_secs(1800) }
    }
}

/// Why a worker is not where it should be, though the master answers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WorkerTrouble {
    /// The master could not use its file.
    #[error("the master cannot use its worker file: {0}")]
    Refused(String),
    /// The master did not take its file: its configuration could not be loaded, or it was not reloaded.
    #[error("the master did not load its worker file within {} s", .0.as_secs())]
    NotLoaded(Duration),
    /// It did not connect.
    #[error("the worker did not connect within {} s", .0.as_secs())]
    Absent(Duration),
    /// A pause of ours does not end.
    #[error("the master did not end our pause within {} s", .0.as_secs())]
    Paused(Duration),
    /// This run has no such worker.
    #[error("this run has no worker of that name")]
    Unknown,
}

/// A worker to be registered.
#[derive(Debug, Clone)]
pub struct Registration {
    /// The worker as it should be.
    pub worker: Worker,
    /// The way to its node.
    pub witness: Arc<dyn Witness>,
    /// What connects it, on its node.
    pub service: Arc<dyn WorkerService>,
}

/// The service on a worker's own node that connects it.
pub trait WorkerService: std::fmt::Debug + Send + Sync {
    /// Why it does not stay up, with the last lines that it logged; none: it does, as far as is known. Blocks.
    fn trouble(&self) -> Option<String>;
}

/// One Buildbot, opened for the workers of a run.
#[derive(Debug)]
pub struct Buildbot<'a> {
    client: Client,
    looks: SurveyCache,
    files: Files<'a, WorkerFile>,
    workers: BTreeMap<NodeName, Registration>,
    reason: String,
    patience: Patience,
}

impl<'a> Buildbot<'a> {
    /// Opens it for these workers; `reason` is shown with the smoke jobs.
    pub fn new(
        client: Client,
        machine: impl Install<WorkerFile> + 'a,
        workers: BTreeMap<NodeName, Registration>,
        reason: &str,
        patience: Patience,
    ) -> Self {
        Self { client, looks: SurveyCache::default(), files: Files::on(machine), workers, reason: reason.to_owned(), patience }
    }

    /// Whose workers these are: those of one run are all of one site.
    fn site(&self) -> Option<&Site> {
        self.workers.values().find_map(|registration| registration.worker.site())
    }

    fn worker(&self, name: &NodeName) -> Result<&Worker, MasterError> {
        self.registration(name).map(|registration| &registration.worker)
    }

    /// The worker as the master that shows this can take it.
    fn fitted(&self, name: &NodeName, survey: &Survey) -> Result<Worker, MasterError> {
        let worker = self.worker(name)?.clone();
        Ok(if survey.knows_sites() { worker } else { worker.of_nobody() })
    }

    fn registration(&self, name: &NodeName) -> Result<&Registration, MasterError> {
        self.workers.get(name).ok_or_else(|| MasterError::failed(WorkerTrouble::Unknown))
    }

    /// A worker that did not connect, with what its own service says.
    fn absent(&self, name: &NodeName) -> Result<MasterError, MasterError> {
        let source = WorkerTrouble::Absent(self.patience.connect);
        Ok(match self.registration(name)?.service.trouble() {
            Some(why) => MasterError::WithLog { source: Box::new(source), log: vec![why] },
            None => MasterError::failed(source),
        })
    }

    /// Looks at all workers; one that is just starting answers nothing at first.
    fn survey(&self, tell: EventSink<'_>) -> Result<Survey, MasterError> {
        answered(self.client.pace(self.patience.load), self.patience.load, tell, || self.looks.look(&self.client))
    }

    /// Does this until the master answers. Only for what may be said twice. It goes on after an interrupt, as every write does.
    fn until_done<T>(&self, tell: EventSink<'_>, ask: impl FnMut() -> Result<T, BuildbotError>) -> Result<T, MasterError> {
        answered(Poll::new(self.patience.load, &Cancellation::default()), self.patience.load, tell, ask)
    }

    /// Looks again; silence is a master in the midst of something.
    fn again(&self) -> Result<Option<Survey>, MasterError> {
        match self.looks.look(&self.client) {
            Ok(survey) => Ok(Some(survey)),
            Err(error) if error.is_passing() => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    /// Writes the file of a stage and waits until the master shows that it has taken it. This wait goes on after an interrupt: it takes a
    /// moment, and what was written is not to be left unjudged.
    fn write(&self, name: &NodeName, stage: Stage, tell: EventSink<'_>) -> Result<(), MasterError> {
        let worker = self.fitted(name, &self.until_done(tell, || self.looks.look(&self.client))?)?;
        let (file, desired) = (worker.file(stage), worker.desired());
        let digest = Digest::of(&file.bytes);
        self.files.write(file).map_err(MasterError::failed)?;
        let mut pace = Poll::new(self.patience.load, &Cancellation::default());
        let mut waiting = WaitReporter::new(self.patience.load);
        loop {
            let is_late = pace.wait() == Wait::Over;
            waiting.tell(&pace, tell, || "the master has loaded its worker file".to_owned());
            let seen = self.again()?.map(|survey| survey.of(worker.name()));
            if seen.as_ref().is_some_and(|seen| seen.is_at(&desired, stage)) {
                tell(Event::Loaded { took: pace.waited() });
                return Ok(());
            }
            match seen.and_then(|seen| seen.refused) {
                Some(refusal) if is_late || refusal.digest == Some(digest) => {
                    return Err(MasterError::failed(WorkerTrouble::Refused(refusal.why)));
                }
                Some(_) | None if is_late => return Err(MasterError::failed(WorkerTrouble::NotLoaded(self.patience.load))),
                Some(_) | None => {}
            }
        }
    }
}

/// Asks again what is not answered in passing, until this wait is over.
fn answered<T>(
    mut pace: Poll,
    limit: Duration,
    tell: EventSink<'_>,
    mut ask: impl FnMut() -> Result<T, BuildbotError>,
) -> Result<T, MasterError> {
    let mut waiting = WaitReporter::new(limit);
    loop {
        match ask() {
            Err(error) if error.is_passing() && pace.wait() == Wait::Again => {
                waiting.tell(&pace, tell, || format!("the master answers ({})", crate::masters::driver::told(&error)));
            }
            other => return other.map_err(failed),
        }
    }
}

fn failed(error: BuildbotError) -> MasterError {
    MasterError::failed(error)
}

impl Driver for Buildbot<'_> {
    fn observe(&self, names: &[NodeName], tell: EventSink<'_>) -> Result<Observation, MasterError> {
        let survey = self.survey(tell)?;
        let of = |name: &NodeName| {
            let standing = self
                .fitted(name, &survey)
                .and_then(|worker| standing(&worker.desired(), &survey.of(worker.name())).map_err(MasterError::failed));
            (name.clone(), standing)
        };
        let others = survey.loaded(self.site()).filter(|loaded| names.iter().all(|name| name.as_str() != *loaded));
        let ours = others.map(|name| Orphan { name: name.to_owned(), node: None }).collect();
        Ok(Observation { standings: names.iter().map(of).collect(), ours })
    }

    fn cordon(&self, name: &NodeName, reason: &str, tell: EventSink<'_>) -> Result<Cordon, CordonError> {
        let worker = self.worker(name)?.name();
        let seen = self.until_done(tell, || self.looks.look(&self.client))?.of(worker);
        match seen.hold {
            // In no builder at all, or not ours: there is nothing to take out of service.
            _ if (!seen.smokes && seen.attached.is_empty()) || seen.owned_by(self.site()).is_err() => Ok(Cordon::Absent),
            Some(hold) if hold.is_ours() => Ok(Cordon::Ours),
            Some(hold) => Ok(Cordon::Theirs(hold.to_string())),
            None => {
                let reason = format!("{OUR_PAUSE}{reason}");
                self.until_done(tell, || self.client.pause(worker, &reason)).map(|()| Cordon::Made).map_err(CordonError::told)
            }
        }
    }

    fn drain(&self, name: &NodeName, patience: Duration, tell: EventSink<'_>) -> Result<Drain, MasterError> {
        let worker = self.worker(name)?.name();
        let Some(number) = self.survey(tell)?.number(worker) else { return Ok(Drain::Idle) };
        let mut pace = self.client.pace(patience);
        let mut waiting = WaitReporter::new(patience);
        let mut was_held = false;
        loop {
            let turn = pace.wait();
            // A pause counts once it is shown: until then a job may begin.
            let seen = self.again()?.map(|survey| survey.of(worker).hold.is_some());
            let is_held = seen == Some(true);
            if seen == Some(false) && (was_held || pace.waited() > self.patience.load) {
                return Ok(Drain::Unheld);
            }
            was_held |= is_held;
            let running = match self.client.running(number) {
                Ok(running) => running,
                Err(error) if error.is_passing() => 1,
                Err(error) => return Err(failed(error)),
            };
            match turn {
                _ if is_held && running == 0 => return Ok(Drain::Idle),
                Wait::Over => return Ok(Drain::Busy),
                Wait::Stopped => return Err(MasterError::Stopped { left: None }),
                Wait::Again => {
                    waiting.tell(&pace, tell, || format!("what runs there has ended ({})", ostler_roles::words::count(running, "job")))
                }
            }
        }
    }

    fn uncordon(&self, name: &NodeName, tell: EventSink<'_>) -> Result<(), MasterError> {
        let worker = self.worker(name)?.name();
        if !self.survey(tell)?.of(worker).hold.is_some_and(|hold| hold.is_ours()) {
            return Ok(());
        }
        self.until_done(tell, || self.client.unpause(worker))?;
        let mut pace = Poll::new(self.patience.load, &Cancellation::default());
        let mut waiting = WaitReporter::new(self.patience.load);
        loop {
            let turn = pace.wait();
            waiting.tell(&pace, tell, || "the master shows the end of our pause".to_owned());
            if self.again()?.is_some_and(|survey| survey.of(worker).hold.is_none_or(|hold| !hold.is_ours())) {
                return Ok(());
            }
            if turn == Wait::Over {
                return Err(MasterError::failed(WorkerTrouble::Paused(self.patience.load)));
            }
        }
    }

    /// A worker that is taken off a builder takes the builder's jobs with it: they are never tried again.
    fn quarantine_ends_jobs(&self) -> bool {
        true
    }

    fn quarantine(&self, name: &NodeName, tell: EventSink<'_>) -> Result<(), MasterError> {
        self.write(name, Stage::Quarantined, tell)
    }

    fn connect(&self, name: &NodeName, tell: EventSink<'_>) -> Result<(), MasterError> {
        let worker = self.worker(name)?.name();
        let mut pace = self.client.pace(self.patience.connect);
        let mut waiting = WaitReporter::new(self.patience.connect);
        loop {
            let turn = pace.wait();
            let seen = self.again()?.map(|survey| survey.of(worker));
            match turn {
                _ if seen.is_some_and(|seen| seen.connected || seen.hold.is_some()) => return Ok(()),
                Wait::Over => return Err(self.absent(name)?),
                Wait::Stopped => return Err(MasterError::Stopped { left: None }),
                Wait::Again => waiting.tell(&pace, tell, || "it is connected".to_owned()),
            }
        }
    }

    fn witness(&self, name: &NodeName) -> Result<Arc<dyn Witness>, MasterError> {
        self.registration(name).map(|registration| Arc::clone(&registration.witness))
    }

    fn prove(&self, name: &NodeName, tell: EventSink<'_>) -> Result<Report, MasterError> {
        let worker: &WorkerName = self.worker(name)?.name();
        let survey = self.survey(tell)?;
        let target = smoke::Target { client: &self.client, looks: &self.looks, worker, survey: &survey };
        smoke::run(target, &self.reason, self.patience.smoke, tell)
    }

    fn label(&self, name: &NodeName, tell: EventSink<'_>) -> Result<(), MasterError> {
        self.write(name, Stage::Labelled, tell)
    }

    fn retire(&self, name: &NodeName) -> Result<(), MasterError> {
        let worker = WorkerName::parse(name.as_str()).map_err(MasterError::failed)?;
        let seen = self.until_done(&|_| {}, || self.looks.look(&self.client))?.of(&worker);
        seen.owned_by(self.site()).map_err(MasterError::failed)?;
        self.files.write(WorkerFile::gone(&worker)).map_err(MasterError::failed)?;
        let mut pace = Poll::new(self.patience.load, &Cancellation::default());
        loop {
            let turn = pace.wait();
            if self.again()?.is_some_and(|survey| survey.of(&worker).loaded.is_none()) {
                return Ok(());
            }
            if turn == Wait::Over {
                return Err(MasterError::failed(WorkerTrouble::NotLoaded(self.patience.load)));
            }
        }
    }

    fn begin(&self, names: &[NodeName]) {
        self.files.expect(names.len());
    }

    fn end(&self, _name: &NodeName) {
        self.files.expect_no_more();
    }

    fn workers(&self) -> usize {
        WORKERS
    }

    fn stop(&self) -> &Cancellation {
        self.client.stop()
    }
}
