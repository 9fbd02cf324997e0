//! The pure fold: what is known of each node after the events so far.

use crate::fleet::{FleetEvent, Stage, Stages};
use crate::transport::LinkEvent;
use ostler_roles::outcome::{Ending, Event, Failure, FailureKind, Outcome};
use ostler_roles::resource::ResourceId;
use ostler_roles::words::{Bytes, NodeName};
use std::collections::BTreeMap;

/// Where a node stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// Its turn has not come.
    Queued,
    /// Its connection is being made.
    Connecting,
    /// Its agent is on its way over a slow link.
    Placing,
    /// Its plan is being made.
    Planning,
    /// Its plan has come.
    Planned,
    /// It waits for other nodes.
    Waiting(Vec<NodeName>),
    /// Its run is going on: the present step.
    Running(String),
    /// A master is being told.
    Registering(String),
    /// Nothing more is awaited from its master.
    Registered,
    /// It has come through.
    Done,
    /// It is out.
    Out,
}

/// What is known of one node.
#[derive(Debug, Clone)]
pub struct NodeState {
    /// Where it stands.
    pub phase: Phase,
    /// How far it and its executors have come.
    pub stages: Stages,
    /// Steps done and of how many, while it runs.
    pub steps: (u32, u32),
    /// Items of the present step.
    pub items: Option<(u32, u32)>,
    /// Bytes of the present step.
    pub bytes: Option<(Bytes, Option<Bytes>)>,
    /// Steps that changed something.
    pub changed: u32,
    /// Steps that were so already.
    pub unchanged: u32,
    /// Proofs that held.
    pub proofs: u32,
    /// Steps and proofs that failed: index, name, failure.
    pub failures: Vec<(Option<u32>, String, Failure)>,
    /// How its run ended.
    pub ending: Option<Ending>,
}

impl Default for NodeState {
    fn default() -> Self {
        Self {
            phase: Phase::Queued,
            stages: Stages::default(),
            steps: (0, 0),
            items: None,
            bytes: None,
            changed: 0,
            unchanged: 0,
            proofs: 0,
            failures: Vec::new(),
            ending: None,
        }
    }
}

/// What is known of all nodes.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// By node.
    pub nodes: BTreeMap<NodeName, NodeState>,
}

impl State {
    /// Takes one event in.
    pub fn apply(&mut self, node: &NodeName, event: &FleetEvent) {
        let state = self.nodes.entry(node.clone()).or_default();
        match event {
            FleetEvent::Connecting => state.phase = Phase::Connecting,
            FleetEvent::Link(LinkEvent::Placing { there, of, .. }) => {
                state.phase = Phase::Placing;
                state.bytes = Some((Bytes(*there), Some(Bytes(*of))));
            }
            FleetEvent::Link(_) => {}
            FleetEvent::Met { .. } => {
                state.phase = Phase::Planning;
                state.bytes = None;
            }
            FleetEvent::Stage(stage) => state.reach(stage),
            FleetEvent::Waiting(nodes) => state.phase = Phase::Waiting(nodes.clone()),
            // Its steps are shown on as they come.
            FleetEvent::Go(_) | FleetEvent::AttachedAgain { .. } | FleetEvent::MetAgain => {}
            FleetEvent::Run { event, .. } => state.take(event),
            FleetEvent::Master { master, text, goes_on: true } => state.phase = Phase::Registering(format!("{master}: {text}")),
            FleetEvent::Master { goes_on: false, .. } => state.phase = Phase::Registered,
            FleetEvent::Trouble(_) => state.phase = Phase::Out,
            FleetEvent::Done => state.phase = Phase::Done,
        }
    }
    /// How many nodes stand in a phase.
    pub fn count(&self, test: impl Fn(&Phase) -> bool) -> usize {
        self.nodes.values().filter(|state| test(&state.phase)).count()
    }
}

impl NodeState {
    fn reach(&mut self, stage: &Stage) {
        self.stages.take(stage);
        match stage {
            Stage::Planned(_) => self.phase = Phase::Planned,
            Stage::Going => self.phase = Phase::Running("starting".to_owned()),
            // What is done meanwhile says more.
            Stage::Asked | Stage::Applied | Stage::Verified | Stage::Quarantined(_) | Stage::Proved(_) => {}
            Stage::Labelled(_) => self.phase = Phase::Done,
            Stage::Failed { .. } => self.phase = Phase::Out,
        }
    }

    /// Takes one event of a run in.
    pub fn take(&mut self, event: &Event) {
        match event {
            Event::Started { steps, .. } => self.steps = (0, *steps),
            Event::StepStarted { id, .. } => self.begin(id),
            Event::Progress { what, items, bytes, .. } => {
                self.items = *items;
                self.bytes = *bytes;
                if let Phase::Running(step) = &mut self.phase {
                    let head = step.split(" · ").next().unwrap_or_default().to_owned();
                    *step = if what.is_empty() { head } else { format!("{head} · {what}") };
                }
            }
            Event::StepDone { index, id, outcome, .. } => {
                self.steps.0 = index + 1;
                self.finish(*index, id, outcome);
            }
            Event::Triggered { .. } | Event::Note { .. } => {}
            Event::Verified { name, verdict, .. } => {
                if verdict.passed() {
                    self.proofs += 1;
                } else {
                    self.failures.push((None, name.clone(), verify_failure(name, verdict)));
                }
            }
            Event::Ended { ending, .. } => self.ending = Some(ending.clone()),
        }
    }

    fn begin(&mut self, id: &ResourceId) {
        self.phase = Phase::Running(id.to_string());
        self.items = None;
        self.bytes = None;
    }

    fn finish(&mut self, index: u32, id: &ResourceId, outcome: &Outcome) {
        match outcome {
            Outcome::Unchanged { .. } => self.unchanged += 1,
            Outcome::Changed { .. } => self.changed += 1,
            // What a person has stopped is no failure of the step.
            Outcome::Failed(failure) if failure.kind == FailureKind::Cancelled => {}
            Outcome::Failed(failure) => self.failures.push((Some(index), id.to_string(), failure.clone())),
            Outcome::NotStarted { .. } => {}
        }
    }
}

/// A proof that did not hold, as a failure for the card.
fn verify_failure(name: &str, verdict: &ostler_roles::check::Verdict) -> Failure {
    use ostler_roles::check::Verdict;
    let (causes, hint) = match verdict {
        Verdict::Pass { .. } => (Vec::new(), None),
        Verdict::Fail { found, wanted, hint, .. } => (vec![format!("wanted: {wanted}"), format!("found: {found}")], Some(hint.clone())),
        Verdict::CouldNotTell { why } => (vec![format!("could not tell: {why}")], None),
    };
    Failure {
        kind: ostler_roles::outcome::FailureKind::Verify,
        message: format!("{name} does not hold after the steps"),
        causes,
        command: None,
        hint,
    }
}
