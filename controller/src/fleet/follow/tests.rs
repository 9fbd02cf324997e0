//! A run is followed to its end, or it is said what is known of it.

use super::*;
use crate::fleet::fake::{Act, FakeNode, hello, name, run_id};
use crate::fleet::{FleetMessage, NodeEnd, Prepared, Ready, Runner, Stage, Transaction};
use crate::session::{ALL_TURNS, all_turns};
use ostler_roles::catalog::Catalog;
use ostler_roles::outcome::Ending;
use ostler_roles::plan::{Plan, Planned};
use ostler_roles::resource::{Kind, ResourceId};
use ostler_roles::wire::message::{ToAgent, ToController};
use ostler_roles::words::Digest;
use std::sync::Arc;

const GOOD: Ending = Ending::Good { changed: 1, unchanged: 0, generation: 1 };

fn say(message: ToController) -> Act {
    Act::Say(message)
}
fn going() -> Act {
    say(ToController::Going { run: run_id() })
}
fn done() -> Act {
    say(ToController::Done { run: run_id(), last: 3 })
}
fn event(seq: u64, event: Event) -> Act {
    say(ToController::Event { seq, event: Box::new(event) })
}
fn started() -> Act {
    event(1, Event::Started { run: run_id(), steps: 1, resumed_at: None })
}
fn noted() -> Act {
    event(2, Event::Note { index: None, text: "half way".to_owned() })
}
fn ended(ending: Ending) -> Act {
    event(3, Event::Ended { ending, millis: 1 })
}
fn no_run() -> Act {
    say(ToController::Refused(Refusal::NoRun(Some(run_id()))))
}
/// The opening and the answer to it.
fn met(acts: impl IntoIterator<Item = Act>) -> Option<Vec<Act>> {
    Some([Act::Hear, say(hello())].into_iter().chain(acts).collect())
}

fn catalog() -> Catalog {
    Catalog { node: name(), facts: Digest::of(b""), require: Vec::new(), steps: Vec::new(), verify: Vec::new() }
}

fn plan() -> Plan {
    let because = ResourceId { kind: Kind::File, key: "/etc/motd".to_owned() };
    let steps = vec![Planned::MayChange { because, changes: Vec::new() }];
    Plan { catalog: Digest::of(b""), generation: 0, requirements: Vec::new(), steps, verify: Vec::new(), notes: Vec::new() }
}
/// The answer to a catalog.
fn planned(plan: Plan) -> Act {
    say(ToController::Planned(Box::new(plan)))
}

/// Lets a node go whose connections play this; how it ended, what was told, what the node heard.
async fn run(script: Vec<Option<Vec<Act>>>, stop: bool) -> (NodeEnd, Vec<FleetEvent>, Vec<ToAgent>) {
    let fake = FakeNode::new(script);
    let (preparation, mut events) = fake.preparation();
    let connection = preparation.meet(&name(), async { Vec::new() }).await.unwrap();
    let prepared =
        Prepared { catalog: catalog(), blob: Arc::new(|_| None), secrets: Arc::default(), masked: Vec::new(), executors: Vec::new() };
    let plan = plan();
    let (stopper, cancel) = watch::channel(stop);
    let runner = Runner { preparation: preparation.clone(), controller: "ada@desk".to_owned(), cancel };
    let transaction = Transaction::of_planned(&name(), plan.digest(), &preparation.events);
    let end = runner.go(Ready { node: name(), prepared, plan, connection }, run_id(), &transaction).await;
    drop(stopper);
    preparation.events.end();
    let mut told = Vec::new();
    while let Some(FleetMessage::Event(_, event) | FleetMessage::Run(_, event, _)) = events.recv().await {
        told.push(event);
    }
    assert_eq!(fake.left(), 0, "a connection was not made");
    (end, told, fake.heard())
}

fn attached_again(told: &[FleetEvent]) -> Vec<u64> {
    told.iter().filter_map(|event| if let FleetEvent::AttachedAgain { after, .. } = event { Some(*after) } else { None }).collect()
}

fn numbers(told: &[FleetEvent]) -> Vec<u64> {
    told.iter().filter_map(|event| if let FleetEvent::Run { seq, .. } = event { Some(*seq) } else { None }).collect()
}

fn trouble(end: &NodeEnd) -> &Trouble {
    end.ending.as_ref().unwrap_err()
}

#[tokio::test]
async fn a_run_whose_beginning_was_not_heard_is_asked_for_by_its_own_id_and_followed() {
    let script = vec![met([Act::Hear]), met([Act::Hear, going(), started(), noted(), ended(GOOD), done()])];
    let (end, told, heard) = run(script, false).await;
    assert_eq!(end.ending.as_ref().unwrap(), &GOOD);
    assert!(end.connection.is_some());
    assert_eq!((attached_again(&told), numbers(&told)), (vec![0], vec![1, 2, 3]));
    assert!(matches!(&heard[..], [ToAgent::Go { run, .. }, ToAgent::Attach { run: Some(asked), after: 0 }] if run == asked), "{heard:?}");
}

#[tokio::test]
async fn what_was_told_already_is_not_told_twice() {
    let script = vec![met([Act::Hear, going(), started(), noted(), noted(), started(), ended(GOOD), done()])];
    let (end, told, _) = run(script, false).await;
    assert_eq!((end.ending.unwrap(), numbers(&told)), (GOOD, vec![1, 2, 3]));
}

#[tokio::test]
async fn a_run_is_asked_to_stop_while_nobody_reads_what_it_tells() {
    let fake = FakeNode::new(vec![met([Act::Hear, Act::Beat])]);
    let (preparation, _events) = fake.preparation();
    let connection = preparation.meet(&name(), async { Vec::new() }).await.unwrap();
    let node = name();
    let mut follower = Follower::new(&preparation, &node, run_id(), connection);
    let (stopper, mut stop) = watch::channel(false);
    stopper.send_replace(true);
    let heard = async {
        while !fake.heard().iter().any(|message| matches!(message, ToAgent::Cancel { .. })) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        () = follower.telling(std::future::pending(), &mut stop) => panic!("nobody reads on"),
        heard = tokio::time::timeout(Duration::from_secs(30), heard) => heard.expect("it hears that it shall stop"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_only_says_that_it_is_there_is_left_when_all_its_deadlines_are_over() {
    // Every quarter of a minute, for ever: no connection is lost.
    let (end, told, _) = run(vec![met([Act::Hear, going(), started(), Act::Beat])], false).await;
    let trouble = trouble(&end);
    assert_eq!((trouble.kind, trouble.hint.as_str()), (TroubleKind::Unreachable, "ostler attach n1"));
    assert_eq!(trouble.chain[1], "it has not ended, though each of its steps must have by its own deadline");
    assert_eq!(numbers(&told), [1]);
    assert!(end.run.is_some(), "what it may have changed is owed");
}

#[tokio::test]
async fn a_run_that_tells_without_end_is_listened_to_no_longer() {
    let shout = |seq| event(seq, Event::Note { index: None, text: "!".repeat(1 << 20) });
    let acts = [Act::Hear, going(), started()].into_iter().chain((2..100).map(shout));
    let (end, told, _) = run(vec![met(acts)], false).await;
    assert_eq!(trouble(&end).chain[1], "its run tells more than is kept of one: the rest was not read");
    assert_eq!(numbers(&told).len(), TOLD >> 20);
}

#[tokio::test]
async fn a_run_that_the_node_does_not_know_has_not_begun_and_nothing_was_changed() {
    let (end, told, _) = run(vec![met([Act::Hear]), met([Act::Hear, no_run()]), None, None, None], false).await;
    let trouble = trouble(&end);
    assert_eq!(trouble.chain[0], format!("run {} has not begun: nothing was changed on this node", run_id().short()));
    assert_eq!(trouble.hint, "run the same command again");
    assert!(attached_again(&told).is_empty() && !told.iter().any(|event| matches!(event, FleetEvent::Stage(Stage::Going))));
}

#[tokio::test]
async fn a_line_that_is_lost_before_a_run_begins_is_made_again_and_the_same_plan_is_let_go() {
    let again = || met([Act::Hear, planned(plan()), Act::Hear, going(), started(), ended(GOOD), done()]);
    // While it waited; and under the very `Go`, of which the node has heard nothing: it refuses that one's id from now on.
    let asked_for = vec![met([Act::Hear]), met([Act::Hear, no_run()]), again()];
    for (script, is_same) in [(vec![met([]), again()], true), (asked_for, false)] {
        let (end, told, heard) = run(script, false).await;
        assert_eq!(end.ending.as_ref().unwrap(), &GOOD, "{told:?}");
        assert!(told.contains(&FleetEvent::MetAgain), "{told:?}");
        let [.., ToAgent::Catalog { .. }, ToAgent::Go { run, .. }] = &heard[..] else { panic!("{heard:?}") };
        assert_eq!(run == &run_id(), is_same);
        assert_eq!(end.run.as_ref(), Some(run), "what is asked for later is the run that has begun");
        assert!(told.contains(&FleetEvent::Go(run.clone())), "{told:?}");
    }
}

#[tokio::test]
async fn a_node_that_is_met_again_with_another_plan_is_not_let_go() {
    let other = Plan { generation: 1, ..plan() };
    let (end, _, heard) = run(vec![met([]), met([Act::Hear, planned(other)])], false).await;
    let trouble = trouble(&end);
    assert_eq!((trouble.kind, trouble.hint.as_str()), (TroubleKind::Moved, "plan again"));
    assert!(trouble.chain[0].ends_with("has not begun: nothing was changed on this node"), "{trouble:?}");
    assert!(!heard.iter().any(|message| matches!(message, ToAgent::Go { .. })), "{heard:?}");
}

#[tokio::test]
async fn a_run_that_cannot_be_asked_for_may_have_begun() {
    let (end, told, _) = run(vec![met([Act::Hear]), None, None, None], false).await;
    let trouble = trouble(&end);
    assert_eq!(trouble.chain[0], format!("whether run {} has begun is not known", run_id().short()));
    assert!(trouble.chain.last().unwrap().contains("connection refused"), "{trouble:?}");
    assert_eq!((trouble.hint.as_str(), trouble.kind), ("ostler attach n1", TroubleKind::Unreachable));
    assert_eq!(told.iter().filter(|event| matches!(event, FleetEvent::Link(LinkEvent::Retried { .. }))).count(), 2);
    assert!(end.connection.is_none());
}

#[tokio::test]
async fn a_run_that_was_lost_midway_goes_on_behind_its_last_event() {
    let script = vec![
        met([Act::Hear, going(), started(), noted()]),
        None,
        met([Act::Hear, going()]),
        met([Act::Hear, going(), ended(GOOD), done()]),
    ];
    let (end, told, heard) = run(script, false).await;
    assert_eq!(end.ending.as_ref().unwrap(), &GOOD);
    assert_eq!((attached_again(&told), numbers(&told)), (vec![2, 2], vec![1, 2, 3]));
    assert!(heard[1..].iter().all(|message| matches!(message, ToAgent::Attach { after: 2, .. })), "{heard:?}");
}

#[tokio::test]
async fn a_run_that_stays_lost_goes_on_without_us() {
    let (end, ..) = run(vec![met([Act::Hear, going(), started()]), None, None, None], false).await;
    let trouble = trouble(&end);
    assert_eq!(trouble.chain[0], format!("run {} goes on without us", run_id().short()));
    assert_eq!((trouble.hint.as_str(), trouble.kind), ("ostler attach n1", TroubleKind::Unreachable));
}

#[tokio::test]
async fn a_link_that_only_ever_breaks_is_given_up() {
    let mut script = vec![met([Act::Hear, going(), started()])];
    script.extend((0..4).map(|_| met([Act::Hear, going()])));
    let (end, told, _) = run(script, false).await;
    assert_eq!(trouble(&end).chain.last().unwrap(), "4 times without news of the run");
    assert_eq!(attached_again(&told), [1, 1, 1, 1]);
}

#[tokio::test]
async fn the_wish_to_stop_is_told_again_over_the_new_connection() {
    let script = vec![met([Act::Hear, going(), Act::Hear]), met([Act::Hear, going(), Act::Hear, ended(Ending::Cancelled), done()])];
    let (end, _, heard) = run(script, true).await;
    assert_eq!(end.ending.as_ref().unwrap(), &Ending::Cancelled);
    assert_eq!(heard.iter().filter(|message| matches!(message, ToAgent::Cancel { .. })).count(), 2, "{heard:?}");
}

#[tokio::test]
async fn a_run_that_ended_before_it_heard_the_wish_to_stop_is_no_trouble() {
    let (end, ..) = run(vec![met([Act::Hear, going(), Act::Hear, no_run(), started(), ended(GOOD), done()])], true).await;
    assert_eq!(end.ending.as_ref().unwrap(), &GOOD);
}

#[tokio::test]
async fn a_run_whose_runner_is_gone_is_not_looked_for() {
    let (end, told, _) = run(vec![met([Act::Hear, going(), started(), say(ToController::Cut { run: run_id(), last: 1 })])], false).await;
    assert!(trouble(&end).chain[0].contains("was cut off on the node"), "{end:?}");
    assert!(attached_again(&told).is_empty());
}

#[tokio::test]
async fn a_goodbye_to_many_deaf_nodes_is_said_to_all_at_once() {
    let scripts: Vec<_> = (0..5).map(|_| FakeNode::new(vec![met([Act::Beat])])).collect();
    let mut connections = Vec::new();
    for fake in &scripts {
        let (preparation, _events) = fake.preparation();
        let mut connection = preparation.meet(&name(), async { Vec::new() }).await.unwrap();
        // More than the pipe holds, and nothing that zstd makes smaller: from now on nothing that is sent is taken.
        let noise: Vec<u8> = (0..4096u32).flat_map(|number| Digest::of(&number.to_le_bytes()).hex().into_bytes()).collect();
        let filled =
            tokio::time::timeout(Duration::from_millis(200), connection.session.ask(&catalog(), crate::session::PlanOf::default(), &noise))
                .await;
        assert!(filled.is_err());
        connections.push(connection);
    }
    let begin = std::time::Instant::now();
    super::super::leave(connections).await;
    assert!(begin.elapsed() < Duration::from_secs(9), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn a_content_that_is_gone_from_the_site_is_said_and_nothing_is_begun() {
    let gone = Digest::of(b"gone");
    let plan = Plan {
        catalog: Digest::of(b""),
        generation: 0,
        requirements: Vec::new(),
        steps: Vec::new(),
        verify: Vec::new(),
        notes: Vec::new(),
    };
    let planned = say(ToController::Planned(Box::new(plan.clone())));
    let fake = FakeNode::new(vec![met([Act::Hear, say(ToController::NeedBlobs(vec![gone])), planned])]);
    let (preparation, _told) = fake.preparation();
    let mut connection = preparation.meet(&name(), async { Vec::new() }).await.unwrap();
    connection.session.ask(&catalog(), crate::session::PlanOf::default(), &[]).await.unwrap();
    connection.session.answer().await.unwrap();
    let go = Go {
        plan: &plan,
        secrets: Vec::new(),
        masked: Vec::new(),
        controller: "ada@desk",
        owes: true,
        blob: &|_| None,
        stop: watch::channel(false).1,
    };
    let error = connection.session.go(&run_id(), &go).await.unwrap_err();
    assert!(!may_have_begun(&error), "no proof is owed for what was not begun");
    let told = format!("content {} of the plan is no longer in the site: nothing was changed on this node", gone.short());
    assert_eq!(error.to_string(), told);
    assert_eq!(error.hint(), "was a file of the site changed meanwhile? plan again");
    assert!(!fake.heard().iter().any(|message| matches!(message, ToAgent::Go { .. })), "{:?}", fake.heard());
}

#[tokio::test]
async fn a_run_that_waits_for_its_turn_to_be_sent_contents_is_stopped_at_once_and_has_not_begun() {
    let _alone = ALL_TURNS.lock().await;
    let turns = all_turns().await;
    let wanted = Digest::of(b"wanted");
    let fake = FakeNode::new(vec![met([Act::Hear, say(ToController::NeedBlobs(vec![wanted])), planned(plan()), Act::Hear])]);
    let (preparation, mut events) = fake.preparation();
    let mut connection = preparation.meet(&name(), async { Vec::new() }).await.unwrap();
    connection.session.ask(&catalog(), crate::session::PlanOf::default(), &[]).await.unwrap();
    connection.session.answer().await.unwrap();
    let blob = Arc::new(|_: &Digest| Some(b"wanted".to_vec().into()));
    let prepared = Prepared { catalog: catalog(), blob, secrets: Arc::default(), masked: Vec::new(), executors: Vec::new() };
    let (stopper, cancel) = watch::channel(false);
    let runner = Runner { preparation: preparation.clone(), controller: "ada@desk".to_owned(), cancel };
    let transaction = Transaction::of_planned(&name(), plan().digest(), &preparation.events);
    let go = runner.go(Ready { node: name(), prepared, plan: plan(), connection }, run_id(), &transaction);
    let stopping = async {
        while !matches!(events.recv().await, Some(FleetMessage::Event(_, FleetEvent::Go(_)))) {}
        stopper.send_replace(true);
    };
    let both = async { tokio::join!(go, stopping).0 };
    let end = tokio::time::timeout(Duration::from_secs(30), both).await.expect("nobody gives up a turn");
    drop(turns);
    assert_eq!(end.ending.unwrap(), Ending::Cancelled);
    assert_eq!((end.run, end.connection.is_none()), (None, true), "it has not begun, and may have heard half a content");
    assert!(!fake.heard().iter().any(|message| matches!(message, ToAgent::Go { .. } | ToAgent::Blobs(_))), "{:?}", fake.heard());
}

#[tokio::test]
async fn a_line_that_is_lost_before_a_run_begins_is_not_made_again_for_who_wants_no_new_work() {
    let (end, told, _) = run(vec![met([])], true).await;
    assert_eq!((end.ending.unwrap(), end.run), (Ending::Cancelled, None));
    assert!(!told.iter().any(|event| matches!(event, FleetEvent::Stage(Stage::Going) | FleetEvent::MetAgain)), "{told:?}");
}

#[tokio::test]
async fn who_is_asked_for_proofs_again_is_met_again_as_patiently_as_who_is_let_go() {
    let nothing = Plan { steps: Vec::new(), ..plan() };
    // Its connection is gone; nobody is there for a moment.
    let fake = FakeNode::new(vec![met([]), None, met([Act::Hear, planned(nothing.clone())])]);
    let (preparation, _told) = fake.preparation();
    let connection = preparation.meet(&name(), async { Vec::new() }).await.unwrap();
    let prepared =
        Prepared { catalog: catalog(), blob: Arc::new(|_| None), secrets: Arc::default(), masked: Vec::new(), executors: Vec::new() };
    let mut ready = Ready { node: name(), prepared, plan: nothing, connection };
    super::super::prove_again(&preparation, &mut ready).await.unwrap();
    assert_eq!(fake.left(), 0);
}
