//! The story of a run, from any number on, as often as wanted.

use super::*;
use ostler_roles::wire::message::{Refusal, ToAgent};

#[test]
fn a_run_outlives_its_controller_and_its_session() {
    let mut node = FakeNode::default();
    node.gates.insert("file /etc/two".to_owned(), "gate".to_owned());
    let bench = bench_with(&node);
    let run = bench.run_id();
    let mut first = bench.connect();
    first.hello();
    go(&mut first, &run, &web());
    bench.await_reached("gate");
    first.hang_up();
    assert!(first.await_end(), "hanging up ends the tail");
    let mut second = bench.connect();
    second.hello();
    second.send(&[ToAgent::Attach { run: None, after: 0 }]);
    assert_eq!(second.receive(), Some(ToController::Going { run: run.clone() }));
    second.kill();
    bench.open("gate");
    let mut third = bench.connect();
    third.hello();
    let (events, end) = third.attach(&run, 0);
    assert_counts_from(1, &events);
    assert!(matches!(ending(&events), Some(Ending::Good { changed: 4, .. })));
    assert_eq!(end, Some(ToController::Done { run, last: events.len() as u64 }));
}

#[test]
fn attaching_after_any_number_gives_exactly_the_rest() {
    let bench = bench();
    let run = bench.run_id();
    let mut conversation = bench.connect();
    conversation.hello();
    go(&mut conversation, &run, &web());
    let (all, _) = conversation.story();
    for after in 0..=all.len() + 2 {
        let (rest, end) = conversation.attach(&run, after as u64);
        assert_eq!(rest, all[after.min(all.len())..], "after {after}");
        assert_eq!(end, Some(ToController::Done { run: run.clone(), last: all.len() as u64 }));
    }
}

#[test]
fn many_tails_of_a_running_run_tell_the_same_story() {
    let mut node = FakeNode::default();
    for (index, name) in ["one", "two", "three"].iter().enumerate() {
        node.gates.insert(format!("file /etc/{name}"), format!("gate-{index}"));
    }
    let bench = bench_with(&node);
    let run = bench.run_id();
    let mut first = bench.connect();
    first.hello();
    go(&mut first, &run, &web());
    let mut tails = Vec::new();
    for index in 0..3 {
        bench.await_reached(&format!("gate-{index}"));
        let mut tail = bench.connect();
        tail.hello();
        tail.send(&[ToAgent::Attach { run: Some(run.clone()), after: index }]);
        tails.push(tail);
        bench.open(&format!("gate-{index}"));
    }
    let (all, _) = first.story();
    for (after, tail) in tails.iter_mut().enumerate() {
        assert_eq!(tail.story().0, all[after..], "the tail after {after}");
    }
}

#[test]
fn an_id_that_was_answered_unknown_never_begins() {
    let bench = bench();
    let run = bench.run_id();
    let mut slow = bench.connect();
    slow.hello();
    let (plan, needed) = slow.plan(&web());
    slow.give(&needed, &contents());
    // The controller gives its connection up and asks on another one, before its `Go` has arrived.
    let mut other = bench.connect();
    other.hello();
    let (events, end) = other.attach(&run, 0);
    assert_eq!((events, end), (Vec::new(), Some(ToController::Refused(Refusal::NoRun(Some(run.clone()))))));
    slow.send(&[Conversation::going(&run, &plan, Vec::new())]);
    let Some(ToController::Refused(Refusal::NoRunner(why))) = slow.receive() else { panic!("a refusal") };
    assert!(why.contains("File exists"), "{why}");
    assert_eq!(bench.node(), FakeNode::default());
    // Another id is as good as any.
    slow.send(&[Conversation::going(&bench.run_id(), &plan, Vec::new())]);
    assert!(matches!(ending(&slow.story().0), Some(Ending::Good { .. })));
}

#[test]
fn a_node_without_runs_has_none_to_show() {
    let bench = bench();
    let mut conversation = bench.connect();
    conversation.hello();
    conversation.send(&[ToAgent::Attach { run: None, after: 0 }]);
    assert_eq!(conversation.receive(), Some(ToController::Refused(Refusal::NoRun(None))));
}

#[test]
fn a_journal_torn_anywhere_shows_its_whole_events_and_a_cut() {
    let bench = bench();
    let run = bench.run_id();
    let mut conversation = bench.connect();
    conversation.hello();
    go(&mut conversation, &run, &web());
    let (all, _) = conversation.story();
    bench.await_rest();
    let path = bench.paths().journal(&run);
    let whole = std::fs::read(&path).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for cut in (0..whole.len()).step_by(13).chain([whole.len() - 1]) {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let (events, end) = conversation.attach(&run, 0);
        assert_eq!(events, all[..events.len()], "cut at {cut}");
        assert_eq!(end, Some(ToController::Cut { run: run.clone(), last: events.len() as u64 }));
        seen.insert(events.len());
    }
    assert!(seen.len() > all.len() / 2, "the cuts fell into many events: {seen:?}");
    // Garbage behind whole events is a torn end as well: a power cut leaves zeroes or old blocks.
    std::fs::write(&path, [&whole[..whole.len() - 7], &[0; 64]].concat()).unwrap();
    assert_eq!(conversation.attach(&run, 0).0, all[..all.len() - 1]);
    // Another number of the journal's format is refused by name.
    std::fs::write(&path, b"ostler-journal/9\nwhatever").unwrap();
    let (_, end) = conversation.attach(&run, 0);
    let Some(ToController::Fault(failure)) = end else { panic!("a fault, not {end:?}") };
    assert!(failure.message.contains("does not begin with `ostler-journal/1`"), "{}", failure.message);
}
