//! Taking an executor out of service before it is changed, and waiting for what runs there.

use super::driver::{Cordon, CordonError, Drain, Driver, Event, EventSink, MasterError};
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

/// Whether a hold is of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Made {
    /// No.
    No,
    /// A run of ours had made it before, perhaps one that was cut.
    Before,
    /// The master was told, and did not answer.
    Perhaps,
    /// Yes.
    Yes,
}

/// How it went.
#[derive(Debug)]
#[must_use]
pub struct Vacated {
    /// Whether the hold is of this call.
    pub made: Made,
    /// It takes no new jobs, by whomever, as far as the master has said.
    pub is_held: bool,
    /// How that ended.
    pub vacancy: Result<Vacancy, MasterError>,
}

/// Lets an executor take no new jobs, with this reason, and waits until what runs there has ended. Whoever takes the hold off may let a job in: it
/// is set again, and waited for. Blocks.
pub fn vacate(driver: &dyn Driver, name: &NodeName, reason: &str, within: Duration, tell: EventSink<'_>) -> Vacated {
    let mut pace = Poll::new(within, driver.stop());
    let (mut made, mut is_held) = (Made::No, false);
    let vacancy = loop {
        match driver.cordon(name, reason, tell) {
            Ok(Cordon::Absent) => break Ok(Vacancy::Free),
            Ok(cordon) => {
                let this = match cordon {
                    Cordon::Made => Made::Yes,
                    Cordon::Ours => Made::Before,
                    Cordon::Theirs(_) | Cordon::Absent => Made::No,
                };
                (made, is_held) = (made.max(this), true);
            }
            Err(CordonError { error, is_told }) => {
                made = made.max(if is_told { Made::Perhaps } else { Made::No });
                break Err(error);
            }
        }
        match driver.drain(name, within.saturating_sub(pace.waited()), tell) {
            Ok(Drain::Idle) => break Ok(Vacancy::Free),
            Ok(Drain::Busy) => break Ok(Vacancy::Busy),
            Ok(Drain::Unheld) => {
                is_held = false;
                tell(Event::Note("somebody else has let it take jobs again: it is held anew".to_owned()));
            }
            Err(error) => break Err(error),
        }
        match pace.wait() {
            Wait::Again => {}
            Wait::Over => break Ok(Vacancy::Busy),
            Wait::Stopped => break Err(MasterError::Stopped { left: None }),
        }
    };
    Vacated { made, is_held, vacancy }
}
