//! Steps applied in a root tree: met, planned and let go as on a node, over a link that leads into the tree.

use std::sync::Arc;

use ostler_roles::facts::Facts;
use ostler_roles::outcome::Ending;
use ostler_roles::words::NodeName;
use tokio::sync::watch;

use crate::fleet::{
    Compile, CompileError, ConnectionLimit, EventSender, NodeEnd, Preparation, Prepared, Reach, ReconnectLimits, Runner, SiteExecutors,
    Transaction, Trouble, TroubleKind, leave, new_run, prepare,
};
use crate::mask::RunMask;
use crate::session::{AgentFile, Identity, Password, PlanOf};
use crate::transport::{BoxFuture, ConnectError, Link};

/// Who bakes, and who hears of it.
#[derive(Debug, Clone)]
pub struct Baker {
    /// What the image is called: the node of its events.
    pub image: NodeName,
    /// The agent that works in the tree.
    pub agent: AgentFile,
    /// The key under which secrets are compared.
    pub secret_key: Vec<u8>,
    /// Who asks: `user@host`.
    pub controller: String,
    /// Takes events.
    pub events: EventSender,
    /// What nothing of it may show.
    pub mask: RunMask,
    /// Becomes true when nothing new is to be begun.
    pub cancel: watch::Receiver<bool>,
}

/// How steps came out in a tree.
#[derive(Debug)]
pub enum Baked {
    /// They are so; how many were changed.
    Good(u32),
    /// They were not asked for any more.
    Cancelled,
    /// A requirement does not hold, or a step cannot be made: nothing was changed.
    Refused(Box<NotBegun>),
    /// A step failed.
    Failed(Box<NodeEnd>),
    /// The agent could not be met, or was lost.
    Lost(Box<Trouble>),
}

/// What was asked for and refused.
#[derive(Debug)]
pub struct NotBegun {
    /// What was asked.
    pub prepared: Prepared,
    /// What was answered.
    pub plan: ostler_roles::plan::Plan,
}

impl Baker {
    /// Applies these steps in the tree that the link leads into.
    pub async fn apply(&self, link: Arc<dyn Link>, steps: Prepared) -> Baked {
        let preparation = Preparation {
            reach: Arc::new(TreeReach(link)),
            compile: Arc::new(Steps { steps, key: self.secret_key.clone() }),
            agent: self.agent,
            password: Arc::new(Password::new(None, Box::new(|_, _| Box::pin(std::future::ready(None))))),
            forks: 1,
            plan_of: PlanOf::PART,
            reconnect: ReconnectLimits::default(),
            limit: ConnectionLimit::new(usize::MAX, 1),
            plans_only: false,
            events: self.events.clone(),
            mask: self.mask.clone(),
        };
        let (mut ready, lost) = prepare(&preparation, std::slice::from_ref(&self.image)).await;
        let Some(one) = ready.pop() else {
            let unmet = || Trouble { kind: TroubleKind::Failed, chain: Vec::new(), hint: String::new(), failure: None };
            return Baked::Lost(Box::new(lost.into_iter().next().map_or_else(unmet, |(_, trouble)| trouble)));
        };
        if !one.plan.may_go() {
            let not_begun = NotBegun { prepared: one.prepared, plan: one.plan };
            leave([one.connection]).await;
            return Baked::Refused(Box::new(not_begun));
        }
        let transaction = Transaction::of_planned(&self.image, one.plan.digest(), &self.events);
        let runner = Runner { preparation, controller: self.controller.clone(), cancel: self.cancel.clone() };
        let mut end = runner.go(one, new_run(), &transaction).await;
        leave(end.connection.take()).await;
        match &end.ending {
            Ok(Ending::Good { changed, .. }) => Baked::Good(*changed),
            Ok(Ending::Cancelled) => Baked::Cancelled,
            Ok(Ending::Failed) => Baked::Failed(Box::new(end)),
            Err(trouble) => Baked::Lost(Box::new(trouble.clone())),
        }
    }
}

/// The way into a tree.
#[derive(Debug)]
struct TreeReach(Arc<dyn Link>);

impl Reach for TreeReach {
    fn connect<'a>(&'a self, _: &'a NodeName, _: &'a EventSender) -> BoxFuture<'a, Result<Arc<dyn Link>, ConnectError>> {
        Box::pin(std::future::ready(Ok(Arc::clone(&self.0))))
    }

    fn identity<'a>(&'a self, node: &'a NodeName) -> BoxFuture<'a, Identity> {
        Box::pin(std::future::ready(Identity { node: node.clone(), login: "root".to_owned(), r#become: None }))
    }
}

/// Steps that were compiled before, by what is known of the tree.
struct Steps {
    steps: Prepared,
    key: Vec<u8>,
}

impl Compile for Steps {
    fn compile(&self, _: &NodeName, facts: &Facts) -> Result<Prepared, CompileError> {
        let mut steps = self.steps.clone();
        // What the agent reads there is its builder's, whose facts no step rests on; it is refused as stale without their digest.
        steps.catalog.facts = facts.digest();
        Ok(steps)
    }

    fn last_facts(&self, _: &NodeName) -> Option<Facts> {
        None
    }

    fn keep_facts(&self, _: &NodeName, _: &Facts) {}

    fn secret_key(&self) -> Vec<u8> {
        self.key.clone()
    }

    fn executors(&self) -> Arc<SiteExecutors> {
        Arc::default()
    }
}
