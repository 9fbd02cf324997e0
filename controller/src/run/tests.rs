//! Nodes wait for those whom they need, for nobody else, and what each reaches follows from what it had reached.

use super::*;
use crate::fleet::fake::{Act, FakeNode, hello, run_id};
use crate::fleet::{ConnectionLimit, FleetEvent, FleetMessage, Prepared, Ready, Runner, Stage, Stages};
use crate::journal::FileStore;
use crate::registration::{Candidate, Connections, Masters, Proofs, Registrar, SiteState};
use ostler_roles::catalog::Catalog;
use ostler_roles::outcome::{Ending, Event};
use ostler_roles::plan::{Plan, Planned};
use ostler_roles::resource::{Kind, ResourceId};
use ostler_roles::wire::message::ToController;
use ostler_roles::words::{Digest, NodeName};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;

fn node(text: &str) -> NodeName {
    NodeName::parse(text).unwrap()
}

/// A run that is let go and ends so.
fn ends(ending: Ending) -> Vec<Act> {
    let ended = Event::Ended { ending, millis: 1 };
    let end = [ToController::Event { seq: 1, event: Box::new(ended) }, ToController::Done { run: run_id(), last: 1 }];
    goes().into_iter().chain(end.map(Act::Say)).collect()
}

/// A run that is let go.
fn goes() -> Vec<Act> {
    vec![Act::Hear, Act::Say(ToController::Going { run: run_id() })]
}

const GOOD: Ending = Ending::Good { changed: 1, unchanged: 0, generation: 1 };

fn plan(steps: Vec<Planned>) -> Plan {
    Plan { catalog: Digest::of(b""), generation: 0, requirements: Vec::new(), steps, verify: Vec::new(), notes: Vec::new() }
}

fn to_change() -> Plan {
    let because = ResourceId { kind: Kind::File, key: "/etc/motd".to_owned() };
    plan(vec![Planned::MayChange { because, changes: Vec::new() }])
}

/// These nodes, each with whom it needs and what its agent does after its plan has come; cancelled from the beginning or not.
async fn run(
    nodes: Vec<(&str, &[&str], Vec<Act>)>,
    cancelled: bool,
) -> (impl Future<Output = Vec<Outcome>>, UnboundedReceiver<FleetMessage>) {
    run_in(nodes, cancelled, ConnectionLimit::default()).await
}

/// The same, with room for so many connections.
async fn run_in(
    nodes: Vec<(&str, &[&str], Vec<Act>)>,
    cancelled: bool,
    limit: ConnectionLimit,
) -> (impl Future<Output = Vec<Outcome>>, UnboundedReceiver<FleetMessage>) {
    let met = |acts: Vec<Act>| Some([Act::Hear, Act::Say(hello())].into_iter().chain(acts).collect());
    let needs = |needs: &[&str]| needs.iter().map(|need| node(need)).collect::<BTreeSet<_>>();
    let after: BTreeMap<NodeName, BTreeSet<NodeName>> = nodes.iter().map(|(name, first, _)| (node(name), needs(first))).collect();
    let names: Vec<NodeName> = nodes.iter().map(|(name, _, _)| node(name)).collect();
    let fake = FakeNode::new(nodes.into_iter().map(|(_, _, acts)| met(acts)).collect());
    let (mut preparation, events) = fake.preparation();
    preparation.limit = limit;
    let mut ready = Vec::new();
    for node in names {
        let catalog = Catalog { node: node.clone(), facts: Digest::of(b""), require: Vec::new(), steps: Vec::new(), verify: Vec::new() };
        let prepared = Prepared { catalog, blob: Arc::new(|_| None), secrets: Arc::default(), masked: Vec::new(), executors: Vec::new() };
        let connection = preparation.meet(&node, async { Vec::new() }).await.unwrap();
        preparation.events.send(&node, FleetEvent::Stage(Stage::Planned(to_change().digest())));
        ready.push(Ready { node, prepared, plan: to_change(), connection });
    }
    let (stopper, cancel) = tokio::sync::watch::channel(cancelled);
    let directory = tempfile::tempdir().unwrap();
    let site = SiteState { key: Vec::new(), id: None, store: Arc::new(FileStore::new(directory.path().join("site"))) };
    let controller = "ada@desk".to_owned();
    let stop = cancel.clone().into();
    let registrar = Registrar { site, preparation: preparation.clone(), dial: None, controller: controller.clone(), stop, wait: None };
    let masters = Masters::new(&registrar, &Connections::new(&registrar), &BTreeMap::new(), Candidate::of(&ready), BTreeMap::new());
    let proofs = Proofs::owe(&registrar.site.store, &ready).unwrap();
    let runner = Runner { preparation: preparation.clone(), controller, cancel };
    let run = Run { runner, after, masters, jobs_within: Duration::ZERO, is_partial: false, applied: Box::new(|| {}) };
    let work = async move {
        let outcomes = run.run(ready, &[], proofs).await;
        drop((stopper, directory, fake));
        preparation.events.end();
        outcomes
    };
    (work, events)
}

/// What was told, up to its end.
async fn told(mut events: UnboundedReceiver<FleetMessage>) -> Vec<(NodeName, FleetEvent)> {
    let mut told = Vec::new();
    while let Some(FleetMessage::Event(name, event) | FleetMessage::Run(name, event, _)) = events.recv().await {
        told.push((name, event));
    }
    told
}

fn waits(told: &[(NodeName, FleetEvent)]) -> Vec<(NodeName, Vec<NodeName>)> {
    let waits = told
        .iter()
        .filter_map(|(name, event)| if let FleetEvent::Waiting(whom) = event { Some((name.clone(), whom.clone())) } else { None });
    waits.collect()
}

/// Where each node stands at last; every stage follows from the one before.
fn stand(told: &[(NodeName, FleetEvent)]) -> BTreeMap<NodeName, &'static str> {
    let mut stands: BTreeMap<NodeName, Stages> = BTreeMap::new();
    for (name, event) in told {
        if let FleetEvent::Stage(stage) = event {
            assert!(stands.entry(name.clone()).or_default().take(stage), "{name}: {stage:?} out of order");
        }
    }
    stands.into_iter().map(|(name, stages)| (name, stages.node.map_or("nowhere", |stage| stage.name()))).collect()
}

#[tokio::test]
async fn a_node_begins_when_those_whom_it_needs_have_come_through_and_waits_for_nobody_else() {
    let slow = goes().into_iter().chain([Act::Beat]).collect();
    let nodes = vec![("master", &[][..], ends(GOOD)), ("slow", &[], slow), ("worker", &["master"], ends(GOOD))];
    let (work, mut events) = run(nodes, false).await;
    tokio::pin!(work);
    let worker = async {
        let mut seen = Vec::new();
        loop {
            match events.recv().await {
                Some(FleetMessage::Event(name, event) | FleetMessage::Run(name, event, _)) => seen.push((name, event)),
                other => panic!("{other:?}: {seen:?}"),
            }
            if seen.last() == Some(&(node("worker"), FleetEvent::Stage(Stage::Verified))) {
                return seen;
            }
        }
    };
    let seen = tokio::select! {
        _ = &mut work => panic!("the slow one ended"),
        seen = worker => seen,
    };
    assert_eq!(waits(&seen), [(node("worker"), vec![node("master")])]);
    assert_eq!(stand(&seen)[&node("slow")], "going");
}

#[tokio::test]
async fn whoever_needs_a_node_that_failed_is_not_begun() {
    let nodes =
        vec![("first", &[][..], ends(Ending::Failed)), ("second", &["first"], Vec::new()), ("third", &["second", "stranger"], Vec::new())];
    let (work, events) = run(nodes, false).await;
    let (outcomes, told) = tokio::join!(work, told(events));
    let why = |outcome: &Outcome| outcome.end.ending.as_ref().err().map(|trouble| trouble.chain[0].clone());
    let whys: Vec<_> = outcomes.iter().map(why).collect();
    assert_eq!(whys, [None, Some("not started: waits for first".to_owned()), Some("not started: waits for second".to_owned())]);
    assert!(outcomes[1..].iter().all(|outcome| outcome.end.run.is_none()));
    assert_eq!(stand(&told), ["first", "second", "third"].map(|name| (node(name), "failed")).into());
    let failed_at: Vec<&str> = told
        .iter()
        .filter_map(|(_, event)| if let FleetEvent::Stage(Stage::Failed { at, .. }) = event { Some(at.name()) } else { None })
        .collect();
    assert_eq!(failed_at, ["going", "asked", "asked"]);
}

#[tokio::test]
async fn no_more_nodes_are_changed_at_once_than_lines_may_be_open_and_all_of_them_are() {
    let nodes = ["first", "second", "third", "fourth"].map(|name| (name, &[][..], ends(GOOD)));
    let (work, events) = run_in(nodes.into(), false, ConnectionLimit::new(2, 4)).await;
    let (outcomes, told) = tokio::join!(work, told(events));
    assert!(outcomes.iter().all(|outcome| outcome.end.is_good()), "{outcomes:?}");
    let mut under_way = (0_i32, 0_i32);
    for (_, event) in &told {
        match event {
            FleetEvent::Go(_) => under_way.0 += 1,
            FleetEvent::Done => under_way.0 -= 1,
            _ => {}
        }
        under_way.1 = under_way.1.max(under_way.0);
    }
    assert_eq!(under_way, (0, 1));
}

#[tokio::test]
async fn nobody_waits_for_a_run_that_is_cancelled_before_it_begins() {
    let (work, events) = run(vec![("first", &[], Vec::new()), ("second", &["first"], Vec::new())], true).await;
    let (outcomes, told) = tokio::join!(work, told(events));
    assert_eq!(waits(&told), []);
    assert!(matches!(outcomes[0].end.ending, Ok(Ending::Cancelled)) && outcomes.iter().all(|outcome| outcome.end.run.is_none()));
}
