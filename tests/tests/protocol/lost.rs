//! The controller lost at every arrow, with whole frames, half frames and none.

use super::*;
use ostler_roles::wire::message::ToAgent;

/// What a controller says in a whole conversation, arrow by arrow.
fn script(bench: &Bench, run: &RunId) -> Vec<Vec<u8>> {
    let mut probe = bench.connect();
    probe.hello();
    let (plan, needed) = probe.plan(&web());
    probe.hang_up();
    probe.await_end();
    let mut line = bench.connect();
    let blobs = {
        let data =
            |digest: &Digest| ostler_roles::wire::message::BlobData { digest: *digest, bytes: contents()[digest].clone(), more: false };
        ToAgent::Blobs(needed.iter().map(data).collect())
    };
    let messages = [Conversation::opening(None), Conversation::asking(&web()), blobs, Conversation::going(run, &plan, Vec::new())];
    messages.iter().map(|message| line.frames(std::slice::from_ref(message))).collect()
}

#[test]
fn before_go_a_lost_controller_leaves_nothing_behind() {
    let bench = bench();
    let run = bench.run_id();
    let script = script(&bench, &run);
    let whole: Vec<u8> = script.concat();
    let go_at = whole.len() - script.last().unwrap().len();
    // Between frames, and inside each of them.
    let mut cuts = vec![0, 1, 5];
    let mut at = 0;
    for frame in &script {
        cuts.extend([at, at + 2, at + frame.len() / 2, at + frame.len() - 1]);
        at += frame.len();
    }
    for cut in cuts {
        let mut conversation = bench.connect();
        conversation.send_bytes(&whole[..cut]);
        conversation.hang_up();
        assert!(conversation.await_end(), "cut at {cut} of {} ({go_at} is Go)", whole.len());
        assert_eq!(bench.everything_written(), Vec::new(), "cut at {cut}");
    }
    assert_eq!(bench.node(), FakeNode::default());
}

#[test]
fn a_whole_go_is_carried_out_though_nobody_listens() {
    let bench = bench();
    let run = bench.run_id();
    let script = script(&bench, &run);
    let mut conversation = bench.connect();
    conversation.send_bytes(&script.concat());
    conversation.hang_up();
    conversation.await_end();
    let mut other = bench.connect();
    other.hello();
    let (events, end) = other.attach(&run, 0);
    assert_counts_from(1, &events);
    assert!(matches!(ending(&events), Some(Ending::Good { changed: 4, .. })), "{events:?}");
    assert!(matches!(end, Some(ToController::Done { .. })));
}

#[test]
fn a_controller_lost_after_any_event_finds_the_rest() {
    let count = apply(&bench(), &web()).0.len();
    for heard in 0..count {
        let bench = bench();
        let run = bench.run_id();
        let mut first = bench.connect();
        first.hello();
        go(&mut first, &run, &web());
        let mut events = Vec::new();
        // Before that, whether the run began is another test's question.
        assert_eq!(first.receive(), Some(ToController::Going { run: run.clone() }));
        while events.len() < heard {
            match first.receive() {
                Some(ToController::Event { seq, event }) if seq > 0 => events.push((seq, *event)),
                Some(ToController::Event { .. }) => {}
                other => panic!("an event, not {other:?}"),
            }
        }
        first.kill();
        let mut second = bench.connect();
        second.hello();
        let (rest, end) = second.attach(&run, heard as u64);
        events.extend(rest);
        assert_counts_from(1, &events);
        assert_eq!(end, Some(ToController::Done { run, last: count as u64 }), "lost after {heard}");
        assert!(matches!(ending(&events), Some(Ending::Good { changed: 4, .. })), "lost after {heard}");
    }
}

#[test]
fn bye_ends_the_conversation_and_the_tail_but_not_the_run() {
    let mut node = FakeNode::default();
    node.gates.insert("file /etc/two".to_owned(), "gate".to_owned());
    let bench = bench_with(&node);
    let mut idle = bench.connect();
    idle.hello();
    idle.send(&[ToAgent::Bye]);
    assert_eq!(idle.receive(), None);
    assert!(idle.await_end());
    let run = bench.run_id();
    let mut first = bench.connect();
    first.hello();
    go(&mut first, &run, &web());
    bench.await_reached("gate");
    first.send(&[ToAgent::Bye]);
    assert_eq!(first.story().1, None);
    assert!(first.await_end());
    bench.open("gate");
    let mut second = bench.connect();
    second.hello();
    assert!(matches!(ending(&second.attach(&run, 0).0), Some(Ending::Good { .. })));
}

#[test]
fn garbage_is_a_fault_that_says_so() {
    let bench = bench();
    for (bytes, said) in [
        (vec![0xff; 8], "above the limit"),
        (vec![0, 0, 0, 2, 7, 7], "unknown flag"),
        (vec![0, 0, 0, 3, 0, 0xc1, 0xc1], "holds no message"),
        (vec![0, 0, 0, 4, 1, 1, 2, 3], "does not decompress"),
    ] {
        let mut conversation = bench.connect();
        conversation.hello();
        conversation.send_bytes(&bytes);
        let Some(ToController::Fault(failure)) = conversation.receive() else { panic!("a fault") };
        assert!(failure.message.contains(said), "{} should say {said}", failure.message);
        assert_eq!(conversation.receive(), None);
    }
    let mut conversation = bench.connect();
    conversation.send_bytes(&vec![b'x'; 100_000]);
    let Some(ToController::Fault(failure)) = conversation.receive() else { panic!("a fault") };
    assert!(failure.message.contains("never began the protocol"), "{}", failure.message);
    assert_eq!(bench.everything_written(), Vec::new());
}

#[test]
fn a_controller_that_takes_nothing_does_not_hold_up_the_run() {
    let mut node = FakeNode::default();
    node.gates.insert("file /etc/one".to_owned(), "gate".to_owned());
    let bench = bench_with(&node);
    let run = bench.run_id();
    let mut first = bench.connect();
    first.hello();
    go(&mut first, &run, &web());
    bench.await_reached("gate");
    // The tail is there and is never read: what it could not say is said to the next one.
    let mut second = bench.connect();
    second.hello();
    bench.open("gate");
    let (events, _) = second.attach(&run, 0);
    assert!(matches!(ending(&events), Some(Ending::Good { .. })));
}
