//! One turn: examine again, hold against the plan, mark what is owed, apply, act.

use super::super::{Applied, ApplyContext, Differing, EngineError, Examined, Moment, PendingActions};
use super::Runner;
use ostler_roles::catalog::{Action, Step};
use ostler_roles::outcome::{Event, Failure, FailureKind, Outcome};
use ostler_roles::plan::Planned;
use ostler_roles::resource::Shown;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

/// Each further member of a transaction adds so much to its deadline.
const MORE: Duration = Duration::from_secs(60);

/// How far one member has come.
enum Standing {
    Same(String),
    Differs(Examined),
    Failed(Failure),
}

/// How a step's own part went, before what it owes.
struct Part {
    outcome: Outcome,
    /// As in [`Applied`].
    started: bool,
}

impl From<Outcome> for Part {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, started: false }
    }
}

impl Runner<'_> {
    /// The turn of one transaction's members.
    pub(super) fn run_step(&self, members: &[u32]) {
        let began = Instant::now();
        for index in members {
            self.writer.write(Event::StepStarted { index: *index, id: self.step(*index).id() });
        }
        let standings: Vec<Standing> = members.iter().map(|index| self.look(*index)).collect();
        let failed = members.iter().zip(&standings).find(|(_, standing)| matches!(standing, Standing::Failed(_))).map(|(index, _)| *index);
        let differing: Vec<(u32, &Examined)> = members
            .iter()
            .zip(&standings)
            .filter_map(|(index, standing)| if let Standing::Differs(found) = standing { Some((*index, found)) } else { None })
            .collect();
        let applied: Vec<Part> = match failed {
            None => self.apply(&differing),
            Some(failed) => {
                let because = format!("{} failed in the same transaction", self.step(failed).id());
                differing.iter().map(|_| Part::from(Outcome::NotStarted { because: because.clone() })).collect()
            }
        };
        let mut applied = applied.into_iter();
        for (index, standing) in members.iter().zip(standings) {
            let outcome = match standing {
                Standing::Failed(failure) => Outcome::Failed(failure),
                Standing::Same(why) => self.act(*index, Outcome::Unchanged { why }.into()),
                Standing::Differs(_) => {
                    let own = applied
                        .next()
                        .unwrap_or_else(|| Outcome::Failed(internal("the provider answered for fewer steps than they were given")).into());
                    self.act(*index, own)
                }
            };
            self.done(*index, outcome, began.elapsed());
        }
    }

    pub(super) fn step(&self, index: u32) -> &Step {
        &self.catalog.steps[index as usize]
    }

    /// How much longer than its time a look may take: its questions have deadlines of their own, some of minutes.
    pub(super) fn look_within(&self, within: Duration) -> Duration {
        within + self.facilities.grace() * 5
    }

    /// Examines a step again and holds it against what was shown.
    fn look(&self, index: u32) -> Standing {
        let within = self.step(index).within.duration();
        let found = self.steps.at_work(index, within, self.look_within(within), || self.provider.examine(&self.step(index).desired));
        match found {
            Err(failure) => Standing::Failed(failure),
            Ok(found) if found.changes.is_empty() => {
                self.note(index, found.notes);
                Standing::Same(found.why)
            }
            Ok(found) => match self.unseen(index, &found.changes) {
                None => Standing::Differs(found),
                Some(change) => Standing::Failed(moved(change)),
            },
        }
    }

    fn note(&self, index: u32, notes: Vec<String>) {
        for note in notes {
            let text = format!("{}: {note}", self.step(index).id());
            self.writer.write(Event::Note { index: Some(index), text });
        }
    }

    /// The first change that the plan did not show.
    fn unseen<'c>(&self, index: u32, changes: &'c [Shown]) -> Option<&'c Shown> {
        match self.plan.steps.get(index as usize) {
            Some(Planned::MayChange { .. }) => None,
            Some(Planned::Change { changes: shown, .. }) => changes.iter().find(|change| !self.cleaner.was_shown(change, shown)),
            Some(Planned::Unchanged { .. } | Planned::Impossible(_)) | None => changes.iter().find(|change| !change.is_among(&[])),
        }
    }

    /// Applies what differs, after what is owed for it is on the disk.
    fn apply(&self, members: &[(u32, &Examined)]) -> Vec<Part> {
        let Some((first, _)) = members.first().copied() else { return Vec::new() };
        let before = match self.mark(members) {
            Ok(before) => before,
            Err(error) => return members.iter().map(|_| Outcome::Failed(own(&error)).into()).collect(),
        };
        self.facilities.passed(Moment::Marked(first));
        let batch: Vec<Differing<'_>> = members.iter().map(|(index, found)| Differing { step: self.step(*index), found }).collect();
        let within = batch.iter().map(|member| member.step.within.duration()).max().unwrap_or_default();
        let more = MORE * u32::try_from(batch.len() - 1).unwrap_or(u32::MAX);
        let results = self.with_context(first, within + more, |context| self.provider.apply(&batch, context));
        for member in &batch {
            self.provider.forget(&member.step.desired.alters());
        }
        self.facilities.passed(Moment::Applied(first));
        let outcome = |(result, (member, (index, _))): (_, (&Differing<'_>, &(u32, &Examined)))| match result {
            Ok(Applied { changes, mut notes, started }) => {
                notes.extend_from_slice(&member.found.notes);
                if changes.is_empty() {
                    self.note(*index, notes);
                    if let Err(error) = self.unmark(member.step, &before) {
                        return Outcome::Failed(own(&error)).into();
                    }
                    return Part { outcome: Outcome::Unchanged { why: "what it lacks could not be had".to_owned() }, started };
                }
                Part { outcome: Outcome::Changed { changes, notes }, started }
            }
            Err(failure) => Outcome::Failed(failure).into(),
        };
        results.into_iter().zip(batch.iter().zip(members)).map(outcome).collect()
    }

    /// Writes down durably what later watchers, and the members themselves, will owe, and gives what was owed before. Nothing is written where
    /// nobody owes anything, or all is owed already.
    fn mark(&self, members: &[(u32, &Examined)]) -> Result<PendingActions, EngineError> {
        let mut before = PendingActions::default();
        self.change_owed(|owed| {
            before.clone_from(owed);
            let mut news = false;
            for (index, found) in members {
                let later = self.catalog.steps.get(*index as usize + 1..).unwrap_or_default();
                news |= owed.mark(self.step(*index), found.owes, later);
            }
            news
        })?;
        Ok(before)
    }

    /// Nothing came of a change that was to be made, so nobody has to act for it.
    fn unmark(&self, step: &Step, before: &PendingActions) -> Result<(), EngineError> {
        self.change_owed(|owed| {
            let marked = owed.clone();
            owed.unmark(&step.id(), before);
            *owed != marked
        })
        .map(drop)
    }

    /// Drops what steps owe that are gone, as the plan has said.
    pub(super) fn drop_left_over(&self) {
        if let Err(error) = self.change_owed(|owed| owed.drop_told(&self.plan.notes)) {
            self.writer.write(Event::Note { index: None, text: error.told() });
        }
    }

    fn change_owed(&self, change: impl FnOnce(&mut PendingActions) -> bool) -> Result<bool, EngineError> {
        let mut owed = self.owed.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = change(&mut owed);
        if changed {
            owed.write(self.facilities.paths())?;
        }
        Ok(changed)
    }

    /// What the step owes, if it is a watcher that owes something and its own part went well.
    fn act(&self, index: u32, Part { outcome: own_part, started }: Part) -> Outcome {
        let step = self.step(index);
        let id = step.id();
        let owed = self.owed.lock().unwrap_or_else(PoisonError::into_inner).of(&id).cloned();
        let Some(owed) = owed else { return own_part };
        let (mut changes, mut notes) = match own_part {
            Outcome::Changed { changes, notes } => (changes, notes),
            Outcome::Unchanged { .. } => (Vec::new(), Vec::new()),
            failed @ (Outcome::Failed(_) | Outcome::NotStarted { .. }) => return failed,
        };
        let done_already = match owed.action {
            // A command that its own guard made run has done what it owed.
            Action::Run => !changes.is_empty(),
            // What it watches was changed before its turn; beside other members, perhaps during it.
            Action::Reload | Action::Restart => started && step.together.is_none(),
        };
        let mut idle = None;
        if !done_already {
            let acted = self.with_context(index, step.within.duration(), |context| self.provider.act(step, owed.action, context));
            self.provider.forget(&step.desired.alters());
            match acted {
                Err(failure) => return Outcome::Failed(failure),
                Ok(true) => changes.push(Shown::new(owed.action.word(), "owed", "done")),
                Ok(false) => idle = Some(format!("no {} is needed: it does not run", owed.action.word())),
            }
        }
        self.facilities.passed(Moment::Acted(index));
        if idle.is_none() && !(done_already && started) {
            self.writer.write(Event::Triggered { index, id: id.clone(), action: owed.action, because: owed.because });
        }
        // What a command wrote is lost with the power, and no guard would miss it. A service has been given its files anew by then.
        if owed.action == Action::Run && !self.is_kept(index) {
            let mut failed = self.writer.why_lost().unwrap_or_else(|| internal("its journal cannot be written"));
            if failed.kind != FailureKind::NoSpace {
                failed.kind = FailureKind::Apply;
            }
            let told = "what it wrote may not survive a power cut, so it is owed still".to_owned();
            failed.causes.insert(0, std::mem::replace(&mut failed.message, told));
            return Outcome::Failed(failed);
        }
        if let Err(error) = self.change_owed(|owed| owed.clear(&id)) {
            return Outcome::Failed(own(&error));
        }
        self.facilities.passed(Moment::Cleared(index));
        if let Some(why) = idle {
            if changes.is_empty() {
                self.note(index, vec![why.clone()]);
                return Outcome::Unchanged { why };
            }
            notes.push(why);
        }
        Outcome::Changed { changes, notes }
    }

    /// Waits until all that was done is on the disk. A slow one with much in memory takes minutes; one that is gone says nothing, ever.
    fn is_kept(&self, index: u32) -> bool {
        self.steps.at_work(index, self.step(index).within.duration(), self.facilities.grace() * 10, || self.writer.all_is_written())
    }

    fn with_context<T>(&self, index: u32, within: Duration, work: impl FnOnce(&ApplyContext<'_>) -> T) -> T {
        let tell = |event: Event| match event {
            progress @ Event::Progress { index, .. } => self.progress.show(index, self.cleaner.event(progress)),
            note @ Event::Note { .. } => self.writer.write(note),
            // The rest is the engine's to tell.
            Event::Started { .. }
            | Event::StepStarted { .. }
            | Event::StepDone { .. }
            | Event::Triggered { .. }
            | Event::Verified { .. }
            | Event::Ended { .. } => {}
        };
        let context = ApplyContext {
            deadline: Instant::now() + within,
            cancelled: &|| self.is_cancelled(),
            tell: &tell,
            index,
            blob: &|digest| self.blobs.read(digest),
            secret: &|hmac| self.secret(hmac),
        };
        // As long again for what is no longer held against the deadline: a second look at all that was made, the end of what it began.
        self.steps.at_work(index, within, within + self.facilities.grace(), || work(&context))
    }
}

fn moved(change: &Shown) -> Failure {
    Failure {
        kind: FailureKind::Moved,
        message: format!(
            "the node has moved since the plan: {} is {} and would become {}, which was not shown",
            change.field, change.from, change.to
        ),
        causes: Vec::new(),
        command: None,
        hint: Some("plan again".to_owned()),
    }
}

fn internal(message: &str) -> Failure {
    Failure { kind: FailureKind::Internal, message: message.to_owned(), causes: Vec::new(), command: None, hint: None }
}

fn own(error: &EngineError) -> Failure {
    let full = |error: &std::io::Error| error.raw_os_error() == Some(rustix::io::Errno::NOSPC.raw_os_error());
    let kind = match error {
        EngineError::Write { source, .. } if full(source) => FailureKind::NoSpace,
        EngineError::NoRoom { .. } => FailureKind::NoSpace,
        EngineError::Read { .. }
        | EngineError::Write { .. }
        | EngineError::Content { .. }
        | EngineError::Lock { .. }
        | EngineError::NoTmpfs { .. }
        | EngineError::Copy(_)
        | EngineError::Provider { .. }
        | EngineError::Busy { .. }
        | EngineError::Start { .. }
        | EngineError::Ended { .. }
        | EngineError::Late { .. } => FailureKind::Internal,
    };
    Failure { kind, message: error.told(), causes: Vec::new(), command: None, hint: None }
}
