//! What a run would do: examines every step, asks every requirement, and writes nothing.

use super::{BlobStore, Cleaner, Examined, PendingActions, Provider};
use ostler_roles::catalog::{Action, Catalog, ProvidedLater, Requirement, Step};
use ostler_roles::check::{Check, Demands, Share, Verdict, Write};
use ostler_roles::outcome::Failure;
use ostler_roles::plan::{Plan, Planned};
use ostler_roles::resource::{Alterations, Effect, ResourceId, Standing};
use ostler_roles::words::{Content, Digest};
use std::collections::BTreeSet;

/// Proofs asked at once: each may be a program or a connection.
const PROOFS_AT_ONCE: usize = 8;

/// What a plan is made from.
pub struct Planning<'a> {
    /// Observes.
    pub provider: &'a dyn Provider,
    /// What the node shall be.
    pub catalog: &'a Catalog,
    /// Actions owed since earlier runs.
    pub owed: &'a PendingActions,
    /// The node's generation.
    pub generation: u64,
    /// Whether the catalog is a part of what the node shall be: what is not in it is none of its business.
    pub part: bool,
    /// Whether present contents of files are wanted.
    pub want_old: bool,
    /// Contents that the node has.
    pub blobs: &'a BlobStore,
    /// Whether somebody still waits for the plan. Asked between two questions, each of which has its own deadline.
    pub wanted: &'a dyn Fn() -> bool,
}

impl std::fmt::Debug for Planning<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Planning").field("generation", &self.generation).finish_non_exhaustive()
    }
}

/// A plan, and what carrying it out would still need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The plan.
    pub plan: Plan,
    /// Contents of changing steps that the node lacks.
    pub missing: BTreeSet<Digest>,
}

/// What changes, or may, of the steps so far.
#[derive(Default)]
struct Changing {
    steps: Vec<ChangingStep>,
    /// What they make, by their place in `steps`.
    alterations: Alterations,
}

struct ChangingStep {
    index: usize,
    id: ResourceId,
    sure: bool,
}

impl Changing {
    fn add(&mut self, index: usize, step: &Step, makes: Vec<Effect>, sure: bool) {
        for effect in step.desired.provides().into_iter().chain(makes) {
            self.alterations.add(effect, self.steps.len());
        }
        self.steps.push(ChangingStep { index, id: step.id(), sure });
    }
}

impl Planning<'_> {
    /// Makes the plan; none when nobody waits for it any more.
    pub fn draft(&self) -> Option<Draft> {
        let examine = |step: &Step| (self.wanted)().then(|| self.provider.examine(&step.desired));
        let examined: Vec<Result<Examined, Failure>> = self.catalog.steps.iter().map(examine).collect::<Option<_>>()?;
        let requirements = self.requirements(&examined)?;
        let cleaner = Cleaner::default();
        let mut changing = Changing::default();
        let transactions = transactions(&self.catalog.steps);
        let mut steps = Vec::with_capacity(examined.len());
        let mut notes: Vec<String> = if self.part { Vec::new() } else { self.owed.left_over(self.catalog).collect() };
        for (index, found) in examined.into_iter().enumerate() {
            let id = self.catalog.steps[index].id();
            notes.extend(found.iter().flat_map(|found| &found.notes).map(|note| cleaner.note(format!("{id}: {note}"))));
            let makes = found.as_ref().map(|found| found.makes.clone()).unwrap_or_default();
            let planned = self.step(index, found, &changing, transactions[index]);
            if let Some(sure) = match &planned {
                Planned::Change { .. } => Some(true),
                Planned::MayChange { .. } => Some(false),
                Planned::Unchanged { .. } | Planned::Impossible(_) => None,
            } {
                changing.add(index, &self.catalog.steps[index], makes, sure);
            }
            steps.push(planned);
        }
        let missing = self.missing(&steps);
        let steps = steps.into_iter().map(|planned| cleaner.planned(planned)).collect();
        let mut plan = Plan { catalog: self.catalog.digest(), generation: self.generation, requirements, steps, verify: Vec::new(), notes };
        if plan.is_empty() && plan.may_go() {
            plan.verify = self.verify()?;
        }
        Some(Draft { plan, missing })
    }

    /// Proofs of a node that is as it shall be. They are programs and connections that wait for others: asked a few at a time.
    fn verify(&self) -> Option<Vec<Verdict>> {
        let cleaner = Cleaner::default();
        let proofs = &self.catalog.verify;
        let mut verdicts = Vec::with_capacity(proofs.len());
        for batch in proofs.chunks(PROOFS_AT_ONCE) {
            if !(self.wanted)() {
                return None;
            }
            let ask = |proof: &Requirement| self.provider.check(&proof.check, proof.within, &Demands::default());
            let asked: Vec<Verdict> = std::thread::scope(|scope| {
                let asking: Vec<_> = batch.iter().map(|proof| scope.spawn(move || ask(proof))).collect();
                // A defect is nobody's answer: it ends the program, with its own words.
                asking.into_iter().map(|thread| thread.join().unwrap_or_else(|defect| std::panic::resume_unwind(defect))).collect()
            });
            verdicts.extend(asked.into_iter().map(|verdict| cleaner.verdict(verdict)));
        }
        Some(verdicts)
    }

    fn writes(&self, examined: &[Result<Examined, Failure>]) -> Vec<Write> {
        let changing = self.catalog.steps.iter().zip(examined).filter_map(|(step, found)| {
            // What cannot be read yet may write anything in its turn.
            let bytes = found.as_ref().map_or(None, |found| found.to_write);
            bytes.is_none_or(|bytes| bytes.count() > 0).then(|| Write { path: place_of(step), bytes, by: step.id().to_string() })
        });
        changing.collect()
    }

    fn requirements(&self, examined: &[Result<Examined, Failure>]) -> Option<Vec<Verdict>> {
        let writes = self.writes(examined);
        let changes = |index: usize| !matches!(examined.get(index), Some(Ok(found)) if found.changes.is_empty());
        let brought = ProvidedLater::of(self.catalog, &changes);
        let cleaner = Cleaner::default();
        let shares = self.catalog.require.iter().filter_map(share).collect();
        let mut demands = Demands { writes, shares, own: None };
        let mut before = 0..;
        let mut verdicts = Vec::with_capacity(self.catalog.require.len());
        for requirement in &self.catalog.require {
            if !(self.wanted)() {
                return None;
            }
            demands.own = share(requirement).and_then(|_| before.next());
            let now = self.provider.check(&requirement.check, requirement.within, &demands);
            verdicts.push(cleaner.verdict(brought.put_off(&requirement.check, now)));
        }
        Some(verdicts)
    }

    /// `transaction` is the first step of the transaction that it stands in.
    fn step(&self, index: usize, found: Result<Examined, Failure>, changing: &Changing, transaction: usize) -> Planned {
        let step = &self.catalog.steps[index];
        let standing = match &found {
            Ok(found) if found.changes.is_empty() => Standing::AsDesired,
            Ok(found) if found.absent => Standing::Absent,
            Ok(_) => Standing::Otherwise,
            Err(_) => Standing::Impossible,
        };
        if let Some(cause) = self.cause(index, standing, changing, transaction) {
            let changes = found.map(|found| found.changes).unwrap_or_default();
            return Planned::MayChange { because: cause, changes };
        }
        let found = match found {
            Ok(found) => found,
            Err(failure) => return Planned::Impossible(failure),
        };
        let triggered = self.triggered(step, found.owes, changing);
        if found.changes.is_empty() && triggered.is_none() {
            return Planned::Unchanged { why: found.why };
        }
        let old = if self.want_old && !found.changes.is_empty() { self.provider.old_content(&step.desired) } else { None };
        Planned::Change { changes: found.changes, triggered, old }
    }

    /// The first earlier step whose change may alter what this one reads, or may trigger it. Members of one transaction see nothing of
    /// each other.
    fn cause(&self, index: usize, standing: Standing, changing: &Changing, transaction: usize) -> Option<ResourceId> {
        if changing.steps.is_empty() {
            return None;
        }
        let step = &self.catalog.steps[index];
        let altered = step.desired.needs().iter().filter_map(|need| changing.alterations.first(need, standing)).min();
        let altered = altered.filter(|earlier| changing.steps[*earlier].index < transaction);
        let unsure = |earlier: &ChangingStep| !earlier.sure && step.action_for(&self.catalog.steps[earlier.index].desired).is_some();
        let triggered = if step.watches.is_empty() { None } else { changing.steps.iter().position(unsure) };
        let first = altered.into_iter().chain(triggered).min()?;
        Some(changing.steps[first].id.clone())
    }

    /// What it will do because of earlier runs, of its own change, or of earlier steps.
    fn triggered(&self, step: &Step, owes: Option<Action>, changing: &Changing) -> Option<(Action, Vec<ResourceId>)> {
        let owed = self.owed.of(&step.id());
        let mut action = owed.map(|owed| owed.action);
        let mut because = owed.map(|owed| owed.because.clone()).unwrap_or_default();
        if owes.is_some() {
            action = action.max(owes);
            if !because.contains(&step.id()) {
                because.push(step.id());
            }
        }
        // Most steps watch nothing.
        for earlier in changing.steps.iter().filter(|_| !step.watches.is_empty()) {
            if let Some(caused) = step.action_for(&self.catalog.steps[earlier.index].desired) {
                action = action.max(Some(caused));
                if !because.contains(&earlier.id) {
                    because.push(earlier.id.clone());
                }
            }
        }
        action.map(|action| (action, because))
    }

    fn missing(&self, steps: &[Planned]) -> BTreeSet<Digest> {
        let planned = self.catalog.steps.iter().zip(steps);
        let changing = planned.filter(|(_, planned)| match planned {
            Planned::Change { changes, .. } => !changes.is_empty(),
            Planned::MayChange { .. } => true,
            Planned::Unchanged { .. } | Planned::Impossible(_) => false,
        });
        let contents = changing.flat_map(|(step, _)| step.desired.contents());
        let digests: BTreeSet<Digest> =
            contents.filter_map(|content| if let Content::Blob(blob) = content { Some(blob.digest) } else { None }).collect();
        digests.into_iter().filter(|digest| !self.blobs.has(digest)).collect()
    }
}

/// For each step the first of the transaction that it stands in: consecutive ones of a kind that makes one of them; else itself.
fn transactions(steps: &[Step]) -> Vec<usize> {
    let mut firsts: Vec<usize> = Vec::with_capacity(steps.len());
    for (index, step) in steps.iter().enumerate() {
        let kind = step.desired.kind();
        let joins = kind.is_transaction() && index > 0 && steps[index - 1].desired.kind() == kind;
        firsts.push(if joins { firsts[index - 1] } else { index });
    }
    firsts
}

/// What a requirement wants to remain free.
fn share(requirement: &Requirement) -> Option<Share> {
    let Check::Disk(disk) = &requirement.check else { return None };
    let free_after = disk.free_after?;
    Some(Share { path: disk.path.clone(), free_after, role: requirement.role.clone(), executors: disk.executors })
}

/// Where a step writes, for disk checks: its first path, else the root.
fn place_of(step: &Step) -> String {
    let path = |effect| match effect {
        Effect::Path(path) | Effect::Directory(path) | Effect::Own(path) => Some(path.as_str().to_owned()),
        Effect::User(_)
        | Effect::Group(_)
        | Effect::Unit(_)
        | Effect::Package(_)
        | Effect::Kernel
        | Effect::Answers
        | Effect::Packaged
        | Effect::Everything => None,
    };
    step.desired.provides().into_iter().find_map(path).unwrap_or_else(|| "/".to_owned())
}
