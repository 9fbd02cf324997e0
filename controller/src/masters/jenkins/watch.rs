//! Waits on the master that say for what, since when, and until when.

use super::super::wait::{Poll, Wait};
use super::session::Session;
use crate::masters::driver::Event;
use std::time::Duration;

/// A wait that goes on is told again after this long.
const AGAIN: Duration = Duration::from_secs(60);

/// One wait.
#[derive(Debug)]
pub(super) struct Watch<'s> {
    session: &'s Session,
    pace: Poll,
    limit: Duration,
    /// What was told last, and when.
    told: Option<(String, Duration)>,
}

impl<'s> Watch<'s> {
    pub(super) fn new(session: &'s Session, limit: Duration) -> Self {
        Self { session, pace: Poll::new(limit, &session.stop), limit, told: None }
    }

    /// Sleeps until the next look. `what` completes "waits until".
    pub(super) fn wait(&mut self, what: &str) -> Wait {
        let waited = self.pace.waited();
        let is_known = self.told.as_ref().is_some_and(|(known, at)| known == what && waited < *at + AGAIN);
        if waited >= self.session.patience.silence && !is_known {
            self.told = Some((what.to_owned(), waited));
            self.session.send(Event::Waiting { what: what.to_owned(), waited, until: self.limit });
        }
        self.pace.wait()
    }

    pub(super) fn waited(&self) -> Duration {
        self.pace.waited()
    }
}
