//! Waiting for a master: short looks at first, an end in any case, and one for all waits when somebody interrupts the run.

use super::driver::{Event, EventSink};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Whether the run is to stop: then no wait goes on, and nothing new is begun.
#[derive(Debug, Clone)]
pub struct Cancellation(watch::Receiver<bool>);

impl Default for Cancellation {
    /// Never.
    fn default() -> Self {
        Self(watch::channel(false).1)
    }
}

impl From<watch::Receiver<bool>> for Cancellation {
    fn from(cancel: watch::Receiver<bool>) -> Self {
        Self(cancel)
    }
}

impl Cancellation {
    /// Whether it was asked for.
    pub fn is_asked(&self) -> bool {
        *self.0.borrow()
    }

    /// Comes back once it is asked for.
    pub async fn wished(&self) {
        if self.0.clone().wait_for(|is_asked| *is_asked).await.is_err() {
            // Whoever could ask is gone.
            std::future::pending::<()>().await;
        }
    }
}

/// What comes after a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// Another look.
    Again,
    /// The time is over, and there was a look since.
    Over,
    /// The run is to stop.
    Stopped,
}

/// Waits between looks.
#[derive(Debug)]
pub(super) struct Poll {
    started: Instant,
    end: Instant,
    step: Duration,
    stop: Cancellation,
}

impl Poll {
    pub(super) fn new(patience: Duration, stop: &Cancellation) -> Self {
        let started = Instant::now();
        Self { started, end: started + patience, step: Duration::from_millis(20), stop: stop.clone() }
    }

    /// Sleeps until the next look, a second at most.
    pub(super) fn wait(&mut self) -> Wait {
        match self.at(Instant::now()) {
            Ok(pause) => std::thread::sleep(pause),
            Err(end) => return end,
        }
        self.step = (self.step * 3 / 2).min(Duration::from_secs(1));
        if self.stop.is_asked() { Wait::Stopped } else { Wait::Again }
    }

    /// The pause before another look, or what comes in its place.
    fn at(&self, now: Instant) -> Result<Duration, Wait> {
        let left = self.end.saturating_duration_since(now);
        if self.stop.is_asked() {
            return Err(Wait::Stopped);
        }
        if left.is_zero() { Err(Wait::Over) } else { Ok(self.step.min(left)) }
    }

    pub(super) fn waited(&self) -> Duration {
        self.started.elapsed()
    }
}

/// How often a wait that goes on is told of again.
const TOLD: Duration = Duration::from_secs(30);
/// How long a wait may last without a word: most are over before.
pub(super) const SILENT: Duration = Duration::from_secs(2);

/// Tells of a wait that lasts: what for, since when, until when.
#[derive(Debug)]
pub(super) struct WaitReporter {
    until: Duration,
    next: Duration,
    told: String,
}

impl WaitReporter {
    pub(super) fn new(until: Duration) -> Self {
        Self { until, next: SILENT, told: String::new() }
    }

    /// Tells it when it is time, and whenever something else is waited for.
    pub(super) fn tell(&mut self, pace: &Poll, tell: EventSink<'_>, what: impl FnOnce() -> String) {
        let (waited, what) = (pace.waited(), what());
        if waited < self.next && (self.told.is_empty() || self.told == what) {
            return;
        }
        self.next = waited + TOLD;
        self.told.clone_from(&what);
        tell(Event::Waiting { what, waited, until: self.until });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_ends_after_a_last_look_or_when_it_is_asked_to() {
        let pace = Poll::new(Duration::from_secs(30), &Cancellation::default());
        let at = |before_the_end: u64| pace.at(pace.end - Duration::from_millis(before_the_end));
        assert_eq!((at(30_000), at(7)), (Ok(pace.step), Ok(Duration::from_millis(7))));
        assert_eq!(at(0), Err(Wait::Over), "there was a look at its very end");
        assert_eq!(pace.at(pace.end + Duration::from_secs(3600)), Err(Wait::Over));
        let (ask, asked) = watch::channel(false);
        let mut pace = Poll::new(Duration::from_secs(3600), &asked.into());
        assert_eq!(pace.wait(), Wait::Again);
        ask.send(true).unwrap();
        assert_eq!(pace.wait(), Wait::Stopped);
    }

    #[test]
    fn a_wait_is_told_of_once_it_lasts_and_when_something_else_is_waited_for() {
        let told = std::sync::Mutex::new(Vec::new());
        let tell = |event| match event {
            Event::Waiting { what, until, .. } => told.lock().unwrap().push((what, until)),
            other => panic!("{other:?}"),
        };
        let hour = Duration::from_secs(3600);
        let at =
            |seconds: u64| Poll { started: Instant::now() - Duration::from_secs(seconds), ..Poll::new(hour, &Cancellation::default()) };
        let mut waiting = WaitReporter::new(hour);
        for (seconds, what) in [(1, "a queue"), (3, "a queue"), (20, "a queue"), (21, "its job"), (40, "its job"), (60, "its job")] {
            waiting.tell(&at(seconds), &tell, || what.to_owned());
        }
        assert_eq!(*told.lock().unwrap(), ["a queue", "its job", "its job"].map(|what| (what.to_owned(), hour)));
    }
}
