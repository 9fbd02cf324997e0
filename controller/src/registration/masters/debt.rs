//! Whether what has lapsed is owed still when its turn has come: another run may have proved it meanwhile, or have its node.

use super::Reporter;
use crate::masters::register::Debt;
use crate::registration::connections::SharedJob;
use crate::registration::{Proofs, Unfit};
use ostler_roles::ledger::Subject;
use ostler_roles::wire::message::Refusal;
use ostler_roles::words::RunId;
use std::sync::PoisonError;

const PROVED: &str = "another run has proved it meanwhile";
const FIT: &str = "what did not hold on its node holds by now";

/// By what an executor's proof has lapsed, where it has.
#[derive(Debug, Clone)]
pub(super) enum Lapse {
    /// A run: it changed the node and did not come through, or found that it is not fit.
    Run {
        /// What people read, where it is not that a run failed: then nothing is noted as owed.
        unfit: Option<Unfit>,
        /// The run on the node, where it has begun.
        own: Option<RunId>,
    },
    /// The site's word alone, which another run may take back: the node is out of reach.
    Site,
}

impl Lapse {
    pub(super) fn of_run(unfit: Option<Unfit>, own: Option<RunId>) -> Self {
        Self::Run { unfit, own }
    }

    pub(super) fn by_site() -> Self {
        Self::Site
    }

    /// What people read at the executor.
    pub(super) fn why(&self) -> Option<&str> {
        match self {
            Self::Run { unfit, .. } => unfit.as_ref().map(|unfit| unfit.why.as_str()),
            Self::Site => None,
        }
    }

    /// What is known without asking anybody.
    pub(super) fn known_debt(&self, reporter: &Reporter) -> Debt {
        match self {
            Self::Site if !Proofs::is_still_owed(&reporter.registrar.site.store, &reporter.candidate) => Debt::Earned(PROVED),
            Self::Site | Self::Run { .. } => Debt::Owed,
        }
    }

    /// What is so now; where what this run knows `is_old`, as the node says itself. One that does not say owes it. Blocks.
    pub(super) fn debt(&self, reporter: &Reporter, job: &SharedJob, is_old: bool) -> Debt {
        let Self::Run { unfit, own } = self else { return self.known_debt(reporter) };
        if !is_old || reporter.registrar.stop.is_asked() {
            return Debt::Owed;
        }
        let mut job = job.lock().unwrap_or_else(PoisonError::into_inner);
        let (left, Some((run, ledger))) = (job.generation, job.look_in_run()) else { return Debt::Owed };
        if let Some(run) = run.filter(|run| Some(&run.run) != own.as_ref()) {
            return Debt::Taken(Refusal::Locked(run).to_string());
        }
        let subject = Subject::of(&reporter.candidate.executor);
        // This run has not changed a node that is not fit: only what another run has changed there can have been proved since.
        let least = left.map(|left| left + u64::from(unfit.is_some()));
        let is_since = least.zip(ledger.changed()).is_some_and(|(least, changed)| changed >= least);
        // What holds again proves nothing that was owed besides.
        let is_owed = || ledger.owes(&subject) || Proofs::is_still_owed(&reporter.registrar.site.store, &reporter.candidate);
        match unfit {
            _ if is_since && !ledger.knows_owed(&subject) => Debt::Earned(PROVED),
            Some(unfit) if !unfit.failed.is_empty() && !is_owed() && job.holds(unfit.failed.clone()) => match job.look_in_run() {
                // That took its time: another run may have begun there since.
                Some((run, now)) if now == ledger => match run.filter(|run| Some(&run.run) != own.as_ref()) {
                    Some(run) => Debt::Taken(Refusal::Locked(run).to_string()),
                    None => Debt::Earned(FIT),
                },
                Some(_) | None => Debt::Owed,
            },
            Some(_) | None => Debt::Owed,
        }
    }
}
