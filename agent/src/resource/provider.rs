//! The provider of a real node: each kind's half here, joined with its pure half in `roles`.

use super::fault::{contradicted, failure};
use super::node::Node;
use super::{Act, checks, service};
use crate::engine::{Applied, ApplyContext, Differing, Examined, Provider};
use crate::host::{Host, OsError};
use ostler_roles::catalog::{Action, Step};
use ostler_roles::check::{Check, Demands, Verdict};
use ostler_roles::outcome::{Failure, FailureKind};
use ostler_roles::resource::{Describe, Desired, Effect, Shown};
use ostler_roles::words::{Secret, Span};
use std::path::Path;

/// The provider of this very machine.
#[derive(Debug)]
pub struct NodeProvider {
    node: Node,
}

impl NodeProvider {
    /// The one of the running system. `key` is the one under which secrets are compared.
    ///
    /// # Errors
    /// When the root directory cannot be opened.
    pub fn running(key: Option<Secret<Vec<u8>>>) -> Result<Self, OsError> {
        // What libgit2 makes must be readable for jobs; our own files have their modes set, and children set theirs.
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
        Ok(Self { node: Node::new(Host::running()?, key) })
    }

    /// The one of a tree beside the running system: for tests and for images.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn at(tree: &Path, key: Option<Secret<Vec<u8>>>) -> Result<Self, OsError> {
        Ok(Self { node: Node::new(Host::at(tree)?, key) })
    }

    /// One that takes the server of a file system for gone after so short a silence.
    #[cfg(test)]
    pub(super) fn at_with_answer(tree: &Path, answer: std::time::Duration) -> Self {
        Self { node: Node::new(Host::at(tree).unwrap().with_answer(answer), None) }
    }

    /// One that takes a server for gone after so short a silence.
    #[cfg(test)]
    pub(super) fn at_with_stall(tree: &Path, stall: std::time::Duration) -> Self {
        let mut node = Node::new(Host::at(tree).unwrap(), None);
        node.stall = Some(stall);
        Self { node }
    }
}

fn shown<C: Describe>(changes: &[C]) -> Vec<Shown> {
    changes.iter().map(Describe::shown).collect()
}

/// A resource at work, whatever its kind.
trait AtWork {
    fn examine(&self, node: &Node) -> Result<Examined, Failure>;
    /// Applies all of one transaction, this among them; one answer each.
    fn apply(&self, node: &Node, batch: &[Differing<'_>], context: &ApplyContext<'_>) -> Vec<Result<Applied, Failure>>;
    fn act(&self, node: &Node, action: Action, context: &ApplyContext<'_>) -> Result<bool, Failure>;
    fn old_content(&self, node: &Node) -> Option<String>;
}

impl<R: Act> AtWork for R {
    fn examine(&self, node: &Node) -> Result<Examined, Failure> {
        let observed = self.observe(node)?;
        let changes = self.diff(&observed).map_err(contradicted)?;
        let why = if changes.is_empty() { self.unchanged(&observed) } else { String::new() };
        let (notes, makes) = (self.shortfalls(&observed), self.makes(node, &changes));
        let absent = changes.iter().any(Describe::makes_path);
        let (to_write, owes) = (self.to_write(node, &changes), self.owes(&observed, &changes));
        Ok(Examined { to_write, changes: shown(&changes), absent, owes, why, notes, makes, observed: observed.into() })
    }

    fn apply(&self, node: &Node, batch: &[Differing<'_>], context: &ApplyContext<'_>) -> Vec<Result<Applied, Failure>> {
        let members: Vec<Result<Ready<'_, R>, Failure>> = batch.iter().map(Ready::of).collect();
        let ready: Vec<_> = members.iter().flatten().map(|member| (member.desired, member.changes.clone())).collect();
        let alone = ready.len() == 1;
        let done = if ready.is_empty() { Ok(Vec::new()) } else { R::apply_all(node, ready, context) };
        for effect in members.iter().flatten().flat_map(|member| member.desired.provides()) {
            node.forget(&effect);
        }
        let mut notes = done.as_ref().cloned().unwrap_or_default();
        notes.extend(node.host.take_lost());
        let answer = |member: Result<Ready<'_, R>, Failure>| {
            let Ready { desired, changes, started } = member?;
            match &done {
                Err(failed) if alone => return Err(failed.clone()),
                // What a transaction got done before it failed is done.
                Err(failed) => converged(node, desired).map_err(|_| failed.clone())?,
                Ok(_) => converged(node, desired)?,
            }
            let made: Vec<_> = changes.into_iter().filter(|change| desired.made(node, change)).collect();
            Ok(Applied { changes: shown(&made), notes: std::mem::take(&mut notes), started })
        };
        members.into_iter().map(answer).collect()
    }

    fn act(&self, node: &Node, action: Action, context: &ApplyContext<'_>) -> Result<bool, Failure> {
        let done = Act::act(self, node, action, context);
        for effect in self.provides() {
            node.forget(&effect);
        }
        done
    }

    fn old_content(&self, node: &Node) -> Option<String> {
        Act::old_content(self, node)
    }
}

/// A member of a transaction, and what is to be done.
struct Ready<'a, R: Act> {
    desired: &'a R,
    changes: Vec<R::Change>,
    started: bool,
}

impl<'a, R: Act> Ready<'a, R> {
    fn of(differing: &Differing<'a>) -> Result<Self, Failure> {
        let pair = R::desired(&differing.step.desired).zip(R::observed(&differing.found.observed));
        let (desired, observed) =
            pair.ok_or_else(|| failure(FailureKind::Internal, format!("{} stands among others than its kind", differing.step.id())))?;
        let changes = desired.diff(observed).map_err(contradicted)?;
        Ok(Self { desired, started: desired.starts(observed, &changes), changes })
    }
}

/// Observes again: what remains must be nothing.
fn converged<R: Act>(node: &Node, desired: &R) -> Result<(), Failure> {
    let observed = desired.observe(node)?;
    let remains = shown(&desired.diff(&observed).map_err(contradicted)?);
    if remains.is_empty() {
        return Ok(());
    }
    let causes = remains.iter().map(|shown| format!("{} is still {}, not {}", shown.field, shown.from, shown.to)).collect();
    Err(Failure { causes, ..failure(FailureKind::DidNotConverge, "it was changed and is still not as desired") })
}

macro_rules! at_work {
    ($($(#[$doc:meta])* $variant:ident = $word:ident;)*) => {
        /// The kind's half here.
        fn at_work(desired: &Desired) -> &dyn AtWork {
            match desired { $(Desired::$variant(desired) => desired),* }
        }
    };
}
ostler_roles::each_kind!(at_work);

impl Provider for NodeProvider {
    fn examine(&self, desired: &Desired) -> Result<Examined, Failure> {
        at_work(desired).examine(&self.node)
    }

    fn check(&self, check: &Check, within: Span, demands: &Demands) -> Verdict {
        check.judge(&checks::read(&self.node, check, within, demands))
    }

    fn old_content(&self, desired: &Desired) -> Option<String> {
        at_work(desired).old_content(&self.node)
    }

    fn apply(&self, batch: &[Differing<'_>], context: &ApplyContext<'_>) -> Vec<Result<Applied, Failure>> {
        let kind = |differing: &Differing<'_>| differing.step.desired.kind();
        let one_transaction = |a: &Differing<'_>, b: &Differing<'_>| kind(a) == kind(b) && kind(a).is_transaction();
        let transactions = batch.chunk_by(one_transaction);
        transactions.flat_map(|all| at_work(&all[0].step.desired).apply(&self.node, all, context)).collect()
    }

    fn act(&self, step: &Step, action: Action, context: &ApplyContext<'_>) -> Result<bool, Failure> {
        at_work(&step.desired).act(&self.node, action, context)
    }

    fn look_again(&self, cancelled: &dyn Fn() -> bool) -> Vec<(u32, Failure)> {
        service::look_again(&self.node, cancelled)
    }

    fn forget(&self, effects: &[Effect]) {
        for effect in effects {
            self.node.forget(effect);
        }
    }

    fn sync(&self) -> Result<(), Failure> {
        self.node.host.sync().map_err(|errors| {
            let told = |error: &OsError| {
                let Failure { message, causes, .. } = error.failure(FailureKind::Apply);
                format!("{message}: {}", causes.join("; "))
            };
            let causes = errors.iter().map(told).collect();
            let kind = if errors.iter().any(OsError::is_full) { FailureKind::NoSpace } else { FailureKind::Apply };
            Failure { causes, ..failure(kind, "what was written may not survive a power cut") }
        })
    }
}
