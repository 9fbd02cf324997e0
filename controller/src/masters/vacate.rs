//! An executor is held until nothing runs on it, whoever takes its hold off meanwhile.

use super::driver::{Cordon, Drain, Driver, Event, EventSink, MasterError};
use super::wait::{Poll, Wait};
use ostler_roles::words::NodeName;
use std::time::Duration;

/// Whether an executor may be changed now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vacancy {
    /// It runs no job, and takes none; or the master does not have it.
    Free,
    /// The time was over, and it still runs one, or takes new ones.
    Busy,
}

/// How it went.
#[derive(Debug)]
#[must_use]
pub struct Vacated {
    /// The hold is of this call.
    pub is_made: bool,
    /// How that ended.
    pub vacancy: Result<Vacancy, MasterError>,
}

/// Lets an executor take no new jobs, with this reason, and waits until what runs there has ended. Whoever takes the hold off may let a job in: it
/// is set again, and waited for. Blocks.
pub fn vacate(driver: &dyn Driver, name: &NodeName, reason: &str, within: Duration, tell: EventSink<'_>) -> Vacated {
    let mut pace = Poll::new(within, driver.stop());
    let mut is_made = false;
    let vacancy = loop {
        match driver.cordon(name, reason, tell) {
            Ok(Cordon::Absent) => break Ok(Vacancy::Free),
            Ok(cordon) => is_made |= cordon.is_made(),
            Err(error) => break Err(error),
        }
        match driver.drain(name, within.saturating_sub(pace.waited()), tell) {
            Ok(Drain::Idle) => break Ok(Vacancy::Free),
            Ok(Drain::Busy) => break Ok(Vacancy::Busy),
            Ok(Drain::Unheld) => tell(Event::Note("somebody else has let it take jobs again: it is held anew".to_owned())),
            Err(error) => break Err(error),
        }
        match pace.wait() {
            Wait::Again => {}
            Wait::Over => break Ok(Vacancy::Busy),
            Wait::Stopped => break Err(MasterError::Stopped { left: None }),
        }
    };
    Vacated { is_made, vacancy }
}
