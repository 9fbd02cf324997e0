//! The run protocol with a fake node: either side lost at every arrow, the runner killed at every moment of the decision page.

#![expect(clippy::unwrap_used, reason = "a test stops where its ground gives way")]

#[path = "protocol/attaching.rs"]
mod attaching;
#[path = "protocol/becoming.rs"]
mod becoming;
#[path = "protocol/challenges.rs"]
mod challenges;
#[path = "protocol/killed.rs"]
mod killed;
#[path = "protocol/lasting.rs"]
mod lasting;
#[path = "protocol/ledger.rs"]
mod ledger;
#[path = "protocol/lost.rs"]
mod lost;
#[path = "protocol/owing.rs"]
mod owing;
#[path = "protocol/planning.rs"]
mod planning;
#[path = "protocol/proving.rs"]
mod proving;
#[path = "protocol/running.rs"]
mod running;

use ostler_roles::catalog::Catalog;
use ostler_roles::outcome::{Ending, Event, Outcome};
use ostler_roles::wire::message::ToController;
use ostler_roles::words::{Digest, RunId};
use ostler_tests::protocol::{Bench, Conversation, FakeNode, blob_of, catalog, content, file, service};
use std::collections::BTreeMap;

/// A run's events with their numbers, and what came behind them.
type Story = (Vec<(u64, Event)>, Option<ToController>);

fn bench() -> Bench {
    bench_with(&FakeNode::default())
}

fn bench_with(node: &FakeNode) -> Bench {
    Bench::new(env!("CARGO_BIN_EXE_fake-agent"), node)
}

/// The contents that the tests' files have.
fn contents() -> BTreeMap<Digest, Vec<u8>> {
    ["one", "two", "three", "four"].into_iter().map(|name| (blob_of(name), content(name))).collect()
}

/// Three files, and a service that restarts when the first or the second changes.
fn web() -> Catalog {
    let web = service("nginx", &["/etc/one", "/etc/two"]);
    catalog(vec![file("/etc/one", "one"), file("/etc/two", "two"), web, file("/etc/three", "three")])
}

/// Plans and goes; the conversation is behind `Go` afterwards.
fn go(conversation: &mut Conversation, run: &RunId, catalog: &Catalog) {
    let (plan, needed) = conversation.plan(catalog);
    conversation.give(&needed, &contents());
    conversation.send(&[Conversation::going(run, &plan, Vec::new())]);
}

/// Plans, goes and listens to the end.
fn apply(bench: &Bench, catalog: &Catalog) -> Story {
    let mut conversation = bench.connect();
    conversation.hello();
    go(&mut conversation, &bench.run_id(), catalog);
    conversation.story()
}

/// The outcomes, in the order of their steps.
fn outcomes(events: &[(u64, Event)]) -> Vec<&Outcome> {
    let mut done: Vec<(u32, &Outcome)> = events
        .iter()
        .filter_map(|(_, event)| if let Event::StepDone { index, outcome, .. } = event { Some((*index, outcome)) } else { None })
        .collect();
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, outcome)| outcome).collect()
}

fn ending(events: &[(u64, Event)]) -> Option<&Ending> {
    match events.last() {
        Some((_, Event::Ended { ending, .. })) => Some(ending),
        _ => None,
    }
}

/// Numbers run from `first` without gap or repetition.
fn assert_counts_from(first: u64, events: &[(u64, Event)]) {
    let numbers: Vec<u64> = events.iter().map(|(seq, _)| *seq).collect();
    let expected: Vec<u64> = (first..first + events.len() as u64).collect();
    assert_eq!(numbers, expected, "events are numbered without gap or repetition");
}
