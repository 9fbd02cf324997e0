//! The way of a run's nodes to their labels: listed once, quarantined, connected, smoked, labelled; nothing written when nothing is to do.

use super::client::Client;
use super::error::JenkinsError;
use super::event::{Event, Verdict};
use super::smoke::SmokeReport;
use ostler_roles::executor::Smoke;
use ostler_roles::master::jenkins::{Change, Hold, Name, Next, Node, Proof, Seen, Stage, next};
use ostler_roles::words::Secret;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

/// How many nodes are on their way at once: waits overlap, and the master is not flooded.
const LANES: usize = 8;
/// How often a smoke job is tried again that something else than the node cut off.
const CUT_OFF: usize = 1;
/// More steps than a node can need: made, connected, smoked, labelled, with a relaunch and a lost answer in between.
const STEPS: usize = 16;

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

/// How it ended for one node.
#[derive(Debug)]
#[must_use]
pub enum Ending {
    /// It had its labels, nothing on the node changed, and nothing was written.
    Unchanged,
    /// The same; its agent was let go by its retention strategy, and is launched when a job wants it.
    Resting,
    /// The same; somebody marked it offline, and it takes no jobs.
    Away(Hold),
    /// It passed the smoke job and has its labels.
    Labelled(SmokeReport),
    /// It failed the smoke job and has no labels.
    Red(SmokeReport),
    /// Its smoke job showed nothing; it has no labels.
    Unproved(SmokeReport),
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
        matches!(self, Self::Unchanged | Self::Resting | Self::Away(_) | Self::Labelled(_))
    }
}

impl std::fmt::Display for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unchanged => f.write_str("registered, as before"),
            Self::Resting => f.write_str("registered, as before; its agent rests until a job wants it"),
            Self::Away(hold) => write!(f, "registered, as before, but it takes no jobs: {hold}"),
            Self::Labelled(_) => f.write_str("registered: the smoke job passed"),
            Self::Red(report) | Self::Unproved(report) => write!(f, "not registered: smoke job: {}", report.outcome),
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
    let (sender, sent) = mpsc::sync_channel(LANES);
    client.listen(Some(sender));
    std::thread::scope(|scope| {
        let work = scope.spawn(|| {
            // Whoever follows the events waits until nobody can send any.
            let _silence = Silence(client);
            all(client, registrations)
        });
        sent.iter().for_each(events);
        work.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Ends the events of a client when it goes.
struct Silence<'a>(&'a Client);

impl Drop for Silence<'_> {
    fn drop(&mut self) {
        self.0.listen(None);
    }
}

/// Lists the nodes, and takes each its way.
fn all(client: &Client, registrations: &[Registration]) -> Result<Vec<(Name, Ending)>, JenkinsError> {
    let names: Vec<Name> = registrations.iter().map(|registration| registration.node.name.clone()).collect();
    let listed = Mutex::new(client.survey(&names)?);
    let next_in_line = AtomicUsize::new(0);
    let endings: Mutex<Vec<(usize, Ending)>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..LANES.min(registrations.len()) {
            let (listed, next_in_line, endings) = (&listed, &next_in_line, &endings);
            scope.spawn(move || {
                while let Some((at, registration)) = take(next_in_line, registrations) {
                    let seen = listed.lock().unwrap_or_else(PoisonError::into_inner).remove(&registration.node.name);
                    let went = seen.unwrap_or(Ok(Seen::Absent)).and_then(|seen| Course::new(client, registration).run(seen));
                    let ending = went.unwrap_or_else(|error| match error {
                        JenkinsError::Stopped { left: also, .. } => Ending::Stopped(left(client, registration), also),
                        other => Ending::Failed(other),
                    });
                    endings.lock().unwrap_or_else(PoisonError::into_inner).push((at, ending));
                }
            });
        }
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

/// One node on its way.
struct Course<'a> {
    client: &'a Client,
    node: &'a Node,
    registration: &'a Registration,
    proof: Proof,
    report: Option<SmokeReport>,
    /// What has not been brought yet.
    missing: Option<&'a dyn Bring>,
    /// Its agent may have come online a moment ago.
    is_fresh: bool,
    /// Smoke jobs that were cut off.
    cut_off: usize,
}

impl<'a> Course<'a> {
    fn new(client: &'a Client, registration: &'a Registration) -> Self {
        let Registration { node, proof, agent, .. } = registration;
        let missing = agent.as_deref();
        Self { client, node, registration, proof: *proof, report: None, missing, is_fresh: false, cut_off: 0 }
    }

    fn run(mut self, mut seen: Seen) -> Result<Ending, JenkinsError> {
        for _ in 0..STEPS {
            if !self.bring(&seen)? {
                let next = next(self.node, &seen, self.proof)?;
                if self.client.is_stopped() && !may_finish(&next, self.proof) {
                    return Ok(Ending::Stopped(Left::of(self.registration, &seen), None));
                }
                if let Some(ending) = self.step(next, &seen)? {
                    return Ok(ending);
                }
            }
            let name = &self.node.name;
            seen = self.client.observe(std::slice::from_ref(name))?.remove(name).unwrap_or(Seen::Absent);
        }
        Err(JenkinsError::Refused {
            action: format!("register node `{}`", self.node.name),
            reason: "it does not settle; somebody else changes it".to_owned(),
        })
    }

    /// Only a node that is there has a secret to call in with.
    fn bring(&mut self, seen: &Seen) -> Result<bool, JenkinsError> {
        let (Seen::Ours { is_connected, .. }, Some(agent), false) = (seen, self.missing, self.client.is_stopped()) else {
            return Ok(false);
        };
        self.missing = None;
        let is_brought = bring(self.client, self.node, *is_connected, agent)?;
        if is_brought {
            self.client.send(Event::Brought(self.node.name.clone()));
            (self.proof, self.is_fresh) = (Proof::Wanted, true);
        }
        Ok(is_brought)
    }

    fn step(&mut self, next: Next, seen: &Seen) -> Result<Option<Ending>, JenkinsError> {
        let (client, name) = (self.client, &self.node.name);
        match next {
            Next::Create => {
                client.send(Event::Creating(name.clone()));
                self.is_fresh = true;
                client.create(self.node)?;
            }
            Next::Update(stage, changes) => {
                self.is_fresh |= changes.iter().any(Change::needs_launch);
                client.send(Event::Updating(name.clone(), stage, changes));
                client.update(self.node, stage)?;
            }
            Next::Connect => {
                client.send(Event::Connecting(name.clone()));
                client.wait_online(name)?;
                self.is_fresh = false;
            }
            Next::Smoke => return self.smoke(),
            // Left over from a run that was cut: only we may take it off.
            Next::Held(hold) if hold.is_ours() => drop(client.undrain(name)?),
            Next::Held(hold) => return Ok(Some(Ending::Held(hold))),
            Next::Settled(stage) => {
                let ending = self.settled(stage, seen);
                if matches!(ending, Ending::Away(_) | Ending::Resting) {
                    client.send(Event::Note(name.clone(), ending.to_string()));
                }
                return Ok(Some(ending));
            }
        }
        Ok(None)
    }

    fn smoke(&mut self) -> Result<Option<Ending>, JenkinsError> {
        let (client, name) = (self.client, &self.node.name);
        if std::mem::take(&mut self.is_fresh) {
            client.wait_online(name)?;
        }
        let done = client.smoke(self.node, &self.registration.smoke)?;
        let verdict = done.outcome.verdict();
        client.send(Event::Smoked { name: name.clone(), verdict: verdict.clone() });
        if let Some(left) = &done.left {
            client.send(Event::Note(name.clone(), left.clone()));
        }
        self.proof = match verdict {
            Verdict::Green => Proof::Green,
            Verdict::Red => Proof::Red,
            Verdict::Unknown(_) if done.outcome.is_worth_another() && self.cut_off < CUT_OFF => {
                self.cut_off += 1;
                self.is_fresh = true;
                return Ok(None);
            }
            Verdict::Unknown(_) => return Ok(Some(Ending::Unproved(done))),
        };
        self.report = Some(done);
        Ok(None)
    }

    fn settled(&mut self, stage: Stage, seen: &Seen) -> Ending {
        match (stage, self.report.take(), seen) {
            (Stage::Labelled, None, Seen::Ours { hold: Some(hold), .. }) => Ending::Away(hold.clone()),
            (Stage::Labelled, None, Seen::Ours { is_resting: true, .. }) => Ending::Resting,
            (Stage::Labelled, None, _) => Ending::Unchanged,
            (Stage::Labelled, Some(report), _) => Ending::Labelled(report),
            (Stage::Quarantined, Some(report), _) => Ending::Red(report),
            (Stage::Quarantined, None, _) => Ending::Failed(JenkinsError::Vanished(self.node.name.clone())),
        }
    }
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
