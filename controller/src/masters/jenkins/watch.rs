//! Waits on the master that say for what, since when, and until when.

use super::super::wait::{Pace, Wait};
use super::event::{Event, Waiting};
use super::session::Session;
use ostler_roles::master::jenkins::Name;
use std::time::Duration;

/// A wait that goes on is told again after this long.
const AGAIN: Duration = Duration::from_secs(60);

/// One wait.
#[derive(Debug)]
pub(super) struct Watch<'s> {
    session: &'s Session,
    node: Option<&'s Name>,
    pace: Pace,
    limit: Duration,
    /// What was told last, and when.
    told: Option<(String, Duration)>,
}

impl<'s> Watch<'s> {
    /// For a node, or for all of them.
    pub(super) fn new(session: &'s Session, node: Option<&'s Name>, limit: Duration) -> Self {
        Self { session, node, pace: Pace::new(limit, &session.stop), limit, told: None }
    }

    /// Sleeps until the next look. `what` completes "waits until".
    pub(super) fn wait(&mut self, what: &str) -> Wait {
        let waited = self.pace.waited();
        let is_known = self.told.as_ref().is_some_and(|(known, at)| known == what && waited < *at + AGAIN);
        if waited >= self.session.patience.silence && !is_known {
            self.told = Some((what.to_owned(), waited));
            let (node, what) = (self.node.cloned(), what.to_owned());
            self.session.send(Event::Waiting(Waiting { node, what, waited, limit: self.limit }));
        }
        self.pace.wait()
    }

    pub(super) fn waited(&self) -> Duration {
        self.pace.waited()
    }
}
