//! Taking a worker out of service before its node is changed: no new jobs, and the running ones to their end.

use super::client::{BuildbotError, Client};
use crate::masters::wait::Wait;
use ostler_roles::master::buildbot::{Hold, OUR_PAUSE, WorkerName};
use std::time::Duration;

/// Whether a worker is out of service.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Cordon {
    /// It runs no job and takes none. [`super::register`] puts it back into service.
    Drained,
    /// The master does not know it, or has it in no builder: there is nothing to take out of service.
    Unknown,
    /// Someone else holds it, and it runs no job; we leave that as it is.
    Theirs(Hold),
    /// So many jobs still ran after this time. It takes no new ones; whoever gives up says so with [`uncordon`].
    Busy(usize, Duration),
}

/// Pauses a worker in the name of a run and waits until it runs no job any longer. Blocks at most for `patience`.
///
/// # Errors
/// When the master cannot be asked.
pub fn cordon(client: &Client, worker: &WorkerName, run: &str, patience: Duration) -> Result<Cordon, BuildbotError> {
    let survey = client.survey()?;
    let seen = survey.of(worker);
    let Some(number) = survey.number(worker).filter(|_| seen.smokes) else { return Ok(Cordon::Unknown) };
    if seen.hold.is_none() {
        client.pause(worker, &format!("{OUR_PAUSE}{run}"))?;
    }
    let mut pace = client.pace(patience);
    loop {
        let is_late = pace.wait() != Wait::Again;
        let hold = client.survey()?.of(worker).hold;
        let running = client.running(number)?;
        match hold {
            Some(hold) if running == 0 => return Ok(if hold.is_ours() { Cordon::Drained } else { Cordon::Theirs(hold) }),
            Some(_) | None if is_late => return Ok(Cordon::Busy(running, patience)),
            Some(_) | None => {}
        }
    }
}

/// Ends a pause of ours, and no other. True when there was one.
///
/// # Errors
/// When the master cannot be asked.
pub fn uncordon(client: &Client, worker: &WorkerName) -> Result<bool, BuildbotError> {
    let is_ours = client.survey()?.of(worker).hold.is_some_and(|hold| hold.is_ours());
    if is_ours {
        client.unpause(worker)?;
    }
    Ok(is_ours)
}
