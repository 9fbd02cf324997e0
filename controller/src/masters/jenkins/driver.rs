//! Jenkins as a driver: credentials and nodes over its HTTP interface, and the agents of those that call in by themselves.

use super::client::Client;
use super::credential::{Credential, Sent};
use super::error::JenkinsError;
use super::node::Program;
use super::outcome::SmokeReport;
use crate::masters::driver::{Cordon, CordonError, Drain, Driver, Event, EventSink, MasterError, Observation, Orphan, Report, told};
use crate::masters::wait::Cancellation;
use crate::masters::witness::Witness;
use ostler_roles::catalog::Step;
use ostler_roles::executor::Smoke;
use ostler_roles::master::jenkins::{Change, CredentialId, Name, Node, Seen, Version, diff, outdated_java, standing};
use ostler_roles::master::{Difference, Stage};
use ostler_roles::words::{NodeName, Secret, count};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

/// How many nodes are on their way at once: waits overlap, and the master is not flooded.
const WORKERS: usize = 8;

/// What a Jenkins that is configured as code may do.
const CODE: &str =
    "this Jenkins is configured as code: if its files have `jenkins: nodes:`, the node is gone after each reload; leave that out";

/// Why an agent did not get to its node.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct InstallAgentError(pub Box<dyn std::error::Error + Send + Sync>);

/// Brings what an inbound agent needs to its node, from where it calls in.
pub trait InstallAgent: std::fmt::Debug + Send + Sync {
    /// What is to be so on the node, with the master's own program and version, where that is known.
    ///
    /// # Errors
    /// When that cannot be said.
    fn steps(&self, program: &[u8], version: Option<Version>, secret: &Secret<String>) -> Result<Vec<Step>, InstallAgentError>;

    /// Makes it so, with the master's own program and version, where that is known; `before` is called before anything is changed and not at all when nothing is to change. Returns whether it was.
    ///
    /// # Errors
    /// When `before` fails, or the node cannot be changed.
    fn bring(
        &self,
        program: &[u8],
        version: Option<Version>,
        secret: &Secret<String>,
        before: &mut dyn FnMut() -> Result<(), JenkinsError>,
    ) -> Result<bool, InstallAgentError>;
}

/// The agents' program that this master gave in an earlier run. A memory that is lost costs one fetch.
pub trait AgentProgramStore: std::fmt::Debug + Send + Sync {
    /// What was given last; none when nothing is known.
    fn last(&self) -> Option<Program>;
    /// Keeps it.
    fn keep(&self, program: &Program);
}

/// Credentials that a master must have.
#[derive(Debug)]
pub struct Credentials {
    /// All of them.
    pub wanted: Vec<Credential>,
    /// The key of their fingerprints, the same on all machines of the site.
    pub key: Secret<Vec<u8>>,
    /// Who else is logged in to with them.
    pub elsewhere: Elsewhere,
}

/// Gives nodes of the site that are no part of this run, and that the master logs in to with the credential of this id.
#[derive(Clone)]
pub struct Elsewhere(pub Arc<NodesOf>);

/// Nodes that belong to a credential.
pub type NodesOf = dyn Fn(&CredentialId) -> Vec<NodeName> + Send + Sync;

impl std::fmt::Debug for Elsewhere {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Elsewhere")
    }
}

/// How many nodes are named where there may be many.
const NAMED: usize = 12;

impl Elsewhere {
    /// What becomes of those nodes when the credential is another one; none: there are none.
    fn cut_off(&self, id: &CredentialId) -> Option<String> {
        let nodes = (self.0)(id);
        let named: Vec<&str> = nodes.iter().take(NAMED).map(NodeName::as_str).collect();
        let more = nodes.len().saturating_sub(named.len());
        let more = if more > 0 { format!(" and {} more", count(more, "node")) } else { String::new() };
        let named = named.join(", ");
        (!nodes.is_empty()).then(|| format!("no part of this run, and may let in the old one alone until they are applied: {named}{more}"))
    }
}

/// A node to be registered.
#[derive(Debug, Clone)]
pub struct Registration {
    /// The node as it should be.
    pub node: Node,
    /// The commands of its smoke job.
    pub smoke: Vec<Smoke>,
    /// The major version of its Java, where the site says it.
    pub java: Option<u32>,
    /// Brings its agent there, where the node is to call in by itself; none: somebody else sees to it.
    pub agent: Option<Arc<dyn InstallAgent>>,
    /// The way to its node.
    pub witness: Arc<dyn Witness>,
}

/// What is done once for all nodes, and what came of it.
type Once<T> = Mutex<Option<Result<T, Arc<JenkinsError>>>>;

/// One Jenkins, opened for the nodes of a run.
#[derive(Debug)]
pub struct Jenkins {
    client: Client,
    registrations: BTreeMap<NodeName, Registration>,
    credentials: Option<Credentials>,
    shared: Once<()>,
    program: Once<(Arc<Program>, Option<Version>)>,
    programs: Option<Box<dyn AgentProgramStore>>,
    /// Nodes whose agent may have come online a moment ago: whether it stays is still to be seen.
    fresh: Mutex<BTreeSet<NodeName>>,
}

/// The first who asks does it; an error is everybody's.
fn once<T: Clone>(cell: &Once<T>, work: impl FnOnce() -> Result<T, JenkinsError>) -> Result<T, JenkinsError> {
    let mut cell = cell.lock().unwrap_or_else(PoisonError::into_inner);
    let done = match &*cell {
        Some(done) => done.clone(),
        None => cell.insert(work().map_err(Arc::new)).clone(),
    };
    done.map_err(JenkinsError::Shared)
}

/// Why an agent could not be brought: where its Java is too old for the program, that.
fn unbrought(version: Option<Version>, name: &Name, source: InstallAgentError) -> JenkinsError {
    let name = name.clone();
    let error = JenkinsError::Agent { name: name.clone(), source };
    match (version, outdated_java(&told(&error))) {
        (Some(version), Some((_, has))) => JenkinsError::Java { name, version, has },
        (_, Some(_) | None) => error,
    }
}

fn failed(error: JenkinsError) -> MasterError {
    match error {
        JenkinsError::Stopped { left, .. } => MasterError::Stopped { left },
        JenkinsError::Shared(error) if matches!(*error, JenkinsError::Stopped { .. }) => MasterError::Stopped { left: None },
        JenkinsError::Offline { ref log, .. } => MasterError::WithLog { log: log.clone(), source: Box::new(error) },
        other => MasterError::failed(other),
    }
}

impl Jenkins {
    /// Opens it for these nodes, by the names of their executors.
    pub fn new(client: Client, registrations: BTreeMap<NodeName, Registration>, credentials: Option<Credentials>) -> Self {
        let (shared, program, fresh) = (Once::default(), Once::default(), Mutex::default());
        Self { client, registrations, credentials, shared, program, programs: None, fresh }
    }

    /// The same, which keeps the agents' program from run to run.
    #[must_use]
    pub fn keeping(mut self, programs: Box<dyn AgentProgramStore>) -> Self {
        self.programs = Some(programs);
        self
    }

    /// The agents' program, and the version that it is of, where that is known.
    fn program(&self, client: &Client) -> Result<(Arc<Program>, Option<Version>), JenkinsError> {
        let fetch = || {
            let known = self.programs.as_ref().and_then(|programs| programs.last());
            let program = client.agent_program(known.clone())?;
            if let Some(programs) = self.programs.as_ref().filter(|_| known.as_ref() != Some(&program)) {
                programs.keep(&program);
            }
            Ok((Arc::new(program), client.version()?))
        };
        once(&self.program, fetch)
    }

    /// What an executor of this run is called there, or one that the site had before.
    fn name(&self, name: &NodeName) -> Result<Name, MasterError> {
        match self.registrations.get(name) {
            Some(registration) => Ok(registration.node.name.clone()),
            None => Name::parse(name.as_str()).map_err(MasterError::failed),
        }
    }

    fn registration(&self, name: &NodeName) -> Result<&Registration, MasterError> {
        self.registrations.get(name).ok_or_else(|| MasterError::Failed("this run has no node of that name".into()))
    }

    /// Sends the credentials that are not what was sent last.
    fn share(&self, tell: EventSink<'_>) -> Result<(), MasterError> {
        let Some(credentials) = &self.credentials else { return Ok(()) };
        let put = || {
            for wanted in &credentials.wanted {
                let done = match self.client.put_credential(wanted, credentials.key.expose())? {
                    Sent::Unchanged => continue,
                    Sent::Created => "created",
                    Sent::Replaced => "replaced",
                };
                tell(Event::Shared(format!("credential {} {done}", wanted.id)));
                if let Some(cut_off) = credentials.elsewhere.cut_off(&wanted.id).filter(|_| done == "replaced") {
                    tell(Event::Note(format!("credential {}: {cut_off}", wanted.id)));
                }
            }
            Ok(())
        };
        once(&self.shared, put).map_err(failed)
    }

    /// Credentials that would be sent.
    fn unsent(&self) -> Result<Vec<Difference>, JenkinsError> {
        let Some(credentials) = &self.credentials else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        for wanted in &credentials.wanted {
            let id = &wanted.id;
            match self.client.look_at_credential(wanted, credentials.key.expose())? {
                Sent::Unchanged => {}
                Sent::Created => found.push(Difference::new(&format!("credential {id}"), "absent", "present")),
                Sent::Replaced => {
                    let cut_off = credentials.elsewhere.cut_off(id).map(|text| format!("; {text}")).unwrap_or_default();
                    found.push(Difference::new(&format!("credential {id}"), "another, or not known", format!("replaced{cut_off}")));
                }
            }
        }
        Ok(found)
    }

    /// Brings the agent to its node. What runs there now is let out first, in quarantine: a run that is cut here is gone on with by the next.
    fn bring(
        &self,
        client: &Client,
        registration: &Registration,
        is_connected: bool,
        agent: &dyn InstallAgent,
    ) -> Result<bool, JenkinsError> {
        const REASON: &str = "its agent is changed";
        let Registration { node, witness, .. } = registration;
        let secret = client.agent_secret(&node.name)?;
        let (mut was_stopped, mut is_marked, mut is_begun) = (false, false, false);
        let mut before = || {
            is_begun = true;
            // One that is away comes back with the new agent: it is to have no labels by then.
            let quarantined = client.update(node, Stage::Quarantined);
            if !is_connected {
                return quarantined;
            }
            let made_way = quarantined.and_then(|()| {
                is_marked = client.mark(&node.name, REASON)?;
                client.drain(&node.name, REASON)
            });
            was_stopped = matches!(made_way, Err(JenkinsError::Stopped { .. }));
            made_way
        };
        let (program, version) = self.program(client)?;
        let brought = agent.bring(&program.bytes, version, &secret, &mut before);
        let brought = brought.map_err(|source| match was_stopped {
            true => JenkinsError::Stopped { action: format!("make way for another agent of node `{}`", node.name), left: None },
            false => unbrought(version, &node.name, source),
        });
        // Where it was brought, the hold ends on the way to the smoke job. What this call alone has marked is let go after a failure, too.
        if is_marked && brought.is_err() && matches!(witness.taken_by(), Ok(None)) {
            client.undrain(&node.name)?;
        }
        // Its labels came off for it, whatever it changed in the end.
        brought.map(|is_changed| is_changed || is_begun)
    }

    /// An agent that should have called in and did not, with what its node says of it: its unit may end again and again. What is in place there
    /// says nothing.
    fn with_its_nodes_word(&self, registration: &Registration, error: JenkinsError) -> JenkinsError {
        let Registration { node, agent: Some(agent), .. } = registration else { return error };
        let JenkinsError::Offline { name, waited, reason, log } = error else { return error };
        let asked = self.client.agent_secret(&node.name).and_then(|secret| Ok((secret, self.program(&self.client)?)));
        let brought = asked.ok().map(|(secret, (program, version))| agent.bring(&program.bytes, version, &secret, &mut || Ok(())));
        let reason = match brought {
            Some(Err(source)) => format!("{reason}; on its node: {}", told(&source)),
            Some(Ok(_)) | None => reason,
        };
        JenkinsError::Offline { name, waited, reason, log }
    }

    /// Whether the master takes agents with this node's Java.
    fn accepts(&self, registration: &Registration) -> Result<(), MasterError> {
        let name = &registration.node.name;
        registration.java.map_or(Ok(()), |has| self.client.accepts_java(name, has)).map_err(failed)
    }

    fn fresh(&self) -> std::sync::MutexGuard<'_, BTreeSet<NodeName>> {
        self.fresh.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works with a client that tells this executor's listener what it waits for.
    fn telling<T: Send>(&self, tell: EventSink<'_>, work: impl FnOnce(&Client) -> T + Send) -> T {
        let (sender, sent) = mpsc::sync_channel(1);
        let client = self.client.telling(sender);
        std::thread::scope(|scope| {
            // The client, and with it the sender, goes when the work is done.
            let work = scope.spawn(move || work(&client));
            sent.iter().for_each(tell);
            work.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Sets the values of a stage. A changed launcher starts its agent anew.
    fn update(&self, name: &NodeName, stage: Stage, seen: &Seen, tell: EventSink<'_>) -> Result<(), MasterError> {
        let node = &self.registration(name)?.node;
        if let Seen::Ours { config, .. } = seen
            && diff(node, stage, config).iter().any(Change::needs_launch)
        {
            self.fresh().insert(name.clone());
        }
        self.telling(tell, |client| client.update(node, stage)).map_err(failed)
    }

    fn look(&self, name: &Name, tell: EventSink<'_>) -> Result<Seen, JenkinsError> {
        let seen = self.telling(tell, |client| client.observe(std::slice::from_ref(name)));
        Ok(seen?.remove(name).unwrap_or(Seen::Absent))
    }
}

impl Driver for Jenkins {
    fn observe(&self, names: &[NodeName], tell: EventSink<'_>) -> Result<Observation, MasterError> {
        let known: Vec<&Registration> = names.iter().filter_map(|name| self.registrations.get(name)).collect();
        let nodes: Vec<Name> = known.iter().map(|registration| registration.node.name.clone()).collect();
        let mut listed = self.telling(tell, |client| client.list(&nodes)).map_err(failed)?;
        let mut sight = Observation::default();
        for name in names {
            let standing = self.registration(name).and_then(|registration| {
                let seen = listed.seen.remove(&registration.node.name).unwrap_or(Ok(Seen::Absent)).map_err(failed)?;
                let standing = standing(&registration.node, &seen).map_err(|error| failed(error.into()))?;
                // Labels that are no longer earned must come off, whatever its Java is.
                if !standing.is_labelled() {
                    self.accepts(registration)?;
                }
                Ok(standing)
            });
            sight.standings.insert(name.clone(), standing);
        }
        sight.ours = listed.others.into_iter().map(|name| Orphan { name, node: None }).collect();
        Ok(sight)
    }

    fn shared(&self) -> Result<Vec<Difference>, MasterError> {
        self.unsent().map_err(failed)
    }

    fn cordon(&self, name: &NodeName, reason: &str, tell: EventSink<'_>) -> Result<Cordon, CordonError> {
        let node = &self.name(name)?;
        match self.look(node, tell).map_err(failed)? {
            Seen::Absent | Seen::Orphan | Seen::Foreign(_) => Ok(Cordon::Absent),
            Seen::Ours { hold: Some(hold), .. } if hold.is_ours() => Ok(Cordon::Ours),
            Seen::Ours { hold: Some(hold), .. } => Ok(Cordon::Theirs(hold.to_string())),
            Seen::Ours { hold: None, .. } => {
                let marked = self.telling(tell, |client| client.mark(node, reason));
                // One that came in between is another run's, or somebody's: not this call's to take off.
                marked.map(|is_new| if is_new { Cordon::Made } else { Cordon::Ours }).map_err(|error| CordonError::told(failed(error)))
            }
        }
    }

    fn drain(&self, name: &NodeName, patience: Duration, tell: EventSink<'_>) -> Result<Drain, MasterError> {
        let node = &self.name(name)?;
        match self.telling(tell, |client| client.wait_idle(node, patience)) {
            Ok(is_held) => Ok(if is_held { Drain::Idle } else { Drain::Unheld }),
            Err(JenkinsError::Busy { .. }) => Ok(Drain::Busy),
            Err(error) => Err(failed(error)),
        }
    }

    fn uncordon(&self, name: &NodeName, tell: EventSink<'_>) -> Result<(), MasterError> {
        let node = &self.name(name)?;
        self.telling(tell, |client| client.undrain(node)).map(drop).map_err(failed)
    }

    fn holds_former(&self) -> bool {
        true
    }

    /// Jobs that run go on when labels come off.
    fn quarantine_ends_jobs(&self) -> bool {
        false
    }

    fn quarantine(&self, name: &NodeName, tell: EventSink<'_>) -> Result<(), MasterError> {
        let node = &self.registration(name)?.node;
        let seen = self.look(&node.name, tell).map_err(failed)?;
        let shared = if self.client.stop().is_asked() { Ok(()) } else { self.share(tell) };
        match seen {
            // Before it is made there must be what it logs in with; labels that are not earned are taken off in any case.
            Seen::Absent => {
                self.fresh().insert(name.clone());
                shared.and_then(|()| self.telling(tell, |client| client.create(node)).map_err(failed))?;
                if self.client.is_code() {
                    tell(Event::Note(CODE.to_owned()));
                }
                Ok(())
            }
            Seen::Orphan | Seen::Foreign(_) | Seen::Ours { .. } => self.update(name, Stage::Quarantined, &seen, tell).and(shared),
        }
    }

    fn equip(&self, name: &NodeName, is_connected: bool, tell: EventSink<'_>) -> Result<bool, MasterError> {
        self.share(tell)?;
        let registration = self.registration(name)?;
        let Some(agent) = registration.agent.as_deref() else { return Ok(false) };
        let is_brought = self.telling(tell, |client| self.bring(client, registration, is_connected, agent)).map_err(failed)?;
        if is_brought {
            self.fresh().insert(name.clone());
        }
        Ok(is_brought)
    }

    fn connect(&self, name: &NodeName, tell: EventSink<'_>) -> Result<(), MasterError> {
        let registration = self.registration(name)?;
        let online = self.telling(tell, |client| client.wait_online(&registration.node.name));
        online.map_err(|error| failed(self.with_its_nodes_word(registration, error)))?;
        self.fresh().remove(name);
        Ok(())
    }

    fn witness(&self, name: &NodeName) -> Result<Arc<dyn Witness>, MasterError> {
        self.registration(name).map(|registration| Arc::clone(&registration.witness))
    }

    fn prove(&self, name: &NodeName, tell: EventSink<'_>) -> Result<Report, MasterError> {
        if self.fresh().contains(name) {
            self.connect(name, tell)?;
        }
        let Registration { node, smoke, witness, .. } = self.registration(name)?;
        let nonce = witness.path();
        let done = self.telling(tell, |client| client.smoke(node, &nonce, smoke)).map_err(failed)?;
        let SmokeReport { outcome, url, tail, left, took, shown } = done;
        let was_cut_off = outcome.is_worth_another();
        if was_cut_off {
            self.fresh().insert(name.clone());
        }
        Ok(Report { verdict: outcome.verdict(), text: outcome.to_string(), url, tail, was_cut_off, left, took, shown })
    }

    fn label(&self, name: &NodeName, tell: EventSink<'_>) -> Result<(), MasterError> {
        let seen = self.look(&self.registration(name)?.node.name, tell).map_err(failed)?;
        self.update(name, Stage::Labelled, &seen, tell)
    }

    fn retire(&self, name: &NodeName) -> Result<(), MasterError> {
        let name = Name::parse(name.as_str()).map_err(MasterError::failed)?;
        self.client.delete(&name).map_err(failed)
    }

    /// Of an agent that calls in: its program, its secret, its unit.
    fn equipment(&self, name: &NodeName) -> Result<Vec<Step>, MasterError> {
        let Registration { node, agent: Some(agent), .. } = self.registration(name)? else { return Ok(Vec::new()) };
        let steps = || {
            let secret = self.client.agent_secret(&node.name)?;
            let (program, version) = self.program(&self.client)?;
            let steps = agent.steps(&program.bytes, version, &secret);
            steps.map_err(|source| JenkinsError::Agent { name: node.name.clone(), source })
        };
        steps().map_err(failed)
    }

    /// Its Java, under a master whose version is known.
    fn objection(&self, name: &NodeName) -> Option<String> {
        let registration = self.registrations.get(name)?;
        self.client.known_version()?;
        self.accepts(registration).err().map(|error| error.told())
    }

    fn workers(&self) -> usize {
        WORKERS
    }

    fn stop(&self) -> &Cancellation {
        self.client.stop()
    }
}
