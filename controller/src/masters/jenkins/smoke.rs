//! The smoke job: a freestyle job tied to the node's quarantine label, so that no other node can take it and no other job comes first.

use super::super::http::encode;
use super::super::wait::{Pace, Wait};
use super::error::JenkinsError;
use super::log::End;
use super::session::Session;
use super::xml::{self, Element};
use ostler_roles::executor::Smoke;
use ostler_roles::master::jenkins::{Node, Owner};
use serde::Deserialize;
use std::time::Duration;

const XML: &str = "application/xml";
const FORM: &str = "application/x-www-form-urlencoded";
/// How many lines of a red job's console are quoted.
const TAIL: usize = 12;

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
    /// From the request to the end.
    pub took: Duration,
}

impl SmokeReport {
    /// Whether the job passed: anything short of success proves nothing.
    pub fn is_green(&self) -> bool {
        matches!(&self.outcome, SmokeOutcome::Ended(result) if result == "SUCCESS")
    }
}

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

fn job_name(node: &Node) -> String {
    format!("ostler-smoke-{}", node.name)
}

/// Runs the commands on a quarantined node. A green job is removed again, and one that was interrupted; a red one stays to be looked at.
pub(super) fn run(session: &Session, node: &Node, commands: &[Smoke], patience: Duration) -> Result<SmokeReport, JenkinsError> {
    let job = job_name(node);
    install(session, node, &job, commands)?;
    let mut pace = session.pace(patience);
    let followed = start(session, &job).and_then(|item| follow(session, &job, item, &mut pace));
    let (outcome, executable) = followed.map_err(|error| match error {
        JenkinsError::Stopped { action, .. } => JenkinsError::Stopped { action, left: left_behind(session, &job) },
        other => other,
    })?;
    let took = pace.waited();
    let outcome = match outcome {
        Ok(build) if build.built_on != node.name.as_str() => SmokeOutcome::Elsewhere(build.built_on),
        Ok(build) => SmokeOutcome::Ended(build.result.unwrap_or_else(|| "no result".to_owned())),
        Err(outcome) => outcome,
    };
    let mut report = SmokeReport { outcome, url: executable.as_ref().map(|build| build.url.clone()), tail: Vec::new(), took };
    if report.is_green() {
        remove(session, &job)?;
    } else if matches!(report.outcome, SmokeOutcome::Restarted | SmokeOutcome::Gone) {
        // It says nothing about the node.
        report.url = None;
        report.tail.extend(left_behind(session, &job));
    } else if let Some(build) = executable {
        report.tail = console(session, &job, build.number);
    }
    Ok(report)
}

/// Removes a job that proves nothing; what to say when it cannot be removed.
fn left_behind(session: &Session, job: &str) -> Option<String> {
    remove(session, job).err().map(|error| format!("job `{job}` is left on the master: {error}"))
}

/// Makes the job, or brings the one of an earlier run up to date.
fn install(session: &Session, node: &Node, job: &str, commands: &[Smoke]) -> Result<(), JenkinsError> {
    let document = job_xml(node, commands).document();
    let action = format!("create job `{job}`");
    let path = format!("/job/{}/config.xml", encode(job));
    let known = session.read(&format!("read job `{job}`"), &path)?;
    match known.status {
        200 => {
            let fault = |source| JenkinsError::Xml { action: action.clone(), source };
            let known = xml::parse(&known.body).map_err(fault)?;
            if let Owner::Other(stranger) = node.site.owner(known.value("description").unwrap_or_default()) {
                return Err(JenkinsError::ForeignJob(job.to_owned(), stranger));
            }
            let action = format!("change job `{job}`");
            let answer = retry_once(|| session.write(&action, &path, XML, &document))?;
            session.expect(&action, answer, &[200]).map(drop)
        }
        404 => {
            let create = format!("/createItem?name={}", encode(job));
            let answer = match session.write(&action, &create, XML, &document) {
                // If it was made after all, the second time says that it exists.
                Err(JenkinsError::Lost { .. }) => {
                    let answer = session.write(&action, &create, XML, &document)?;
                    if answer.status == 400 { return Ok(()) } else { answer }
                }
                other => other?,
            };
            if answer.header("x-error").is_some_and(|text| text.contains("already exists")) {
                // It is there, but not for our eyes.
                let (user, permission) = (session.user().to_owned(), "Job/Read".to_owned());
                return Err(JenkinsError::MissingPermission { action, user, permission });
            }
            session.expect(&action, answer, &[200]).map(drop)
        }
        _ => session.expect(&format!("read job `{job}`"), known, &[200, 404]).map(drop),
    }
}

fn retry_once<T>(mut write: impl FnMut() -> Result<T, JenkinsError>) -> Result<T, JenkinsError> {
    match write() {
        Err(JenkinsError::Lost { .. }) => write(),
        other => other,
    }
}

fn job_xml(node: &Node, commands: &[Smoke]) -> Element {
    let shell = Element::new("hudson.tasks.Shell").child(Element::text("command", &script(commands)));
    Element::new("project")
        .child(Element::text("description", &node.site.mark()))
        .child(Element::text("keepDependencies", "false"))
        .child(Element::new("properties"))
        .child(Element::new("scm").with("class", "hudson.scm.NullSCM"))
        .child(Element::text("assignedNode", &node.name.quarantine()))
        .child(Element::text("canRoam", "false"))
        .child(Element::text("disabled", "false"))
        .child(Element::new("triggers"))
        .child(Element::text("concurrentBuild", "false"))
        .child(Element::new("builders").child(shell))
        .child(Element::new("publishers"))
        .child(Element::new("buildWrappers"))
}

/// One line a command, every word quoted: the shell has nothing to expand. The first failure ends it (Jenkins runs `sh -xe`).
fn script(commands: &[Smoke]) -> String {
    // One command a line: `-e` lets a failure pass on the left of `&&`.
    let mut lines: Vec<String> = ["set -eu", "touch .ostler-smoke", "rm .ostler-smoke"].map(str::to_owned).into();
    for command in commands {
        let name: String = command.name.chars().filter(|character| !character.is_control()).collect();
        lines.push(format!(": {}", quote(&name)));
        lines.push(command.run.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" "));
    }
    lines.join("\n")
}

fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// Asks for a build at once; the queue item's number.
fn start(session: &Session, job: &str) -> Result<i64, JenkinsError> {
    let action = format!("start job `{job}`");
    let path = format!("/job/{}/build?delay=0sec", encode(job));
    // Asked twice, Jenkins gives the same item while it waits.
    let answer = retry_once(|| session.write(&action, &path, FORM, b""))?;
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
    /// It waits, or runs.
    Goes(String),
    /// It ended.
    Ended(Build),
    /// Somebody took it out of the queue.
    Cancelled,
    /// It is nowhere.
    Unknown,
}

/// Follows a queue item to the end of its build. A late one is taken back.
fn follow(session: &Session, job: &str, item: i64, pace: &mut Pace) -> Result<Followed, JenkinsError> {
    let mut process = session.process();
    let mut executable: Option<Executable> = None;
    loop {
        let before = session.process();
        let look = look(session, job, item, &mut executable)?;
        process = process.or_else(|| session.process());
        let is_same_process = process == session.process();
        let why = match look {
            Look::Goes(why) => {
                // No earlier process has said so. A later one may be known by now: others ask too.
                process = before.or(process);
                why
            }
            Look::Cancelled => return Ok((Err(SmokeOutcome::Cancelled), None)),
            // Jenkins interrupts what runs before it goes.
            Look::Ended(build) if !is_same_process && build.result.as_deref().is_none_or(|result| result == "ABORTED") => {
                return Ok((Err(SmokeOutcome::Restarted), executable));
            }
            Look::Ended(build) => return Ok((Ok(build), executable)),
            Look::Unknown if is_same_process => return Ok((Err(SmokeOutcome::Gone), executable)),
            Look::Unknown => return Ok((Err(SmokeOutcome::Restarted), executable)),
        };
        match pace.wait() {
            Wait::Again => {}
            Wait::Over => {
                // A job that cannot be stopped is reported as late all the same.
                drop(take_back(session, job, item, executable.as_ref()));
                return Ok((Err(SmokeOutcome::Late { waited: pace.waited(), why }), executable));
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
                return Ok(Look::Goes(why.unwrap_or_else(|| "it waits in the queue".to_owned())));
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
        Some(seen) if seen.building => Look::Goes("it is still running".to_owned()),
        Some(seen) => Look::Ended(seen),
        None => Look::Unknown,
    })
}

/// The build that a queue item became, by the job's own account.
fn build_of(session: &Session, job: &str, item: i64) -> Result<Option<Executable>, JenkinsError> {
    #[derive(Deserialize)]
    struct Builds {
        builds: Vec<Listed>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Listed {
        queue_id: i64,
        #[serde(flatten)]
        executable: Executable,
    }
    let path = format!("/job/{}/api/json?tree=builds%5Bnumber,url,queueId%5D", encode(job));
    let known: Option<Builds> = session.json(&format!("look for the build of job `{job}`"), &path)?;
    let mut builds = known.into_iter().flat_map(|known| known.builds);
    Ok(builds.find(|build| build.queue_id == item).map(|build| build.executable))
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

/// The last lines of a build's console, or why there are none.
fn console(session: &Session, job: &str, number: u64) -> Vec<String> {
    let action = format!("read the console of job `{job}`");
    match End::read(session, &action, &format!("/job/{}/{number}", encode(job))) {
        Ok(end) => end.lines(TAIL),
        Err(error) => vec![format!("no console: {}", error.told())],
    }
}

fn remove(session: &Session, job: &str) -> Result<(), JenkinsError> {
    let action = format!("remove job `{job}`");
    let answer = retry_once(|| session.write(&action, &format!("/job/{}/doDelete", encode(job)), FORM, b""))?;
    // 404: gone already, or an earlier try was heard after all.
    session.expect(&action, answer, &[200, 302, 404]).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ostler_roles::words::Origin;

    #[test]
    fn a_build_is_an_items_unless_it_says_it_is_anothers() {
        let build = |queue_id: i64| -> Build {
            serde_json::from_value(serde_json::json!({"building": true, "result": null, "builtOn": "n1", "queueId": queue_id})).unwrap()
        };
        assert!(build(7).is_of(7) && build(-1).is_of(7) && !build(6).is_of(7));
    }

    #[test]
    fn commands_reach_the_shell_word_by_word() {
        let run = vec!["echo".to_owned(), "it's $HOME; rm -rf /".to_owned()];
        let command = Smoke { name: "a\nb".to_owned(), run, origin: Origin::generated("test") };
        assert_eq!(script(&[command]).lines().skip(3).collect::<Vec<_>>(), [": 'ab'", "'echo' 'it'\\''s $HOME; rm -rf /'"]);
    }
}
