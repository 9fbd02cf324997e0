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
    /// It went no further.
    Failed(JenkinsError),
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
                    let ending = one(client, registration, seen, &mut tell).unwrap_or_else(Ending::Failed);
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

fn one(client: &Client, registration: &Registration, mut seen: Seen, events: &mut dyn FnMut(Event)) -> Result<Ending, JenkinsError> {
    let Registration { node, smoke, proof, agent } = registration;
    let name = &node.name;
    let mut proof = *proof;
    let mut report: Option<SmokeReport> = None;
    let mut missing = agent.as_deref();
    for _ in 0..STEPS {
        // Only a node that is there has a secret to call in with.
        if let (Seen::Ours { is_connected, .. }, Some(agent)) = (&seen, missing) {
            missing = None;
            if bring(client, node, *is_connected, agent)? {
                events(Event::Brought(name.clone()));
                proof = Proof::Wanted;
                seen = client.observe(std::slice::from_ref(name))?.remove(name).unwrap_or(Seen::Absent);
                continue;
            }
        }
        match next(node, &seen, proof)? {
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
    let mut before = || {
        if !is_connected {
            return Ok(());
        }
        client.update(node, Stage::Quarantined)?;
        client.drain(&node.name, "its agent is changed")
    };
    let brought = agent.bring(&secret, &mut before).map_err(|source| JenkinsError::Agent { name: node.name.clone(), source });
    if is_connected {
        // Our own mark alone is taken off, also after a failure.
        client.undrain(&node.name)?;
    }
    brought
}
