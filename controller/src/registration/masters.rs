//! The masters of one run, opened once: each executor comes when its node is ready, and goes registered at once.

mod debt;
mod drain;

use debt::Lapse;
pub use drain::{Blocked, Cordoned};

use super::connections::Connections;
use super::{Candidate, Opened, Registered, Registrar, Unfit, event_text, failed};
use crate::fleet::{ExecutorRef, FleetEvent, Stage, Transaction};
use crate::masters::driver::{self, CordonError, Driver, Event, MasterError, Verdict};
use crate::masters::register::{self, Ending, Leftover, Task};
use ostler_roles::author::compile::Master;
use ostler_roles::executor::Executor;
use ostler_roles::master::{Proof, Standing};
use ostler_roles::words::{MasterName, NodeName, RunId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OnceCell, Semaphore, SemaphorePermit, oneshot};
use tokio::task::JoinSet;

/// All masters of one run. Its clones are the same masters.
#[derive(Debug, Clone)]
pub struct Masters {
    registrar: Registrar,
    connections: Connections,
    masters: Arc<BTreeMap<MasterName, Entry>>,
    settled: Arc<BTreeMap<ExecutorRef, Standing>>,
    /// For as many executors as may be waited for at once before their nodes are changed.
    drains: Arc<Semaphore>,
}

/// One master.
#[derive(Debug)]
struct Entry {
    /// None: the site has no such master.
    master: Option<Master>,
    /// All executors of the run there.
    batch: Vec<Candidate>,
    opened: OnceCell<Result<Arc<OpenMaster>, String>>,
}

/// A master that is open.
#[derive(Debug)]
struct OpenMaster {
    driver: Option<Arc<dyn Driver>>,
    refused: Vec<Registered>,
    hint: Option<String>,
    /// For as many executors as may be on their way at once.
    room: Semaphore,
    /// For as many as may be held back at once.
    holding: Semaphore,
    looks: SharedListing,
}

impl Masters {
    /// The masters of these executors, none of which is asked yet. `settled`: executors that a moment ago were as they should be.
    pub fn new(
        registrar: &Registrar,
        connections: &Connections,
        masters: &BTreeMap<MasterName, Master>,
        candidates: Vec<Candidate>,
        settled: BTreeMap<ExecutorRef, Standing>,
    ) -> Self {
        let mut entries: BTreeMap<MasterName, Entry> = BTreeMap::new();
        let mut names = BTreeSet::new();
        for candidate in candidates {
            let Executor { master, name, .. } = &candidate.executor;
            let new = || Entry { master: masters.get(master).cloned(), batch: Vec::new(), opened: OnceCell::new() };
            let entry = entries.entry(master.clone()).or_insert_with(new);
            if names.insert((master.clone(), name.clone())) {
                entry.batch.push(candidate);
            }
        }
        let (registrar, connections) = (registrar.clone(), connections.clone());
        let drains = Arc::new(Semaphore::new(drain::AT_ONCE));
        Self { registrar, connections, masters: Arc::new(entries), settled: Arc::new(settled), drains }
    }

    /// The connections of this run.
    pub fn connections(&self) -> &Connections {
        &self.connections
    }

    /// Brings these executors of one node to their labels, or puts them aside, where they are not fit, too; returns when all have ended. `own`: the
    /// run of their node, where it has begun.
    pub async fn register(
        &self,
        node: &NodeName,
        executors: Vec<(Executor, Proof)>,
        (unfit, own): (Option<Unfit>, Option<RunId>),
        transaction: &Transaction,
    ) -> Vec<Registered> {
        self.all(node, executors, Lapse::of_run(unfit, own), transaction).await
    }

    async fn all(&self, node: &NodeName, executors: Vec<(Executor, Proof)>, lapse: Lapse, transaction: &Transaction) -> Vec<Registered> {
        let mut tasks = JoinSet::new();
        for (at, (executor, proof)) in executors.into_iter().enumerate() {
            let (this, node, transaction, lapse) = (self.clone(), node.clone(), transaction.clone(), lapse.clone());
            tasks.spawn(async move {
                let registered = this.one(&node, &executor, (proof, lapse), &transaction).await;
                let place = ExecutorRef { master: executor.master.clone(), executor: executor.name.clone() };
                if !registered.is_good() && proof != Proof::Lapsed {
                    transaction.fail_at(&place, &registered.text);
                }
                (at, registered)
            });
        }
        let mut done = tasks.join_all().await;
        done.sort_by_key(|(at, _)| *at);
        done.into_iter().map(|(_, registered)| registered).collect()
    }

    /// Takes executors out of service whose nodes are out of reach, and owe what their labels rest on; those that another run proves meanwhile
    /// are let alone.
    pub async fn put_aside(&self, owed: Vec<Candidate>) -> Vec<Registered> {
        let mut nodes: BTreeMap<NodeName, Vec<(Executor, Proof)>> = BTreeMap::new();
        for Candidate { node, executor, .. } in owed {
            nodes.entry(node).or_default().push((executor, Proof::Lapsed));
        }
        let mut tasks = JoinSet::new();
        for (node, executors) in nodes {
            let this = self.clone();
            tasks.spawn(async move {
                let transaction = Transaction::of_lost(&node, &this.registrar.preparation.events);
                this.all(&node, executors, Lapse::by_site(), &transaction).await
            });
        }
        tasks.join_all().await.into_iter().flatten().collect()
    }

    /// An executor of this run, and its master.
    fn find(&self, node: &NodeName, executor: &Executor) -> Option<(&Entry, &Candidate)> {
        let entry = self.masters.get(&executor.master)?;
        Some((entry, entry.batch.iter().find(|one| one.node == *node && one.executor.name == executor.name)?))
    }

    fn reporter(&self, candidate: &Candidate, hint: Option<String>, transaction: &Transaction) -> Reporter {
        let (registrar, candidate, transaction) = (self.registrar.clone(), candidate.clone(), transaction.clone());
        Reporter { registrar, candidate, hint, transaction, shared: AtomicU32::new(0) }
    }

    async fn one(&self, node: &NodeName, executor: &Executor, (proof, lapse): (Proof, Lapse), transaction: &Transaction) -> Registered {
        let Some((entry, candidate)) = self.find(node, executor) else {
            let candidate = Candidate { node: node.clone(), executor: executor.clone(), host_keys: Vec::new() };
            return failed(&candidate, format!("another node of this run has an executor `{}` on this master", executor.name));
        };
        let reporter = |hint: Option<String>| self.reporter(candidate, hint, transaction);
        let place = ExecutorRef { master: executor.master.clone(), executor: executor.name.clone() };
        if let Some(standing) = self.settled.get(&place).filter(|_| proof == Proof::Standing) {
            let reporter = reporter(None);
            if let Some(ending) = register::as_seen(standing, proof, &|event| reporter.tell(&event)) {
                return reporter.ended(&ending);
            }
        }
        let open = match entry.open(&self.registrar, &self.connections).await {
            Ok(open) => open,
            Err(why) => return failed(candidate, why),
        };
        if let Some(refused) = open.refused.iter().find(|one| one.node == *node && one.executor == executor.name) {
            return refused.clone();
        }
        let Some(driver) = &open.driver else { return failed(candidate, "the master was not opened for it".to_owned()) };
        // From here on whoever writes at the same time waits a moment for this one.
        driver.begin(std::slice::from_ref(&executor.name));
        let _on_its_way = OnItsWay { driver: Arc::clone(driver), name: executor.name.clone() };
        let reporter = Arc::new(reporter(open.hint.clone()));
        let Turn { seen, is_held, has_waited, _room } = match open.room_for(driver, &executor.name, (proof, &lapse), &reporter).await {
            Ok(turn) => turn,
            Err(why) => return reporter.ended(&why),
        };
        let (driver, name, job) = (Arc::clone(driver), executor.name.clone(), self.connections.of(node));
        let work = move || {
            let debt = |is_old| lapse.debt(&reporter, &job, is_old);
            let task = Task { proof, why: lapse.why(), debt: &debt, is_held, has_waited };
            let ending = register::register_one(driver.as_ref(), &name, seen, task, &|event| reporter.tell(&event));
            reporter.ended(&ending)
        };
        blocking(work).await
    }
}

impl OpenMaster {
    fn of(opened: Opened) -> Self {
        let Opened { driver, refused, hint } = opened;
        let driver: Option<Arc<dyn Driver>> = driver.map(Arc::from);
        let room = driver.as_ref().map_or(1, |driver| driver.workers().max(1));
        let (room, holding) = (Semaphore::new(room), Semaphore::new(room));
        Self { driver, refused, hint, room, holding, looks: SharedListing::default() }
    }

    /// Room for an executor. Whoever waits for it with labels that are not earned takes no jobs meanwhile: those before it may take half an
    /// hour. Ctrl-C ends their waits, and so this one.
    async fn room_for(
        &self,
        driver: &Arc<dyn Driver>,
        name: &NodeName,
        (proof, lapse): (Proof, &Lapse),
        reporter: &Arc<Reporter>,
    ) -> Result<Turn<'_>, Ending> {
        let seen = self.looks.look(driver, name, reporter).await?;
        if let Ok(room) = self.room.try_acquire() {
            return Ok(Turn { seen, is_held: false, has_waited: false, _room: Some(room) });
        }
        let holding = {
            // One request and its answer each: nobody waits long for these.
            let _few = self.holding.acquire().await;
            let (driver, name, reporter, lapse) = (Arc::clone(driver), name.clone(), Arc::clone(reporter), lapse.clone());
            let hold = move || {
                let debt = |_| lapse.known_debt(&reporter);
                let task = Task { why: lapse.why(), debt: &debt, ..Task::of(proof) };
                register::hold_back(driver.as_ref(), &name, &seen, task, &|event| reporter.tell(&event))
            };
            blocking(hold).await
        };
        let is_held = holding.unwrap_or_else(|CordonError { error, is_told }| {
            let so = if is_told {
                "whether it takes jobs until its turn comes is not known"
            } else {
                "it goes on taking jobs until its turn comes"
            };
            reporter.tell(&Event::Note(format!("{so}: {}", error.told())));
            is_told
        });
        // The semaphore is never closed: a permit always comes. What was seen before is old by then.
        let room = self.room.acquire().await.ok();
        Ok(Turn { seen: self.looks.look(driver, name, reporter).await?, is_held, has_waited: true, _room: room })
    }
}

/// An executor's turn on its master.
struct Turn<'a> {
    /// How it stands now.
    seen: Standing,
    /// It was held for this.
    is_held: bool,
    /// It has waited for it.
    has_waited: bool,
    _room: Option<SemaphorePermit<'a>>,
}

/// Where blocking is allowed.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// Ends with the executor's way, however that ends.
struct OnItsWay {
    driver: Arc<dyn Driver>,
    name: NodeName,
}

impl Drop for OnItsWay {
    fn drop(&mut self) {
        self.driver.end(&self.name);
    }
}

impl Entry {
    async fn open(&self, registrar: &Registrar, connections: &Connections) -> Result<Arc<OpenMaster>, String> {
        let open = || async {
            let master = self.master.as_ref().ok_or_else(|| "the site has no such master".to_owned())?;
            registrar.open(master, &self.batch, connections).await.map(OpenMaster::of).map(Arc::new)
        };
        self.opened.get_or_init(open).await.clone()
    }
}

/// How an executor stood; or how its way ended before it began.
type Look = Result<Standing, Ending>;

/// First looks at a master: whoever comes while one is under way shares the next.
#[derive(Debug, Default)]
struct SharedListing {
    waiting: Mutex<Vec<Waiting>>,
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Waiting {
    name: NodeName,
    reporter: Arc<Reporter>,
    answer: oneshot::Sender<Look>,
}

impl SharedListing {
    async fn look(&self, driver: &Arc<dyn Driver>, name: &NodeName, reporter: &Arc<Reporter>) -> Look {
        let (answer, told) = oneshot::channel();
        let mine = Waiting { name: name.clone(), reporter: Arc::clone(reporter), answer };
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(mine);
        {
            let _turn = self.turn.lock().await;
            let batch = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
            if !batch.is_empty() {
                let driver = Arc::clone(driver);
                blocking(move || look_at(driver.as_ref(), batch)).await;
            }
        }
        told.await.unwrap_or_else(|_| Err(Ending::Failed(MasterError::Failed("nobody has looked at it on its master".into()))))
    }
}

/// One listing for all; what is waited for is told of all.
fn look_at(master: &dyn Driver, batch: Vec<Waiting>) {
    let names: Vec<NodeName> = batch.iter().map(|one| one.name.clone()).collect();
    let seen = master.observe(&names, &|event| batch.iter().for_each(|one| one.reporter.tell(&event)));
    let (mut standings, error) = match seen {
        Ok(sight) => (sight.standings, None),
        Err(error) => (BTreeMap::new(), Some(error)),
    };
    for Waiting { name, answer, .. } in batch {
        let look = match (&error, standings.remove(&name)) {
            (Some(MasterError::Stopped { left }), _) => Err(Ending::Stopped(Leftover::Unknown, left.clone())),
            (Some(MasterError::WithLog { source, log }), _) => {
                Err(Ending::Failed(MasterError::WithLog { source: driver::told(source.as_ref()).into(), log: log.clone() }))
            }
            (Some(MasterError::Failed(source)), _) => Err(Ending::Failed(MasterError::Failed(driver::told(source.as_ref()).into()))),
            (None, Some(Err(error))) => Err(Ending::Failed(error)),
            (None, Some(Ok(standing))) => Ok(standing),
            (None, None) => Ok(Standing::Absent),
        };
        // Whoever asked is gone with its task: the run is being left.
        let _ = answer.send(look);
    }
}

/// Tells people and the run's log what happens to one executor.
#[derive(Debug)]
struct Reporter {
    registrar: Registrar,
    candidate: Candidate,
    hint: Option<String>,
    transaction: Transaction,
    /// Things that executors share and this one was the first to need.
    shared: AtomicU32,
}

impl Reporter {
    fn place(&self) -> ExecutorRef {
        let Executor { master, name, .. } = &self.candidate.executor;
        ExecutorRef { master: master.clone(), executor: name.clone() }
    }

    fn tell(&self, event: &Event) {
        let executor = &self.candidate.executor;
        let text = event_text::text(event, self.hint.as_deref());
        let said = FleetEvent::Master { master: executor.master.to_string(), text, goes_on: event_text::goes_on(event) };
        self.registrar.preparation.events.send(&self.candidate.node, said);
        match event {
            Event::Shared(_) => _ = self.shared.fetch_add(1, Ordering::Relaxed),
            Event::Smoking => self.transaction.reach(Stage::Quarantined(self.place())),
            Event::Smoked { verdict: Verdict::Green, .. } => self.transaction.reach(Stage::Proved(self.place())),
            _ => {}
        }
    }

    fn ended(&self, ending: &Ending) -> Registered {
        let place = self.place();
        match ending {
            ending if ending.is_registered() => self.transaction.reach(Stage::Labelled(place)),
            Ending::Red(_) | Ending::Unproved(_) | Ending::Lapsed | Ending::Held(_) | Ending::Stopped(Leftover::Quarantined, _) => {
                self.transaction.reach(Stage::Quarantined(place));
            }
            _ => {}
        }
        let mut registered = super::ended(&self.candidate, ending);
        registered.changed += self.shared.load(Ordering::Relaxed);
        registered
    }
}

#[cfg(test)]
mod tests;
