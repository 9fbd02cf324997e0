//! The smoke job: forced on each worker at once, followed to its end, taken back when it is late.

use super::client::{Build, BuildResult, BuildbotError, Client};
use super::register::{Event, Patience};
use super::survey::Survey;
use crate::masters::wait::Wait;
use ostler_roles::master::buildbot::WorkerName;
use std::time::{Duration, Instant};

/// How a smoke job ended.
#[derive(Debug)]
pub enum SmokeOutcome {
    /// Buildbot's verdict.
    Ended(BuildResult),
    /// It ran, but not to its end, within this time; it was stopped.
    Late(Duration),
    /// The worker did not take it within this time; it was taken back.
    NotTaken(Duration),
    /// It ran on another worker.
    Elsewhere,
    /// The run was interrupted, and the job taken back.
    Stopped,
    /// The master could not be asked.
    Faulted(BuildbotError),
}

impl std::fmt::Display for SmokeOutcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ended(result) => write!(f, "{result}"),
            Self::Late(time) => write!(f, "not finished within {} s", time.as_secs()),
            Self::NotTaken(time) => write!(f, "not taken by the worker within {} s", time.as_secs()),
            Self::Elsewhere => f.write_str("ran on another worker"),
            Self::Stopped => f.write_str("interrupted"),
            Self::Faulted(error) => write!(f, "{error}"),
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
    /// The failed command's name and its last lines; empty when all went well.
    pub tail: Vec<String>,
    /// From the request to the end.
    pub took: Duration,
}

impl SmokeReport {
    /// Whether the job passed: anything short of success proves nothing.
    pub fn is_green(&self) -> bool {
        matches!(self.outcome, SmokeOutcome::Ended(BuildResult::Success))
    }
}

/// Runs the smoke job on all `workers` at once.
pub(super) fn run(
    client: &Client,
    survey: &Survey,
    workers: &[WorkerName],
    reason: &str,
    patience: &Patience,
    events: &mut dyn FnMut(Event),
) -> Vec<(WorkerName, SmokeReport)> {
    let start = Instant::now();
    let mut done = Vec::new();
    let mut open = Vec::new();
    for worker in workers {
        match client.force_smoke(worker, reason) {
            Ok(request) => open.push(Job { worker: worker.clone(), request, build: None }),
            Err(error) => done.push((worker.clone(), report(SmokeOutcome::Faulted(error), None, start))),
        }
    }
    let mut pace = client.pace(patience.smoke);
    while !open.is_empty() {
        let turn = pace.wait();
        let is_late = turn != Wait::Again;
        let mut waiting = Vec::new();
        for mut job in open {
            match job.look(client, events) {
                Ok(Some(result)) => done.push((job.worker.clone(), job.judge(client, survey, result, start))),
                Ok(None) if turn == Wait::Stopped => done.push((job.worker.clone(), job.take_back(client, SmokeOutcome::Stopped, start))),
                Ok(None) if is_late => done.push((job.worker.clone(), job.give_up(client, patience.smoke, start))),
                Err(error) if is_late || !error.is_silence() => {
                    done.push((job.worker.clone(), report(SmokeOutcome::Faulted(error), job.url(), start)));
                }
                Ok(None) | Err(_) => waiting.push(job),
            }
        }
        open = waiting;
    }
    for (worker, report) in &done {
        events(Event::SmokeEnded { worker: worker.clone(), green: report.is_green(), took: report.took });
    }
    done
}

/// One forced job.
struct Job {
    worker: WorkerName,
    request: u64,
    build: Option<Build>,
}

impl Job {
    fn url(&self) -> Option<String> {
        self.build.as_ref().map(|build| build.url.clone())
    }

    /// Looks once; the result when it has ended.
    fn look(&mut self, client: &Client, events: &mut dyn FnMut(Event)) -> Result<Option<BuildResult>, BuildbotError> {
        let result = client.result(self.request)?;
        if self.build.is_none() || result.is_some() {
            let build = client.build(self.request)?;
            if let (None, Some(build)) = (&self.build, &build) {
                events(Event::SmokeStarted { worker: self.worker.clone(), url: build.url.clone() });
            }
            self.build = build;
        }
        Ok(result)
    }

    fn judge(&self, client: &Client, survey: &Survey, result: BuildResult, start: Instant) -> SmokeReport {
        let Some(build) = &self.build else { return report(SmokeOutcome::Ended(result), None, start) };
        if survey.number(&self.worker) != Some(build.worker) {
            return report(SmokeOutcome::Elsewhere, self.url(), start);
        }
        let mut report = report(SmokeOutcome::Ended(result), self.url(), start);
        if !report.is_green() {
            report.tail = client.tail(self.request, build).unwrap_or_else(|error| vec![format!("no log: {error}")]);
        }
        report
    }

    fn give_up(&self, client: &Client, waited: Duration, start: Instant) -> SmokeReport {
        self.take_back(client, if self.build.is_some() { SmokeOutcome::Late(waited) } else { SmokeOutcome::NotTaken(waited) }, start)
    }

    fn take_back(&self, client: &Client, outcome: SmokeOutcome, start: Instant) -> SmokeReport {
        let mut report = report(outcome, self.url(), start);
        if let (Some(build), SmokeOutcome::Late(_)) = (&self.build, &report.outcome) {
            report.tail = client.tail(self.request, build).unwrap_or_else(|error| vec![format!("no log: {error}")]);
        }
        if let Err(error) = client.cancel(self.request, self.build.as_ref(), &report.outcome.to_string()) {
            report.tail.push(format!("its smoke job could not be taken back: {error}"));
        }
        report
    }
}

fn report(outcome: SmokeOutcome, url: Option<String>, start: Instant) -> SmokeReport {
    SmokeReport { outcome, url, tail: Vec::new(), took: start.elapsed() }
}
