//! One run on one node, followed to its end over as many connections as that takes.

use super::{Connection, FleetEvent, MeetError, Preparation, Trouble, TroubleKind, chain};
use crate::session::{Answer, Go, SessionError, ask_plan, asked};
use crate::transport::{LinkEvent, backoff};
use ostler_roles::catalog::Catalog;
use ostler_roles::outcome::Event;
use ostler_roles::plan::{Plan, Planned};
use ostler_roles::texts::{Text, Texts as _};
use ostler_roles::wire::message::{Refusal, ToAgent};
use ostler_roles::words::{Digest, NodeName, RunId};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// The most that a run may tell, in bytes: what it tells is kept in memory and on disk here. A run of ten thousand steps that each fail with all
/// their causes stays below it.
const TOLD: usize = 64 << 20;

/// About how much memory an event takes that is kept.
fn size(event: &mut Event) -> usize {
    let mut bytes = size_of::<Event>();
    if !matches!(event, Event::Progress { .. }) {
        event.texts(&mut |text| match text {
            Text::One(text) => bytes += text.len() + size_of::<String>(),
            Text::Lines(lines) => bytes += lines.iter().map(|line| line.len() + size_of::<String>()).sum::<usize>(),
        });
    }
    bytes
}

/// Follows one run.
#[derive(Debug)]
pub struct Follower<'a> {
    preparation: &'a Preparation,
    node: &'a NodeName,
    run: RunId,
    /// None: lost for good.
    connection: Option<Connection>,
    /// Number of the last event that came.
    last: u64,
    /// Bytes of what it has told so far.
    told: usize,
    /// Times attached again since the last news.
    again: u32,
    /// Whether this connection's agent was asked to stop the run.
    asked: bool,
    /// Whether the run has begun, or that is not known.
    begun: bool,
    /// When its node, if it is honest, has ended it long since. None: what it does is not known here.
    until: Option<Instant>,
}

/// What a node was found with.
#[derive(Debug)]
pub enum Found<'a> {
    /// A run that goes on, or the last one.
    Run(Follower<'a>),
    /// It has never had a run.
    NoRun(Connection),
}

/// How it went to let a run go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Start {
    /// It goes on.
    Begun,
    /// No new work is wanted any more: it was not told to go, and nothing was changed.
    Stopped,
}

/// What a new connection is for.
#[derive(Clone, Copy)]
enum Purpose<'a> {
    /// To follow this run behind this event.
    Attach(&'a RunId, u64),
    /// To ask for the plan of this catalog.
    Plan(&'a Catalog),
}

/// Why there is no new connection.
enum Away {
    Meet(MeetError),
    /// Its plan is another one now.
    Moved,
    Late(Duration),
    TooOften(u32),
}

impl From<MeetError> for Away {
    fn from(error: MeetError) -> Self {
        Self::Meet(error)
    }
}

impl Away {
    fn chain(&self) -> Vec<String> {
        match self {
            Self::Meet(error) => chain(error),
            Self::Moved => vec!["the node has moved since its plan was shown".to_owned()],
            Self::Late(within) => vec![format!("not within {} s", within.as_secs())],
            Self::TooOften(times) => vec![format!("{times} times without news of the run")],
        }
    }
    fn trouble(&self) -> Trouble {
        let hint = || "run the same command again".to_owned();
        match self {
            Self::Meet(error) => Trouble::from(error),
            Self::Moved => Trouble { kind: TroubleKind::Moved, chain: self.chain(), hint: hint(), failure: None },
            Self::Late(_) | Self::TooOften(_) => {
                Trouble { kind: TroubleKind::Unreachable, chain: self.chain(), hint: hint(), failure: None }
            }
        }
    }
    /// Whether another try may help.
    fn may_pass(&self) -> bool {
        matches!(self, Self::Meet(error) if error.may_pass())
    }
    /// Whether the node itself says that it does not know the run.
    fn knows_no_run(&self) -> bool {
        matches!(self, Self::Meet(MeetError::Session(error)) if matches!(error.as_ref(), SessionError::Refused(Refusal::NoRun(_))))
    }
}

/// Makes connections to one node anew.
struct Dialer<'a> {
    preparation: &'a Preparation,
    node: &'a NodeName,
}

impl Dialer<'_> {
    /// A connection, and the plan where one was asked for: a few tries within a deadline.
    async fn make(&self, purpose: Purpose<'_>) -> Result<(Connection, Option<Answer>), Away> {
        let within = self.preparation.reconnect.within;
        tokio::time::timeout(within, self.tries(purpose)).await.unwrap_or(Err(Away::Late(within)))
    }

    async fn tries(&self, purpose: Purpose<'_>) -> Result<(Connection, Option<Answer>), Away> {
        let limits = &self.preparation.reconnect;
        let mut attempt = 1;
        loop {
            // What cut a run that goes on may last a moment; a connection that lay idle may have been dead for long.
            if attempt > 1 || matches!(purpose, Purpose::Attach(..)) {
                tokio::time::sleep(backoff(limits.pause, attempt)).await;
            }
            let away = match self.once(purpose).await {
                Ok(made) => return Ok(made),
                Err(error) => Away::Meet(error),
            };
            if !away.may_pass() || attempt >= limits.tries {
                return Err(away);
            }
            let (host, reason) = (self.node.to_string(), away.chain().join(": "));
            self.preparation.events.send(self.node, FleetEvent::Link(LinkEvent::Retried { host, attempt, reason }));
            attempt += 1;
        }
    }

    async fn once(&self, purpose: Purpose<'_>) -> Result<(Connection, Option<Answer>), MeetError> {
        let preparation = self.preparation;
        let early: Vec<ToAgent> = match purpose {
            Purpose::Attach(..) => Vec::new(),
            Purpose::Plan(catalog) => vec![ask_plan(catalog, preparation.plan_of, &preparation.compile.secret_key())],
        };
        let mut connection = preparation.meet(self.node, async { early }).await?;
        let answer = match purpose {
            Purpose::Attach(run, last) => connection.session.attach(Some(run.clone()), last).await.map(|_| None),
            Purpose::Plan(_) => connection.session.answer().await.map(Some),
        };
        Ok((connection, answer.map_err(Box::new)?))
    }
}

/// Asks a node for its plan once more; where its connection has died of the time that others took, over a new one.
///
/// # Errors
/// When it cannot be asked.
pub async fn plan_again(
    preparation: &Preparation,
    node: &NodeName,
    connection: &mut Connection,
    catalog: &Catalog,
) -> Result<Answer, Trouble> {
    let session = &mut connection.session;
    let asked = async {
        session.ask(catalog, preparation.plan_of, &preparation.compile.secret_key()).await?;
        session.answer().await
    };
    match asked.await {
        Err(error) if error.is_lost() => {}
        asked => return asked.map_err(|error| Trouble::from(&error)),
    }
    let (made, answer) = Dialer { preparation, node }.make(Purpose::Plan(catalog)).await.map_err(|away| away.trouble())?;
    *connection = made;
    answer.ok_or_else(|| Away::Moved.trouble())
}

/// A new run's id: UUIDv7, by the clock.
pub fn new_run() -> RunId {
    #[expect(clippy::expect_used, reason = "a UUID's text is of the run id's alphabet")]
    RunId::parse(&uuid::Uuid::now_v7().to_string()).expect("a UUID is a run id")
}

impl<'a> Follower<'a> {
    /// A run that is about to be let go over this connection.
    pub fn new(preparation: &'a Preparation, node: &'a NodeName, run: RunId, connection: Connection) -> Self {
        Self { preparation, node, run, connection: Some(connection), last: 0, told: 0, again: 0, asked: false, begun: false, until: None }
    }

    /// The run that is going on, or the last one, from its first event on.
    ///
    /// # Errors
    /// When the node cannot be met, or refuses.
    pub async fn attach(preparation: &'a Preparation, node: &'a NodeName) -> Result<Found<'a>, MeetError> {
        let mut connection = preparation.meet(node, async { Vec::new() }).await?;
        match connection.session.attach(None, 0).await {
            Ok(run) => Ok(Found::Run(Self::new(preparation, node, run, connection))),
            Err(SessionError::Refused(Refusal::NoRun(_))) => Ok(Found::NoRun(connection)),
            Err(error) => Err(Box::new(error).into()),
        }
    }

    /// The run.
    pub fn run(&self) -> &RunId {
        &self.run
    }

    /// Whether the run has begun, or may have.
    pub fn may_have_begun(&self) -> bool {
        self.begun
    }

    /// The connection, for what comes next; none when it is lost.
    pub fn into_connection(self) -> Option<Connection> {
        self.connection
    }

    /// Lets the run go that was planned from this catalog. A link that is lost before is made again, as long as the plan is the same; one that is
    /// lost on the way leaves open whether the run began: then the node is asked. Whoever wants no new work need not wait for that.
    ///
    /// # Errors
    /// When it has not begun, or nothing can be learnt of it.
    pub async fn go(&mut self, go: &Go<'_>, catalog: &Catalog) -> Result<Start, Trouble> {
        let shown = self.connection.as_ref().map_or_else(|| go.plan.digest(), |connection| connection.session.shown(go.plan));
        let mut lost = SessionError::Lost { awaited: "its turn", said: String::new() };
        // Lost a second time, it is not tried a third.
        for was_asked_for in [false, true] {
            if self.connection.as_ref().is_none_or(|connection| connection.session.is_over()) {
                let mut stop = go.stop.clone();
                tokio::select! {
                    biased;
                    () = asked(&mut stop) => return Ok(Start::Stopped),
                    met = self.meet_again(catalog, shown) => met.map_err(|away| self.not_begun(&lost, Some(&away)))?,
                }
            }
            let Some(connection) = &mut self.connection else { break };
            if was_asked_for {
                // That one the node refuses from now on, however late its `Go` comes.
                self.run = new_run();
                self.preparation.events.send(self.node, FleetEvent::Go(self.run.clone()));
            }
            self.begun = true;
            self.until = Some(Instant::now() + at_most(catalog, go.plan));
            let error = match connection.session.go(&self.run, go).await {
                Ok(()) => return Ok(Start::Begun),
                Err(SessionError::Stopped) => {
                    self.begun = false;
                    // It may have been sent half a content: whoever wants more of the node meets it anew.
                    self.connection = None;
                    return Ok(Start::Stopped);
                }
                Err(error) => error,
            };
            if !error.is_lost() {
                self.begun = may_have_begun(&error);
                return Err(Trouble::from(&error));
            }
            match self.attach_again().await {
                Ok(()) => return Ok(Start::Begun),
                Err(away) if away.knows_no_run() => self.begun = false,
                Err(away) => return Err(self.lost(&error, &away, format!("whether run {} has begun is not known", self.run.short()))),
            }
            lost = error;
        }
        Err(self.not_begun(&lost, None))
    }

    /// The next event with its number; none: the run has ended and all was told. Once `stop` is true the run is asked to stop between two
    /// steps.
    ///
    /// # Errors
    /// When the run was cut off, or the node cannot be reached any more: it goes on by itself.
    pub async fn next(&mut self, stop: &mut watch::Receiver<bool>) -> Result<Option<(u64, Event)>, Trouble> {
        loop {
            let until = self.until;
            let late = async {
                match until {
                    Some(until) => tokio::time::sleep_until(until).await,
                    None => std::future::pending().await,
                }
            };
            let heard = tokio::select! {
                biased;
                () = late => return Err(self.endless()),
                heard = self.listen(stop) => heard,
            };
            let error = match heard {
                // Told already: it is not told twice.
                Ok(Some((seq @ 1.., _))) if seq <= self.last => continue,
                Ok(Some((seq, mut event))) => {
                    self.last = self.last.max(seq);
                    self.again = 0;
                    self.told += size(&mut event);
                    if self.told <= TOLD {
                        return Ok(Some((seq, event)));
                    }
                    SessionError::TooMuch
                }
                Ok(None) => return Ok(None),
                Err(error) => error,
            };
            let away = match &error {
                // Its runner is gone: it goes on nowhere.
                SessionError::Cut(_) => return Err(Trouble::from(&error)),
                error if error.is_lost() => match self.attach_again().await {
                    Ok(()) => continue,
                    Err(away) => Some(away),
                },
                _ => None,
            };
            let what = format!("run {} goes on without us", self.run.short());
            return Err(match away {
                Some(away) if away.knows_no_run() => self.forgotten(),
                Some(away) => self.lost(&error, &away, what),
                None => {
                    let mut trouble = Trouble::from(&error);
                    trouble.chain.insert(0, what);
                    Trouble { hint: self.hint(), ..trouble }
                }
            });
        }
    }

    /// Waits until what came is told. A reader that takes its time holds up the story, and not the word that the run shall stop.
    pub async fn telling(&mut self, told: impl Future<Output = ()>, stop: &mut watch::Receiver<bool>) {
        let mut told = std::pin::pin!(told);
        loop {
            tokio::select! {
                biased;
                () = &mut told => return,
                Ok(()) = stop.changed(), if !self.asked => {
                    let is_wanted = *stop.borrow_and_update();
                    if let Some(connection) = self.connection.as_mut().filter(|_| is_wanted) {
                        // A connection that is lost is found to be when it is listened to again, and the run asked to stop over the next one.
                        self.asked = connection.session.cancel(self.run.clone()).await.is_ok();
                    }
                }
            }
        }
    }

    async fn listen(&mut self, stop: &mut watch::Receiver<bool>) -> Result<Option<(u64, Event)>, SessionError> {
        let awaited = "the run's next event";
        let Some(connection) = &mut self.connection else { return Err(SessionError::Lost { awaited, said: String::new() }) };
        loop {
            if !self.asked && *stop.borrow_and_update() {
                connection.session.cancel(self.run.clone()).await?;
                self.asked = true;
            }
            tokio::select! {
                event = connection.session.event() => return event,
                Ok(()) = stop.changed(), if !self.asked => {}
            }
        }
    }

    /// Connects and asks for the same plan, a few times within a deadline.
    async fn meet_again(&mut self, catalog: &Catalog, shown: Digest) -> Result<(), Away> {
        // What is dead is let go first: the node's end of it ends, too.
        self.connection = None;
        let (connection, answer) = self.dialer().make(Purpose::Plan(catalog)).await?;
        match answer {
            Some(Answer::Planned(plan)) if connection.session.shown(&plan) == shown => self.connection = Some(connection),
            Some(Answer::Planned(_) | Answer::Stale(_)) | None => return Err(Away::Moved),
        }
        self.preparation.events.send(self.node, FleetEvent::MetAgain);
        Ok(())
    }

    /// Connects and attaches behind the last event that came, a few times within a deadline.
    async fn attach_again(&mut self) -> Result<(), Away> {
        // What is dead is let go first: the node's end of it ends, too.
        self.connection = None;
        let limits = &self.preparation.reconnect;
        self.again += 1;
        if self.again > limits.without_news {
            return Err(Away::TooOften(limits.without_news));
        }
        let (connection, _) = self.dialer().make(Purpose::Attach(&self.run, self.last)).await?;
        self.connection = Some(connection);
        self.asked = false;
        self.preparation.events.send(self.node, FleetEvent::AttachedAgain { run: self.run.clone(), after: self.last });
        Ok(())
    }

    fn dialer(&self) -> Dialer<'a> {
        Dialer { preparation: self.preparation, node: self.node }
    }

    fn hint(&self) -> String {
        format!("ostler attach {}", self.node)
    }

    fn lost(&self, error: &SessionError, away: &Away, what: String) -> Trouble {
        let mut causes = vec![what];
        causes.extend(chain(error));
        causes.push("attach to it again".to_owned());
        causes.extend(away.chain());
        Trouble { kind: TroubleKind::Unreachable, chain: causes, hint: self.hint(), failure: None }
    }

    /// The node has heard of no such run: it was lost before, and could not be met again.
    fn not_begun(&self, error: &SessionError, away: Option<&Away>) -> Trouble {
        let mut causes = vec![format!("run {} has not begun: nothing was changed on this node", self.run.short())];
        causes.extend(chain(error));
        causes.extend(away.map(|_| "meet it again".to_owned()));
        causes.extend(away.into_iter().flat_map(Away::chain));
        let (kind, hint) = match away {
            Some(Away::Moved) => (TroubleKind::Moved, "plan again"),
            Some(Away::Meet(_) | Away::Late(_) | Away::TooOften(_)) | None => (TroubleKind::Unreachable, "run the same command again"),
        };
        Trouble { kind, chain: causes, hint: hint.to_owned(), failure: None }
    }

    /// It says that it is there, and comes to no end.
    fn endless(&self) -> Trouble {
        let causes = vec![
            format!("run {} goes on without us", self.run.short()),
            "it has not ended, though each of its steps must have by its own deadline".to_owned(),
        ];
        Trouble { kind: TroubleKind::Unreachable, chain: causes, hint: self.hint(), failure: None }
    }

    fn forgotten(&self) -> Trouble {
        let causes = vec![format!("the node knows nothing of run {} any more, which had begun", self.run.short())];
        let hint = "was the node reinstalled, or /var/lib/ostler removed? plan again".to_owned();
        Trouble { kind: TroubleKind::Failed, chain: causes, hint, failure: None }
    }
}

/// How long this plan may take at the very most: a node ends a step that outlasts twice its deadline, and a step may act once more.
fn at_most(catalog: &Catalog, plan: &Plan) -> Duration {
    const MORE: Duration = Duration::from_secs(600);
    let steps = catalog.steps.iter().zip(&plan.steps).filter(|(_, planned)| !matches!(planned, Planned::Unchanged { .. }));
    let working = steps.map(|(step, _)| step.within.duration().saturating_mul(4).saturating_add(MORE));
    let proving = catalog.verify.iter().map(|proof| proof.within.duration().saturating_mul(2));
    working.chain(proving).fold(MORE, Duration::saturating_add).min(LONGEST)
}

/// What a clock can hold.
const LONGEST: Duration = Duration::from_secs(365 * 86_400);

/// Whether a run may stand on the node's record though it was not let go: refused before it was told to go, nothing was changed; a site's file
/// that has gone meanwhile, too.
fn may_have_begun(error: &SessionError) -> bool {
    match error {
        SessionError::UnknownBlob(_) | SessionError::Stopped => false,
        SessionError::Refused(refusal) => matches!(refusal, Refusal::NoRunner(_)),
        _ => true,
    }
}

#[cfg(test)]
mod tests;
