//! A smoke job from its request to its end, and what it showed.

use super::super::http::encode;
use super::super::wait::Wait;
use super::error::JenkinsError;
use super::job::{install, name_of, remove};
use super::log::Log;
use super::node::{ATTEMPTS, FORM, computer};
use super::outcome::{SmokeOutcome, SmokeReport};
use super::session::Session;
use super::watch::Watch;
use crate::masters::driver::{Event, Verdict};
use crate::masters::witness::Shown;
use ostler_roles::executor::Smoke;
use ostler_roles::master::jenkins::Node;
use serde::Deserialize;
use std::time::Duration;

/// How many lines of a red job's console are quoted.
const TAIL: usize = 12;
/// How often the console of a job that has ended is asked for: a log that was removed is never shown.
const LOOKS: u32 = 5;

#[derive(Debug, Deserialize)]
struct Item {
    #[serde(default)]
    cancelled: bool,
    why: Option<String>,
    executable: Option<Executable>,
    task: Task,
}

#[derive(Debug, Deserialize)]
struct Task {
    /// The step of a pipeline has none.
    name: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct Executable {
    number: u64,
    url: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Build {
    building: bool,
    result: Option<String>,
    built_on: String,
    /// -1 while Jenkins has not said yet (`Run.QUEUE_ID_UNKNOWN`).
    queue_id: i64,
}

impl Build {
    fn is_of(&self, item: i64) -> bool {
        self.queue_id == item || self.queue_id < 0
    }
}

/// Runs the commands on a quarantined node. A green job is removed again, and one that was cut off; a red one stays to be looked at.
pub(super) fn run(
    session: &Session,
    node: &Node,
    nonce: &str,
    commands: &[Smoke],
    patience: Duration,
) -> Result<SmokeReport, JenkinsError> {
    let job = name_of(node);
    install(session, node, &job, nonce, commands)?;
    let mut watch = Watch::new(session, patience);
    let followed = start(session, &job, &mut watch).and_then(|item| follow(session, node, item, &mut watch));
    let (outcome, executable) = followed.map_err(|error| match error {
        JenkinsError::Stopped { action, .. } => JenkinsError::Stopped { action, left: left_behind(session, &job) },
        other => other,
    })?;
    let took = watch.waited();
    let outcome = match outcome {
        Ok(build) if build.built_on != node.name.as_str() => SmokeOutcome::Elsewhere(build.built_on),
        Ok(build) if build.result.as_deref() != Some("SUCCESS") && is_gone(session, node) => SmokeOutcome::Vanished,
        Ok(build) => SmokeOutcome::Ended(build.result.unwrap_or_else(|| "no result".to_owned())),
        Err(outcome) => outcome,
    };
    let url = executable.as_ref().map(|build| build.url.clone());
    let log = executable.as_ref().filter(|_| outcome.tells_of_its_node()).map(|build| log_of(session, &job, build.number, &mut watch));
    let shown = match &log {
        Some(log) => shown(session, log, nonce),
        None => Shown::Unread("it never ran".to_owned()),
    };
    let mut report = SmokeReport { outcome, url, tail: Vec::new(), left: None, took, shown };
    match (&report.outcome, log) {
        (outcome, _) if outcome.verdict() == Verdict::Green => report.left = left_behind(session, &job),
        (outcome, _) if !outcome.tells_of_its_node() => {
            report.url = None;
            report.tail.extend(left_behind(session, &job));
        }
        (_, Some(log)) => report.tail = tail(session, &job, log),
        (_, None) => {}
    }
    Ok(report)
}

/// Whether the agent of a job that failed is gone. Nobody's word on that is nothing but that.
fn is_gone(session: &Session, node: &Node) -> bool {
    computer(session, &node.name).is_ok_and(|state| state.is_gone())
}

/// Removes a job that proves nothing; what to say when it cannot be removed.
fn left_behind(session: &Session, job: &str) -> Option<String> {
    remove(session, job).err().map(|error| format!("job `{job}` is left on the master: {error}"))
}

/// Asks for a build at once; the queue item's number. Where no answer came, or one that says nothing, it may have been heard: what it asked for
/// waits, or is a build since then. Asked twice, Jenkins gives the same item only while that waits.
fn start(session: &Session, job: &str, watch: &mut Watch<'_>) -> Result<i64, JenkinsError> {
    let (mut first, mut was_asked, mut lost) = (None, false, 0);
    let mut begin = || {
        let first = match first {
            Some(first) => first,
            None => *first.insert(next_build(session, job)?),
        };
        match if std::mem::replace(&mut was_asked, true) { asked_for(session, job, first)? } else { None } {
            Some(item) => Ok(item),
            None => ask(session, job),
        }
    };
    loop {
        let error = match begin() {
            Ok(item) => return Ok(item),
            Err(error) => error,
        };
        lost += usize::from(matches!(error, JenkinsError::Lost { .. }));
        let may_pass = error.may_pass() || (matches!(error, JenkinsError::Lost { .. }) && lost < ATTEMPTS);
        match if may_pass { watch.wait(&format!("its smoke job is taken ({})", error.told())) } else { Wait::Over } {
            Wait::Again => {}
            Wait::Over => return Err(error),
            Wait::Stopped => return Err(JenkinsError::Stopped { action: format!("start job `{job}`"), left: None }),
        }
    }
}

/// The number that the next build will have: whatever is asked for from now on has none below it.
fn next_build(session: &Session, job: &str) -> Result<u64, JenkinsError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Next {
        next_build_number: u64,
    }
    let path = format!("/job/{}/api/json?tree=nextBuildNumber", encode(job));
    let next: Option<Next> = session.json(&format!("look at job `{job}`"), &path)?;
    // Whoever may not see it is told so when it is asked for.
    Ok(next.map_or(1, |next| next.next_build_number))
}

/// The queue item of what was asked for already. What leaves the queue is a build by then, so the queue is looked at first.
fn asked_for(session: &Session, job: &str, first: u64) -> Result<Option<i64>, JenkinsError> {
    #[derive(Deserialize)]
    struct Queue {
        items: Vec<Queued>,
    }
    #[derive(Deserialize)]
    struct Queued {
        id: i64,
        task: Option<Task>,
    }
    let path = "/queue/api/json?tree=items%5Bid,task%5Bname%5D%5D";
    let queue: Option<Queue> = session.json(&format!("look for job `{job}` in the queue"), path)?;
    let is_ours = |item: &Queued| item.task.as_ref().is_some_and(|task| task.name.as_deref() == Some(job));
    if let Some(item) = queue.into_iter().flat_map(|queue| queue.items).find(is_ours) {
        return Ok(Some(item.id));
    }
    let since = builds(session, job)?.into_iter().filter(|build| build.executable.number >= first);
    Ok(since.min_by_key(|build| build.executable.number).map(|build| build.queue_id))
}

fn ask(session: &Session, job: &str) -> Result<i64, JenkinsError> {
    let action = format!("start job `{job}`");
    let path = format!("/job/{}/build?delay=0sec", encode(job));
    let answer = session.write(&action, &path, FORM, b"")?;
    if answer.status == 404 {
        let (user, permission) = (session.user().to_owned(), "Job/Read".to_owned());
        return Err(JenkinsError::MissingPermission { action, user, permission });
    }
    let answer = session.expect(&action, answer, &[201])?;
    let location = answer.header("location").unwrap_or_default();
    let item = location.trim_end_matches('/').rsplit('/').next().and_then(|item| item.parse().ok());
    let reason = || format!("no queue item in `{}`", location.chars().take(200).collect::<String>());
    item.ok_or_else(|| JenkinsError::Refused { action: action.clone(), reason: reason() })
}

type Followed = (Result<Build, SmokeOutcome>, Option<Executable>);

/// What one look at a job shows.
enum Look {
    /// It waits, and why.
    Waits(String),
    /// It runs.
    Runs,
    /// It ended.
    Ended(Build),
    /// Somebody took it out of the queue.
    Cancelled,
    /// It is nowhere.
    Unknown,
    /// Jenkins did not say.
    Untold(String),
}

/// Follows a queue item to the end of its build. A late one is taken back.
fn follow(session: &Session, node: &Node, item: i64, watch: &mut Watch<'_>) -> Result<Followed, JenkinsError> {
    let job = &name_of(node);
    let mut process = session.process();
    let mut executable: Option<Executable> = None;
    let mut has_run = false;
    loop {
        let before = session.process();
        let look = match look(session, job, item, &mut executable) {
            Err(error) if error.may_pass() => Look::Untold(error.told()),
            look => look?,
        };
        process = process.or_else(|| session.process());
        let is_same_process = process == session.process();
        if matches!(look, Look::Runs | Look::Ended(_)) && !has_run {
            has_run = true;
            session.send(Event::Running { url: executable.as_ref().map(|build| build.url.clone()).unwrap_or_default() });
        }
        let what = match &look {
            Look::Waits(why) => format!("its smoke job leaves the queue ({why})"),
            Look::Runs => "its smoke job ends".to_owned(),
            Look::Untold(why) => format!("Jenkins tells of its smoke job ({why})"),
            Look::Ended(_) | Look::Cancelled | Look::Unknown => String::new(),
        };
        let outcome = match look {
            Look::Waits(why) => {
                // No earlier process has said so. A later one may be known by now: others ask too.
                process = before.or(process);
                SmokeOutcome::Late { waited: watch.waited(), why }
            }
            Look::Runs => {
                process = before.or(process);
                SmokeOutcome::Late { waited: watch.waited(), why: "it is still running".to_owned() }
            }
            Look::Untold(why) => SmokeOutcome::Untold { waited: watch.waited(), why },
            Look::Cancelled => return Ok((Err(SmokeOutcome::Cancelled), None)),
            // Jenkins interrupts what runs before it goes.
            Look::Ended(build) if !is_same_process && build.result.as_deref().is_none_or(|result| result == "ABORTED") => {
                return Ok((Err(SmokeOutcome::Restarted), executable));
            }
            Look::Ended(build) => return Ok((Ok(build), executable)),
            Look::Unknown if is_same_process => return Ok((Err(SmokeOutcome::Gone), executable)),
            Look::Unknown => return Ok((Err(SmokeOutcome::Restarted), executable)),
        };
        match watch.wait(&what) {
            Wait::Again => {}
            Wait::Over => {
                // A job that cannot be stopped is reported as late all the same.
                drop(take_back(session, job, item, executable.as_ref()));
                return Ok((Err(outcome), executable));
            }
            Wait::Stopped => {
                // What comes of it shows when the job is removed.
                drop(take_back(session, job, item, executable.as_ref()));
                return Err(JenkinsError::Stopped { action: format!("follow job `{job}`"), left: None });
            }
        }
    }
}

/// Looks once, in the queue and then at the build. After a crash an item's number may be given again: to another job, or to ours.
fn look(session: &Session, job: &str, item: i64, executable: &mut Option<Executable>) -> Result<Look, JenkinsError> {
    if executable.is_none() {
        let path = format!("/queue/item/{item}/api/json?tree=cancelled,why,task%5Bname%5D,executable%5Bnumber,url%5D");
        let seen = session.json::<Item>(&format!("follow job `{job}` in the queue"), &path)?;
        match seen.filter(|seen| seen.task.name.as_deref() == Some(job)) {
            Some(seen) if seen.cancelled => return Ok(Look::Cancelled),
            Some(Item { executable: None, why, .. }) => {
                return Ok(Look::Waits(why.unwrap_or_else(|| "no reason is told".to_owned())));
            }
            Some(seen) => *executable = seen.executable,
            // Jenkins forgets what left the queue: after a while, and in a restart.
            None => *executable = build_of(session, job, item)?,
        }
    }
    let Some(build) = executable else { return Ok(Look::Unknown) };
    let path = format!("/job/{}/{}/api/json?tree=building,result,builtOn,queueId", encode(job), build.number);
    let seen = session.json::<Build>(&format!("follow job `{job}`"), &path)?;
    Ok(match seen.filter(|seen| seen.is_of(item)) {
        Some(seen) if seen.building => Look::Runs,
        Some(seen) => Look::Ended(seen),
        None => Look::Unknown,
    })
}

/// A build of a job, and the queue item that it was.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    queue_id: i64,
    #[serde(flatten)]
    executable: Executable,
}

/// The builds of a job, by its own account.
fn builds(session: &Session, job: &str) -> Result<Vec<Listed>, JenkinsError> {
    #[derive(Deserialize)]
    struct Builds {
        builds: Vec<Listed>,
    }
    let path = format!("/job/{}/api/json?tree=builds%5Bnumber,url,queueId%5D", encode(job));
    let known: Option<Builds> = session.json(&format!("look for the build of job `{job}`"), &path)?;
    Ok(known.map(|known| known.builds).unwrap_or_default())
}

/// The build that a queue item became.
fn build_of(session: &Session, job: &str, item: i64) -> Result<Option<Executable>, JenkinsError> {
    Ok(builds(session, job)?.into_iter().find(|build| build.queue_id == item).map(|build| build.executable))
}

/// Takes a queue item back, or stops its build.
fn take_back(session: &Session, job: &str, item: i64, executable: Option<&Executable>) -> Result<(), JenkinsError> {
    let path = match executable {
        Some(build) => format!("/job/{}/{}/stop", encode(job), build.number),
        None => format!("/queue/cancelItem?id={item}"),
    };
    let action = format!("take back job `{job}`");
    let answer = session.write(&action, &path, FORM, b"")?;
    // 204 is a cancelled item's (recorded); 404: it has left the queue, or its build has ended.
    session.expect(&action, answer, &[200, 204, 302, 404]).map(drop)
}

/// The log of a build that has ended; what is not answered in passing is asked again.
fn log_of(session: &Session, job: &str, number: u64, watch: &mut Watch<'_>) -> Result<Log, JenkinsError> {
    let (action, path) = (reading(job), format!("/job/{}/{number}", encode(job)));
    for _ in 1..LOOKS {
        match Log::begin(session, &action, &path) {
            Err(error) if error.may_pass() && watch.wait(&format!("its console is shown ({})", error.told())) == Wait::Again => {}
            done => return done,
        }
    }
    Log::begin(session, &action, &path)
}

fn reading(job: &str) -> String {
    format!("read the console of job `{job}`")
}

/// What a build printed; first of all what it did when it was asked for its nonce.
fn shown(session: &Session, log: &Result<Log, JenkinsError>, nonce: &str) -> Shown {
    match log {
        Ok(log) => {
            let mut lines = log.lines(session);
            // `sh -x` traces each command, beside or before its output.
            let asked = lines.iter().position(|line| line.starts_with("+ ") && line.contains(nonce));
            lines.rotate_left(asked.map_or(0, |asked| asked + 1));
            Shown::Lines(lines)
        }
        Err(error) => Shown::Unread(error.told()),
    }
}

/// The last lines of a console, or why there are none.
fn tail(session: &Session, job: &str, log: Result<Log, JenkinsError>) -> Vec<String> {
    match log.and_then(|log| log.end(session, &reading(job))) {
        Ok(end) => end.lines(TAIL),
        Err(error) => vec![format!("no console: {}", error.told())],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_is_an_items_unless_it_says_it_is_anothers() {
        let build = |queue_id: i64| -> Build {
            serde_json::from_value(serde_json::json!({"building": true, "result": null, "builtOn": "n1", "queueId": queue_id})).unwrap()
        };
        assert!(build(7).is_of(7) && build(-1).is_of(7) && !build(6).is_of(7));
    }
}
