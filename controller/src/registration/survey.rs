//! What masters say of a run's executors before anything is changed: reads only, all masters at once, ten seconds at most for all that one is
//! asked. They are looked at while the nodes are met, by what the nodes were when they were met last; only where that has changed they are
//! looked at again, in ten seconds of their own.

use super::equipment::{Compared, Need, Said, Seat, Wanted, wanted};
use super::{Candidate, Connections, Opened, Registered, Registrar};
use crate::fleet::{ExecutorRef, Ready};
use crate::masters::Cancellation;
use crate::masters::driver::{Driver, MasterError, Observation};
use crate::report::{MasterAnswer, MasterPlan, PlannedExecutor, PlannedMaster, Renamed};
use ostler_roles::author::compile::Master;
use ostler_roles::executor::Executor;
use ostler_roles::master::{Difference, Found, Next, Proof, Standing, next};
use ostler_roles::words::{MasterName, NodeName};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// How long a master may take for a look and what is asked because of it. A request of its own ends before.
const PATIENCE: Duration = Duration::from_secs(10);
/// What is said of a master that was given up because the run is to stop.
const INTERRUPTED: &str = "the run was interrupted";
/// How long each wait on it may last.
const WAIT: Duration = Duration::from_secs(8);

/// What masters showed of a run's executors.
#[derive(Debug, Default)]
pub struct Survey {
    /// For people and programs, in the order of the masters' names.
    pub masters: Vec<PlannedMaster>,
    /// Executors that are as they should be, all of which was seen: as long as nothing changes there is nothing more to ask of them.
    pub settled: BTreeMap<ExecutorRef, Standing>,
}

/// What one look at a master showed, and of which executors.
#[derive(Debug)]
pub struct Observed {
    master: Master,
    batch: Vec<Candidate>,
    seen: Seen,
    /// What the look has left of its master's time.
    left: Duration,
}

#[derive(Debug)]
enum Seen {
    /// It cannot be asked, as the site describes it.
    Wrong(String),
    /// It did not answer, or not as it should.
    NotAsked(String),
    /// This. What more it is asked can be stopped.
    Asked {
        sight: Observation,
        shared: Vec<Difference>,
        refused: Vec<Registered>,
        driver: Option<Arc<dyn Driver>>,
        halt: watch::Sender<bool>,
    },
}

/// Where an executor is.
fn seat(one: &Candidate) -> Seat {
    (one.node.clone(), one.executor.master.clone(), one.executor.name.clone())
}

impl Observed {
    /// Whether this look leaves nothing to be done for an executor on the master.
    fn is_at_rest(&self, one: &Candidate, proof: Proof) -> bool {
        let Seen::Asked { sight, .. } = &self.seen else { return false };
        let standing = sight.standings.get(&one.executor.name).and_then(|standing| standing.as_ref().ok());
        proof == Proof::Standing
            && standing.is_some_and(|standing| matches!(next(standing, proof), Next::Settled(_) | Next::Connect) && standing.is_labelled())
    }

    /// What these executors need on their nodes; asked for in the time that is left, and no longer than the run goes on. What a master does not
    /// say by then is asked in the run: its program may come over a slow line.
    fn equipment(&self, seats: Vec<Seat>, run: Cancellation) -> impl Future<Output = (Wanted, Compared)> + Send + 'static {
        let asked = match &self.seen {
            Seen::Asked { driver: Some(driver), halt, .. } if !seats.is_empty() => Some((Arc::clone(driver), halt.clone())),
            Seen::Asked { .. } | Seen::Wrong(_) | Seen::NotAsked(_) => None,
        };
        let left = self.left;
        async move {
            let Some((driver, halt)) = asked else { return Default::default() };
            let said = Arc::new(Said::default());
            let (of, saying) = (seats.clone(), Arc::clone(&said));
            let done = within(left, &run, move || wanted(driver.as_ref(), of, &saying)).await;
            let (wanted, mut compared) = std::mem::take(&mut *said.lock().unwrap_or_else(PoisonError::into_inner));
            let unsaid = match done {
                Ok(()) => return (wanted, compared),
                Err(GivenUp::Stopped) => Err(INTERRUPTED.to_owned()),
                Err(GivenUp::Late) => Ok(Need::Late),
            };
            halt.send_replace(true);
            let known: BTreeSet<&Seat> = wanted.iter().map(|(seat, _)| seat).collect();
            for seat in seats.into_iter().filter(|seat| !known.contains(seat)) {
                compared.entry(seat).or_insert_with(|| unsaid.clone());
            }
            (wanted, compared)
        }
    }

    /// Whether it holds for these executors of the master as it is described now.
    fn holds_for(&self, master: &Master, batch: &[Candidate]) -> bool {
        self.master == *master && batch.iter().all(|one| self.batch.contains(one))
    }
}

/// What executors need on their nodes, of all their masters at once.
async fn equipment<'a>(asked: impl Iterator<Item = (&'a Observed, Vec<Seat>)>, run: &Cancellation) -> (Wanted, Compared) {
    let all = asked.map(|(looked, seats)| looked.equipment(seats, run.clone())).collect::<JoinSet<_>>();
    let (wanted, compared): (Vec<Wanted>, Vec<Compared>) = all.join_all().await.into_iter().unzip();
    (wanted.into_iter().flatten().collect(), compared.into_iter().flatten().collect())
}

/// Why something was not waited for.
enum GivenUp {
    Stopped,
    Late,
}

/// Does what blocks, and comes back in time, or as soon as the run is to stop.
async fn within<T: Send + 'static>(limit: Duration, run: &Cancellation, work: impl FnOnce() -> T + Send + 'static) -> Result<T, GivenUp> {
    tokio::select! {
        done = tokio::task::spawn_blocking(work) => match done {
            Ok(done) => Ok(done),
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        },
        () = run.wished() => Err(GivenUp::Stopped),
        () = tokio::time::sleep(limit) => Err(GivenUp::Late),
    }
}

/// What is known of an executor of a node that was met.
type ProofOf<'a> = &'a dyn Fn(&Ready, &Executor) -> Proof;

/// What each master is looked at by, and found.
pub type ObservedMasters = BTreeMap<MasterName, Observed>;

impl Registrar {
    /// Looks at all masters of these executors at once.
    pub async fn look(&self, masters: &BTreeMap<MasterName, Master>, candidates: Vec<Candidate>) -> ObservedMasters {
        let mut batches: BTreeMap<MasterName, Vec<Candidate>> = BTreeMap::new();
        for candidate in candidates {
            batches.entry(candidate.executor.master.clone()).or_default().push(candidate);
        }
        let mut tasks = JoinSet::new();
        for (name, batch) in batches {
            let Some(master) = masters.get(&name).cloned() else { continue };
            let this = self.clone();
            tasks.spawn(async move {
                let began = Instant::now();
                let seen = this.look_at(&master, &batch).await;
                (name, Observed { master, batch, seen, left: PATIENCE.saturating_sub(began.elapsed()) })
            });
        }
        let mut looks = ObservedMasters::new();
        while let Some(joined) = tasks.join_next().await {
            match joined {
                Ok((name, looked)) => drop(looks.insert(name, looked)),
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            }
        }
        looks
    }

    async fn look_at(mut self, master: &Master, batch: &[Candidate]) -> Seen {
        // Whoever goes on asking after the time is over, or the run, ends by itself.
        let (halt, stop) = watch::channel(false);
        let run = std::mem::replace(&mut self.stop, Cancellation::from(stop));
        self.wait = Some(WAIT);
        // Nothing is asked by this: what is wrong with it is wrong in the site.
        let Opened { driver, refused, .. } = match self.open(master, batch, &Connections::new(&self)).await {
            Ok(opened) => opened,
            Err(why) => return Seen::Wrong(why),
        };
        let fit = batch.iter().filter(|one| refused.iter().all(|no| no.node != one.node || no.executor != one.executor.name));
        let names: Vec<NodeName> = fit.map(|one| one.executor.name.clone()).collect();
        let driver: Option<Arc<dyn Driver>> = driver.map(Arc::from);
        let asked = driver.clone();
        let work = move || {
            let Some(driver) = asked else { return Ok(Default::default()) };
            driver.observe(&names, &|_| {}).and_then(|sight| Ok((sight, driver.shared()?)))
        };
        let why = match within(PATIENCE, &run, work).await {
            Ok(Ok((sight, shared))) => return Seen::Asked { sight, shared, refused, driver, halt },
            Ok(Err(error)) => return Seen::NotAsked(error.told()),
            Err(GivenUp::Stopped) => INTERRUPTED.to_owned(),
            Err(GivenUp::Late) => format!("no answer within {} s", PATIENCE.as_secs()),
        };
        halt.send_replace(true);
        Seen::NotAsked(why)
    }

    /// What every master of these nodes' executors says, by these looks where they still hold, and what the nodes themselves say of what an
    /// executor needs there. `proof`: what is known of an executor of such a node; `owed`: executors of nodes that are out of reach, whose proof has lapsed.
    pub async fn survey(
        &self,
        masters: &BTreeMap<MasterName, Master>,
        ready: &mut Vec<Ready>,
        (proof, owed): (ProofOf<'_>, &[Candidate]),
        mut looks: ObservedMasters,
    ) -> Survey {
        let mut batches: BTreeMap<MasterName, Vec<Candidate>> = BTreeMap::new();
        for candidate in Candidate::of(ready).into_iter().chain(owed.iter().cloned()) {
            batches.entry(candidate.executor.master.clone()).or_default().push(candidate);
        }
        batches.retain(|name, _| masters.contains_key(name));
        let nodes: BTreeMap<&NodeName, &Ready> = ready.iter().map(|one| (&one.node, one)).collect();
        let changes = |node: &NodeName| nodes.get(node).is_some_and(|one| !one.plan.is_empty());
        let machine = |name: &MasterName| masters.get(name).and_then(|master| master.node.clone()).filter(|machine| changes(machine));
        let is_asked = |name: &MasterName, batch: &[Candidate]| match (masters.get(name), looks.get(name)) {
            (Some(master), Some(looked)) => looked.holds_for(master, batch),
            _ => false,
        };
        let anew = batches.iter().filter(|(name, batch)| machine(name).is_none() && !is_asked(name, batch));
        let anew: Vec<Candidate> = anew.flat_map(|(_, batch)| batch.clone()).collect();
        looks.extend(self.look(masters, anew).await);
        // Who is not ready is out of reach.
        let known_of = |one: &Candidate| (seat(one), nodes.get(&one.node).map_or(Proof::Lapsed, |ready| proof(ready, &one.executor)));
        let proofs: BTreeMap<Seat, Proof> = batches.values().flatten().map(known_of).collect();
        let later: BTreeMap<MasterName, NodeName> = batches.keys().filter_map(|name| Some((name.clone(), machine(name)?))).collect();
        let proof = |one: &Candidate| proofs.get(&seat(one)).copied().unwrap_or(Proof::Wanted);
        let asked = looks.values().filter(|looked| !later.contains_key(&looked.master.name)).map(|looked| {
            let seats = batches.get(&looked.master.name).into_iter().flatten().filter(|one| looked.is_at_rest(one, proof(one)));
            (looked, seats.map(seat).collect())
        });
        let (all, mut compared) = equipment(asked, &self.stop).await;
        compared.extend(self.compare(ready, all).await);
        self.note_rotations(masters, ready).await;
        let formerly = formerly(ready);
        let mut survey = Survey::default();
        for (name, batch) in batches {
            let answer = match (later.get(&name), looks.remove(&name)) {
                (Some(machine), _) => MasterAnswer::Later { machine: machine.clone(), executors: batch.len() },
                (None, None) => MasterAnswer::NotAsked { cause: "nobody has looked".to_owned(), nodes: nodes_of(&batch) },
                (None, Some(looked)) => {
                    let mut told = survey.judge(looked, &batch, (&proof, &mut compared));
                    if let MasterAnswer::Asked(told) = &mut told {
                        self.judge_orphans(told, masters, &name, &formerly).await;
                    }
                    told
                }
            };
            survey.masters.push(PlannedMaster { name: name.to_string(), answer });
        }
        survey
    }

    /// Keeps of what was found those that the site has no more, and tells which of them have another name now. Executors that were asked for
    /// and are no part of this run after all are none of them. Nobody is called an orphan while not all of the site is known.
    async fn judge_orphans(&self, told: &mut MasterPlan, masters: &BTreeMap<MasterName, Master>, master: &MasterName, formerly: &Formerly) {
        if told.orphans.is_empty() {
            return;
        }
        let compile = Arc::clone(&self.preparation.compile);
        let called =
            |name: &MasterName| matches!((masters.get(name), masters.get(master)), (Some(one), Some(other)) if one.is_one_with(other));
        let all = match tokio::task::spawn_blocking(move || compile.executors()).await {
            Ok(all) => all.names_on(&called),
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        };
        told.orphans.retain(|orphan| all.as_ref().is_some_and(|all| all.iter().all(|one| one.as_str() != orphan)));
        for orphan in &told.orphans {
            let before = NodeName::parse(orphan).ok().map(|executor| ExecutorRef { master: master.clone(), executor });
            if let Some((node, now)) = before.and_then(|before| formerly.get(&before)) {
                let to = now.iter().map(ToString::to_string).collect();
                told.renamed.push(Renamed { from: orphan.clone(), node: node.clone(), to });
            }
        }
    }
}

/// Executors that nodes remember to have been proved as, and have no more, each with what it may be now: its names on the same master.
type Formerly = BTreeMap<ExecutorRef, (NodeName, Vec<NodeName>)>;

fn formerly(ready: &[Ready]) -> Formerly {
    let mut formerly = Formerly::new();
    for one in ready {
        for before in former_names(one) {
            let now = one.prepared.executors.iter().filter(|now| now.master == before.master).map(|now| now.name.clone()).collect();
            formerly.insert(before, (one.node.clone(), now));
        }
    }
    formerly
}

/// Executors that a node remembers to have been proved as, and has no more.
pub fn former_names(one: &Ready) -> Vec<ExecutorRef> {
    let has = |place: &ExecutorRef| one.prepared.executors.iter().any(|now| now.master == place.master && now.name == place.executor);
    let before = one.connection.session.hello.ledger.executors();
    let before = before.map(|(master, executor)| ExecutorRef { master: master.clone(), executor: executor.clone() });
    before.filter(|place| !has(place)).collect()
}

fn nodes_of(batch: &[Candidate]) -> Vec<NodeName> {
    batch.iter().map(|one| one.node.clone()).collect::<BTreeSet<_>>().into_iter().collect()
}

impl Survey {
    fn judge(
        &mut self,
        looked: Observed,
        batch: &[Candidate],
        (proof, compared): (&dyn Fn(&Candidate) -> Proof, &mut Compared),
    ) -> MasterAnswer {
        let (mut sight, shared, refused, driver) = match looked.seen {
            Seen::Wrong(cause) => return MasterAnswer::Wrong { cause, nodes: nodes_of(batch) },
            Seen::NotAsked(cause) => return MasterAnswer::NotAsked { cause, nodes: nodes_of(batch) },
            Seen::Asked { sight, shared, refused, driver, .. } => (sight, shared, refused, driver),
        };
        let mut executors = Vec::new();
        for one in batch {
            let name = &one.executor.name;
            if let Some(no) = refused.iter().find(|no| no.node == one.node && no.executor == *name) {
                executors.push(troubled(one, no.text.clone()));
                continue;
            }
            let (standing, proof) = (sight.standings.remove(name).unwrap_or(Ok(Standing::Absent)), proof(one));
            let equipment = compared.remove(&seat(one)).unwrap_or(Ok(Need::Known(Vec::new())));
            if let (Ok(standing), Ok(Need::Known(changes))) = (&standing, &equipment)
                && changes.is_empty()
                && driver.is_some()
                && shared.is_empty()
                && proof == Proof::Standing
                && matches!(next(standing, proof), Next::Settled(_))
            {
                let place = ExecutorRef { master: one.executor.master.clone(), executor: name.clone() };
                self.settled.insert(place, standing.clone());
            }
            executors.push(planned_executor(one, proof, standing, equipment, driver.as_deref()));
        }
        let orphans = sight.ours.into_iter().map(|orphan| orphan.name).collect();
        MasterAnswer::Asked(MasterPlan { shared, notes: Vec::new(), executors, orphans, renamed: Vec::new() })
    }
}

fn troubled(one: &Candidate, trouble: String) -> PlannedExecutor {
    let (node, name) = (one.node.clone(), one.executor.name.to_string());
    PlannedExecutor { node, name, is_new: false, changes: Vec::new(), trouble: Some(trouble), held: None }
}

fn planned_executor(
    one: &Candidate,
    proof: Proof,
    standing: Result<Standing, MasterError>,
    equipment: Result<Need, String>,
    driver: Option<&dyn Driver>,
) -> PlannedExecutor {
    let standing = match standing {
        Ok(standing) => standing,
        Err(error) => return troubled(one, error.told()),
    };
    let (equipment, proof) = match equipment {
        // What is changed there has to be proved.
        Ok(Need::Known(changes)) => {
            let proof = if changes.is_empty() { proof } else { Proof::Wanted };
            (changes, proof)
        }
        Ok(Need::Late) => {
            let asks = format!("as its master asks for, which it does not say within {} s", PATIENCE.as_secs());
            (vec![Difference::new("agent", "as it is", asks)], proof)
        }
        Err(why) => return troubled(one, why),
    };
    let mut changes = driver.map(|driver| driver.plan(&standing, proof)).unwrap_or_default();
    let is_new = standing == Standing::Absent && proof != Proof::Lapsed;
    if is_new {
        let labels: Vec<&str> = one.executor.labels.iter().map(|label| label.as_str()).collect();
        changes.push(Difference::new("executors", "none", one.executor.count.to_string()));
        changes.push(Difference::new("labels", "none", if labels.is_empty() { "none".to_owned() } else { labels.join(" ") }));
    }
    changes.extend(equipment);
    let held = match &standing {
        Standing::There(Found { hold: Some(hold), .. }) if !hold.is_ours => Some(hold.to_string()),
        Standing::There(Found { is_connected: false, is_resting: false, to_labels, .. }) if to_labels.is_empty() => {
            Some("it is not connected".to_owned())
        }
        Standing::There(_) | Standing::Absent => None,
    };
    // One that is connected goes on; one that is not, or is to be proved, comes to nothing.
    let is_at_work = matches!(&standing, Standing::There(found) if found.is_connected) && proof == Proof::Standing;
    let objection = driver.filter(|_| !is_at_work && proof != Proof::Lapsed).and_then(|driver| driver.objection(&one.executor.name));
    let (node, name) = (one.node.clone(), one.executor.name.to_string());
    PlannedExecutor { node, name, is_new, changes, trouble: objection, held }
}

#[cfg(test)]
mod tests;
