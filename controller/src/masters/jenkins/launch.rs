//! Agents that come and go: launched, waited for, let out, marked; and why they did not come.
//!
//! `doDisconnect` answers before the old channel is closed. What is launched meanwhile may be closed with it, seconds after it came online
//! (recorded: `v568-36`; seen on 2.516 and 2.568). Nothing in the API tells when the old one is gone, so an agent is launched after it has
//! been offline and its log silent for a while, and is believed to be online after it has been so for a while.

use super::super::http::encode;
use super::super::wait::Wait;
use super::error::JenkinsError;
use super::log::{End, Log, size};
use super::node::{self, ATTEMPTS, Computer, FORM, computer, hold_of, path};
use super::session::Session;
use super::unwell::bear;
use super::watch::Watch;
use ostler_roles::master::jenkins::{Hold, Name, Version, outdated_java};
use std::time::{Duration, Instant};

/// How many lines of a launch log are quoted.
const LOG_LINES: usize = 6;

/// Waits until the agent is connected, and has been for a while. One that nobody launches, or whose launch failed, is launched once; an
/// operator's mark ends the wait.
pub(super) fn wait_online(session: &Session, name: &Name, deadline: Duration) -> Result<(), JenkinsError> {
    let mut watch = Watch::new(session, deadline);
    let (mut was_launched, mut online_since) = (false, None);
    let (mut without_cause, mut comes_and_goes) = (None::<Instant>, None);
    let look = || {
        let state = computer(session, name)?;
        hold_of(session, name, &state).map(|hold| (state, hold))
    };
    loop {
        let (state, hold) = match look() {
            Err(error) if error.may_pass() => {
                online_since = None;
                untold(&mut watch, error, &format!("wait until node `{name}` is online"))?;
                continue;
            }
            seen => seen?,
        };
        if let Some(hold) = hold {
            return Err(JenkinsError::Held { name: name.clone(), hold });
        }
        let since: &mut Option<Instant> = &mut online_since;
        if state.offline {
            *since = None;
        } else if since.get_or_insert_with(Instant::now).elapsed() >= session.patience.settle {
            return Ok(());
        }
        let is_hopeless = was_launched && state.has_failed() && state.may_be_launched();
        // Let alone for a moment: a job may just have had it launched.
        let is_left = match state.has_no_cause() && !was_launched {
            true => without_cause.get_or_insert_with(Instant::now).elapsed() >= session.patience.settle,
            false => {
                without_cause = None;
                false
            }
        };
        if is_left && comes_and_goes.is_none() {
            comes_and_goes = Some(bear(session, || node::comes_and_goes(session, name))?);
        }
        if (state.may_be_launched() || (is_left && comes_and_goes == Some(true))) && !was_launched {
            was_launched = true;
            bear(session, || launch(session, name))?;
        }
        let what = if state.offline { "its agent is online" } else { "its agent stays online" };
        match if is_hopeless { Wait::Over } else { watch.wait(what) } {
            Wait::Again => {}
            Wait::Over => return Err(offline(session, name, &state, watch.waited())),
            Wait::Stopped => return Err(JenkinsError::Stopped { action: format!("wait until node `{name}` is online"), left: None }),
        }
    }
}

/// What is not told in passing is asked again, for as long as the wait may last.
fn untold(watch: &mut Watch<'_>, error: JenkinsError, action: &str) -> Result<(), JenkinsError> {
    match watch.wait(&format!("Jenkins tells of it ({})", error.told())) {
        Wait::Again => Ok(()),
        Wait::Over => Err(error),
        Wait::Stopped => Err(JenkinsError::Stopped { action: action.to_owned(), left: None }),
    }
}

fn offline(session: &Session, name: &Name, state: &Computer, waited: Duration) -> JenkinsError {
    let log = launch_log(session, name);
    let told = Some(state.reason()).filter(|reason| !reason.is_empty());
    let silent = if state.is_launched() { "it is still being launched" } else { "it has not called in" };
    let reason = told.unwrap_or_else(|| silent.to_owned());
    let reason = why(session.known_version(), &log).map_or(reason.clone(), |why| format!("{reason}; {why}"));
    JenkinsError::Offline { name: name.clone(), waited, reason, log }
}

/// What a launch log says of its Java. Where that is older than the program that Jenkins sends there, it ends without a word of its own
/// (seen: Java 17 under 2.568.2).
fn why(version: Option<Version>, log: &[String]) -> Option<String> {
    if let Some((needed, has)) = log.iter().find_map(|line| outdated_java(line)) {
        return Some(format!("it wants Java {needed}, and the node has Java {has}"));
    }
    let has_ended = log.iter().any(|line| line.contains("Unexpected termination of the channel"));
    let version = version.filter(|_| has_ended)?;
    Some(format!(
        "most often the node's Java is too old then: Jenkins {version} wants Java {} or newer on its agents",
        version.least_java()
    ))
}

/// Lets an idle agent out, or cuts short a launch that still goes the old way, and launches it with its present configuration.
pub(super) fn relaunch(session: &Session, name: &Name, patience: Duration) -> Result<(), JenkinsError> {
    let state = wait_idle(session, name, patience)?;
    if state.temporarily_offline {
        return Ok(());
    }
    if !state.offline {
        let action = format!("disconnect the agent of node `{name}`");
        let body = format!("offlineMessage={}&json=%7B%7D", encode(&Hold::message("launcher changed")));
        // Whoever is let out twice is out.
        bear(session, || match session.write(&action, &path(name, "doDisconnect"), FORM, body.as_bytes()) {
            Ok(answer) => session.expect(&action, answer, &[200, 302]).map(drop),
            Err(JenkinsError::Lost { .. }) => Ok(()),
            Err(error) => Err(error),
        })?;
        wait_gone(session, name)?;
    }
    bear(session, || launch(session, name))
}

/// Waits until an agent that was disconnected is gone for good: offline, and not a word more in its log. Somebody may launch it meanwhile.
fn wait_gone(session: &Session, name: &Name) -> Result<(), JenkinsError> {
    let action = format!("look at the launch log of node `{name}`");
    let mut watch = Watch::new(session, session.patience.connect);
    let (mut said, mut since) = (None, Instant::now());
    let look = || {
        let state = computer(session, name)?;
        size(session, &action, &path(name, "")).map(|size| (state, size))
    };
    loop {
        let (state, size) = match look() {
            Err(error) if error.may_pass() => {
                untold(&mut watch, error, &format!("let the agent of node `{name}` out"))?;
                (said, since) = (None, Instant::now());
                continue;
            }
            seen => seen?,
        };
        let says = Some((state.offline, size));
        if said != says {
            (said, since) = (says, Instant::now());
        }
        if state.offline && since.elapsed() >= session.patience.settle {
            return Ok(());
        }
        match watch.wait("its old connection is closed") {
            Wait::Again => {}
            // It is launched all the same: what comes of that is waited for.
            Wait::Over => return Ok(()),
            Wait::Stopped => return Err(JenkinsError::Stopped { action: format!("let the agent of node `{name}` out"), left: None }),
        }
    }
}

fn launch(session: &Session, name: &Name) -> Result<(), JenkinsError> {
    let action = format!("launch the agent of node `{name}`");
    match session.write(&action, &path(name, "launchSlaveAgent"), FORM, b"") {
        // 302 when it starts, 200 when it is up already.
        Ok(answer) => session.expect(&action, answer, &[200, 302]).map(drop),
        Err(JenkinsError::Lost { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

fn wait_idle(session: &Session, name: &Name, patience: Duration) -> Result<Computer, JenkinsError> {
    wait_until(session, name, patience, |state| state.idle)
}

fn wait_until(session: &Session, name: &Name, patience: Duration, is_over: impl Fn(&Computer) -> bool) -> Result<Computer, JenkinsError> {
    let mut watch = Watch::new(session, patience);
    loop {
        let state = match computer(session, name) {
            Err(error) if error.may_pass() => {
                untold(&mut watch, error, &format!("wait until node `{name}` is idle"))?;
                continue;
            }
            seen => seen?,
        };
        if is_over(&state) {
            return Ok(state);
        }
        match watch.wait("what runs there has ended") {
            Wait::Again => {}
            Wait::Over => return Err(JenkinsError::Busy { name: name.clone(), waited: watch.waited() }),
            Wait::Stopped => return Err(JenkinsError::Stopped { action: format!("wait until node `{name}` is idle"), left: None }),
        }
    }
}

/// Marks a node offline with our reason, and waits until its jobs have left. An operator's mark stays as it is.
pub(super) fn drain(session: &Session, name: &Name, reason: &str, patience: Duration) -> Result<(), JenkinsError> {
    bear(session, || mark(session, name, reason, &mut false))?;
    wait_idle(session, name, patience).map(drop)
}

/// Waits until a node that is marked offline runs no job; false: it is no longer marked, and may be given one at any moment.
pub(super) fn idle(session: &Session, name: &Name, patience: Duration) -> Result<bool, JenkinsError> {
    wait_until(session, name, patience, |state| state.idle || !state.temporarily_offline).map(|state| state.temporarily_offline)
}

/// Marks a node offline with our reason, and keeps that it was sent; a mark that somebody has set before stays as it is.
pub(super) fn mark(session: &Session, name: &Name, reason: &str, is_sent: &mut bool) -> Result<(), JenkinsError> {
    let action = format!("mark node `{name}` offline");
    for left in (0..=ATTEMPTS).rev() {
        if computer(session, name)?.temporarily_offline {
            return Ok(());
        }
        *is_sent |= left > 0;
        toggle(session, name, (&action, reason), left)?;
    }
    Ok(())
}

/// Takes our own mark off. Any other stays, and is handed back.
pub(super) fn undrain(session: &Session, name: &Name) -> Result<Option<Hold>, JenkinsError> {
    let action = format!("mark node `{name}` online");
    for left in (0..=ATTEMPTS).rev() {
        match hold_of(session, name, &computer(session, name)?)? {
            None => return Ok(None),
            // In our words too: if somebody else has just taken it off, this sets it again.
            Some(hold) if hold.is_ours() => toggle(session, name, (&action, "its mark comes off"), left)?,
            Some(hold) => return Ok(Some(hold)),
        }
    }
    Ok(None)
}

/// `toggleOffline` flips whatever is there by then: its answer says nothing of the mark, which is read before and after it; `left`: so often.
fn toggle(session: &Session, name: &Name, (action, reason): (&str, &str), left: usize) -> Result<(), JenkinsError> {
    if left == 0 {
        return Err(JenkinsError::Refused { action: action.to_owned(), reason: "the mark does not hold".to_owned() });
    }
    let body = format!("offlineMessage={}", encode(&Hold::message(reason)));
    match session.write(action, &path(name, "toggleOffline"), FORM, body.as_bytes()) {
        Ok(answer) => session.expect(action, answer, &[200, 302]).map(drop),
        Err(JenkinsError::Lost { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// The last lines of the launch log, without the environment of the remote user that the SSH launcher dumps there.
fn launch_log(session: &Session, name: &Name) -> Vec<String> {
    let action = format!("read the launch log of node `{name}`");
    match Log::begin(session, &action, &path(name, "")).and_then(|log| log.end(session, &action)) {
        Ok(end) => without_environment(&end),
        Err(error) => vec![format!("no launch log: {}", error.told())],
    }
}

fn without_environment(log: &End) -> Vec<String> {
    // What begins in the middle may begin in the middle of the environment, and of one of its lines.
    let mut is_environment = log.is_cut;
    let mut lines = Vec::new();
    for line in log.text.lines().skip(usize::from(log.is_cut)) {
        if line.starts_with('[') {
            is_environment = false;
        }
        if !is_environment && !line.trim_start().starts_with("at ") && !line.trim().is_empty() {
            lines.push(line.chars().filter(|character| !character.is_control()).take(300).collect());
        }
        if line.contains("The remote user's environment is:") {
            is_environment = true;
        }
    }
    lines.split_off(lines.len().saturating_sub(LOG_LINES))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_in_a_launch_log_is_never_quoted() {
        let log = "[11/22/26] [SSH] Authentication successful.\r\n[11/22/26] [SSH] The remote user's environment is:\r\nTOKEN=hunter2\r\nA=b\r\n\
            [11/22/26] [SSH] Starting sftp client.\r\njava.lang.X: no\r\n\tat a.b(C.java:1)\r\n";
        let lines = without_environment(&End { text: log.to_owned(), is_cut: false });
        assert!(lines.iter().all(|line| !line.contains("hunter2")), "{lines:?}");
        assert_eq!(lines.last().map(String::as_str), Some("java.lang.X: no"));
        // Where only its end was read, in the middle of the environment or of one of its lines.
        for beginning in ["TOKEN=hunter2", "en=hunter2", "[1]=hunter2", "2\r\nTOKEN=hunter2"] {
            let (_, rest) = log.split_once("TOKEN=hunter2").unwrap();
            let lines = without_environment(&End { text: format!("{beginning}{rest}"), is_cut: true });
            assert_eq!(lines, ["[11/22/26] [SSH] Starting sftp client.", "java.lang.X: no"], "{beginning}");
        }
    }
}
