//! Registration: executors of nodes that came through are brought to their labels, one batch a master.

use super::workspace::Workspace;
use crate::fleet::{FleetEvent, NodeEnd, Preparation, Prepared, Trouble};
use crate::journal::new_run;
use crate::lab::Lab;
use crate::masters::buildbot::{self, Account, Install, InstallError, Place, Worker, WorkerFile};
use crate::masters::http::{Dial, Http};
use crate::masters::jenkins;
use crate::session::{Answer, Go, Session, SessionError, meet};
use crate::transport::Link;
use ostler_roles::author::compile::{Master, MasterSettings};
use ostler_roles::catalog::Catalog;
use ostler_roles::executor::{Executor, Jobs, Launch};
use ostler_roles::master::buildbot::Proof;
use ostler_roles::master::jenkins as model;
use ostler_roles::outcome::Ending;
use ostler_roles::words::{Digest, MasterName, NodeName, Secret};
use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

/// How long one request to a master may take.
const REQUEST: Duration = Duration::from_secs(30);

/// One executor on its way, with the node it is on.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The node.
    pub node: NodeName,
    /// The executor.
    pub executor: Executor,
    /// Whether something on the node changed in this run.
    pub changed: bool,
    /// Where the node is reached, for masters that log in.
    pub host: String,
    /// The node's host keys, to pin.
    pub host_keys: Vec<String>,
}

/// How one executor ended.
#[derive(Debug, Clone)]
pub struct Registered {
    /// The node.
    pub node: NodeName,
    /// The master.
    pub master: MasterName,
    /// Labels attached and earned; empty when not.
    pub labels: Vec<String>,
    /// What to say of it.
    pub text: String,
    /// Last lines of a smoke job that failed.
    pub tail: Vec<String>,
}

impl Registered {
    /// Whether its labels are attached and earned.
    pub fn is_good(&self) -> bool {
        !self.labels.is_empty()
    }
}

/// Everything registration needs.
#[derive(Debug, Clone)]
pub struct Registrar {
    /// The site.
    pub workspace: Arc<Workspace>,
    /// The way to nodes, for masters that are configured by files.
    pub preparation: Preparation,
    /// The lab that masters are reached through.
    pub lab: Option<Arc<Lab>>,
    /// Who asks.
    pub controller: String,
}

impl Registrar {
    /// Registers all candidates, one batch a master, masters one after the other.
    pub async fn register(
        &self,
        masters: &BTreeMap<MasterName, Master>,
        candidates: &[Candidate],
        ends: &mut [NodeEnd],
    ) -> Vec<Registered> {
        let mut done = Vec::new();
        let mut by_master: BTreeMap<&MasterName, Vec<Candidate>> = BTreeMap::new();
        for candidate in candidates {
            by_master.entry(&candidate.executor.master).or_default().push(candidate.clone());
        }
        for (name, batch) in by_master {
            let Some(master) = masters.get(name) else {
                done.extend(batch.iter().map(|one| failed(one, "the site has no such master".to_owned())));
                continue;
            };
            done.extend(match &master.settings {
                MasterSettings::Buildbot { .. } => self.buildbot(name, master, batch, ends).await,
                MasterSettings::Jenkins { .. } => self.jenkins(name, master, batch).await,
            });
        }
        done
    }

    fn tell(&self, node: &NodeName, master: &MasterName, text: &str) {
        self.preparation.tell.tell(node, FleetEvent::Master { master: master.to_string(), text: text.to_owned() });
    }

    /// Sockets to a master: inside the lab where the site has one.
    fn dial(&self) -> Option<Dial> {
        let lab = self.lab.clone()?;
        Some(Arc::new(move |address, limit| lab.connect(address, limit).map_err(super::reach::lab_failure)))
    }

    async fn buildbot(&self, name: &MasterName, master: &Master, batch: Vec<Candidate>, ends: &mut [NodeEnd]) -> Vec<Registered> {
        let all = batch.clone();
        let fail = |text: String| all.iter().map(|one| failed(one, text.clone())).collect::<Vec<_>>();
        let MasterSettings::Buildbot { directory, group, service, account } = &master.settings else {
            return fail("not a Buildbot".to_owned());
        };
        let Some(node) = &master.node else { return fail("a Buildbot master without `node:` cannot be told about workers".to_owned()) };
        let mut workers = Vec::new();
        for one in &batch {
            match Worker::from_executor(&one.executor) {
                Ok(worker) => workers.push((worker, if one.changed { Proof::Wanted } else { Proof::Standing })),
                Err(error) => return fail(error.to_string()),
            }
        }
        let http = match Http::new(&master.url, REQUEST, self.dial()) {
            Ok(http) => http,
            Err(error) => return fail(chain(&error)),
        };
        let account = account.as_ref().map(|(name, password)| Account { name: name.clone(), password: password.clone() });
        let client = buildbot::Client::new(http, account);
        let kept = ends.iter_mut().find(|end| end.node == *node && end.session.is_some());
        let (session, link) = match kept {
            Some(end) => (end.session.take(), Arc::clone(&end.link)),
            None => match self.open(node).await {
                Ok((session, link)) => (Some(session), link),
                Err(trouble) => return fail(trouble.chain.join(": ")),
            },
        };
        let role = RoleOf::buildbot();
        let place = Place { directory: directory.clone(), group: group.clone(), service: service.clone(), role };
        let mut machine = MasterMachine {
            node: node.clone(),
            session,
            _link: link,
            place,
            key: self.preparation.compile.secret_key(),
            controller: self.controller.clone(),
            runtime: tokio::runtime::Handle::current(),
        };
        let (this, master_name) = (self.clone(), name.clone());
        let nodes: BTreeMap<String, NodeName> = batch.iter().map(|one| (one.executor.name.to_string(), one.node.clone())).collect();
        let registered = tokio::task::spawn_blocking(move || {
            let mut events = |event: buildbot::Event| tell_buildbot(&this, &master_name, &nodes, event);
            let reason = format!("ostler, for {}", this.controller);
            buildbot::register(&client, &mut machine, &workers, &reason, &buildbot::Patience::default(), &mut events)
        })
        .await;
        match registered {
            Ok(Ok(endings)) => batch
                .iter()
                .map(|one| {
                    let ending = endings.iter().find(|(worker, _)| worker.as_str() == one.executor.name.as_str()).map(|(_, ending)| ending);
                    ended(one, ending.map(|ending| (ending.is_registered(), ending.to_string(), smoke_tail(ending))))
                })
                .collect(),
            Ok(Err(error)) => fail(chain(&error)),
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    async fn jenkins(&self, name: &MasterName, master: &Master, batch: Vec<Candidate>) -> Vec<Registered> {
        let all = batch.clone();
        let fail = |text: String| all.iter().map(|one| failed(one, text.clone())).collect::<Vec<_>>();
        let MasterSettings::Jenkins { user, password, .. } = &master.settings else { return fail("not a Jenkins".to_owned()) };
        let site = match model::Site::parse(&Digest::of(self.workspace.secrets.key()).short()) {
            Ok(site) => site,
            Err(error) => return fail(error.to_string()),
        };
        let mut registrations = Vec::new();
        let mut refused = Vec::new();
        for one in &batch {
            match jenkins_node(one, &site) {
                Ok(node) => registrations.push(jenkins::Registration {
                    node,
                    smoke: one.executor.smoke.clone(),
                    proof: if one.changed { Proof::Wanted } else { Proof::Standing },
                }),
                Err(why) => refused.push(failed(one, why)),
            }
        }
        let login = jenkins_login(user, password);
        let client = match jenkins::Client::new(&master.url, login, site, jenkins::Patience::default(), self.dial()) {
            Ok(client) => client,
            Err(error) => return fail(chain(&error)),
        };
        let (this, master_name) = (self.clone(), name.clone());
        let nodes: BTreeMap<String, NodeName> = batch.iter().map(|one| (one.executor.name.to_string(), one.node.clone())).collect();
        let registered = tokio::task::spawn_blocking(move || {
            let mut events = |event: jenkins::Event| tell_jenkins(&this, &master_name, &nodes, &event);
            jenkins::register(&client, &registrations, &mut events)
        })
        .await;
        let endings = match registered {
            Ok(Ok(endings)) => endings,
            Ok(Err(error)) => return fail(chain(&error)),
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        };
        let came = batch.iter().filter_map(|one| {
            let (_, ending) = endings.iter().find(|(name, _)| name.as_str() == one.executor.name.as_str())?;
            Some(ended(one, Some((ending.is_registered(), ending.to_string(), Vec::new()))))
        });
        came.chain(refused).collect()
    }

    async fn open(&self, node: &NodeName) -> Result<(Session, Arc<dyn Link>), Trouble> {
        let preparation = &self.preparation;
        let link = preparation.reach.connect(node, &preparation.tell).await.map_err(|error| Trouble::from(&error))?;
        let identity = preparation.reach.identity(node);
        let greeting = meet(link.as_ref(), preparation.agent, &identity, &[], preparation.password.as_ref()).await;
        Ok((Session::new(greeting.map_err(|error| Trouble::from(&error))?), link))
    }
}

struct RoleOf;

impl RoleOf {
    fn buildbot() -> ostler_roles::words::RoleName {
        #[expect(clippy::expect_used, reason = "a constant name")]
        ostler_roles::words::RoleName::parse("buildbot-master").expect("a role's name")
    }
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    crate::fleet::chain(error).join(": ")
}

fn failed(one: &Candidate, text: String) -> Registered {
    Registered { node: one.node.clone(), master: one.executor.master.clone(), labels: Vec::new(), text, tail: Vec::new() }
}

fn ended(one: &Candidate, ending: Option<(bool, String, Vec<String>)>) -> Registered {
    let (good, text, tail) = ending.unwrap_or_else(|| (false, "the master says nothing of it".to_owned(), Vec::new()));
    let labels = if good { one.executor.labels.iter().map(ToString::to_string).collect() } else { Vec::new() };
    Registered { node: one.node.clone(), master: one.executor.master.clone(), labels, text, tail }
}

fn smoke_tail(ending: &buildbot::Ending) -> Vec<String> {
    match ending {
        buildbot::Ending::Red(report) => report.tail.clone(),
        buildbot::Ending::Unchanged
        | buildbot::Ending::Labelled(_)
        | buildbot::Ending::Held(_)
        | buildbot::Ending::Absent(_)
        | buildbot::Ending::Refused(_)
        | buildbot::Ending::Unsettled
        | buildbot::Ending::NotLoaded(_) => Vec::new(),
    }
}

fn tell_buildbot(registrar: &Registrar, master: &MasterName, nodes: &BTreeMap<String, NodeName>, event: buildbot::Event) {
    let seconds = |took: Duration| format!("{:.1} s", took.as_secs_f64());
    let everyone = |text: String| nodes.values().for_each(|node| registrar.tell(node, master, &text));
    let one = |worker: &str, text: String| {
        if let Some(node) = nodes.get(worker) {
            registrar.tell(node, master, &text);
        }
    };
    match event {
        buildbot::Event::Writing { quarantined, labelled: 0 } => everyone(format!("quarantined ({quarantined} workers)")),
        buildbot::Event::Writing { labelled, .. } => everyone(format!("attaching labels ({labelled} workers)")),
        buildbot::Event::Loaded { took } => everyone(format!("the master has loaded it ({})", seconds(took))),
        buildbot::Event::Waiting { workers } => {
            workers.iter().for_each(|worker| one(worker.as_str(), "waiting for it to connect".to_owned()))
        }
        buildbot::Event::SmokeStarted { worker, url } => one(worker.as_str(), format!("connected; smoke job runs: {url}")),
        buildbot::Event::SmokeEnded { worker, green: true, took } => one(worker.as_str(), format!("smoke job green ({})", seconds(took))),
        buildbot::Event::SmokeEnded { worker, green: false, took } => one(worker.as_str(), format!("smoke job RED ({})", seconds(took))),
    }
}

fn tell_jenkins(registrar: &Registrar, master: &MasterName, nodes: &BTreeMap<String, NodeName>, event: &jenkins::Event) {
    let (name, text) = match event {
        jenkins::Event::Creating(name) => (name, "created, quarantined".to_owned()),
        jenkins::Event::Updating(name, _, changes) => (name, format!("{} values set", changes.len())),
        jenkins::Event::Connecting(name) => (name, "waiting for it to come online".to_owned()),
        jenkins::Event::Smoking(name) => (name, "online; smoke job runs".to_owned()),
        jenkins::Event::Smoked { name, is_green } => {
            (name, if *is_green { "smoke job green".to_owned() } else { "smoke job RED".to_owned() })
        }
    };
    if let Some(node) = nodes.get(name.as_str()) {
        registrar.tell(node, master, &text);
    }
}

/// An API token has 34 hexadecimal digits (Jenkins' own form); anything else is a password, which needs a crumb.
fn jenkins_login(user: &str, secret: &Secret<String>) -> jenkins::Login {
    let is_token = secret.expose().len() == 34 && secret.expose().bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_token {
        jenkins::Login::Token { user: user.to_owned(), token: secret.clone() }
    } else {
        jenkins::Login::Password { user: user.to_owned(), password: secret.clone() }
    }
}

fn jenkins_node(one: &Candidate, site: &model::Site) -> Result<model::Node, String> {
    let executor = &one.executor;
    let launcher = match &executor.launch {
        Some(Launch::Inbound) => model::Launcher::Inbound,
        Some(Launch::Ssh { credential }) => {
            let key = one.host_keys.iter().find(|key| key.starts_with("ssh-ed25519 ")).or_else(|| one.host_keys.first());
            let key = key.ok_or_else(|| "the node told no host key to pin".to_owned())?;
            model::Launcher::Ssh(model::Ssh {
                host: one.host.clone(),
                port: NonZeroU16::MIN.saturating_add(21),
                credential: model::CredentialId::parse(credential).map_err(|error| error.to_string())?,
                host_key: model::HostKey::parse(key).map_err(|error| error.to_string())?,
                java: None,
            })
        }
        None => return Err("a Jenkins executor needs `launch: ssh` or `launch: inbound`".to_owned()),
    };
    Ok(model::Node {
        name: model::Name::parse(executor.name.as_str()).map_err(|error| error.to_string())?,
        executors: executor.count,
        labels: executor.labels.clone(),
        mode: match executor.jobs {
            Jobs::Labelled => model::Mode::Labelled,
            Jobs::Any => model::Mode::Any,
        },
        remote_fs: executor.remote_fs.clone(),
        launcher,
        site: site.clone(),
    })
}

/// The machine of a master that is configured by files: written by its own agent, as one small run.
struct MasterMachine {
    node: NodeName,
    session: Option<Session>,
    _link: Arc<dyn Link>,
    place: Place,
    key: Vec<u8>,
    controller: String,
    runtime: tokio::runtime::Handle,
}

/// Why the files did not get there.
#[derive(Debug, thiserror::Error)]
enum MachineError {
    #[error("talk to {0}")]
    Session(NodeName, #[source] SessionError),
    #[error("{0} does not allow it: {1}")]
    Refused(NodeName, String),
    #[error("the run on {0} did not come through: {1}")]
    Failed(NodeName, String),
    #[error("the connection to {0} is gone")]
    Gone(NodeName),
    #[error("name the files")]
    Path(#[source] ostler_roles::words::PathError),
}

impl Install for MasterMachine {
    fn install(&mut self, files: &[WorkerFile]) -> Result<(), InstallError> {
        let runtime = self.runtime.clone();
        runtime.block_on(self.write(files)).map_err(|error| InstallError(Box::new(error)))
    }
}

impl MasterMachine {
    async fn write(&mut self, files: &[WorkerFile]) -> Result<(), MachineError> {
        let node = self.node.clone();
        let broken = |error| MachineError::Session(node.clone(), error);
        let steps = buildbot::steps(files, &self.place).map_err(MachineError::Path)?;
        let session = self.session.as_mut().ok_or_else(|| MachineError::Gone(node.clone()))?;
        let catalog = Catalog { node: node.clone(), facts: session.hello.facts.digest(), require: Vec::new(), steps, verify: Vec::new() };
        session.ask(&catalog, false, &self.key).await.map_err(broken)?;
        let plan = match session.answer().await.map_err(broken)? {
            Answer::Planned(plan) => plan,
            Answer::Stale(_) => return Err(MachineError::Refused(node, "its facts have changed".to_owned())),
        };
        if !plan.may_go() {
            return Err(MachineError::Refused(node, crate::report::impossible(&plan)));
        }
        if plan.is_empty() {
            return Ok(());
        }
        let contents: BTreeMap<Digest, Vec<u8>> = files.iter().map(|file| (Digest::of(&file.bytes), file.bytes.clone())).collect();
        let blob = move |digest: &Digest| contents.get(digest).cloned();
        let run = new_run();
        session.go(Go { run: &run, plan: &plan, secrets: Vec::new(), controller: &self.controller, blob: &blob }).await.map_err(broken)?;
        let mut state = crate::report::NodeState::default();
        let ending = session.follow(&mut |_, event| state.take(event)).await.map_err(broken)?;
        match ending {
            Some(Ending::Good { .. }) => Ok(()),
            Some(Ending::Failed | Ending::Cancelled) | None => {
                let why = state
                    .failures
                    .first()
                    .map_or_else(|| "no reason was told".to_owned(), |(_, step, failure)| format!("{step}: {}", failure.message));
                Err(MachineError::Failed(node, why))
            }
        }
    }
}

/// The executors of nodes that came through.
pub fn candidates(ends: &[NodeEnd], host: &dyn Fn(&NodeName) -> String) -> Vec<Candidate> {
    let good = ends.iter().filter(|end| end.is_good());
    good.flat_map(|end| {
        let Prepared { executors, .. } = &end.prepared;
        let changed = matches!(end.ending, Ok(Ending::Good { changed, .. }) if changed > 0);
        let host_keys = end.session.as_ref().map(|session| session.hello.facts.host_keys.clone()).unwrap_or_default();
        let (node, host) = (end.node.clone(), host(&end.node));
        executors.iter().map(move |executor| Candidate {
            node: node.clone(),
            executor: executor.clone(),
            changed,
            host: host.clone(),
            host_keys: host_keys.clone(),
        })
    })
    .collect()
}
