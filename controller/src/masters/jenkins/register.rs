//! The way of a run's nodes to their labels: listed once, quarantined, connected, smoked, labelled; nothing written when nothing is to do.

use super::client::Client;
use super::error::JenkinsError;
use super::smoke::SmokeReport;
use ostler_roles::executor::Smoke;
use ostler_roles::master::jenkins::{Change, Hold, Name, Next, Node, Proof, Seen, Stage, next};
use ostler_roles::words::Secret;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

/// How many nodes are on their way at once: waits overlap, and the master is not flooded.
const LANES: usize = 8;
/// More steps than a node can need: made, connected, smoked, labelled, with a relaunch and a lost answer in between.
const STEPS: usize = 12;

/// Why an agent did not get to its node.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct BringError(pub Box<dyn std::error::Error + Send + Sync>);

/// Brings what an inbound agent needs to its node, from where it calls in.
pub trait Bring: std::fmt::Debug + Send + Sync {
    /// Makes it so; `before` is called before anything is changed and not at all when nothing is to change. Returns whether it was.
    ///
    /// # Errors
    /// When `before` fails, or the node cannot be changed.
    fn bring(&self, secret: &Secret<String>, before: &mut dyn FnMut() -> Result<(), JenkinsError>) -> Result<bool, BringError>;
}

/// A node to be registered.
#[derive(Debug, Clone)]
pub struct Registration {
    /// The node as it should be.
    pub node: Node,
    /// The commands of its smoke job.
    pub smoke: Vec<Smoke>,
    /// Whether something on the node changed in this run.
    pub proof: Proof,
    /// Brings its agent there, where the node is to call in by itself; none: somebody else sees to it.
    pub agent: Option<Arc<dyn Bring>>,
}

/// What happens on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The node is being made, in quarantine.
    Creating(Name),
    /// Values are being set.
    Updating(Name, Stage, Vec<Change>),
    /// Its agent was brought to the node, or changed there.
    Brought(Name),
    /// Its agent is waited for.
    Connecting(Name),
    /// Its smoke job runs.
    Smoking(Name),
    /// Its smoke job ended.
    Smoked {
        /// The node.
        name: Name,
        /// Whether it passed.
        is_green: bool,
    },
}

/// How it ended for one node.
#[derive(Debug)]
#[must_use]
pub enum Ending {
    /// It had its labels, nothing on the node changed, and nothing was written.
    Unchanged,
    /// It passed the smoke job and has its labels.
    Labelled(SmokeReport),
    /// It failed the smoke job and has no labels.
    Red(SmokeReport),
    /// It is in quarantine and somebody marked it offline.
    Held(Hold),
    /// The run was interrupted on its way; a further run goes on from what is left.
    Stopped(Left, Option<String>),
    /// It went no further.
    Failed(JenkinsError),
}

/// What an interrupted run leaves of a node on the master.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// Nothing.
    Nothing,
    /// The node, in quarantine.
    Quarantined,
    /// The node with its labels, as it was found.
    Labelled,
    /// It could not be looked up any more.
    Unknown,
}

impl std::fmt::Display for Left {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Nothing => "it is not on the master",
            Self::Quarantined => "it stays on the master in quarantine, without its labels",
            Self::Labelled => "it keeps the labels that it had on the master",
            Self::Unknown => "the master did not say how it stands there",
        })
    }
}

impl Ending {
    /// Whether its labels are attached and earned.
    pub fn is_registered(&self) -> bool {
        matches!(self, Self::Unchanged | Self::Labelled(_))
    }
}

impl std::fmt::Display for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unchanged => f.write_str("registered, as before"),
            Self::Labelled(_) => f.write_str("registered: the smoke job passed"),
            Self::Red(report) => write!(f, "not registered: smoke job: {}", report.outcome),
            Self::Held(hold) => write!(f, "not registered: {hold}"),
            Self::Stopped(left, None) => write!(f, "not registered: interrupted; {left}"),
            Self::Stopped(left, Some(also)) => write!(f, "not registered: interrupted; {left}; {also}"),
            Self::Failed(error) => write!(f, "not registered: {error}"),
        }
    }
}

/// Brings nodes to their labels, a few at a time. Blocks; every wait has its deadline in the client's patience.
///
/// # Errors
/// When the master cannot be listed. What goes wrong with one node is its [`Ending`].
pub fn register(
    client: &Client,
    registrations: &[Registration],
    events: &mut dyn FnMut(Event),
) -> Result<Vec<(Name, Ending)>, JenkinsError> {
    let names: Vec<Name> = registrations.iter().map(|registration| registration.node.name.clone()).collect();
    let listed = client.observe(&names)?;
    let next_in_line = AtomicUsize::new(0);
    let endings: Mutex<Vec<(usize, Ending)>> = Mutex::default();
    let (tell, told) = mpsc::sync_channel(LANES);
    std::thread::scope(|scope| {
        for _ in 0..LANES.min(registrations.len()) {
            let (tell, listed, next_in_line, endings) = (tell.clone(), &listed, &next_in_line, &endings);
            scope.spawn(move || {
                // The receiver lives until every lane has ended.
                let mut tell = |event| drop(tell.send(event));
                while let Some((at, registration)) = take(next_in_line, registrations) {
                    let seen = listed.get(&registration.node.name).cloned().unwrap_or(Seen::Absent);
                    let ending = one(client, registration, seen, &mut tell).unwrap_or_else(|error| match error {
                        JenkinsError::Stopped { left: also, .. } => Ending::Stopped(left(client, registration), also),
                        other => Ending::Failed(other),
                    });
                    endings.lock().unwrap_or_else(PoisonError::into_inner).push((at, ending));
                }
            });
        }
        drop(tell);
        told.iter().for_each(events);
    });
    let mut endings = endings.into_inner().unwrap_or_else(PoisonError::into_inner);
    endings.sort_by_key(|(at, _)| *at);
    Ok(names.into_iter().zip(endings.into_iter().map(|(_, ending)| ending)).collect())
}

fn take<'a>(next_in_line: &AtomicUsize, registrations: &'a [Registration]) -> Option<(usize, &'a Registration)> {
    let at = next_in_line.fetch_add(1, Ordering::Relaxed);
    registrations.get(at).map(|registration| (at, registration))
}

/// What an interrupted step has left.
fn left(client: &Client, registration: &Registration) -> Left {
    let name = &registration.node.name;
    match client.observe(std::slice::from_ref(name)).map(|mut seen| seen.remove(name)) {
        Ok(seen) => Left::of(registration, &seen.unwrap_or(Seen::Absent)),
        Err(_) => Left::Unknown,
    }
}

impl Left {
    fn of(registration: &Registration, seen: &Seen) -> Self {
        match seen {
            Seen::Absent => Self::Nothing,
            Seen::Orphan | Seen::Foreign(_) => Self::Unknown,
            Seen::Ours { config, .. } if config.labels == registration.node.labels_at(Stage::Quarantined) => Self::Quarantined,
            Seen::Ours { .. } => Self::Labelled,
        }
    }
}

/// Whether this step is taken also after an interrupt: one request that takes unearned labels off, or puts earned ones on.
fn may_finish(next: &Next, proof: Proof) -> bool {
    match next {
        Next::Update(Stage::Quarantined, _) | Next::Settled(_) | Next::Held(_) => true,
        Next::Update(Stage::Labelled, _) => proof == Proof::Green,
        Next::Create | Next::Connect | Next::Smoke => false,
    }
}

fn one(client: &Client, registration: &Registration, mut seen: Seen, events: &mut dyn FnMut(Event)) -> Result<Ending, JenkinsError> {
    let Registration { node, smoke, proof, agent } = registration;
    let name = &node.name;
    let mut proof = *proof;
    let mut report: Option<SmokeReport> = None;
    let mut missing = agent.as_deref();
    for _ in 0..STEPS {
        // Only a node that is there has a secret to call in with.
        if let (Seen::Ours { is_connected, .. }, Some(agent), false) = (&seen, missing, client.is_stopped()) {
            missing = None;
            if bring(client, node, *is_connected, agent)? {
                events(Event::Brought(name.clone()));
                proof = Proof::Wanted;
                seen = client.observe(std::slice::from_ref(name))?.remove(name).unwrap_or(Seen::Absent);
                continue;
            }
        }
        let next = next(node, &seen, proof)?;
        if client.is_stopped() && !may_finish(&next, proof) {
            return Ok(Ending::Stopped(Left::of(registration, &seen), None));
        }
        match next {
            Next::Create => {
                events(Event::Creating(name.clone()));
                client.create(node)?;
            }
            Next::Update(stage, changes) => {
                events(Event::Updating(name.clone(), stage, changes));
                client.update(node, stage)?;
            }
            Next::Connect => {
                events(Event::Connecting(name.clone()));
                client.wait_online(name)?;
            }
            Next::Smoke => {
                events(Event::Smoking(name.clone()));
                let done = client.smoke(node, smoke)?;
                events(Event::Smoked { name: name.clone(), is_green: done.is_green() });
                proof = if done.is_green() { Proof::Green } else { Proof::Red };
                report = Some(done);
            }
            // Left over from a run that was cut: only we may take it off.
            Next::Held(hold) if hold.is_ours() => drop(client.undrain(name)?),
            Next::Held(hold) => return Ok(Ending::Held(hold)),
            Next::Settled(stage) => {
                return Ok(match (stage, report) {
                    (Stage::Labelled, None) => Ending::Unchanged,
                    (Stage::Labelled, Some(report)) => Ending::Labelled(report),
                    (Stage::Quarantined, Some(report)) => Ending::Red(report),
                    (Stage::Quarantined, None) => Ending::Failed(JenkinsError::Vanished(name.clone())),
                });
            }
        }
        seen = client.observe(std::slice::from_ref(name))?.remove(name).unwrap_or(Seen::Absent);
    }
    Err(JenkinsError::Refused {
        action: format!("register node `{name}`"),
        reason: "it does not settle; somebody else changes it".to_owned(),
    })
}

/// Brings the agent to its node. What runs there now is let out first, in quarantine: a run that is cut here is gone on with by the next.
fn bring(client: &Client, node: &Node, is_connected: bool, agent: &dyn Bring) -> Result<bool, JenkinsError> {
    let secret = client.agent_secret(&node.name)?;
    let mut was_stopped = false;
    let mut before = || {
        if !is_connected {
            return Ok(());
        }
        let made_way = client.update(node, Stage::Quarantined).and_then(|()| client.drain(&node.name, "its agent is changed"));
        was_stopped = matches!(made_way, Err(JenkinsError::Stopped { .. }));
        made_way
    };
    let brought = agent.bring(&secret, &mut before);
    let brought = brought.map_err(|source| match was_stopped {
        true => JenkinsError::Stopped { action: format!("make way for another agent of node `{}`", node.name), left: None },
        false => JenkinsError::Agent { name: node.name.clone(), source },
    });
    if is_connected {
        // Our own mark alone is taken off, also after a failure.
        client.undrain(&node.name)?;
    }
    brought
}
