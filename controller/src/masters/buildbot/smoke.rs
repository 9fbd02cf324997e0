//! The smoke job: forced on one worker, followed to its end, taken back when it is late.

use super::client::{Build, BuildResult, BuildbotError, Client};
use super::file::MACHINE;
use super::survey::Survey;
use super::survey_cache::SurveyCache;
use crate::masters::driver::{Event, EventSink, MasterError, Report, Verdict, told};
use crate::masters::wait::{Poll, SILENT, Wait, WaitReporter};
use crate::masters::witness::Shown;
use ostler_roles::master::buildbot::WorkerName;
use ostler_roles::words::count;
use std::time::Duration;

/// The worker that a job is run on.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    pub(super) client: &'a Client,
    pub(super) looks: &'a SurveyCache,
    pub(super) worker: &'a WorkerName,
    /// The master as it was before.
    pub(super) survey: &'a Survey,
}

/// Runs the smoke job on a worker of this master. What is not answered in passing is asked again for as long as the job may take.
pub(super) fn run(target: Target<'_>, reason: &str, patience: Duration, tell: EventSink<'_>) -> Result<Report, MasterError> {
    let mut pace = target.client.pace(patience);
    let mut waiting = WaitReporter::new(patience);
    let request = target.force(reason, &mut pace, &mut |pace, what| waiting.tell(pace, tell, || what))?;
    let mut job = Job { target, request, build: None };
    loop {
        let turn = pace.wait();
        let unanswered = match job.look(tell) {
            Ok(Some(result)) => {
                return Ok(job.judge(result, &mut pace, &mut |pace, what| waiting.tell(pace, tell, || what)));
            }
            Ok(None) => None,
            Err(error) if error.is_passing() => Some(error),
            Err(error) => return Ok(job.unknown(&error, &pace)),
        };
        match (turn, &unanswered) {
            (Wait::Again, _) if pace.waited() < SILENT => {}
            (Wait::Again, _) => waiting.tell(&pace, tell, || job.waits_for()),
            (Wait::Stopped, _) => return Err(MasterError::Stopped { left: job.take_back("interrupted") }),
            (Wait::Over, Some(error)) => return Ok(job.unknown(error, &pace)),
            (Wait::Over, None) => return Ok(job.late(patience, &pace)),
        }
    }
}

/// Hears what is waited for.
type WaitSink<'a> = &'a mut dyn FnMut(&Poll, String);

impl Target<'_> {
    /// Forces the job. It bears a name that nothing else has: one whose answer was lost is looked up by it, and comes once however late it is heard.
    fn force(&self, reason: &str, pace: &mut Poll, waits: WaitSink<'_>) -> Result<u64, MasterError> {
        let request = uuid::Uuid::now_v7().to_string();
        loop {
            let error = match self.client.force_smoke(self.worker, reason, &request) {
                Ok(request) => return Ok(request),
                Err(error) if !error.is_passing() => return Err(MasterError::failed(error)),
                Err(error) => error,
            };
            if let Some(request) = self.find(&request, error, pace, waits)? {
                return Ok(request);
            }
        }
    }

    /// Looks up one whose answer was lost; none: it may be asked for again. A master that would take that for a second job is looked at until it
    /// shows the first.
    fn find(&self, request: &str, mut last: BuildbotError, pace: &mut Poll, waits: WaitSink<'_>) -> Result<Option<u64>, MasterError> {
        loop {
            waits(pace, format!("the master says whether it has heard of the smoke job ({})", told(&last)));
            match pace.wait() {
                Wait::Again => {}
                Wait::Stopped => return Err(MasterError::Stopped { left: Some("a smoke job may have been asked for".to_owned()) }),
                Wait::Over => {
                    let (worker, forces_once, source) = (self.worker.clone(), self.survey.forces_once(), Box::new(last));
                    return Err(MasterError::failed(BuildbotError::Unheard { worker, forces_once, source }));
                }
            }
            match self.client.find_smoke(request) {
                Ok(Some(request)) => return Ok(Some(request)),
                Ok(None) if self.survey.forces_once() => return Ok(None),
                Ok(None) => {}
                Err(error) if error.is_passing() => last = error,
                Err(error) => return Err(MasterError::failed(error)),
            }
        }
    }
}

/// One forced job.
struct Job<'a> {
    target: Target<'a>,
    request: u64,
    build: Option<Build>,
}

impl Job<'_> {
    /// Looks once; the result when it has ended.
    fn look(&mut self, tell: EventSink<'_>) -> Result<Option<BuildResult>, BuildbotError> {
        let result = self.target.client.result(self.request)?;
        if self.build.is_none() || result.is_some() {
            let build = self.target.client.build(self.request)?;
            if let (None, Some(build)) = (&self.build, &build) {
                tell(Event::Running { url: build.url.clone() });
            }
            self.build = build;
        }
        Ok(result)
    }

    fn waits_for(&self) -> String {
        match &self.build {
            Some(build) => format!("its smoke job ends: {}", build.url),
            None => format!("its smoke job begins (build request {}): {}", self.request, self.hindrance()),
        }
    }

    /// Why the master does not begin it, as far as it says so.
    fn hindrance(&self) -> String {
        let Target { client, looks, worker, .. } = self.target;
        let survey = match looks.look(client) {
            Ok(survey) => survey,
            Err(error) => return format!("the master does not say why not ({})", told(&error)),
        };
        let seen = survey.of(worker);
        if !seen.connected {
            return "the worker is not connected".to_owned();
        }
        if let Some(hold) = seen.hold {
            return format!("the worker is {hold}");
        }
        match survey.number(worker).map(|number| client.running(number)) {
            Some(Ok(0)) | None => {
                "the worker is connected and free: the master has not come to it, or a lock in its master.cfg is taken".to_owned()
            }
            Some(Ok(running)) => format!("the worker runs {}", count(running, "other job")),
            Some(Err(error)) => format!("the master does not say why not ({})", told(&error)),
        }
    }

    fn judge(&self, result: BuildResult, pace: &mut Poll, waits: WaitSink<'_>) -> Report {
        let report = self.verdict(result, pace);
        match &self.build {
            Some(build) if report.verdict != Verdict::Unknown => Report { shown: self.shown(build, pace, waits), ..report },
            Some(_) | None => report,
        }
    }

    fn verdict(&self, result: BuildResult, pace: &Poll) -> Report {
        let number = self.target.survey.number(self.target.worker);
        match &self.build {
            Some(build) if number != Some(build.worker) => self.report(Verdict::Red, "ran on another worker".to_owned(), pace),
            Some(_) if result == BuildResult::Success => self.report(Verdict::Green, result.to_string(), pace),
            Some(build) => {
                // Buildbot's own stumbling, a lost worker and a cancelled job are no words of the job.
                let verdict = match result {
                    BuildResult::Warnings | BuildResult::Failure => Verdict::Red,
                    _ => Verdict::Unknown,
                };
                Report { tail: self.tail(build), ..self.report(verdict, result.to_string(), pace) }
            }
            None => self.report(Verdict::Unknown, result.to_string(), pace),
        }
    }

    /// What could not be asked is not known.
    fn unknown(&self, error: &BuildbotError, pace: &Poll) -> Report {
        let text = format!("not known: {}", told(error));
        let mut report = self.report(Verdict::Unknown, text, pace);
        report.tail.extend(self.take_back("nobody can follow it"));
        report
    }

    fn late(&self, patience: Duration, pace: &Poll) -> Report {
        let seconds = patience.as_secs();
        let text = match &self.build {
            Some(_) => format!("not finished within {seconds} s"),
            None => format!("not begun within {seconds} s: {}", self.hindrance()),
        };
        let mut report = self.report(Verdict::Unknown, text, pace);
        report.tail = self.build.as_ref().map(|build| self.tail(build)).unwrap_or_default();
        let left = self.take_back(&report.text);
        report.tail.extend(left);
        report
    }

    fn tail(&self, build: &Build) -> Vec<String> {
        self.target.client.tail(self.request, build).unwrap_or_else(|error| vec![format!("no log: {error}")])
    }

    /// What it printed of its machine; what is not answered in passing is asked again.
    fn shown(&self, build: &Build, pace: &mut Poll, waits: WaitSink<'_>) -> Shown {
        loop {
            match self.target.client.log(self.request, build, MACHINE) {
                Ok(Some(lines)) => return Shown::Lines(lines),
                Ok(None) => return Shown::Unread(format!("the job has no log `{MACHINE}`; does master.cfg run what worker files say?")),
                Err(error) if error.is_passing() && pace.wait() == Wait::Again => {
                    waits(pace, format!("the log of its smoke job is shown ({})", told(&error)));
                }
                Err(error) => return Shown::Unread(told(&error)),
            }
        }
    }

    /// Takes it back; what to say when it stays.
    fn take_back(&self, why: &str) -> Option<String> {
        self.target
            .client
            .cancel(self.request, self.build.as_ref(), why)
            .err()
            .map(|error| format!("its smoke job could not be taken back: {error}"))
    }

    fn report(&self, verdict: Verdict, text: String, pace: &Poll) -> Report {
        Report {
            verdict,
            text,
            url: self.build.as_ref().map(|build| build.url.clone()),
            tail: Vec::new(),
            was_cut_off: false,
            left: None,
            took: pace.waited(),
            shown: Shown::Unread("it did not end".to_owned()),
        }
    }
}
