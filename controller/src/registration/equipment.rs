//! What executors need on their own nodes beside what roles say, compared there before anything is changed: it is part of the plan.

use super::Registrar;
use crate::fleet::{Ready, compare};
use crate::masters::driver::Driver;
use ostler_roles::catalog::Step;
use ostler_roles::master::Difference;
use ostler_roles::plan::{Plan, Planned};
use ostler_roles::resource::Shown;
use ostler_roles::words::{MasterName, NodeName};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// An executor on its node: the node, its master, its name there.
pub(super) type Seat = (NodeName, MasterName, NodeName);

/// What an executor needs on its node.
#[derive(Debug, Clone)]
pub(super) enum Need {
    /// This would be changed.
    Known(Vec<Difference>),
    /// Its master has not said it in time: the run asks once more.
    Late,
}

/// What was found of each: what it needs, or why that cannot be known.
pub(super) type Compared = BTreeMap<Seat, Result<Need, String>>;

/// What each is to have there, as far as there is anything.
pub(super) type Wanted = Vec<(Seat, Vec<Step>)>;

/// What a master has said so far.
pub(super) type Said = Mutex<(Wanted, Compared)>;

/// Asks a master what these executors need on their nodes, as many at once as it takes; what it says is there at once. Blocks.
pub(super) fn wanted(driver: &dyn Driver, seats: Vec<Seat>, found: &Said) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..driver.workers().min(seats.len()) {
            scope.spawn(|| {
                while let Some(seat) = seats.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let steps = driver.equipment(&seat.2);
                    let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                    match steps {
                        Ok(steps) if steps.is_empty() => drop(found.1.insert(seat.clone(), Ok(Need::Known(Vec::new())))),
                        Ok(steps) => found.0.push((seat.clone(), steps)),
                        Err(error) => drop(found.1.insert(seat.clone(), Err(error.told()))),
                    }
                }
            });
        }
    });
}

impl Registrar {
    /// Asks the nodes themselves, each over its own conversation. They come back in their order.
    pub(super) async fn compare(&self, ready: &mut Vec<Ready>, wanted: Wanted) -> Compared {
        let mut of: BTreeMap<NodeName, Wanted> = BTreeMap::new();
        wanted.into_iter().for_each(|one| of.entry(one.0.0.clone()).or_default().push(one));
        let forks = Arc::new(Semaphore::new(self.preparation.forks.max(1)));
        let (mut tasks, mut nodes) = (JoinSet::new(), BTreeMap::new());
        for (at, mut one) in std::mem::take(ready).into_iter().enumerate() {
            let Some(wanted) = of.remove(&one.node) else {
                nodes.insert(at, one);
                continue;
            };
            let (preparation, forks) = (self.preparation.clone(), Arc::clone(&forks));
            tasks.spawn(async move {
                // The semaphore is never closed: a permit always comes.
                let _room = forks.acquire().await;
                let mut compared = Compared::new();
                for (seat, steps) in wanted {
                    let found = compare(&preparation, &mut one, steps.clone()).await;
                    let found =
                        found.map_err(|trouble| format!("{} cannot be asked what it needs: {}", one.node, trouble.chain.join(": ")));
                    compared.insert(seat, found.and_then(|plan| differences(&steps, &plan).map(Need::Known)));
                }
                (at, one, compared)
            });
        }
        let mut all = Compared::new();
        for (at, one, compared) in tasks.join_all().await {
            nodes.insert(at, one);
            all.extend(compared);
        }
        ready.extend(nodes.into_values());
        all
    }
}

/// What would be changed there, field by field.
fn differences(steps: &[Step], plan: &Plan) -> Result<Vec<Difference>, String> {
    if !plan.may_go() {
        return Err(crate::report::impossible(plan));
    }
    let shown = |id: &str, shown: &[Shown]| match shown {
        // A watcher of what changes before it, or what cannot be read before that.
        [] => vec![Difference::new(id, "as it is", "as what is changed before it asks for")],
        some => some.iter().map(|one| Difference::new(&format!("{id} {}", one.field), &one.from, &one.to)).collect(),
    };
    let differs = |(step, planned): (&Step, &Planned)| {
        let id = step.id().to_string();
        match planned {
            Planned::Unchanged { .. } | Planned::Impossible(_) => Vec::new(),
            Planned::Change { changes, .. } | Planned::MayChange { changes, .. } => shown(&id, changes),
        }
    };
    Ok(steps.iter().zip(&plan.steps).flat_map(differs).collect())
}
