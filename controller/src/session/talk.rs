//! What is asked of an agent that has said hello: a plan, a run, the story of a run.

use super::channel::Wait;
use super::contents::permit;
use super::{Channel, Content, Greeting, SessionError};
use crate::transport::{Ended, Exec, Exit, Tail};
use ostler_roles::catalog::Catalog;
use ostler_roles::challenge::Place;
use ostler_roles::facts::Facts;
use ostler_roles::ledger::Proved;
use ostler_roles::mask::is_long_enough;
use ostler_roles::outcome::Event;
use ostler_roles::plan::Plan;
use ostler_roles::wire::message::{BlobData, Hello, Hidden, Refusal, SecretData, ToAgent, ToController};
use ostler_roles::words::{AccountName, Digest, RunId};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::sync::watch;

/// How long a plan may take: a thousand resources, `unless` probes and network checks included.
const PLAN_WITHIN: Duration = Duration::from_secs(300);
/// How long a run may stay silent: the agent says `Alive` far more often.
const SILENCE: Duration = Duration::from_secs(120);
/// How long the word that a run is shown may take: the agent waits up to 30 s for a `Go` that is under way and 10 s for its runner.
const ATTACH_WITHIN: Duration = Duration::from_secs(60);
/// How long a goodbye may take.
const BYE_WITHIN: Duration = Duration::from_secs(5);
/// Parts of a blob: as large as the connection has any use for, and small beside what a node's connection holds anyway.
const PART: usize = 256 * 1024;

/// The answer to a catalog.
#[derive(Debug)]
pub enum Answer {
    /// What would be done.
    Planned(Box<Plan>),
    /// The catalog was compiled from other facts: these are the present ones.
    Stale(Box<Facts>),
}

/// What a run is begun with.
pub struct Go<'a> {
    /// The plan that was shown.
    pub plan: &'a Plan,
    /// Values of the secrets that changing steps need.
    pub secrets: Vec<SecretData>,
    /// What no output of the run may show.
    pub masked: Vec<Hidden>,
    /// Who asks: `user@host`.
    pub controller: &'a str,
    /// Whether what is changed has to be proved before the node may have its labels.
    pub owes: bool,
    /// Gives public contents.
    pub blob: &'a (dyn Fn(&Digest) -> Option<Content> + Send + Sync),
    /// Becomes true when nothing new is to be begun: a run that still waits to be let go then never is.
    pub stop: watch::Receiver<bool>,
}

impl std::fmt::Debug for Go<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Go").field("plan", &self.plan).finish_non_exhaustive()
    }
}

/// An open conversation with an agent that has said hello.
#[derive(Debug)]
pub struct Session {
    channel: Channel,
    /// Contents that the plan needs and the node lacks: sent with `Go`.
    needed: Vec<Digest>,
    /// Digest of the plan that came last, as the node made it: what is told of it is masked.
    planned: Option<Digest>,
    /// Whether a run was asked to stop.
    cancelled: bool,
    /// What it said of itself and its node.
    pub hello: Hello,
    /// Whether the agent had to be placed.
    pub placed: bool,
    /// Sudo's password, where the node was told it: a step may come upon it, and its run must not show it.
    password: Option<Hidden>,
}

/// What a plan is wanted of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PlanOf {
    /// The catalog is a part of what the node shall be.
    pub part: bool,
    /// The present content of files that would change.
    pub want_old: bool,
}

impl PlanOf {
    /// Of steps that are not all of a node.
    pub const PART: Self = Self { part: true, want_old: false };
}

/// The catalog's message: asks for a plan.
pub fn ask_plan(catalog: &Catalog, PlanOf { part, want_old }: PlanOf, secret_key: &[u8]) -> ToAgent {
    ToAgent::Catalog { catalog: Box::new(catalog.clone()), base: None, part, want_old, secret_key: Hidden(secret_key.to_vec()) }
}

impl Session {
    /// Goes on from a greeting.
    pub fn new(greeting: Greeting) -> Self {
        Self {
            channel: greeting.channel,
            needed: Vec::new(),
            planned: None,
            cancelled: false,
            hello: greeting.hello,
            placed: greeting.placed,
            password: greeting.password,
        }
    }

    /// What a noisy shell printed before the protocol began.
    pub fn noise(&self) -> &[u8] {
        self.channel.noise()
    }

    /// Sends a catalog; its answer is fetched by [`Session::answer`].
    ///
    /// # Errors
    /// When it cannot be sent.
    pub async fn ask(&mut self, catalog: &Catalog, plan_of: PlanOf, secret_key: &[u8]) -> Result<(), SessionError> {
        self.channel.send(&[ask_plan(catalog, plan_of, secret_key)]).await
    }

    /// The answer to the catalog sent last.
    ///
    /// # Errors
    /// When the agent gives up or the stream ends.
    pub async fn answer(&mut self) -> Result<Answer, SessionError> {
        self.needed.clear();
        match self.receive("the plan", PLAN_WITHIN).await? {
            ToController::NeedBlobs(digests) => {
                // Each once, however often it was named.
                self.needed = digests.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
                planned(self.receive("the plan", PLAN_WITHIN).await?)
            }
            other => planned(other),
        }
    }

    /// Starts the run that was planned, under this id. Returns once the node's runner has it: from then on it outlives us.
    ///
    /// # Errors
    /// When the agent refuses (nothing was changed) or the stream ends (nothing is known: attach tells). [`SessionError::Stopped`]: it was not
    /// told to go, and may have half a content: this conversation is of no more use.
    pub async fn go(&mut self, run: &RunId, go: &Go<'_>) -> Result<(), SessionError> {
        let Go { plan, secrets, masked, controller, owes, blob, stop } = go;
        if !self.needed.is_empty() {
            let mut stop = stop.clone();
            tokio::select! {
                biased;
                () = asked(&mut stop) => return Err(SessionError::Stopped),
                sent = self.send_blobs(*blob) => sent?,
            }
        }
        let (run, generation, controller, owes) = (run.clone(), plan.generation, (*controller).to_owned(), *owes);
        let (secrets, mut masked) = (secrets.clone(), masked.clone());
        masked.extend(self.password.clone().filter(|password| is_long_enough(&password.0)));
        let plan = self.shown(plan);
        let go = ToAgent::Go { run, plan, generation, secrets, masked, controller, owes };
        self.channel.send(&[go]).await?;
        match self.receive("the start of the run", Duration::from_secs(60)).await? {
            ToController::Going { .. } => Ok(()),
            other => Err(unexpected("the start of a run", other)),
        }
    }

    /// Digest of the plan that was shown as this one, as the node made it.
    pub fn shown(&self, plan: &Plan) -> Digest {
        self.planned.unwrap_or_else(|| plan.digest())
    }

    /// Whether the connection is lost: nothing that is said now is heard.
    pub fn is_over(&self) -> bool {
        self.channel.is_over()
    }

    /// Asks for the events of a run behind the first `after`, of the active or last one where none is named. Returns which it is.
    ///
    /// # Errors
    /// When the node knows no such run, or the stream ends.
    pub async fn attach(&mut self, run: Option<RunId>, after: u64) -> Result<RunId, SessionError> {
        self.channel.send(&[ToAgent::Attach { run, after }]).await?;
        match self.receive("the run's story", ATTACH_WITHIN).await? {
            ToController::Going { run } => Ok(run),
            other => Err(unexpected("a run's story", other)),
        }
    }

    /// Has the node keep what was proved on it.
    ///
    /// # Errors
    /// When the agent refuses, as it does where the node was changed since, or the stream ends.
    pub async fn prove(&mut self, proved: Proved) -> Result<(), SessionError> {
        self.channel.send(&[ToAgent::Prove(proved)]).await?;
        match self.receive("the word that the proof is kept", Duration::from_secs(30)).await? {
            ToController::Proved => Ok(()),
            other => Err(unexpected("the word that the proof is kept", other)),
        }
    }

    /// Gives the node a nonce that this account may read, or takes it away. False: it was not there any more.
    ///
    /// # Errors
    /// When the agent refuses, or the stream ends.
    pub async fn challenge(&mut self, place: Place, account: AccountName, nonce: Option<Hidden>) -> Result<bool, SessionError> {
        self.channel.send(&[ToAgent::Challenge { place, account, nonce }]).await?;
        match self.receive("the word of a nonce", Duration::from_secs(30)).await? {
            ToController::Challenge(stayed) => Ok(stayed),
            other => Err(unexpected("the word of a nonce", other)),
        }
    }

    /// Asks the run to stop between two steps.
    ///
    /// # Errors
    /// When it cannot be sent.
    pub async fn cancel(&mut self, run: RunId) -> Result<(), SessionError> {
        self.cancelled = true;
        self.channel.send(&[ToAgent::Cancel { run }]).await
    }

    /// Waits for the word that the run will stop.
    ///
    /// # Errors
    /// When the agent refuses or the stream ends.
    pub async fn cancelling(&mut self) -> Result<(), SessionError> {
        match self.receive("the word that the run will stop", Duration::from_secs(30)).await? {
            ToController::Cancelling { .. } => Ok(()),
            other => Err(unexpected("the word that the run will stop", other)),
        }
    }

    /// The next event of the run with its number; none: the run has ended and all was told.
    ///
    /// # Errors
    /// When the stream ends before the run does: the node goes on by itself.
    pub async fn event(&mut self) -> Result<Option<(u64, Event)>, SessionError> {
        let awaited = "the run's next event";
        loop {
            let Some(message) = self.channel.next(awaited, SILENCE).await? else { return Err(self.channel.lost(awaited).await) };
            match self.told(message) {
                ToController::Event { seq, event } => return Ok(Some((seq, *event))),
                ToController::Done { .. } => return Ok(None),
                ToController::Cut { run, .. } => return Err(SessionError::Cut(run)),
                ToController::Going { .. } | ToController::Cancelling { .. } => {}
                // The run ended before it heard that it should stop: its end comes yet.
                ToController::Refused(Refusal::NoRun(_)) if self.cancelled => {}
                other => return Err(unexpected("an event", other)),
            }
        }
    }

    /// Takes leave, within a deadline: the agent leaves at the end of its input all the same.
    pub async fn bye(mut self) {
        self.hang_up().await;
    }

    /// Takes leave, and keeps what the node has said of itself. Whoever asks on hears that the connection was lost.
    pub async fn hang_up(&mut self) {
        let ended = Box::pin(std::future::ready(Ended { exit: Exit::Cut("it was hung up".to_owned()), stderr: Tail::default() }));
        let nobody = Exec { stdin: Box::new(tokio::io::sink()), stdout: Box::new(tokio::io::empty()), ended };
        let mask = self.channel.mask.clone();
        let mut channel = std::mem::replace(&mut self.channel, Channel::new(nobody, mask));
        let leave = async {
            if channel.send(&[ToAgent::Bye]).await.is_ok() {
                channel.finish().await;
            }
        };
        let _ = tokio::time::timeout(BYE_WITHIN, leave).await;
    }

    /// The answer to a question, all told within the deadline.
    async fn receive(&mut self, awaited: &'static str, within: Duration) -> Result<ToController, SessionError> {
        match self.channel.answer(awaited, Wait::of(within)).await? {
            Some(message) => Ok(self.told(message)),
            None => Err(self.channel.lost(awaited).await),
        }
    }

    /// A message as it may be told.
    fn told(&mut self, mut message: ToController) -> ToController {
        if let ToController::Planned(plan) = &message {
            self.planned = Some(plan.digest());
        }
        self.channel.mask.hide_in(&mut message);
        message
    }

    async fn send_blobs(&mut self, blob: &(dyn Fn(&Digest) -> Option<Content> + Sync)) -> Result<(), SessionError> {
        let _permit = permit().await;
        for digest in std::mem::take(&mut self.needed) {
            let gone = || SessionError::UnknownBlob(digest.short());
            let content = blob(&digest).ok_or_else(gone)?;
            let (mut sent, mut more) = (0, true);
            while more {
                let bytes = content.part(sent, PART).map_err(|_| gone())?;
                sent += bytes.len() as u64;
                more = sent < content.length();
                self.channel.send(&[ToAgent::Blobs(vec![BlobData { digest, bytes, more }])]).await?;
            }
        }
        Ok(())
    }
}

/// Comes when it is true; never where nobody is left to say so.
pub async fn asked(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        std::future::pending().await
    }
}

fn planned(message: ToController) -> Result<Answer, SessionError> {
    match message {
        ToController::Planned(plan) => Ok(Answer::Planned(plan)),
        ToController::Stale { facts, .. } => Ok(Answer::Stale(facts)),
        other => Err(unexpected("a plan", other)),
    }
}

fn unexpected(awaited: &'static str, message: ToController) -> SessionError {
    match message {
        ToController::Refused(refusal) => SessionError::Refused(refusal),
        ToController::Fault(failure) => SessionError::Fault(Box::new(failure)),
        other => SessionError::out_of_turn(awaited, &other),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::hello;
    use super::*;
    use crate::mask::RunMask;
    use ostler_roles::wire::frame::{self, MAGIC};
    use tokio::io::{AsyncWriteExt, DuplexStream};

    /// A session, and the agent's end of it.
    fn session() -> (Session, DuplexStream) {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let (stdout, stdin) = tokio::io::split(ours);
        let ended = Box::pin(async { Ended { exit: Exit::Status(0), stderr: Tail::default() } });
        let channel = Channel::new(Exec { stdin: Box::new(stdin), stdout: Box::new(stdout), ended }, RunMask::default());
        (Session { channel, needed: Vec::new(), planned: None, cancelled: false, hello: hello(), placed: false, password: None }, theirs)
    }

    #[tokio::test]
    async fn contents_are_asked_for_once_for_a_plan_and_each_is_sent_once() {
        let (mut session, mut theirs) = session();
        let (one, two) = (Digest::of(b"one"), Digest::of(b"two"));
        let question = frame::encode(&ToController::NeedBlobs(vec![two, one, two])).unwrap();
        theirs.write_all(&[MAGIC, &question, &question].concat()).await.unwrap();
        // Whoever asked on and on would hold up all nodes that wait for this one's plan.
        let answer = tokio::time::timeout(Duration::from_secs(30), session.answer()).await;
        assert!(matches!(answer, Ok(Err(SessionError::OutOfTurn { awaited: "a plan", .. }))), "{answer:?}");
        assert_eq!(session.needed.iter().collect::<BTreeSet<_>>(), BTreeSet::from([&one, &two]));
        assert_eq!(session.needed.len(), 2);
    }

    #[tokio::test]
    async fn an_agent_that_only_beats_on_has_not_answered() {
        let (mut session, mut theirs) = session();
        let beating = async move {
            theirs.write_all(MAGIC).await.unwrap();
            let beat = frame::encode(&ToController::Alive).unwrap();
            let mut pause = tokio::time::interval(Duration::from_millis(20));
            while theirs.write_all(&beat).await.is_ok() {
                pause.tick().await;
            }
        };
        let asked = async { tokio::time::timeout(Duration::from_secs(5), session.receive("the plan", Duration::from_millis(200))).await };
        tokio::select! {
            answer = asked => assert!(matches!(answer, Ok(Err(SessionError::Deadline { awaited: "the plan", .. }))), "{answer:?}"),
            () = beating => panic!("the beats ended first"),
        }
    }
}
