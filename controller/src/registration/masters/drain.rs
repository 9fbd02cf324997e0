//! Before a node is changed: its executors take no new jobs, and what runs there comes to its end. What was only held is given back.

use super::{Candidate, Entry, Masters, OpenMaster, Registrar, Reporter, blocking};
use crate::fleet::{ExecutorRef, Transaction, Trouble, TroubleKind};
use crate::masters::driver::{Driver, Event, MasterError};
use crate::masters::register::Ending;
use crate::masters::vacancy::{Made, Vacancy, Vacated, vacate};
use crate::registration::{Registered, failed};
use ostler_roles::executor::Executor;
use ostler_roles::ledger::Subject;
use ostler_roles::master::{Found, Hold, Standing};
use ostler_roles::words::{MasterName, NodeName, RunId, Span};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// What people read at an executor from here on until it is proved again, also when the run is cut or fails.
const CHANGING: &str = "a run changes this node, or did not come through; the next one that does proves it";
/// What is said of one that a run before this one had held, where this one lets nobody in.
const HELD_BEFORE: &str = "another run held it before this one; a whole run, without --only, lets it in";
/// Until when one stays held that no run lets in.
const OF_NOBODY: &str = "somebody lets it in on its master, as nothing in the site is called so now";
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
    /// Its master has said that it is held. One that does not may have done it.
    is_sure: bool,
}

/// Executors that this run has taken out of service, or may have, and nobody before it.
#[derive(Debug, Default)]
#[must_use]
pub struct Cordoned {
    ours: Vec<Held>,
    /// Those that a run of the site had taken out of service before.
    before: Vec<Held>,
}

impl Cordoned {
    /// Takes those out that are not these: the others are somebody's to bring back to their labels. What they were called before stays out of
    /// service with them.
    pub fn without(&mut self, others: &[&Executor]) -> Self {
        let stays = |one: &Held| if one.is_former { !others.is_empty() } else { others.contains(&&one.candidate.executor) };
        let (kept, out) = std::mem::take(&mut self.ours).into_iter().partition(stays);
        self.ours = kept;
        Self { ours: out, before: Vec::new() }
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
    /// Takes these executors of a node out of service, whether they have labels or not, and what they were called `formerly`, where jobs may
    /// run still, and waits until no job runs on any.
    ///
    /// # Errors
    /// [`Blocked`], where that is not so in time, with what is held all the same: it is to be given back.
    pub async fn drain(
        &self,
        node: &NodeName,
        (executors, formerly): (Vec<Executor>, Vec<ExecutorRef>),
        within: Duration,
        transaction: &Transaction,
    ) -> Result<Cordoned, (Blocked, Cordoned)> {
        let own = executors.iter().filter_map(|executor| self.find(node, executor));
        let mut all: Vec<Held> = own.map(|(_, one)| Held { candidate: one.clone(), is_former: false, is_sure: true }).collect();
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
        for (one, Drained { made, blocked: why }) in tasks.join_all().await {
            match made {
                Made::No => {}
                Made::Before => cordoned.before.push(one),
                Made::Perhaps | Made::Yes => cordoned.ours.push(Held { is_sure: made == Made::Yes, ..one }),
            }
            blocked = blocked.or(why);
        }
        match blocked {
            None => Ok(cordoned),
            Some(blocked) => Err((blocked, cordoned)),
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
            Some(Held { candidate: Candidate { node: node.clone(), executor, host_keys: Vec::new() }, is_former: true, is_sure: true })
        };
        formerly.into_iter().filter_map(held).collect()
    }

    /// Lets these take jobs again; `own`: the run of their node, where it has begun. Not under another run, which has the node by now, or has
    /// left it owed: that one lets them in, but for what they were called before, which nobody does. Those that could not be given back are no
    /// registrations.
    pub async fn give_back(&self, node: &NodeName, cordoned: Cordoned, own: Option<&RunId>, transaction: &Transaction) -> Vec<Registered> {
        let mut left = Vec::new();
        if cordoned.ours.is_empty() {
            return left;
        }
        let now = self.connections.look_again(node).await;
        for Held { candidate, is_former, is_sure } in cordoned.ours {
            let so = if is_sure { "it takes no jobs" } else { "it may take no jobs" };
            let executor = candidate.executor.clone();
            let Some(entry) = self.masters.get(&executor.master) else { continue };
            let reporter = Arc::new(self.reporter(&candidate, None, transaction));
            let whose = match &now {
                Ok((Some(run), _)) if Some(&run.run) != own => Some(format!("run {} of {} has the node", run.run.short(), run.controller)),
                Ok((_, ledger)) if own.is_none() && !is_former && ledger.knows_owed(&Subject::of(&executor)) => {
                    Some("its node was changed meanwhile, and is to be proved".to_owned())
                }
                Err(why) => Some(format!("whether another run has the node is not known: {why}")),
                Ok(_) => None,
            };
            let until = if is_former { OF_NOBODY } else { "a whole run that comes through lets it in" };
            if let Some(whose) = whose {
                let text = format!("{so} until {until}: {whose}");
                reporter.tell(&Event::Note(text.clone()));
                left.extend(now.is_err().then(|| failed(&candidate, text)));
                continue;
            }
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
                let text = format!("{so} still, until {until}: {why}");
                reporter.tell(&Event::Note(text.clone()));
                left.push(failed(&candidate, text));
            }
        }
        left
    }

    /// Of a run that lets nobody in: executors that take no jobs though it has ended well, as a run before it had held them, and holds them still.
    pub async fn left_held(&self, cordoned: Cordoned, transaction: &Transaction) -> Vec<Registered> {
        let mut held = Vec::new();
        // What the site does not call it any more no run lets in.
        for Held { candidate, .. } in cordoned.before.into_iter().filter(|one| !one.is_former) {
            let Some(entry) = self.masters.get(&candidate.executor.master) else { continue };
            let Ok(open) = entry.open(&self.registrar, &self.connections).await else { continue };
            let Some(driver) = &open.driver else { continue };
            let reporter = Arc::new(self.reporter(&candidate, None, transaction));
            // One that the master does not show counts as it was found.
            let seen = open.looks.look(driver, &candidate.executor.name, &reporter).await;
            if let Ok(Standing::Absent | Standing::There(Found { hold: None | Some(Hold { is_ours: false, .. }), .. })) = seen {
                continue;
            }
            reporter.tell(&Event::Note(format!("it takes no jobs: {HELD_BEFORE}")));
            held.push(Registered { is_good: true, held: Some(HELD_BEFORE.to_owned()), ..failed(&candidate, HELD_BEFORE.to_owned()) });
        }
        held
    }

    async fn drain_one(&self, one: &Held, within: Duration, transaction: &Transaction) -> Drained {
        let Held { candidate, is_former, .. } = one;
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
        // What this master cannot take is asked nothing there: whether jobs run on it is not known.
        if let Some(refused) = open.refused.iter().find(|one| one.node == *node && one.executor == executor.name) {
            return if is_own { Drained::free() } else { Drained::unfit(executor, &refused.text) };
        }
        let Some(driver) = open.driver.clone() else { return Drained::free() };
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
            () = self.registrar.stop.wished() => return Drained::stopped(Made::No),
        };
        match seen {
            // A smoke job may run on one without labels: it is a job like others.
            Ok(Some(Standing::Absent)) => return Drained::free(),
            Err(Ending::Stopped(..)) => return Drained::stopped(Made::No),
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
            Drained {
                made: made @ (Made::No | Made::Before | Made::Perhaps),
                blocked: Some(Blocked::Trouble(Trouble { kind, chain, .. })),
            } if is_own && kind != TroubleKind::Busy => {
                let why = chain.into_iter().next().unwrap_or_default();
                reporter.tell(&Event::Note(format!("{why}; this node is the master's own machine, and is changed all the same")));
                Drained { made, blocked: None }
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
    /// Whether this run has taken it out of service.
    made: Made,
    blocked: Option<Blocked>,
}

impl Drained {
    fn free() -> Self {
        Self { made: Made::No, blocked: None }
    }

    fn stopped(made: Made) -> Self {
        Self { made, blocked: Some(Blocked::Stopped) }
    }

    fn unknown(executor: &Executor, why: &str) -> Self {
        let Executor { name, master, .. } = executor;
        let text = format!("not begun: {master} does not say whether jobs run on {name}: {why}");
        Self::failed(text, "look after the master, then run the same command again: nothing was changed on this node")
    }

    fn unfit(executor: &Executor, why: &str) -> Self {
        let Executor { name, master, .. } = executor;
        let text = format!("not begun: {name} cannot be registered with {master}, where jobs may run on it: {why}");
        Self::failed(text, "mend that, then run the same command again: nothing was changed on this node")
    }

    fn failed(text: String, hint: &str) -> Self {
        let trouble = Trouble { kind: TroubleKind::Failed, chain: vec![text], hint: hint.to_owned(), failure: None };
        Self { made: Made::No, blocked: Some(Blocked::Trouble(trouble)) }
    }
}

/// Blocks until it is free, or not in time.
fn wait(driver: &dyn Driver, name: &NodeName, within: Duration, reporter: &Reporter) -> Drained {
    let executor = &reporter.candidate.executor;
    let Vacated { made, vacancy, .. } = vacate(driver, name, CHANGING, within, &|event| reporter.tell(&event));
    match vacancy {
        Ok(Vacancy::Free) => Drained { made, blocked: None },
        Ok(Vacancy::Busy) => {
            let waited = Span::millis(u64::try_from(within.as_millis()).unwrap_or(u64::MAX));
            let chain = vec![format!("not begun: jobs still run on {name} ({}) after {waited}", executor.master)];
            let hint =
                "run the same command again when they have ended, or give them longer (--jobs-within): nothing was changed on this node";
            let trouble = Trouble { kind: TroubleKind::Busy, chain, hint: hint.to_owned(), failure: None };
            Drained { made, blocked: Some(Blocked::Trouble(trouble)) }
        }
        Err(MasterError::Stopped { .. }) => Drained::stopped(made),
        Err(error) => Drained { made, ..Drained::unknown(executor, &error.told()) },
    }
}

#[cfg(test)]
mod tests;
