//! What masters say of a run's executors before anything is changed: reads only, all masters at once, ten seconds at most.

use super::{Candidate, Lines, Opened, Registrar};
use crate::fleet::Ready;
use crate::masters::Stop;
use crate::masters::driver::{Driver, MasterError, Sight};
use crate::report::{MasterAnswer, PlannedExecutor, PlannedMaster, Told};
use ostler_roles::author::compile::Master;
use ostler_roles::executor::Executor;
use ostler_roles::master::{Difference, Found, Proof, Standing};
use ostler_roles::words::{MasterName, NodeName};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How long a master may take. A request of its own ends before.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long each wait on it may last.
const WAIT: Duration = Duration::from_secs(8);

/// What was asked of a master.
type Asked = Result<(Sight, Vec<Difference>), MasterError>;

impl Registrar {
    /// Asks every master of these nodes' executors. `owes`: whether an executor of a node that does not change is to be proved all the same.
    /// `known`: the names of all executors that the whole site has on a master, where that can be told.
    pub async fn survey(
        &self,
        masters: &BTreeMap<MasterName, Master>,
        ready: &[Ready],
        owes: &dyn Fn(&Ready, &Executor) -> bool,
        known: &dyn Fn(&MasterName) -> Option<BTreeSet<NodeName>>,
    ) -> Vec<PlannedMaster> {
        let mut by_master: BTreeMap<MasterName, Vec<(Candidate, Proof)>> = BTreeMap::new();
        for candidate in Candidate::of(ready) {
            let Some(one) = ready.iter().find(|one| one.node == candidate.node) else { continue };
            let is_wanted = !one.plan.is_empty() || owes(one, &candidate.executor);
            let proof = if is_wanted { Proof::Wanted } else { Proof::Standing };
            by_master.entry(candidate.executor.master.clone()).or_default().push((candidate, proof));
        }
        let changes = |node: &NodeName| ready.iter().any(|one| one.node == *node && !one.plan.is_empty());
        let mut tasks = JoinSet::new();
        let mut planned = Vec::new();
        for (name, batch) in by_master {
            let Some(master) = masters.get(&name) else { continue };
            match master.node.as_ref().filter(|machine| changes(machine)) {
                Some(machine) => {
                    let answer = MasterAnswer::Later { machine: machine.clone(), executors: batch.len() };
                    planned.push(PlannedMaster { name: name.to_string(), answer });
                }
                None => {
                    let (this, master) = (self.clone(), master.clone());
                    tasks.spawn(async move { this.ask(&master, batch).await });
                }
            }
        }
        while let Some(joined) = tasks.join_next().await {
            match joined {
                Ok(master) => planned.push(master),
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            }
        }
        planned.sort_by(|one, other| one.name.cmp(&other.name));
        for master in &mut planned {
            let PlannedMaster { name, answer: MasterAnswer::Told(told) } = master else { continue };
            // Nobody is called a stray while not all of the site is known.
            let all = if told.strays.is_empty() { None } else { MasterName::parse(name).ok().and_then(|name| known(&name)) };
            told.strays.retain(|stray| all.as_ref().is_some_and(|all| all.iter().all(|one| one.as_str() != stray)));
        }
        planned
    }

    async fn ask(mut self, master: &Master, batch: Vec<(Candidate, Proof)>) -> PlannedMaster {
        let name = master.name.to_string();
        let (batch, proofs): (Vec<Candidate>, Vec<Proof>) = batch.into_iter().unzip();
        let nodes = || batch.iter().map(|one| one.node.clone()).collect::<BTreeSet<_>>().into_iter().collect();
        let not_asked = |cause: String| MasterAnswer::NotAsked { cause, nodes: nodes() };
        // Whoever goes on asking after the time is over ends by itself.
        let (halt, stop) = watch::channel(false);
        self.stop = Stop::from(stop);
        self.wait = Some(WAIT);
        let opened = match self.open(master, &batch, &Lines::new(&self)).await {
            Ok(opened) => opened,
            Err(why) => return PlannedMaster { name, answer: not_asked(why) },
        };
        let Opened { driver, refused, .. } = opened;
        let fit = batch.iter().filter(|one| refused.iter().all(|no| no.node != one.node || no.executor != one.executor.name));
        let names: Vec<NodeName> = fit.map(|one| one.executor.name.clone()).collect();
        let work = move || -> (Asked, Option<Box<dyn Driver>>) {
            let Some(driver) = driver else { return (Ok(Default::default()), None) };
            let asked = driver.observe(&names, &|_| {}).and_then(|sight| Ok((sight, driver.shared()?)));
            (asked, Some(driver))
        };
        let asked = tokio::time::timeout(PATIENCE, tokio::task::spawn_blocking(work)).await;
        halt.send_replace(true);
        let (asked, driver) = match asked {
            Err(_) => return PlannedMaster { name, answer: not_asked(format!("no answer within {} s", PATIENCE.as_secs())) },
            Ok(Err(error)) => std::panic::resume_unwind(error.into_panic()),
            Ok(Ok(asked)) => asked,
        };
        let (mut sight, shared) = match asked {
            Err(error) => return PlannedMaster { name, answer: not_asked(error.told()) },
            Ok(asked) => asked,
        };
        let executors = batch.iter().zip(proofs).map(|(one, proof)| {
            match refused.iter().find(|no| no.node == one.node && no.executor == one.executor.name) {
                Some(no) => troubled(one, no.text.clone()),
                None => {
                    let standing = sight.standings.remove(&one.executor.name);
                    planned_executor(one, proof, standing.unwrap_or(Ok(Standing::Absent)), driver.as_deref())
                }
            }
        });
        let executors = executors.collect();
        let strays = sight.ours.into_iter().map(|stray| stray.name).collect();
        PlannedMaster { name, answer: MasterAnswer::Told(Told { shared, notes: Vec::new(), executors, strays }) }
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
    driver: Option<&dyn Driver>,
) -> PlannedExecutor {
    let standing = match standing {
        Ok(standing) => standing,
        Err(error) => return troubled(one, error.told()),
    };
    let mut changes = driver.map(|driver| driver.plan(&standing, proof)).unwrap_or_default();
    let is_new = standing == Standing::Absent;
    if is_new {
        let labels: Vec<&str> = one.executor.labels.iter().map(|label| label.as_str()).collect();
        changes.push(Difference::new("executors", "none", one.executor.count.to_string()));
        changes.push(Difference::new("labels", "none", if labels.is_empty() { "none".to_owned() } else { labels.join(" ") }));
    }
    let held = match &standing {
        Standing::There(Found { hold: Some(hold), .. }) if !hold.is_ours => Some(hold.to_string()),
        Standing::There(Found { is_connected: false, to_labels, .. }) if to_labels.is_empty() => Some("it is not connected".to_owned()),
        Standing::There(_) | Standing::Absent => None,
    };
    let (node, name) = (one.node.clone(), one.executor.name.to_string());
    PlannedExecutor { node, name, is_new, changes, trouble: None, held }
}
