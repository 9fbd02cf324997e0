//! The provider of a real node: each kind's half here, joined with its pure half in `roles`.

use super::fault::{contradicted, failure};
use super::node::Node;
use super::{Act, checks, command, package, service};
use crate::engine::{Applied, ApplyContext, Examined, Provider};
use crate::host::{Host, OsError};
use ostler_roles::catalog::{Action, Step};
use ostler_roles::check::{Check, Demands, Verdict};
use ostler_roles::outcome::{Failure, FailureKind};
use ostler_roles::resource::package::Desired as Package;
use ostler_roles::resource::{Describe, Desired, Effect, Resource, Shown};
use ostler_roles::words::{Content, Secret, Span};
use std::path::Path;

/// Old contents of files are sent for a diff up to this size.
const DIFFABLE: u64 = 256 << 10;

/// The provider of this very machine.
#[derive(Debug)]
pub struct NodeProvider {
    node: Node,
}

impl NodeProvider {
    /// Provider on the running system. `key` is the one under which secrets are compared.
    ///
    /// # Errors
    /// When the root directory cannot be opened.
    pub fn running(key: Option<Secret<Vec<u8>>>) -> Result<Self, OsError> {
        // What libgit2 makes must be readable for jobs; our own files have their modes set, and children set theirs.
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
        Ok(Self { node: Node::new(Host::running()?, key) })
    }

    /// Provider on a tree beside the running system: for tests and for images.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn at(tree: &Path, key: Option<Secret<Vec<u8>>>) -> Result<Self, OsError> {
        Ok(Self { node: Node::new(Host::at(tree)?, key) })
    }

    /// Provider that take the server of a file system for gone after so short a silence.
    #[cfg(test)]
    pub(super) fn at_with_answer(tree: &Path, answer: std::time::Duration) -> Self {
        Self { node: Node::new(Host::at(tree).unwrap().with_answer(answer), None) }
    }

    /// Provider that take a server for gone after so short a silence.
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

fn examine<R: Act>(node: &Node, desired: &R) -> Result<Examined, Failure>
where
    R::Change: Describe,
{
    let observed = desired.observe(node)?;
    let changes = desired.diff(&observed).map_err(contradicted)?;
    let why = if changes.is_empty() { desired.unchanged(&observed) } else { String::new() };
    let absent = changes.iter().any(Describe::makes_path);
    Ok(Examined { to_write: desired.to_write(node, &changes), changes: shown(&changes), absent, why })
}

fn apply<R: Act>(node: &Node, desired: &R, context: &ApplyContext<'_>) -> Result<Applied, Failure>
where
    R::Change: Describe,
{
    let observed = desired.observe(node)?;
    let changes = desired.diff(&observed).map_err(contradicted)?;
    if changes.is_empty() {
        return Ok(Applied { changes: Vec::new(), why: desired.unchanged(&observed), notes: Vec::new(), started: false });
    }
    let (made, started) = (shown(&changes), desired.starts(&observed, &changes));
    let notes = desired.apply(node, changes, context)?;
    for effect in desired.provides() {
        node.forget(&effect);
    }
    converged(node, desired)?;
    Ok(Applied { changes: made, why: String::new(), notes, started })
}

/// Observes again: what remains must be nothing.
fn converged<R: Act>(node: &Node, desired: &R) -> Result<(), Failure>
where
    R::Change: Describe,
{
    let observed = desired.observe(node)?;
    let remains = shown(&desired.diff(&observed).map_err(contradicted)?);
    if remains.is_empty() {
        return Ok(());
    }
    let causes = remains.iter().map(|shown| format!("{} is still {}, not {}", shown.field, shown.from, shown.to)).collect();
    Err(Failure { causes, ..failure(FailureKind::DidNotConverge, "it was changed and is still not as desired") })
}

/// Calls a function that is generic over kinds.
macro_rules! each_kind {
    ($desired:expr, $inner:ident => $call:expr) => {
        match $desired {
            Desired::Package($inner) => $call,
            Desired::File($inner) => $call,
            Desired::Directory($inner) => $call,
            Desired::Link($inner) => $call,
            Desired::User($inner) => $call,
            Desired::Group($inner) => $call,
            Desired::AuthorizedKey($inner) => $call,
            Desired::Line($inner) => $call,
            Desired::Service($inner) => $call,
            Desired::Sysctl($inner) => $call,
            Desired::KernelModule($inner) => $call,
            Desired::Command($inner) => $call,
            Desired::GitCache($inner) => $call,
            Desired::Download($inner) => $call,
        }
    };
}

impl Provider for NodeProvider {
    fn examine(&self, desired: &Desired) -> Result<Examined, Failure> {
        each_kind!(desired, inner => examine(&self.node, inner))
    }

    fn check(&self, check: &Check, within: Span, demands: &Demands) -> Verdict {
        check.judge(&checks::read(&self.node, check, within, demands))
    }

    fn old_content(&self, desired: &Desired) -> Option<String> {
        let Desired::File(file) = desired else { return None };
        if matches!(file.present.as_ref().map(|present| &present.content), Some(Content::Secret(_))) {
            return None;
        }
        let (bytes, _) = self.node.host.read_to_edit(file.path.as_path(), DIFFABLE).ok()??;
        String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))
    }

    fn apply(&self, steps: &[&Step], context: &ApplyContext<'_>) -> Vec<Result<Applied, Failure>> {
        let packages: Option<Vec<&Package>> =
            steps.iter().map(|step| if let Desired::Package(package) = &step.desired { Some(package) } else { None }).collect();
        match packages {
            Some(packages) if packages.len() > 1 => apply_packages(&self.node, &packages, context),
            Some(_) | None => steps.iter().map(|step| each_kind!(&step.desired, inner => apply(&self.node, inner, context))).collect(),
        }
    }

    fn act(&self, step: &Step, action: Action, context: &ApplyContext<'_>) -> Result<(), Failure> {
        let done = match &step.desired {
            Desired::Service(service) => service::trigger(service, &self.node, action, context),
            Desired::Command(command) => command::run(command, &self.node, context),
            Desired::Package(_)
            | Desired::File(_)
            | Desired::Directory(_)
            | Desired::Link(_)
            | Desired::User(_)
            | Desired::Group(_)
            | Desired::AuthorizedKey(_)
            | Desired::Line(_)
            | Desired::Sysctl(_)
            | Desired::KernelModule(_)
            | Desired::GitCache(_)
            | Desired::Download(_) => Err(failure(FailureKind::Internal, format!("{} has no action {action:?}", step.id()))),
        };
        for effect in step.desired.provides() {
            self.node.forget(&effect);
        }
        done
    }

    fn forget(&self, effects: &[Effect]) {
        for effect in effects {
            self.node.forget(effect);
        }
    }

    fn sync(&self) -> Result<(), Failure> {
        self.node.host.sync().map_err(|errors| {
            let causes = errors.iter().map(|error| format!("cannot {error}: {}", error.source)).collect();
            let kind = if errors.iter().any(OsError::is_full) { FailureKind::NoSpace } else { FailureKind::Apply };
            Failure { causes, ..failure(kind, "what was written may not survive a power cut") }
        })
    }
}

/// A batch of packages: observed together, changed in one transaction, observed again; one answer each.
fn apply_packages(node: &Node, packages: &[&Package], context: &ApplyContext<'_>) -> Vec<Result<Applied, Failure>> {
    let before: Vec<Result<_, Failure>> = packages
        .iter()
        .map(|desired| {
            let observed = desired.observe(node)?;
            let changes = desired.diff(&observed).map_err(contradicted)?;
            Ok((desired.unchanged(&observed), changes))
        })
        .collect();
    let batch: Vec<_> = packages
        .iter()
        .zip(&before)
        .filter_map(|(desired, before)| before.as_ref().ok().map(|(_, changes)| (*desired, changes.clone())))
        .filter(|(_, changes)| !changes.is_empty())
        .collect();
    let done = if batch.is_empty() { Ok(Vec::new()) } else { package::apply_all(node, &batch, context) };
    let mut notes = done.as_ref().cloned().unwrap_or_default();
    let answer = |(desired, before): (&&Package, Result<(String, Vec<_>), Failure>)| {
        let (why, changes) = before?;
        if changes.is_empty() {
            return Ok(Applied { changes: Vec::new(), why, notes: Vec::new(), started: false });
        }
        match (converged(node, *desired), &done) {
            // What apt got done before it failed is done.
            (Ok(()), _) => Ok(Applied { changes: shown(&changes), why: String::new(), notes: std::mem::take(&mut notes), started: false }),
            (Err(_), Err(failed)) => Err(failed.clone()),
            (Err(remains), Ok(_)) => Err(remains),
        }
    };
    packages.iter().zip(before).map(answer).collect()
}
