//! A small catalog more for a node of this run, over its open session: ask, go, follow.

use super::Registrar;
use crate::fleet::{Follower, Line, MeetError, NodeEnd, Preparation, Trouble, leave, secrets_of};
use crate::journal::new_run;
use crate::session::{Answer, Go, SessionError};
use ostler_roles::catalog::{Catalog, Step};
use ostler_roles::outcome::Ending;
use ostler_roles::plan::Plan;
use ostler_roles::words::{Digest, NodeName};
use std::collections::BTreeMap;
use tokio::sync::watch;

/// What is to be so on the node, with what it refers to.
#[derive(Default)]
pub struct Load {
    /// In order.
    pub steps: Vec<Step>,
    /// Public contents.
    pub contents: BTreeMap<Digest, Vec<u8>>,
    /// Values of secrets, by their HMAC.
    pub secrets: BTreeMap<Digest, Vec<u8>>,
}

/// One node's line, for as many loads as come.
pub struct Errand {
    node: NodeName,
    preparation: Preparation,
    /// None: lost for good.
    line: Option<Line>,
    key: Vec<u8>,
    controller: String,
    runtime: tokio::runtime::Handle,
}

impl std::fmt::Debug for Errand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Errand").field("node", &self.node).finish_non_exhaustive()
    }
}

/// Why a load is not in place.
#[derive(Debug, thiserror::Error)]
pub enum ErrandError {
    /// The conversation.
    #[error("talk to {0}")]
    Session(NodeName, #[source] SessionError),
    /// The way there.
    #[error("reach {0}")]
    Meet(NodeName, #[source] MeetError),
    /// The node cannot become so.
    #[error("{0} does not allow it: {1}")]
    Refused(NodeName, String),
    /// A step failed.
    #[error("the run on {0} did not come through: {1}")]
    Failed(NodeName, String),
    /// What had to be done first.
    #[error("make {0} ready for it")]
    Before(NodeName, #[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What must be done before anything is changed.
pub type Before<'a> = &'a mut dyn FnMut() -> Result<(), Box<dyn std::error::Error + Send + Sync>>;

impl Errand {
    /// Makes it so and returns how many steps changed; `before` is called once, and only when something is to change. Blocks.
    ///
    /// # Errors
    /// [`ErrandError`].
    pub fn run(&mut self, load: &Load, before: Before<'_>) -> Result<u32, ErrandError> {
        let runtime = self.runtime.clone();
        let Some((catalog, plan)) = runtime.block_on(self.plan(load))? else { return Ok(0) };
        before().map_err(|source| ErrandError::Before(self.node.clone(), source))?;
        runtime.block_on(self.go(load, &catalog, &plan))
    }

    /// The plan; none when nothing is to change. Facts that this very run has changed are taken as they are now, once.
    async fn plan(&mut self, load: &Load) -> Result<Option<(Catalog, Plan)>, ErrandError> {
        let node = self.node.clone();
        let kept = self.line.is_some();
        let asked = match self.ask(load).await {
            // The line may have lain idle for as long as a smoke job took. Nothing was begun: another one does as well.
            Err(ErrandError::Session(_, error)) if kept && error.is_lost() => {
                self.line = None;
                self.ask(load).await
            }
            asked => asked,
        };
        let (catalog, answer) = asked?;
        let plan = match answer {
            Answer::Planned(plan) => *plan,
            Answer::Stale(_) => return Err(ErrandError::Refused(node, "its facts change all the time".to_owned())),
        };
        if !plan.may_go() {
            return Err(ErrandError::Refused(node, crate::report::impossible(&plan)));
        }
        Ok((!plan.is_empty()).then_some((catalog, plan)))
    }

    /// The line, made where there is none.
    async fn line(&mut self) -> Result<&mut Line, ErrandError> {
        let line = match self.line.take() {
            Some(line) => line,
            None => {
                let met = self.preparation.meet(&self.node, async { Vec::new() }).await;
                met.map_err(|error| ErrandError::Meet(self.node.clone(), error))?
            }
        };
        Ok(self.line.insert(line))
    }

    async fn ask(&mut self, load: &Load) -> Result<(Catalog, Answer), ErrandError> {
        let (node, key) = (self.node.clone(), self.key.clone());
        let broken = |error| ErrandError::Session(node.clone(), error);
        let session = &mut self.line().await?.session;
        let (steps, facts) = (load.steps.clone(), session.hello.facts.digest());
        let mut catalog = Catalog { node: node.clone(), facts, require: Vec::new(), steps, verify: Vec::new() };
        session.ask(&catalog, false, &key).await.map_err(broken)?;
        let mut answer = session.answer().await.map_err(broken)?;
        if let Answer::Stale(facts) = answer {
            catalog.facts = facts.digest();
            session.hello.facts = *facts;
            session.ask(&catalog, false, &key).await.map_err(broken)?;
            answer = session.answer().await.map_err(broken)?;
        }
        Ok((catalog, answer))
    }

    async fn go(&mut self, load: &Load, catalog: &Catalog, plan: &Plan) -> Result<u32, ErrandError> {
        let node = self.node.clone();
        self.line().await?;
        let Some(line) = self.line.take() else { return Err(ErrandError::Failed(node, "its connection was lost".to_owned())) };
        let contents = load.contents.clone();
        let blob = move |digest: &Digest| contents.get(digest).cloned();
        let (run, secrets) = (new_run(), secrets_of(catalog, plan, &load.secrets));
        let go = Go { run: &run, plan, secrets, controller: &self.controller, blob: &blob };
        let mut state = crate::report::NodeState::default();
        let mut follower = Follower::new(&self.preparation, &self.node, run.clone(), line);
        let followed = async {
            follower.go(go).await?;
            // An errand is short: it is not stopped between two steps.
            let mut never = watch::channel(false).1;
            while let Some((_, event)) = follower.next(&mut never).await? {
                state.take(&event);
            }
            Ok(())
        };
        let followed: Result<(), Trouble> = followed.await;
        self.line = follower.into_line();
        followed.map_err(|trouble| ErrandError::Failed(node.clone(), trouble.chain.join(": ")))?;
        match state.ending {
            Some(Ending::Good { changed, .. }) => Ok(changed),
            Some(Ending::Failed | Ending::Cancelled) | None => {
                let first = state.failures.first();
                let why =
                    first.map_or_else(|| "no reason was told".to_owned(), |(_, step, failure)| format!("{step}: {}", failure.message));
                Err(ErrandError::Failed(node, why))
            }
        }
    }

    /// Gives the session back to the node's end, or takes leave of a node that was met for this alone.
    pub async fn end(self, ends: &mut [NodeEnd]) {
        match ends.iter_mut().find(|end| end.node == self.node && end.line.is_none()) {
            Some(end) => end.line = self.line,
            None => leave(self.line).await,
        }
    }
}

impl Registrar {
    /// The way to one node: the session that this run has with it, or a new one.
    pub(super) async fn errand(&self, node: &NodeName, ends: &mut [NodeEnd]) -> Result<Errand, String> {
        let kept = ends.iter_mut().find(|end| end.node == *node).and_then(|end| end.line.take());
        let line = match kept {
            Some(line) => line,
            None => self.preparation.meet(node, async { Vec::new() }).await.map_err(|error| super::chain(&error))?,
        };
        Ok(Errand {
            node: node.clone(),
            preparation: self.preparation.clone(),
            line: Some(line),
            key: self.preparation.compile.secret_key(),
            controller: self.controller.clone(),
            runtime: tokio::runtime::Handle::current(),
        })
    }
}
