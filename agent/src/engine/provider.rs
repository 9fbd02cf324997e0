//! What the engine asks of the node: the one trait between the order of things and the things.

use ostler_roles::catalog::{Action, Step};
use ostler_roles::check::{Check, Demands, Verdict};
use ostler_roles::outcome::{Event, Failure};
use ostler_roles::resource::{Desired, Effect, Observed, Shown};
use ostler_roles::words::{Bytes, Digest, Span};
use std::time::Instant;

/// Observes, applies, acts. Real ones live in `resource`, fake ones in tests.
pub trait Provider: Sync {
    /// Observes one resource and holds it against what is desired. Writes nothing.
    ///
    /// # Errors
    /// When it cannot be read, or the node contradicts the role: never taken for "unchanged".
    fn examine(&self, desired: &Desired) -> Result<Examined, Failure>;

    /// The answer to a check. Writes nothing. `demands` is what else the plan takes of the node.
    fn check(&self, check: &Check, within: Span, demands: &Demands) -> Verdict;

    /// The present content of the file that `desired` speaks of, for a diff: text, bounded, not secret; none otherwise.
    fn old_content(&self, desired: &Desired) -> Option<String>;

    /// Applies steps that make one transaction (of other kinds one comes alone): changes what was found to differ, and observes once
    /// more; what remains must be nothing. One answer for each, in their order.
    fn apply(&self, batch: &[Differing<'_>], context: &ApplyContext<'_>) -> Vec<Result<Applied, Failure>>;

    /// Runs, reloads or restarts: what a watcher does because something it watches has changed. False where there was nothing to do: it
    /// does not run.
    ///
    /// # Errors
    /// When its check does not hold (the service is then left alone) or the action fails.
    fn act(&self, step: &Step, action: Action, context: &ApplyContext<'_>) -> Result<bool, Failure>;

    /// Looks once more at what this run started, when it has had time to fall over: the steps that it fell over for. Nothing is waited
    /// for where nothing was started.
    fn look_again(&self, cancelled: &dyn Fn() -> bool) -> Vec<(u32, Failure)>;

    /// Forgets what was read of shared databases and `things` may have altered.
    fn forget(&self, effects: &[Effect]);

    /// Makes everything written so far durable (our own files each; whole file systems where programs wrote): before the journal says "done".
    ///
    /// # Errors
    /// When the disk says no.
    fn sync(&self) -> Result<(), Failure>;
}

/// One resource as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Examined {
    /// What differs; empty: nothing.
    pub changes: Vec<Shown>,
    /// Nothing is at its path, and something shall be.
    pub absent: bool,
    /// What it owes itself once this is changed: a restart by its own new unit.
    pub owes: Option<Action>,
    /// Why nothing is to be done, when nothing differs.
    pub why: String,
    /// What is not as wished and cannot be mended from here, though nothing fails for it.
    pub notes: Vec<String>,
    /// What applying it alters beside what the step provides, where only the node knows that.
    pub makes: Vec<Effect>,
    /// Bytes that applying it will write; none: that cannot be known before.
    pub to_write: Option<Bytes>,
    /// What was read: applying begins from there, without reading it again.
    pub observed: Observed,
}

/// A step that is not as desired, and how it was found in its turn.
#[derive(Debug, Clone, Copy)]
pub struct Differing<'a> {
    /// The step.
    pub step: &'a Step,
    /// How it was found.
    pub found: &'a Examined,
}

/// How applying one resource went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// What was changed; empty where all of it failed without failing the step.
    pub changes: Vec<Shown>,
    /// Worth knowing though not an error.
    pub notes: Vec<String>,
    /// It was started by this, and so has read all that stands there now: a restart or reload that it owed is done.
    pub started: bool,
}

/// What applying may use.
pub struct ApplyContext<'a> {
    /// The step's end of patience.
    pub deadline: Instant,
    /// Asked between the parts of long work: true stops at the next safe point.
    pub cancelled: &'a (dyn Fn() -> bool + Sync),
    /// Takes `Progress` and `Note` events.
    pub tell: &'a (dyn Fn(Event) + Sync),
    /// The step's number, for events.
    pub index: u32,
    /// Public bytes by digest.
    pub blob: &'a (dyn Fn(&Digest) -> std::io::Result<Vec<u8>> + Sync),
    /// Secret bytes by HMAC; none: only a controller can bring them.
    pub secret: &'a (dyn Fn(&Digest) -> std::io::Result<Option<Vec<u8>>> + Sync),
}

impl ApplyContext<'_> {
    /// Whether it is cancelled, or its time is over.
    pub fn stops(&self) -> bool {
        (self.cancelled)() || Instant::now() >= self.deadline
    }
}

impl std::fmt::Debug for ApplyContext<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApplyContext").field("deadline", &self.deadline).field("index", &self.index).finish_non_exhaustive()
    }
}
