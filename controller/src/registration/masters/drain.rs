//! Before a node is changed: its executors take no new jobs, and what runs there comes to its end. What was only held is given back.

use super::{Candidate, Entry, Masters, OpenMaster, Registrar, Reporter, blocking};
use crate::fleet::{ExecutorRef, Transaction, Trouble, TroubleKind};
use crate::masters::driver::{Cordon, Driver, Event, MasterError};
use crate::masters::register::Ending;
use ostler_roles::executor::Executor;
use ostler_roles::words::{MasterName, NodeName, Span};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// What people read at an executor from here on until it is proved again, also when the run is cut or fails.
const CHANGING: &str = "a run changes this node, or did not come through; the next one that does proves it";
/// How many executors may be waited for at once; each is one thread.
pub(super) const AT_ONCE: usize = 256;
/// How long a master whose own machine is to be changed is asked: it may well be what the change is to mend.
const OWN_MACHINE: Duration = Duration::from_secs(2);

/// One that takes no jobs while its node is changed.
#[derive(Debug, Clone)]
struct Held {
    candidate: Candidate,
    /// The site calls it otherwise by now: nobody brings it back to labels.
    is_former: bool,
}

/// Executors that this run has taken out of service, and nobody before it.
#[derive(Debug, Default)]
#[must_use]
pub struct Cordoned(Vec<Held>);

impl Cordoned {
    /// Takes those out that are not these: the others are somebody's to bring back to their labels. What they were called before stays out of
    /// service with them.
    pub fn without(&mut self, others: &[&Executor]) -> Self {
        let stays = |one: &Held| if one.is_former { !others.is_empty() } else { others.contains(&&one.candidate.executor) };
        let (kept, out) = std::mem::take(&mut self.0).into_iter().partition(stays);
        self.0 = kept;
        Self(out)
    }
}

/// Why a node is not to be changed now.
#[derive(Debug)]
pub enum Blocked {
    /// The run is to stop.
    Stopped,
    /// This.
    Trouble(Trouble),
}

impl Masters {
    /// Takes these executors of a node out of service, and what they were called `formerly`, where jobs may run still, and waits until no job
    /// runs on any. Where that is not so in time, all are given back.
    ///
    /// # Errors
    /// [`Blocked`]: nothing is held by this run then.
    pub async fn drain(
        &self,
        node: &NodeName,
        (executors, formerly): (Vec<Executor>, Vec<ExecutorRef>),
        within: Duration,
        transaction: &Transaction,
    ) -> Result<Cordoned, Blocked> {
        let own = executors.iter().filter_map(|executor| self.find(node, executor));
        let mut all: Vec<Held> = own.map(|(_, one)| Held { candidate: one.clone(), is_former: false }).collect();
        if !formerly.is_empty() {
            all.extend(self.former(node, formerly).await);
        }
        let mut tasks = JoinSet::new();
        for one in all {
            let (this, transaction) = (self.clone(), transaction.clone());
            tasks.spawn(async move {
                let drained = this.drain_one(&one, within, &transaction).await;
                (one, drained)
            });
        }
        let (mut cordoned, mut blocked) = (Cordoned::default(), None);
        for (one, Drained { is_made, blocked: why }) in tasks.join_all().await {
            cordoned.0.extend(is_made.then_some(one));
            blocked = blocked.or(why);
        }
        match blocked {
            None => Ok(cordoned),
            Some(blocked) => {
                self.give_back(cordoned, transaction).await;
                Err(blocked)
            }
        }
    }

    /// What a node was called on the masters of this run, and nothing in the site is called now, as far as all of the site is known.
    async fn former(&self, node: &NodeName, formerly: Vec<ExecutorRef>) -> Vec<Held> {
        let compile = Arc::clone(&self.registrar.preparation.compile);
        let all = blocking(move || compile.executors()).await;
        let held = |ExecutorRef { master, executor }: ExecutorRef| {
            let entry = self.masters.get(&master)?;
            let is_same = |name: &MasterName| match (self.masters.get(name).and_then(|one| one.master.as_ref()), entry.master.as_ref()) {
                (Some(one), Some(other)) => one.is_one_with(other),
                _ => *name == master,
            };
            if all.names_on(&is_same)?.contains(&executor) {
                return None;
            }
            let like = entry.batch.iter().find(|one| one.node == *node).or(entry.batch.first())?;
            let executor = Executor { name: executor, ..like.executor.clone() };
            Some(Held { candidate: Candidate { node: node.clone(), executor, host_keys: Vec::new() }, is_former: true })
        };
        formerly.into_iter().filter_map(held).collect()
    }

    /// Lets these take jobs again: their node was not changed.
    pub async fn give_back(&self, cordoned: Cordoned, transaction: &Transaction) {
        for Held { candidate, .. } in cordoned.0 {
            let executor = candidate.executor.clone();
            let Some(entry) = self.masters.get(&executor.master) else { continue };
            let reporter = Arc::new(self.reporter(&candidate, None, transaction));
            let given = match entry.open(&self.registrar, &self.connections).await {
                Err(why) => Err(why),
                Ok(open) => match open.driver.clone() {
                    None => Ok(()),
                    Some(driver) => {
                        let told = Arc::clone(&reporter);
                        blocking(move || driver.uncordon(&executor.name, &|event| told.tell(&event)).map_err(|error| error.told())).await
                    }
                },
            };
            if let Err(why) = given {
                reporter.tell(&Event::Note(format!("it takes no jobs still, until the next run: {why}")));
            }
        }
    }

    async fn drain_one(&self, one: &Held, within: Duration, transaction: &Transaction) -> Drained {
        let Held { candidate, is_former } = one;
        let Candidate { node, executor, .. } = candidate;
        let Some(entry) = self.masters.get(&executor.master) else { return Drained::free() };
        let is_own = entry.master.as_ref().is_some_and(|master| master.node.as_ref() == Some(node));
        let hurried = Registrar { wait: Some(OWN_MACHINE), ..self.registrar.clone() };
        let opened = match is_own {
            false => entry.open(&self.registrar, &self.connections).await,
            true => entry.opened_by(&hurried, &self.connections).await.map(Arc::new),
        };
        let reporter = Arc::new(self.reporter(candidate, None, transaction));
        let open = match opened {
            Ok(open) => open,
            Err(why) => return Drained::unknown(executor, &why),
        };
        let is_refused = open.refused.iter().any(|one| one.node == *node && one.executor == executor.name);
        let Some(driver) = open.driver.clone().filter(|_| !is_refused) else { return Drained::free() };
        if *is_former && !driver.holds_former() {
            return Drained::free();
        }
        let look = async {
            // Of one that the site does not have any more nothing is known: it is asked for as it is taken out of service.
            if *is_former { Ok(None) } else { open.looks.look(&driver, &executor.name, &reporter).await.map(Some) }
        };
        // Nothing is changed yet: there is nothing to be seen to.
        let seen = tokio::select! {
            seen = look => seen,
            () = self.registrar.stop.wished() => return Drained::stopped(false),
        };
        match seen {
            Ok(Some(seen)) if !seen.is_labelled() => return Drained::free(),
            Err(Ending::Stopped(..)) => return Drained::stopped(false),
            // What keeps it from its labels, such as its Java, need not keep jobs from it.
            Ok(_) | Err(_) => {}
        }
        let room = Arc::clone(&self.drains);
        if room.available_permits() == 0 {
            reporter.tell(&Event::Note(format!("{AT_ONCE} others are waited for: it is looked at behind them")));
        }
        // The semaphore is never closed: a permit always comes.
        let _room = room.acquire().await;
        let (name, told) = (executor.name.clone(), Arc::clone(&reporter));
        let drained = blocking(move || wait(driver.as_ref(), &name, within, &told)).await;
        match drained {
            Drained { is_made: false, blocked: Some(Blocked::Trouble(Trouble { kind, chain, .. })) }
                if is_own && kind != TroubleKind::Busy =>
            {
                let why = chain.into_iter().next().unwrap_or_default();
                reporter.tell(&Event::Note(format!("{why}; this node is the master's own machine, and is changed all the same")));
                Drained::free()
            }
            drained => drained,
        }
    }
}

impl Entry {
    async fn opened_by(&self, registrar: &Registrar, connections: &super::Connections) -> Result<OpenMaster, String> {
        let master = self.master.as_ref().ok_or_else(|| "the site has no such master".to_owned())?;
        registrar.open(master, &self.batch, connections).await.map(OpenMaster::of)
    }
}

/// How one executor stands now.
struct Drained {
    /// This run has taken it out of service.
    is_made: bool,
    blocked: Option<Blocked>,
}

impl Drained {
    fn free() -> Self {
        Self { is_made: false, blocked: None }
    }

    fn stopped(is_made: bool) -> Self {
        Self { is_made, blocked: Some(Blocked::Stopped) }
    }

    fn unknown(executor: &Executor, why: &str) -> Self {
        let Executor { name, master, .. } = executor;
        let chain = vec![format!("not begun: {master} does not say whether jobs run on {name}: {why}")];
        let hint = "look after the master, then run the same command again: nothing was changed on this node".to_owned();
        Self { is_made: false, blocked: Some(Blocked::Trouble(Trouble { kind: TroubleKind::Failed, chain, hint, failure: None })) }
    }
}

/// Blocks until it is free, or not in time.
fn wait(driver: &dyn Driver, name: &NodeName, within: Duration, reporter: &Reporter) -> Drained {
    let executor = &reporter.candidate.executor;
    let is_made = match driver.cordon(name, CHANGING, &|event| reporter.tell(&event)) {
        Ok(Cordon::Absent) => return Drained::free(),
        Ok(cordon) => cordon == Cordon::Made,
        Err(MasterError::Stopped { .. }) => return Drained::stopped(false),
        Err(error) => return Drained::unknown(executor, &error.told()),
    };
    match driver.drain(name, within, &|event| reporter.tell(&event)) {
        Ok(true) => Drained { is_made, blocked: None },
        Ok(false) => {
            let waited = Span::millis(u64::try_from(within.as_millis()).unwrap_or(u64::MAX));
            let chain = vec![format!("not begun: jobs still run on {name} ({}) after {waited}", executor.master)];
            let hint =
                "run the same command again when they have ended, or give them longer (--jobs-within): nothing was changed on this node";
            let trouble = Trouble { kind: TroubleKind::Busy, chain, hint: hint.to_owned(), failure: None };
            Drained { is_made, blocked: Some(Blocked::Trouble(trouble)) }
        }
        Err(MasterError::Stopped { .. }) => Drained::stopped(is_made),
        Err(error) => Drained { is_made, ..Drained::unknown(executor, &error.told()) },
    }
}
