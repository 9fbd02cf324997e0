//! Executors of a Buildbot: one batch of worker files on the master's node.

use super::node_job::{NodeJob, Patch};
use super::{Candidate, Registered, Registrar, chain, failed};
use crate::fleet::NodeEnd;
use crate::masters::buildbot::{self, Account, Install, InstallError, Place, Worker, WorkerFile};
use crate::masters::http::{Http, Way};
use ostler_roles::author::compile::{Master, MasterSettings};
use ostler_roles::master::buildbot::Proof;
use ostler_roles::words::{Digest, MasterName, NodeName, RoleName, count};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long one request to a master may take.
const REQUEST: Duration = Duration::from_secs(30);

impl Registrar {
    pub(super) async fn buildbot(&self, name: &MasterName, master: &Master, batch: &[Candidate], ends: &mut [NodeEnd]) -> Vec<Registered> {
        let mut refused = Vec::new();
        let mut accepted = Vec::new();
        for one in batch {
            match Worker::from_executor(&one.executor) {
                Ok(worker) => accepted.push((one, worker)),
                Err(error) => refused.push(failed(one, chain(&error))),
            }
        }
        if accepted.is_empty() {
            return refused;
        }
        let fail = |text: String| accepted.iter().map(|(one, _)| failed(one, text.clone())).collect::<Vec<_>>();
        let MasterSettings::Buildbot { directory, group, service, account } = &master.settings else {
            return fail("not a Buildbot".to_owned());
        };
        let Some(node) = &master.node else { return fail("a Buildbot master without `node:` cannot be told about workers".to_owned()) };
        let http = match Http::new(&master.url, REQUEST, Way { dial: self.dial.clone(), trust: None }) {
            Ok(http) => http,
            Err(error) => return fail(chain(&error)),
        };
        let account = account.as_ref().map(|(name, password)| Account { name: name.clone(), password: password.clone() });
        let client = buildbot::Client::new(http, account).stoppable(self.stop.clone());
        let job = match self.job(node, ends).await {
            Ok(job) => job,
            Err(why) => return fail(why),
        };
        let place = Place { directory: directory.clone(), group: group.clone(), service: service.clone(), role: role() };
        let mut machine = MasterMachine { job, place };
        let workers: Vec<(Worker, Proof)> = accepted.iter().map(|(one, worker)| (worker.clone(), one.proof())).collect();
        let (this, master_name) = (self.clone(), name.clone());
        let nodes: BTreeMap<String, NodeName> = accepted.iter().map(|(one, _)| (one.executor.name.to_string(), one.node.clone())).collect();
        let registered = tokio::task::spawn_blocking(move || {
            let mut events = |event: buildbot::Event| tell(&this, &master_name, &nodes, event);
            let reason = format!("ostler, for {}", this.controller);
            let done = buildbot::register(&client, &mut machine, &workers, &reason, &buildbot::Patience::default(), &mut events);
            (done, machine.job)
        })
        .await;
        let (done, job) = match registered {
            Ok(registered) => registered,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        };
        job.end(ends).await;
        let mut came = match done {
            Err(error) => fail(chain(&error)),
            Ok(endings) => accepted
                .iter()
                .map(|(one, worker)| match endings.iter().find(|(name, _)| name.as_str() == worker.name().as_str()) {
                    Some((_, ending)) => ended(one, ending),
                    None => failed(one, "the master says nothing of it".to_owned()),
                })
                .collect(),
        };
        came.extend(refused);
        came
    }
}

fn role() -> RoleName {
    #[expect(clippy::expect_used, reason = "a constant name")]
    RoleName::parse("buildbot-master").expect("a role's name")
}

fn ended(one: &Candidate, ending: &buildbot::Ending) -> Registered {
    let (changed, tail) = match ending {
        buildbot::Ending::Labelled(_) => (1, Vec::new()),
        buildbot::Ending::Red(report) => (0, report.tail.clone()),
        buildbot::Ending::Unchanged
        | buildbot::Ending::Held(_)
        | buildbot::Ending::Absent(_)
        | buildbot::Ending::Refused(_)
        | buildbot::Ending::Unsettled
        | buildbot::Ending::Stopped { .. }
        | buildbot::Ending::NotLoaded(_) => (0, Vec::new()),
    };
    if ending.is_registered() { one.good(ending.to_string(), changed) } else { Registered { tail, ..failed(one, ending.to_string()) } }
}

fn tell(registrar: &Registrar, master: &MasterName, nodes: &BTreeMap<String, NodeName>, event: buildbot::Event) {
    let seconds = |took: Duration| format!("{:.1} s", took.as_secs_f64());
    let everyone = |text: String| nodes.values().for_each(|node| registrar.tell(node, master, &text));
    let one = |worker: &str, text: String| {
        if let Some(node) = nodes.get(worker) {
            registrar.tell(node, master, &text);
        }
    };
    match event {
        buildbot::Event::Writing { quarantined, labelled: 0 } => everyone(format!("quarantined ({})", count(quarantined, "worker"))),
        buildbot::Event::Writing { labelled, .. } => everyone(format!("attaching labels ({})", count(labelled, "worker"))),
        buildbot::Event::Loaded { took } => everyone(format!("the master has loaded it ({})", seconds(took))),
        buildbot::Event::Waiting { workers } => {
            workers.iter().for_each(|worker| one(worker.as_str(), "waiting for it to connect".to_owned()))
        }
        buildbot::Event::SmokeStarted { worker, url } => one(worker.as_str(), format!("connected; smoke job runs: {url}")),
        buildbot::Event::SmokeEnded { worker, green: true, took } => one(worker.as_str(), format!("smoke job green ({})", seconds(took))),
        buildbot::Event::SmokeEnded { worker, green: false, took } => one(worker.as_str(), format!("smoke job RED ({})", seconds(took))),
    }
}

/// The machine of a master that is configured by files: written by its own agent, as one small run.
struct MasterMachine {
    job: NodeJob,
    place: Place,
}

impl Install for MasterMachine {
    fn install(&mut self, files: &[WorkerFile]) -> Result<(), InstallError> {
        let steps = buildbot::steps(files, &self.place).map_err(|error| InstallError(Box::new(error)))?;
        let contents = files.iter().map(|file| (Digest::of(&file.bytes), file.bytes.clone())).collect();
        let patch = Patch { steps, contents, secrets: BTreeMap::new() };
        self.job.run(&patch, &mut || Ok(())).map(drop).map_err(|error| InstallError(Box::new(error)))
    }
}
