//! The calls of Buildbot's REST API (`/api/v2`, buildbot 4.3) that registration needs.

use super::rest::{Builders, Builds, Buildsets, Chunks, Loaded, Logs, Requests, Steps, Workers, clean};
use super::survey::{Survey, fold};
use crate::masters::http::{Http, HttpError, encode};
use crate::masters::wait::{Cancellation, Poll, Wait};
use ostler_roles::master::buildbot::{SMOKE, WorkerName};
use ostler_roles::texts::Text;
use ostler_roles::words::Secret;
use serde_json::{Value, json};
use std::time::Duration;

/// What one smoke job is forced for: a field of the force scheduler, in which it is told again.
const REQUEST: &str = "ostler_request";
/// How long its force scheduler may be missing: a reload puts another in its place.
const RELOADING: Duration = Duration::from_secs(3);
/// Lines of a failed command's log that are kept.
const TAIL: usize = 20;
/// Lines of it that are read: a secret may be broken over the line at which the kept ones begin.
const READ: u64 = 200;

/// Why the master could not be asked, or what it said made no sense.
#[derive(Debug, thiserror::Error)]
pub enum BuildbotError {
    /// Listing workers, builders or what was loaded.
    #[error("read the workers of the Buildbot master")]
    Survey(#[source] HttpError),
    /// The master runs, but with another `master.cfg` than ours.
    #[error("find what the Buildbot master has loaded: {why}; was it set up by the role buildbot-master?")]
    State {
        /// What is missing.
        why: String,
    },
    /// Forcing the smoke job.
    #[error("force the job {SMOKE} on worker {worker}")]
    Force {
        /// The worker.
        worker: WorkerName,
        /// What the API said.
        #[source]
        source: HttpError,
    },
    /// A smoke job that was asked for, and of which the master does not say whether it has heard.
    #[error("learn whether the master has heard of the smoke job for worker {worker}, which may still run{}", again(*.forces_once))]
    Unheard {
        /// The worker.
        worker: WorkerName,
        /// Whether it may be told again.
        forces_once: bool,
        /// What came of asking.
        #[source]
        source: Box<BuildbotError>,
    },
    /// Following a job.
    #[error("follow build request {request}")]
    Follow {
        /// Its number.
        request: u64,
        /// What the API said.
        #[source]
        source: HttpError,
    },
    /// Pausing or unpausing a worker.
    #[error("{action} worker {worker}")]
    Control {
        /// `pause` or `unpause`.
        action: &'static str,
        /// The worker.
        worker: WorkerName,
        /// What the API said.
        #[source]
        source: HttpError,
    },
}

/// Why nobody asked again.
fn again(forces_once: bool) -> &'static str {
    if forces_once {
        ""
    } else {
        " (nor is it asked for again: this master would run it twice until the role buildbot-master is applied to it)"
    }
}

impl BuildbotError {
    /// Whether asking again may help: the master did not answer, or it or a proxy in front of it stumbled (5xx).
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Survey(source) | Self::Force { source, .. } | Self::Follow { source, .. } | Self::Control { source, .. } => {
                source.is_silence() || source.status().is_some_and(|status| status >= 500)
            }
            Self::State { .. } | Self::Unheard { .. } => false,
        }
    }
}

/// How a build ended (buildbot `process/results.py`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuildResult {
    /// 0
    Success,
    /// 1
    Warnings,
    /// 2
    Failure,
    /// 3
    Skipped,
    /// 4: Buildbot itself stumbled.
    Exception,
    /// 5: the worker was lost; the request waits for it again.
    Retry,
    /// 6
    Cancelled,
    /// A number of a later Buildbot.
    Unknown(i64),
}

impl BuildResult {
    fn from_number(number: i64) -> Self {
        match number {
            0 => Self::Success,
            1 => Self::Warnings,
            2 => Self::Failure,
            3 => Self::Skipped,
            4 => Self::Exception,
            5 => Self::Retry,
            6 => Self::Cancelled,
            other => Self::Unknown(other),
        }
    }
}

impl std::fmt::Display for BuildResult {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Success => f.write_str("success"),
            Self::Warnings => f.write_str("warnings"),
            Self::Failure => f.write_str("failure"),
            Self::Skipped => f.write_str("skipped"),
            Self::Exception => f.write_str("exception"),
            Self::Retry => f.write_str("worker lost"),
            Self::Cancelled => f.write_str("cancelled"),
            Self::Unknown(number) => write!(f, "result {number}"),
        }
    }
}

/// A build of the smoke job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// Its number on the whole master.
    pub id: u64,
    /// Its page.
    pub url: String,
    /// The worker that ran it, by Buildbot's number.
    pub worker: u64,
}

/// Who may start and stop things at the master (`master.cfg`: the account `ostler`).
#[derive(Debug, Clone)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// Its password.
    pub password: Secret<String>,
}

/// A Buildbot master's REST API. Reading needs no account.
#[derive(Debug, Clone)]
pub struct Client {
    http: Http,
    account: Option<Account>,
    stop: Cancellation,
}

impl Client {
    /// A client over an HTTP base such as `http://10.78.0.2:8010/`.
    pub fn new(http: Http, account: Option<Account>) -> Self {
        Self { http, account, stop: Cancellation::default() }
    }

    /// The same client, whose waits end when the run is interrupted.
    #[must_use]
    pub fn stoppable(self, stop: Cancellation) -> Self {
        Self { stop, ..self }
    }

    /// Whether the run is to stop.
    pub fn stop(&self) -> &Cancellation {
        &self.stop
    }

    /// For one wait on the master.
    pub(super) fn pace(&self, patience: Duration) -> Poll {
        Poll::new(patience, &self.stop)
    }

    /// Reads workers, builders and what was loaded: three requests, however many there are.
    ///
    /// # Errors
    /// [`BuildbotError::Survey`], [`BuildbotError::State`].
    pub fn survey(&self) -> Result<Survey, BuildbotError> {
        let mut pace = self.pace(RELOADING);
        let loaded = loop {
            if let Some(loaded) = self.loaded()? {
                break loaded;
            }
            if pace.wait() != Wait::Again {
                return Err(BuildbotError::State { why: format!("it has no force scheduler {SMOKE}") });
            }
        };
        let workers: Workers = self.http.get_json("api/v2/workers").map_err(BuildbotError::Survey)?;
        let builders: Builders = self.http.get_json("api/v2/builders").map_err(BuildbotError::Survey)?;
        Ok(fold(loaded, workers, builders))
    }

    /// What its force scheduler says; none where it has none just now.
    fn loaded(&self) -> Result<Option<Loaded>, BuildbotError> {
        let answer: Value = match self.http.get_json(&format!("api/v2/forceschedulers/{SMOKE}")) {
            Ok(answer) => answer,
            Err(error) if error.status() == Some(404) => return Ok(None),
            Err(error) => return Err(BuildbotError::Survey(error)),
        };
        let fields = answer.pointer("/forceschedulers/0/all_fields").and_then(Value::as_array);
        let state = fields.into_iter().flatten().find(|field| field["name"] == "ostler_state").and_then(|field| field["default"].as_str());
        let state = state.ok_or_else(|| BuildbotError::State { why: format!("its force scheduler {SMOKE} has no field ostler_state") })?;
        let loaded: Loaded = serde_json::from_str(state).map_err(|error| BuildbotError::State { why: format!("ostler_state: {error}") })?;
        let forces_once = fields.into_iter().flatten().any(|field| field["name"] == REQUEST);
        Ok(Some(Loaded { forces_once, ..loaded }))
    }

    /// Forces the smoke job on one worker for `request`, which nothing else has; returns the build request's number. The job starts on that worker
    /// or not at all. Said again, it is the same job, where the master forces once ([`Survey::forces_once`]).
    ///
    /// # Errors
    /// [`BuildbotError::Force`], [`BuildbotError::State`].
    pub fn force_smoke(&self, worker: &WorkerName, reason: &str, request: &str) -> Result<u64, BuildbotError> {
        // The master knows it again by the end of the reason.
        let reason = format!("{reason}, {request}");
        let params = json!({"builderNames": [SMOKE], "workername": worker.as_str(), "reason": reason, REQUEST: request});
        let answer = self
            .call(&format!("api/v2/forceschedulers/{SMOKE}"), "force", &params)
            .map_err(|source| BuildbotError::Force { worker: worker.clone(), source })?;
        // [build set, {builder: build request}]
        let request = answer.pointer("/result/1").and_then(Value::as_object).and_then(|map| map.values().next()).and_then(Value::as_u64);
        request.ok_or_else(|| BuildbotError::State { why: "forcing a job gave no build request".to_owned() })
    }

    /// The build request of a smoke job that was forced for this; none when the master has not heard of it, so far.
    ///
    /// # Errors
    /// [`BuildbotError::Survey`].
    pub fn find_smoke(&self, request: &str) -> Result<Option<u64>, BuildbotError> {
        let path = format!("api/v2/buildsets?reason__contains={}&order=-bsid&limit=1", encode(request));
        let sets: Buildsets = self.http.get_json(&path).map_err(BuildbotError::Survey)?;
        let Some(set) = sets.buildsets.first() else { return Ok(None) };
        let path = format!("api/v2/buildrequests?buildsetid={}&limit=1", set.bsid);
        let requests: Requests = self.http.get_json(&path).map_err(BuildbotError::Survey)?;
        Ok(requests.buildrequests.first().map(|request| request.buildrequestid))
    }

    /// The result of a build request; none while it waits or runs.
    ///
    /// # Errors
    /// [`BuildbotError::Follow`].
    pub fn result(&self, request: u64) -> Result<Option<BuildResult>, BuildbotError> {
        let answer: Requests =
            self.http.get_json(&format!("api/v2/buildrequests/{request}")).map_err(|source| BuildbotError::Follow { request, source })?;
        let ended = answer.buildrequests.into_iter().next().filter(|one| one.complete).and_then(|one| one.results);
        Ok(ended.map(BuildResult::from_number))
    }

    /// The latest build of a request; none while it waits for its worker.
    ///
    /// # Errors
    /// [`BuildbotError::Follow`].
    pub fn build(&self, request: u64) -> Result<Option<Build>, BuildbotError> {
        let path = format!("api/v2/builds?buildrequestid={request}&order=-buildid&limit=1");
        let answer: Builds = self.http.get_json(&path).map_err(|source| BuildbotError::Follow { request, source })?;
        Ok(answer.builds.into_iter().next().map(|build| Build {
            id: build.buildid,
            url: self.http.url(&format!("#/builders/{}/builds/{}", build.builderid, build.number)),
            worker: build.workerid,
        }))
    }

    /// The first lines that a build's log of this name has, without Buildbot's own; none: it has no such log.
    ///
    /// # Errors
    /// [`BuildbotError::Follow`].
    pub fn log(&self, request: u64, build: &Build, name: &str) -> Result<Option<Vec<String>>, BuildbotError> {
        let follow = |source| BuildbotError::Follow { request, source };
        let steps: Steps = self.http.get_json(&format!("api/v2/builds/{}/steps", build.id)).map_err(follow)?;
        for step in steps.steps {
            let logs: Logs = self.http.get_json(&format!("api/v2/steps/{}/logs", step.stepid)).map_err(follow)?;
            let Some(log) = logs.logs.into_iter().filter(|log| log.name == name).min_by_key(|log| log.logid) else { continue };
            let path = format!("api/v2/logs/{}/contents?offset=0&limit={TAIL}", log.logid);
            let chunks: Chunks = self.http.get_json(&path).map_err(follow)?;
            let said = |line: &str| line.strip_prefix(['o', 'e']).map(clean);
            let mut lines: Vec<String> = chunks.logchunks.iter().flat_map(|chunk| chunk.content.lines()).filter_map(said).collect();
            self.http.mask().hide(Text::Lines(&mut lines));
            return Ok(Some(lines));
        }
        Ok(None)
    }

    /// The last lines of what failed in a build: the command's name, then its output. Empty when Buildbot kept none.
    ///
    /// # Errors
    /// [`BuildbotError::Follow`].
    pub fn tail(&self, request: u64, build: &Build) -> Result<Vec<String>, BuildbotError> {
        let follow = |source| BuildbotError::Follow { request, source };
        let steps: Steps = self.http.get_json(&format!("api/v2/builds/{}/steps", build.id)).map_err(follow)?;
        let Some(step) = steps.steps.into_iter().rev().find(|step| step.results != Some(0)) else { return Ok(Vec::new()) };
        let logs: Logs = self.http.get_json(&format!("api/v2/steps/{}/logs", step.stepid)).map_err(follow)?;
        let Some(log) = logs.logs.into_iter().max_by_key(|log| log.logid) else { return Ok(vec![clean(&step.state_string)]) };
        let path = format!("api/v2/logs/{}/contents?offset={}&limit={READ}", log.logid, log.num_lines.saturating_sub(READ));
        let chunks: Chunks = self.http.get_json(&path).map_err(follow)?;
        // Every line begins with its channel: `o`ut, `e`rr or Buildbot's own `h`eader, of which only the verdict is news.
        let said = |line: &str| match line.split_at_checked(1) {
            Some(("o" | "e", text)) => Some(text.to_owned()),
            Some(("h", text)) if !text.starts_with([' ', '\t']) && !text.starts_with("elapsedTime") => Some(text.to_owned()),
            _ => None,
        };
        let mut lines: Vec<String> = chunks.logchunks.iter().flat_map(|chunk| chunk.content.lines()).filter_map(said).collect();
        self.http.mask().hide(Text::Lines(&mut lines));
        let kept = lines.iter().skip(lines.len().saturating_sub(TAIL));
        Ok(std::iter::once(&log.name).chain(kept).map(|line| clean(line)).collect())
    }

    /// Takes back a request that nobody waits for any longer, and stops its build; `reason` is shown with it.
    ///
    /// # Errors
    /// [`BuildbotError::Follow`].
    pub fn cancel(&self, request: u64, build: Option<&Build>, reason: &str) -> Result<(), BuildbotError> {
        let follow = |source| BuildbotError::Follow { request, source };
        let reason = json!({ "reason": reason });
        self.call(&format!("api/v2/buildrequests/{request}"), "cancel", &reason).map_err(follow)?;
        if let Some(build) = build {
            self.call(&format!("api/v2/builds/{}", build.id), "stop", &reason).map_err(follow)?;
        }
        Ok(())
    }

    /// How many jobs the worker of this number runs now (this address knows no names).
    ///
    /// # Errors
    /// [`BuildbotError::Survey`].
    pub fn running(&self, number: u64) -> Result<usize, BuildbotError> {
        let path = format!("api/v2/workers/{number}/builds?complete=false");
        self.http.get_json::<Builds>(&path).map(|answer| answer.builds.len()).map_err(BuildbotError::Survey)
    }

    /// Lets a worker start no new jobs, with a reason that people see.
    ///
    /// # Errors
    /// [`BuildbotError::Control`].
    pub fn pause(&self, worker: &WorkerName, reason: &str) -> Result<(), BuildbotError> {
        self.control(worker, "pause", &json!({ "reason": reason }))
    }

    /// Lets a worker start jobs again. The caller makes sure that it was we who paused it.
    ///
    /// # Errors
    /// [`BuildbotError::Control`].
    pub fn unpause(&self, worker: &WorkerName) -> Result<(), BuildbotError> {
        self.control(worker, "unpause", &json!({}))
    }

    fn control(&self, worker: &WorkerName, action: &'static str, params: &Value) -> Result<(), BuildbotError> {
        let path = format!("api/v2/workers/{}", encode(worker.as_str()));
        let fault = |source| BuildbotError::Control { action, worker: worker.clone(), source };
        self.call(&path, action, params).map(|_| ()).map_err(fault)
    }

    /// One JSON-RPC call; Buildbot answers a failed one with a status other than 200, and 403 once a session is over.
    fn call(&self, path: &str, method: &str, params: &Value) -> Result<Value, HttpError> {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let Some(account) = &self.account else { return self.http.post_json(path, &body) };
        let log_in = || self.http.log_in("auth/login", &account.name, &account.password);
        if !self.http.has_session() {
            log_in()?;
            return self.http.post_json(path, &body);
        }
        match self.http.post_json(path, &body) {
            Err(error) if error.status() == Some(403) => {
                log_in()?;
                self.http.post_json(path, &body)
            }
            other => other,
        }
    }
}
