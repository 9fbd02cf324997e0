//! Letting prepared nodes go: each run on its own, told event by event.

use super::follow::plan_again;
use super::{
    Connection, FleetEvent, Follower, OpenedSecrets, Preparation, Prepared, Ready, Stage, Start, Transaction, Trouble, TroubleKind,
};
use crate::session::{Answer, Go};
use ostler_roles::catalog::Catalog;
use ostler_roles::ledger::Ledger;
use ostler_roles::outcome::{Ending, Event};
use ostler_roles::plan::Plan;
use ostler_roles::resource::Desired;
use ostler_roles::wire::message::{Hidden, SecretData};
use ostler_roles::words::{Digest, NodeName, RunId};
use std::collections::BTreeSet;
use tokio::sync::watch;

/// How one node came through.
#[derive(Debug)]
pub struct NodeEnd {
    /// Which node.
    pub node: NodeName,
    /// What it was to be.
    pub prepared: Prepared,
    /// The plan it was let go with.
    pub plan: Plan,
    /// Its run; none when there was nothing to do, or it did not begin.
    pub run: Option<RunId>,
    /// Its host keys, as it told them.
    pub host_keys: Vec<String>,
    /// What the node knows of its proofs, as far as it told.
    pub ledger: Ledger,
    /// How the run ended, or why nothing is known of it.
    pub ending: Result<Ending, Trouble>,
    /// The conversation, while it can be gone on with.
    pub connection: Option<Connection>,
}

/// Lets nodes go.
#[derive(Debug, Clone)]
pub struct Runner {
    /// The way to the nodes, for a connection that is lost.
    pub preparation: Preparation,
    /// Who asks: `user@host`.
    pub controller: String,
    /// Becomes true at the first Ctrl-C: runs are asked to stop between two steps.
    pub cancel: watch::Receiver<bool>,
}

impl Runner {
    /// Runs one node to its end, as the run of this id; a node with nothing to do has none.
    pub async fn go(mut self, ready: Ready, run: RunId, transaction: &Transaction) -> NodeEnd {
        if ready.plan.is_empty() {
            let ending = Ok(self.proofs(&ready.node, &ready.prepared, &ready.plan));
            if matches!(ending, Ok(Ending::Good { .. })) {
                transaction.reach(Stage::Verified);
            }
            return NodeEnd::untouched(ready, ending);
        }
        let Ready { node, prepared, plan, connection } = ready;
        let hello = &connection.session.hello;
        let (mut ledger, host_keys) = (hello.ledger.clone(), hello.facts.host_keys.clone());
        let preparation = self.preparation.clone();
        let mut follower = Follower::new(&preparation, &node, run, connection);
        let ending = self.follow(&mut follower, &node, (&prepared, &plan), transaction).await;
        match &ending {
            Ok(_) => self.tell(&node, FleetEvent::Done),
            Err(trouble) => self.tell(&node, FleetEvent::Trouble(Box::new(trouble.clone()))),
        }
        let run = follower.may_have_begun().then(|| follower.run().clone());
        if run.is_some() && !matches!(ending, Ok(Ending::Good { changed: 0, .. })) {
            ledger.change(Some(plan.generation + 1));
        }
        let connection = follower.into_connection();
        NodeEnd { node, prepared, plan, run, host_keys, ledger, ending, connection }
    }

    fn tell(&self, node: &NodeName, event: FleetEvent) {
        self.preparation.events.send(node, event);
    }

    /// A node with nothing to do has answered its proofs with its plan.
    fn proofs(&self, node: &NodeName, prepared: &Prepared, plan: &Plan) -> Ending {
        for (index, (proof, verdict)) in prepared.catalog.verify.iter().zip(&plan.verify).enumerate() {
            let index = u32::try_from(index).unwrap_or(u32::MAX);
            let event = Event::Verified { index, name: proof.check.to_string(), verdict: verdict.clone() };
            self.tell(node, FleetEvent::Run { seq: 0, event: Box::new(event) });
        }
        self.tell(node, FleetEvent::Done);
        let unchanged = u32::try_from(plan.steps.len()).unwrap_or(u32::MAX);
        if plan.verify.iter().all(ostler_roles::check::Verdict::passed) {
            Ending::Good { changed: 0, unchanged, generation: plan.generation }
        } else {
            Ending::Failed
        }
    }

    /// Lets the run go and tells its events until the last.
    async fn follow(
        &mut self,
        follower: &mut Follower<'_>,
        node: &NodeName,
        (prepared, plan): (&Prepared, &Plan),
        transaction: &Transaction,
    ) -> Result<Ending, Trouble> {
        self.tell(node, FleetEvent::Go(follower.run().clone()));
        let secrets = secrets_of(&prepared.catalog, plan, &prepared.secrets);
        let masked = prepared.masked.iter().map(|value| Hidden(value.expose().clone())).collect();
        let (controller, blob, stop) = (self.controller.as_str(), prepared.blob.as_ref(), self.cancel.clone());
        let go = Go { plan, secrets, masked, controller, owes: true, blob, stop };
        if follower.go(&go, &prepared.catalog).await? == Start::Stopped {
            return Ok(Ending::Cancelled);
        }
        transaction.reach(Stage::Going);
        let mut ending = None;
        while let Some((seq, event)) = follower.next(&mut self.cancel).await? {
            let reached: &[Stage] = match &event {
                Event::Verified { .. } => &[Stage::Applied],
                Event::Ended { ending: Ending::Good { .. }, .. } => &[Stage::Applied, Stage::Verified],
                _ => &[],
            };
            if let Event::Ended { ending: how, .. } = &event {
                ending = Some(how.clone());
            }
            let told = self.preparation.events.run(node, seq, event);
            follower.telling(told, &mut self.cancel).await;
            reached.iter().for_each(|stage| transaction.reach(stage.clone()));
        }
        ending.ok_or_else(|| unknown(follower.run()))
    }
}

fn unknown(run: &RunId) -> Trouble {
    Trouble {
        kind: TroubleKind::Failed,
        chain: vec![format!("run {} ended without saying how", run.short())],
        hint: "run the same command again: it goes on where this one stopped".to_owned(),
        failure: None,
    }
}

/// Asks a node that is not to change for its proofs once more, as things are now: others have changed since its plan was made.
///
/// # Errors
/// When it cannot be asked, or would be changed after all, which nobody was shown.
pub async fn prove_again(preparation: &Preparation, ready: &mut Ready) -> Result<(), Trouble> {
    let Ready { node, prepared, connection, .. } = ready;
    match plan_again(preparation, node, connection, &prepared.catalog).await? {
        Answer::Planned(plan) if plan.is_empty() => {
            ready.plan = *plan;
            Ok(())
        }
        Answer::Planned(_) | Answer::Stale(_) => Err(Trouble {
            kind: TroubleKind::Moved,
            chain: vec!["what others did in this run has changed it since its plan was made".to_owned()],
            hint: "run the same command again".to_owned(),
            failure: None,
        }),
    }
}

/// The secrets that changing steps need, and no other.
pub fn secrets_of(catalog: &Catalog, plan: &Plan, values: &OpenedSecrets) -> Vec<SecretData> {
    use ostler_roles::plan::Planned;
    let changing = catalog.steps.iter().zip(&plan.steps).filter(|(_, planned)| !matches!(planned, Planned::Unchanged { .. }));
    let wanted: BTreeSet<Digest> = changing.flat_map(|(step, _)| Desired::secrets(&step.desired)).map(|secret| secret.hmac).collect();
    let known = wanted.iter().filter_map(|hmac| values.get(hmac).map(|value| (*hmac, value)));
    known.map(|(hmac, value)| SecretData { hmac, value: Hidden(value.expose().clone()) }).collect()
}

impl NodeEnd {
    /// Nothing was done on this node.
    pub fn untouched(ready: Ready, ending: Result<Ending, Trouble>) -> Self {
        let Ready { node, prepared, plan, connection } = ready;
        let hello = &connection.session.hello;
        let (ledger, host_keys) = (hello.ledger.clone(), hello.facts.host_keys.clone());
        Self { node, prepared, plan, run: None, host_keys, ledger, ending, connection: Some(connection) }
    }

    /// The generation at which it has left the node, as far as is known.
    pub fn generation(&self) -> u64 {
        self.ledger.changed().unwrap_or(self.plan.generation)
    }

    /// Whether every step and every proof held.
    pub fn is_good(&self) -> bool {
        matches!(self.ending, Ok(Ending::Good { .. }))
    }
}
