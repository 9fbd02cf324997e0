//! A small catalog more for a node of this run, over its open session: ask, go, follow.

use super::Registrar;
use crate::fleet::{NodeEnd, secrets_of};
use crate::journal::new_run;
use crate::session::{Answer, Go, Session, SessionError, meet};
use crate::transport::Link;
use ostler_roles::catalog::{Catalog, Step};
use ostler_roles::outcome::Ending;
use ostler_roles::plan::Plan;
use ostler_roles::words::{Digest, NodeName};
use std::collections::BTreeMap;
use std::sync::Arc;

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

/// One node's open session, for as many loads as come.
pub struct Errand {
    node: NodeName,
    session: Session,
    link: Arc<dyn Link>,
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
        let broken = |error| ErrandError::Session(node.clone(), error);
        let (steps, facts) = (load.steps.clone(), self.session.hello.facts.digest());
        let mut catalog = Catalog { node: self.node.clone(), facts, require: Vec::new(), steps, verify: Vec::new() };
        self.session.ask(&catalog, false, &self.key).await.map_err(broken)?;
        let mut answer = self.session.answer().await.map_err(broken)?;
        if let Answer::Stale(facts) = answer {
            catalog.facts = facts.digest();
            self.session.hello.facts = *facts;
            self.session.ask(&catalog, false, &self.key).await.map_err(broken)?;
            answer = self.session.answer().await.map_err(broken)?;
        }
        let plan = match answer {
            Answer::Planned(plan) => *plan,
            Answer::Stale(_) => return Err(ErrandError::Refused(node, "its facts change all the time".to_owned())),
        };
        if !plan.may_go() {
            return Err(ErrandError::Refused(node, crate::report::impossible(&plan)));
        }
        Ok((!plan.is_empty()).then_some((catalog, plan)))
    }

    async fn go(&mut self, load: &Load, catalog: &Catalog, plan: &Plan) -> Result<u32, ErrandError> {
        let node = self.node.clone();
        let broken = |error| ErrandError::Session(node.clone(), error);
        let contents = load.contents.clone();
        let blob = move |digest: &Digest| contents.get(digest).cloned();
        let (run, secrets) = (new_run(), secrets_of(catalog, plan, &load.secrets));
        self.session.go(Go { run: &run, plan, secrets, controller: &self.controller, blob: &blob }).await.map_err(broken)?;
        let mut state = crate::report::NodeState::default();
        let ending = self.session.follow(&mut |_, event| state.take(event)).await.map_err(broken)?;
        match ending {
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
        match ends.iter_mut().find(|end| end.node == self.node && end.session.is_none()) {
            Some(end) => end.session = Some(self.session),
            None => self.session.bye().await,
        }
        drop(self.link);
    }
}

impl Registrar {
    /// The way to one node: the session that this run has with it, or a new one.
    pub(super) async fn errand(&self, node: &NodeName, ends: &mut [NodeEnd]) -> Result<Errand, String> {
        let kept = ends
            .iter_mut()
            .find(|end| end.node == *node)
            .and_then(|end| end.session.take().map(|session| (session, Arc::clone(&end.link))));
        let (session, link) = match kept {
            Some(open) => open,
            None => self.open(node).await?,
        };
        Ok(Errand {
            node: node.clone(),
            session,
            link,
            key: self.preparation.compile.secret_key(),
            controller: self.controller.clone(),
            runtime: tokio::runtime::Handle::current(),
        })
    }

    async fn open(&self, node: &NodeName) -> Result<(Session, Arc<dyn Link>), String> {
        let preparation = &self.preparation;
        let link = preparation.reach.connect(node, &preparation.tell).await.map_err(|error| super::chain(&error))?;
        let identity = preparation.reach.identity(node).await;
        let greeting = meet(link.as_ref(), preparation.agent, &identity, &[], preparation.password.as_ref()).await;
        Ok((Session::new(greeting.map_err(|error| super::chain(&error))?), link))
    }
}
