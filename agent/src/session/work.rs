//! What is asked of an agent that has said hello: a plan, contents, a run, its story, its end.

use super::fault::{failure, from_error};
use super::frames::{Disconnected, Input, Outbox};
use super::tail::{self, Tail, TailEnd, TailError};
use crate::engine::{
    BlobStore, Challenges, Draft, EngineError, Facilities, NodeRecord, Order, PendingActions, Planning, go, look_up, prove,
};
use ostler_roles::catalog::Catalog;
use ostler_roles::challenge::Place;
use ostler_roles::ledger::Proved;
use ostler_roles::outcome::{Failure, FailureKind};
use ostler_roles::plan::Planned;
use ostler_roles::wire::frame::FRAME_CAP;
use ostler_roles::wire::message::{BlobData, Hidden, Refusal, SecretData, ToController};
use ostler_roles::words::{AccountName, Digest, RunId};
use std::collections::BTreeMap;

/// How much of contents is held in memory before `Go`.
const HELD: usize = 512 * 1024 * 1024;

/// What comes after a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Listen,
    Leave,
}

/// What ends the work.
#[derive(Debug)]
pub(super) enum WorkError {
    Disconnected,
    Failed(Box<Failure>),
}

impl From<Disconnected> for WorkError {
    fn from(_: Disconnected) -> Self {
        Self::Disconnected
    }
}
impl From<Failure> for WorkError {
    fn from(failure: Failure) -> Self {
        Self::Failed(Box::new(failure))
    }
}
impl From<EngineError> for WorkError {
    fn from(error: EngineError) -> Self {
        from_error(FailureKind::Internal, &error).into()
    }
}
impl From<TailError> for WorkError {
    fn from(error: TailError) -> Self {
        match error {
            TailError::Disconnected(_) => Self::Disconnected,
            TailError::Frame(_) | TailError::Engine(_) | TailError::OutOfPlace => from_error(FailureKind::Internal, &error).into(),
        }
    }
}

/// A plan that was shown, and what has come for it.
struct Shown {
    catalog: Catalog,
    draft: Draft,
    secret_key: Hidden,
    contents: BTreeMap<Digest, Vec<u8>>,
    halves: BTreeMap<Digest, Vec<u8>>,
    held: usize,
}

/// `Go`, as it was asked.
pub(super) struct Asked {
    pub(super) run: RunId,
    pub(super) plan: Digest,
    pub(super) generation: u64,
    pub(super) secrets: Vec<SecretData>,
    pub(super) masked: Vec<Hidden>,
    pub(super) controller: String,
    pub(super) owes: bool,
}

/// The working half's state.
pub(super) struct Work<'a> {
    facilities: &'a dyn Facilities,
    /// Digest of the facts last told; none: they may have changed since.
    facts: Option<Digest>,
    shown: Option<Shown>,
    /// Nonces that this conversation has brought: they go with it.
    challenges: Challenges<'a>,
}

impl<'a> Work<'a> {
    pub(super) fn new(facilities: &'a dyn Facilities, facts: Digest) -> Self {
        Self { facilities, facts: Some(facts), shown: None, challenges: Challenges::new(facilities) }
    }

    /// Answers a catalog: stale, or its plan.
    pub(super) fn catalog(
        &mut self,
        catalog: Catalog,
        base: Option<u64>,
        (part, want_old): (bool, bool),
        secret_key: Hidden,
        input: &Input,
        outbox: &Outbox,
    ) -> Result<Next, WorkError> {
        self.shown = None;
        let paths = self.facilities.paths();
        let generation = NodeRecord::read(paths)?.generation;
        let known = self.facts.take().filter(|facts| *facts == catalog.facts);
        if known.is_none() || base.is_some_and(|base| base != generation) {
            let facts = self.facilities.facts()?;
            if facts.digest() != catalog.facts || base.is_some_and(|base| base != generation) {
                self.facts = Some(facts.digest());
                outbox.send(&ToController::Stale { facts: Box::new(facts), generation })?;
                return Ok(Next::Listen);
            }
        }
        let owed = PendingActions::read_if_allowed(paths)?;
        let blobs = BlobStore::of(paths);
        let provider = self.facilities.provider(&secret_key.0)?;
        // Whoever has gone waits for no plan; what it would still take is not asked of the node.
        let wanted = || !input.has_ended() && !outbox.is_gone();
        let planning =
            Planning { provider: &*provider, catalog: &catalog, owed: &owed, generation, part, want_old, blobs: &blobs, wanted: &wanted };
        let drafted = planning.draft();
        drop(provider);
        let Some(mut draft) = drafted else { return Ok(Next::Leave) };
        let mut messages = Vec::new();
        if !draft.missing.is_empty() {
            messages.push(ToController::NeedBlobs(draft.missing.iter().copied().collect()));
        }
        messages.push(planned(&mut draft));
        outbox.send_all(&messages)?;
        self.shown = Some(Shown { catalog, draft, secret_key, contents: BTreeMap::new(), halves: BTreeMap::new(), held: 0 });
        Ok(Next::Listen)
    }

    /// Takes contents that were asked for.
    pub(super) fn blobs(&mut self, blobs: Vec<BlobData>) -> Result<Next, WorkError> {
        let refuse = |message: &str| WorkError::from(failure(FailureKind::Internal, message, None));
        let Some(shown) = &mut self.shown else { return Err(refuse("the controller sent contents before any plan")) };
        for blob in blobs {
            if !shown.draft.missing.contains(&blob.digest) {
                return Err(refuse("the controller sent a content that was not asked for"));
            }
            shown.held += blob.bytes.len();
            if shown.held > HELD {
                return Err(refuse("the contents of this plan need more than 512 MiB of memory"));
            }
            let mut bytes = shown.halves.remove(&blob.digest).unwrap_or_default();
            bytes.extend_from_slice(&blob.bytes);
            if blob.more {
                shown.halves.insert(blob.digest, bytes);
            } else if Digest::of(&bytes) == blob.digest {
                shown.contents.insert(blob.digest, bytes);
            } else {
                return Err(refuse("the controller sent a content that is not what its digest says"));
            }
        }
        Ok(Next::Listen)
    }

    /// Starts the run that was shown, and shows it.
    pub(super) fn go(&mut self, asked: Asked, input: &mut Input, outbox: &Outbox) -> Result<Next, WorkError> {
        let Some(shown) = &self.shown else {
            outbox.send(&ToController::Refused(Refusal::OtherPlan))?;
            return Ok(Next::Listen);
        };
        let missing = shown.draft.missing.iter().filter(|digest| !shown.contents.contains_key(digest)).count();
        let order = Order {
            run: asked.run,
            plan_digest: asked.plan,
            generation: asked.generation,
            secrets: &asked.secrets,
            masked: &asked.masked,
            controller: asked.controller,
            owes: asked.owes,
            plan: &shown.draft.plan,
            catalog: &shown.catalog,
            secret_key: &shown.secret_key.0,
            contents: &shown.contents,
            missing: u32::try_from(missing).unwrap_or(u32::MAX),
        };
        match go(self.facilities, &order) {
            Err(refusal) => {
                outbox.send(&ToController::Refused(refusal))?;
                Ok(Next::Listen)
            }
            Ok(accepted) => {
                self.shown = None;
                outbox.send(&ToController::Going { run: accepted.run.clone() })?;
                self.show(accepted.run, 0, input, outbox)
            }
        }
    }

    /// Keeps what was proved of the node.
    pub(super) fn prove(&mut self, proved: Proved, outbox: &Outbox) -> Result<Next, WorkError> {
        let answer = match prove(self.facilities, proved) {
            Ok(()) => ToController::Proved,
            Err(refusal) => ToController::Refused(refusal),
        };
        outbox.send(&answer)?;
        Ok(Next::Listen)
    }

    /// Takes a nonce, or gives it up.
    pub(super) fn challenge(
        &mut self,
        place: Place,
        account: &AccountName,
        nonce: Option<Hidden>,
        outbox: &Outbox,
    ) -> Result<Next, WorkError> {
        let done = match nonce {
            Some(nonce) => self.challenges.give(place, account, nonce).map(|()| true),
            None => self.challenges.take(place),
        };
        outbox.send(&done.map_or_else(ToController::Refused, ToController::Challenge))?;
        Ok(Next::Listen)
    }

    /// Shows a run's events.
    pub(super) fn attach(&mut self, run: Option<RunId>, after: u64, input: &mut Input, outbox: &Outbox) -> Result<Next, WorkError> {
        if !self.facilities.is_root() {
            outbox.send(&ToController::Refused(Refusal::NotRoot))?;
            return Ok(Next::Listen);
        }
        match look_up(self.facilities, run.clone())? {
            None => {
                outbox.send(&ToController::Refused(Refusal::NoRun(run)))?;
                Ok(Next::Listen)
            }
            Some(run) => {
                outbox.send(&ToController::Going { run: run.clone() })?;
                self.show(run, after, input, outbox)
            }
        }
    }

    fn show(&mut self, run: RunId, after: u64, input: &mut Input, outbox: &Outbox) -> Result<Next, WorkError> {
        let Some(tail) = Tail::open(self.facilities, run.clone(), after)? else {
            outbox.send(&ToController::Refused(Refusal::NoRun(Some(run))))?;
            return Ok(Next::Listen);
        };
        // A run may have changed what we know of the node.
        self.facts = None;
        Ok(match tail.show(input, outbox)? {
            TailEnd::Complete => Next::Listen,
            TailEnd::Left => Next::Leave,
        })
    }

    /// Asks a run to stop.
    pub(super) fn cancel(&mut self, run: RunId, outbox: &Outbox) -> Result<Next, WorkError> {
        outbox.send(&tail::cancel(self.facilities, run)?)?;
        Ok(Next::Listen)
    }
}

/// The plan's message. Old contents are left out when they are too much for a frame.
fn planned(draft: &mut Draft) -> ToController {
    let olds = draft.plan.steps.iter().map(|step| match step {
        Planned::Change { old: Some(old), .. } => old.len(),
        Planned::Change { old: None, .. } | Planned::Unchanged { .. } | Planned::MayChange { .. } | Planned::Impossible(_) => 0,
    });
    if olds.sum::<usize>() > FRAME_CAP / 2 {
        for step in &mut draft.plan.steps {
            if let Planned::Change { old, .. } = step {
                *old = None;
            }
        }
    }
    ToController::Planned(Box::new(draft.plan.clone()))
}
