//! A small catalog more for a node of this run, over its open session: ask, go, follow.

use crate::fleet::{
    Connection, FleetEvent, Follower, Masked, MeetError, OpenedSecrets, Preparation, Start, Trouble, TroubleKind, leave, new_run,
    secrets_of,
};
use crate::masters::Cancellation;
use crate::session::{Answer, Content, Go, PlanOf, SessionError};
use ostler_roles::catalog::{Catalog, Requirement, Step};
use ostler_roles::challenge::Place;
use ostler_roles::check::Verdict;
use ostler_roles::ledger::{Ledger, Proved, Subject};
use ostler_roles::outcome::{Ending, Event, Failure};
use ostler_roles::plan::Plan;
use ostler_roles::wire::message::{ActiveRun, Hidden, Refusal};
use ostler_roles::words::{AccountName, Digest, NodeName};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How many lines of a program that failed are quoted.
const LAST: usize = 4;
/// How long another run may have the node: an apply of a master's machine, or of its workers one after the other.
const BUSY_WITHIN: Duration = Duration::from_secs(300);
/// The pause before a node is asked again that another run has; it doubles.
const PAUSE: Duration = Duration::from_millis(100);
/// The longest of them.
const PAUSE_AT_MOST: Duration = Duration::from_secs(1);

/// What is to be so on the node, with what it refers to.
#[derive(Default)]
pub struct Patch {
    /// In order.
    pub steps: Vec<Step>,
    /// Public contents.
    pub contents: BTreeMap<Digest, Vec<u8>>,
    /// Values of secrets, by their HMAC.
    pub secrets: OpenedSecrets,
    /// What is only asked.
    pub verify: Vec<Requirement>,
}

/// One node's connection, for as many patches as come.
pub struct NodeJob {
    /// Which node.
    pub node: NodeName,
    /// The way there.
    pub preparation: Preparation,
    /// None: not met yet, or lost.
    pub connection: Option<Connection>,
    /// The nonces that are on the node for as long as that lasts.
    pub nonces: BTreeSet<Place>,
    /// What no output of a run of its catalog may show, this one's neither.
    pub masked: Option<Masked>,
    /// The generation at which this run has left the node; none: it has not come so far.
    pub generation: Option<u64>,
    /// Who asks.
    pub controller: String,
    /// Ends every wait.
    pub stop: Cancellation,
    /// Where the conversation goes on while its caller is blocked.
    pub runtime: tokio::runtime::Handle,
}

impl std::fmt::Debug for NodeJob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NodeJob").field("node", &self.node).finish_non_exhaustive()
    }
}

/// Why a patch is not in place.
#[derive(Debug, thiserror::Error)]
pub enum NodeJobError {
    /// The conversation.
    #[error("talk to {0}")]
    Session(NodeName, #[source] SessionError),
    /// The way there.
    #[error("reach {0}")]
    Meet(NodeName, #[source] MeetError),
    /// The node cannot become so.
    #[error("{0} does not allow it: {1}")]
    Refused(NodeName, String),
    /// Another run has it, or had it since the plan was made.
    #[error("change {0}: {1}")]
    Busy(NodeName, String),
    /// It has not come through, or that is not known.
    #[error("the run on {0} did not come through: {1}")]
    Failed(NodeName, String),
    /// This step has failed.
    #[error("the run on {0} did not come through: {1}")]
    StepFailed(NodeName, String),
    /// What had to be done first.
    #[error("make {0} ready for it")]
    Before(NodeName, #[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The run that has a node and lets its executors in, and on what its labels rest.
pub type Seen = (Option<ActiveRun>, Ledger);

/// What must be done before anything is changed.
pub type Before<'a> = &'a mut dyn FnMut() -> Result<(), Box<dyn std::error::Error + Send + Sync>>;

impl NodeJob {
    /// Makes it so and returns how many steps changed, by whomever; `before` is called once, and only when something is to change. Blocks.
    ///
    /// # Errors
    /// [`NodeJobError`].
    pub fn run(&mut self, patch: &Patch, before: Before<'_>) -> Result<u32, NodeJobError> {
        let runtime = self.runtime.clone();
        let (began, mut pause, mut is_ready) = (Instant::now(), PAUSE, false);
        loop {
            let Some((catalog, plan)) = runtime.block_on(self.plan(patch))? else {
                // Who had the node meanwhile has done it: it is not as it was met.
                return Ok(u32::from(is_ready));
            };
            if !is_ready {
                before().map_err(|source| NodeJobError::Before(self.node.clone(), source))?;
                is_ready = true;
            }
            match runtime.block_on(self.go(patch, &catalog, &plan)) {
                // Others have the node for a moment, as this job has: whoever waits here has no other node.
                Err(NodeJobError::Busy(_, why)) if began.elapsed() < BUSY_WITHIN && !self.stop.is_asked() => {
                    self.give_way(&mut pause, &why);
                }
                done => return done,
            }
        }
    }

    /// Lets another run have the node for a moment.
    fn give_way(&self, pause: &mut Duration, why: &dyn std::fmt::Display) {
        if *pause == PAUSE {
            self.note(format!("waits for another run: {why}; at most {} s", BUSY_WITHIN.as_secs()));
        }
        std::thread::sleep(*pause);
        *pause = (*pause * 2).min(PAUSE_AT_MOST);
    }

    /// The run that has the node now and lets its executors in, and on what its labels rest: told on another connection, as the one before says
    /// how it was then. That one goes on where nonces are there, for as long as the conversation that brought them. Blocks.
    ///
    /// # Errors
    /// When the node cannot be reached.
    pub fn look(&mut self) -> Result<Seen, NodeJobError> {
        let runtime = self.runtime.clone();
        runtime.block_on(self.seen())
    }

    /// The same, as far as it is said before the run is to stop. Blocks.
    pub fn look_in_run(&mut self) -> Option<Seen> {
        self.unless_stopped(async |job| job.seen().await)?.ok()
    }

    async fn seen(&mut self) -> Result<Seen, NodeJobError> {
        // One line for each node is what open files are counted for.
        if self.connection.is_none() {
            // They went with their conversation.
            self.nonces.clear();
        }
        if self.nonces.is_empty() {
            leave(self.connection.take()).await;
        }
        let connection = self.meet().await?;
        let hello = &connection.session.hello;
        let seen = (hello.run.clone().filter(|run| run.alive && run.owes), hello.ledger.clone());
        if self.connection.is_some() {
            leave([connection]).await;
        } else {
            self.connection = Some(connection);
        }
        Ok(seen)
    }

    /// Whether all of these hold on the node now, as far as it says before the run is to stop. Blocks.
    pub fn holds(&mut self, verify: Vec<Requirement>) -> bool {
        let (wanted, patch) = (verify.len(), Patch { verify, ..Patch::default() });
        match self.unless_stopped(async |job| job.ask_surely(&patch).await) {
            Some(Ok((_, Answer::Planned(plan)))) => plan.verify.len() == wanted && plan.verify.iter().all(Verdict::passed),
            Some(Ok((_, Answer::Stale(_))) | Err(_)) => false,
            None => {
                // What it may say late is no answer to anything else.
                self.connection = None;
                false
            }
        }
    }

    /// What comes of this; none: the run is to stop. Blocks.
    fn unless_stopped<T>(&mut self, work: impl AsyncFnOnce(&mut Self) -> T) -> Option<T> {
        let (runtime, stop) = (self.runtime.clone(), self.stop.clone());
        runtime.block_on(async {
            tokio::select! {
                biased;
                () = stop.wished() => None,
                done = work(self) => Some(done),
            }
        })
    }

    /// Keeps on the node that this was proved of it, as this run has left it. Blocks.
    ///
    /// # Errors
    /// When it is not kept there, in the node's own words or those of the way to it.
    pub fn prove(&mut self, subject: &Subject) -> Result<(), NodeJobError> {
        let runtime = self.runtime.clone();
        let left = || NodeJobError::Failed(self.node.clone(), "this run has not come to its end there".to_owned());
        let proved = Proved { subject: subject.clone(), generation: self.generation.ok_or_else(left)? };
        let (began, mut pause) = (Instant::now(), PAUSE);
        loop {
            let done = runtime.block_on(async {
                let kept = self.connection.is_some();
                match self.try_prove(&proved).await {
                    // The connection may have died of the time that the smoke job took.
                    Err(NodeJobError::Session(_, error)) if kept && error.is_lost() => self.try_prove(&proved).await,
                    done => done,
                }
            });
            match done {
                // What owes nothing changes nothing that was proved.
                Err(NodeJobError::Session(_, SessionError::Refused(refusal)))
                    if is_for_a_moment(&refusal) && began.elapsed() < BUSY_WITHIN && !self.stop.is_asked() =>
                {
                    self.give_way(&mut pause, &refusal);
                }
                done => return done,
            }
        }
    }

    async fn try_prove(&mut self, proved: &Proved) -> Result<(), NodeJobError> {
        let done = self.connected().await?.session.prove(proved.clone()).await;
        self.answered(done)
    }

    /// A connection that has lost an answer may still give it, to the next question: it is not used again.
    fn answered<T>(&mut self, done: Result<T, SessionError>) -> Result<T, NodeJobError> {
        done.map_err(|error| {
            if error.is_lost() {
                self.connection = None;
                self.nonces.clear();
            }
            NodeJobError::Session(self.node.clone(), error)
        })
    }

    /// Gives the node a nonce over its connection for this account, or takes it away. Whatever was given over a connection that is lost has gone
    /// with it. Blocks.
    ///
    /// # Errors
    /// When the node cannot be reached, or refuses.
    pub fn challenge(&mut self, place: Place, account: &AccountName, nonce: Option<Hidden>) -> Result<bool, NodeJobError> {
        let runtime = self.runtime.clone();
        runtime.block_on(async {
            let kept = self.connection.is_some();
            match self.try_challenge(place, account, nonce.clone()).await {
                Err(NodeJobError::Session(_, error)) if kept && error.is_lost() => self.try_challenge(place, account, nonce).await,
                done => done,
            }
        })
    }

    async fn try_challenge(&mut self, place: Place, account: &AccountName, nonce: Option<Hidden>) -> Result<bool, NodeJobError> {
        let is_given = nonce.is_some();
        let done = self.connected().await?.session.challenge(place, account.clone(), nonce).await;
        let answer = self.answered(done)?;
        if is_given {
            self.nonces.insert(place)
        } else {
            self.nonces.remove(&place)
        };
        Ok(answer)
    }

    /// Tells people of the node.
    fn note(&self, text: String) {
        let event = FleetEvent::Run { seq: 0, event: Box::new(Event::Note { index: None, text }) };
        self.preparation.events.send(&self.node, event);
    }

    /// The plan; none when nothing is to change. Facts that this very run has changed are taken as they are now, once.
    async fn plan(&mut self, patch: &Patch) -> Result<Option<(Catalog, Plan)>, NodeJobError> {
        let node = self.node.clone();
        let (catalog, answer) = self.ask_surely(patch).await?;
        let plan = match answer {
            Answer::Planned(plan) => *plan,
            Answer::Stale(_) => return Err(NodeJobError::Refused(node, "its facts change all the time".to_owned())),
        };
        if !plan.may_go() {
            return Err(NodeJobError::Refused(node, crate::report::impossible(&plan)));
        }
        Ok((!plan.is_empty()).then_some((catalog, plan)))
    }

    /// The connection, made where there is none.
    async fn connected(&mut self) -> Result<&mut Connection, NodeJobError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.meet().await?,
        };
        Ok(self.connection.insert(connection))
    }

    async fn meet(&self) -> Result<Connection, NodeJobError> {
        let met = self.preparation.meet(&self.node, async { Vec::new() }).await;
        met.map_err(|error| NodeJobError::Meet(self.node.clone(), error))
    }

    async fn ask_surely(&mut self, patch: &Patch) -> Result<(Catalog, Answer), NodeJobError> {
        let kept = self.connection.is_some();
        match self.ask(patch).await {
            // The connection may have lain idle for as long as a smoke job took. Nothing was begun: another one does as well.
            Err(NodeJobError::Session(_, error)) if kept && error.is_lost() => self.ask(patch).await,
            asked => asked,
        }
    }

    async fn ask(&mut self, patch: &Patch) -> Result<(Catalog, Answer), NodeJobError> {
        let (node, key) = (self.node.clone(), self.preparation.compile.secret_key());
        let session = &mut self.connected().await?.session;
        let (steps, verify, facts) = (patch.steps.clone(), patch.verify.clone(), session.hello.facts.digest());
        let mut catalog = Catalog { node, facts, require: Vec::new(), steps, verify };
        let asked = async {
            session.ask(&catalog, PlanOf::PART, &key).await?;
            let mut answer = session.answer().await?;
            if let Answer::Stale(facts) = answer {
                catalog.facts = facts.digest();
                session.hello.facts = *facts;
                session.ask(&catalog, PlanOf::PART, &key).await?;
                answer = session.answer().await?;
            }
            Ok((catalog, answer))
        };
        let asked = asked.await;
        self.answered(asked)
    }

    /// What the node's output may not show; where it is no part of this run, by the facts that it told last.
    async fn masked(&self) -> Masked {
        if let Some(masked) = &self.masked {
            return masked.clone();
        }
        let (compile, node) = (Arc::clone(&self.preparation.compile), self.node.clone());
        let compiled = move || compile.last_facts(&node).and_then(|facts| compile.compile(&node, &facts).ok());
        match tokio::task::spawn_blocking(compiled).await {
            Ok(prepared) => prepared.map(|prepared| prepared.masked).unwrap_or_default(),
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    async fn go(&mut self, patch: &Patch, catalog: &Catalog, plan: &Plan) -> Result<u32, NodeJobError> {
        let node = self.node.clone();
        self.connected().await?;
        let Some(connection) = self.connection.take() else { return Err(NodeJobError::Failed(node, "its connection was lost".to_owned())) };
        let contents = patch.contents.clone();
        let blob = move |digest: &Digest| contents.get(digest).cloned().map(Content::from);
        let secrets = secrets_of(catalog, plan, &patch.secrets);
        let own = self.masked().await;
        let masked = own.iter().chain(patch.secrets.values()).map(|value| Hidden(value.expose().clone())).collect();
        // A job is short, and may take off labels that are no longer earned: it is not stopped before it begins, nor between two steps.
        let mut never = watch::channel(false).1;
        let (controller, stop) = (self.controller.as_str(), never.clone());
        let go = Go { plan, secrets, masked, controller, owes: false, blob: &blob, stop };
        let mut state = crate::report::NodeState::default();
        let mut follower = Follower::new(&self.preparation, &self.node, new_run(), connection);
        let followed = async {
            let Start::Begun = follower.go(&go, catalog).await? else { return Ok(()) };
            while let Some((_, event)) = follower.next(&mut never).await? {
                state.take(&event);
            }
            Ok(())
        };
        let followed: Result<(), Trouble> = followed.await;
        self.connection = follower.into_connection();
        followed.map_err(|trouble| {
            let why = trouble.chain.join(": ");
            match trouble.kind {
                TroubleKind::Locked | TroubleKind::Moved => NodeJobError::Busy(node.clone(), why),
                TroubleKind::Unreachable | TroubleKind::Site | TroubleKind::Busy | TroubleKind::Failed => {
                    NodeJobError::Failed(node.clone(), why)
                }
            }
        })?;
        match state.ending {
            Some(Ending::Good { changed, .. }) => Ok(changed),
            Some(Ending::Failed | Ending::Cancelled) | None => Err(match state.failures.first() {
                Some((_, step, failure)) => NodeJobError::StepFailed(node, format!("{step}: {}", said(failure))),
                None => NodeJobError::Failed(node, "no reason was told".to_owned()),
            }),
        }
    }
}

/// Whether it is a run that owes nothing, or one that is not on record yet, which has the node.
fn is_for_a_moment(refusal: &Refusal) -> bool {
    match refusal {
        Refusal::Locked(run) => !run.owes,
        other => *other == Refusal::Starting,
    }
}

/// What failed, and what the program said that failed.
fn said(failure: &Failure) -> String {
    let tail = failure.command.as_ref().map(|command| command.tail.as_slice()).unwrap_or_default();
    let last = tail.split_at(tail.len().saturating_sub(LAST)).1;
    std::iter::once(&failure.message).chain(last).cloned().collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests;
