//! Proofs behind a run: which are asked again, for how long, and what is told of it.

use super::*;
use ostler_roles::catalog::{Requirement, Step};
use ostler_roles::check::{Check, Connect, Verdict};
use ostler_roles::words::{Origin, RoleName, Span};
use std::time::Duration;

#[test]
fn a_proof_that_does_not_hold_fails_the_run() {
    let bench = bench();
    let mut proven = web();
    for port in [0, 9] {
        proven.verify.push(Requirement {
            check: Check::Connect(Connect { host: "localhost".to_owned(), port }),
            role: RoleName::parse("base").unwrap(),
            origin: Origin::default(),
            within: Span::seconds(1),
        });
    }
    let (events, _) = apply(&bench, &proven);
    let verdicts: Vec<(&str, bool)> = events
        .iter()
        .filter_map(
            |(_, event)| if let Event::Verified { name, verdict, .. } = event { Some((name.as_str(), verdict.passed())) } else { None },
        )
        .collect();
    assert_eq!(verdicts, [("connect localhost:0", true), ("connect localhost:9", false)]);
    assert_eq!(ending(&events), Some(&Ending::Failed));
}

/// The verdict on a connection to `host` behind these steps, what was told of it, how often it was asked for, and how long the run took.
fn proved(node: &FakeNode, steps: Vec<Step>, host: &str, within: Span) -> (Verdict, Vec<String>, u32, Duration) {
    let bench = bench_with(node);
    let mut proven = catalog(steps);
    proven.verify.push(Requirement {
        check: Check::Connect(Connect { host: host.to_owned(), port: 80 }),
        role: RoleName::parse("base").unwrap(),
        origin: Origin::default(),
        within,
    });
    let (events, _) = apply(&bench, &proven);
    let mut notes = Vec::new();
    let mut verdicts = Vec::new();
    for (_, event) in &events {
        match event {
            Event::Note { text, .. } => notes.push(text.clone()),
            Event::Verified { verdict, .. } => verdicts.push(verdict.clone()),
            _ => {}
        }
    }
    let Some((_, Event::Ended { millis, .. })) = events.last() else { panic!("{events:?}") };
    let node = bench.node();
    assert_eq!(Vec::from_iter(node.given), [within.duration().as_millis()], "each time it is asked for as long");
    (verdicts.remove(0), notes, node.asked, Duration::from_millis(*millis))
}

/// The seconds in `waited 0.4 s for ...`.
fn waited<'a>(text: &'a str, place: &str) -> (f64, &'a str) {
    let (before, rest) = text.split_once("waited ").unwrap_or_else(|| panic!("no wait in {text:?}"));
    let seconds = rest.strip_suffix(&format!(" s for {place}")).unwrap_or_else(|| panic!("not for {place}: {text:?}"));
    (seconds.parse().unwrap(), before)
}

#[test]
fn a_port_that_a_service_of_this_run_opens_late_is_waited_for_and_that_is_told() {
    let node = FakeNode { open_port: 80, refuses: 3, ..FakeNode::default() };
    let (verdict, notes, asked, _) = proved(&node, vec![service("nginx", &[])], "127.0.0.1", Span::seconds(5));
    assert_eq!((verdict, asked), (Verdict::Pass { found: "127.0.0.1:80 answers".to_owned() }, 4));
    let [note] = notes.as_slice() else { panic!("{notes:?}") };
    let (seconds, before) = waited(note, "127.0.0.1:80");
    assert!(before.is_empty() && seconds >= 0.3, "three pauses: {note}");
}

#[test]
fn a_port_that_never_opens_fails_with_the_time_that_was_waited_and_no_later() {
    let (verdict, notes, asked, took) = proved(&FakeNode::default(), vec![service("nginx", &[])], "localhost", Span::seconds(1));
    let Verdict::Fail { found, wanted, .. } = &verdict else { panic!("{verdict:?}") };
    assert_eq!(wanted, "a TCP connection from the node to localhost:80");
    let (seconds, before) = waited(found, "localhost:80");
    assert!(before == "connection refused; " && seconds >= 1.0, "the proof's own second: {found}");
    assert!(notes.is_empty() && asked > 2 && took < Duration::from_secs(30), "{notes:?} {asked} {took:?}");
}

#[test]
fn a_port_that_no_change_of_this_run_can_open_is_asked_for_once() {
    let late = FakeNode { open_port: 80, refuses: 2, ..FakeNode::default() };
    let mut unchanged = late.clone();
    unchanged.there.insert("service nginx".to_owned(), "good".to_owned());
    for (why, node, steps, host, asks) in [
        // The plan was empty, so that it asked as well.
        ("nothing was changed", &unchanged, vec![service("nginx", &[])], "127.0.0.1", 2),
        ("a file opens no port", &late, vec![file("/etc/one", "one")], "127.0.0.1", 1),
        ("it is another machine's", &late, vec![service("nginx", &[])], "192.0.2.1", 1),
    ] {
        let (verdict, notes, asked, _) = proved(node, steps, host, Span::seconds(1));
        let Verdict::Fail { found, .. } = &verdict else { panic!("{why}: {verdict:?}") };
        assert_eq!((found.as_str(), notes, asked), ("connection refused", Vec::new(), asks), "{why}");
    }
}
