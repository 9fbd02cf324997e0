//! What a node's line is asked, and what becomes of it when it is lost or another run has the node.

use super::*;
use crate::fleet::fake::{Act, FakeNode, hello, name, run_id};
use ostler_roles::plan::Planned;
use ostler_roles::resource::{Kind, ResourceId};
use ostler_roles::wire::message::{ToAgent, ToController};
use ostler_roles::words::{MasterName, Span};

fn planned(generation: u64) -> Act {
    let because = ResourceId { kind: Kind::File, key: "/etc/motd".to_owned() };
    let steps = vec![Planned::MayChange { because, changes: Vec::new() }];
    let (requirements, verify) = (Vec::new(), Vec::new());
    Act::Say(ToController::Planned(Box::new(Plan { catalog: Digest::of(b""), generation, requirements, steps, verify, notes: Vec::new() })))
}

fn job(preparation: &Preparation) -> NodeJob {
    NodeJob {
        node: name(),
        preparation: preparation.clone(),
        connection: None,
        nonces: BTreeSet::new(),
        masked: Some(Masked::default()),
        generation: Some(1),
        controller: "ada@entry".to_owned(),
        stop: watch::channel(false).1.into(),
        runtime: tokio::runtime::Handle::current(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_owes_an_answer_is_asked_nothing_more() {
    let place = Place::of("http://ci", &name());
    let account = AccountName::parse("job").unwrap();
    let subject = Subject { master: MasterName::parse("ci").unwrap(), executor: name(), smoke: Digest::of(b"true") };
    let proved = Proved { subject, generation: 1 };
    let answers = [ToController::Proved, ToController::Challenge(true), ToController::Refused(Refusal::NoRun(None))];
    for (at, answer) in answers.into_iter().enumerate() {
        // The first connection answers what it was asked before, once it is asked something else.
        let late = vec![Act::Hear, Act::Say(hello()), Act::Hear, Act::Hear, Act::Say(answer.clone()), Act::Hear];
        let fake = FakeNode::new(vec![Some(late), Some(vec![Act::Hear, Act::Say(hello()), Act::Hear, Act::Say(answer)])]);
        let (preparation, _told) = fake.preparation();
        let mut job = job(&preparation);
        for is_second in [false, true] {
            let done = match at {
                0 => job.try_prove(&proved).await,
                1 => job.try_challenge(place, &account, None).await.map(drop),
                _ => job.ask(&Patch::default()).await.map(drop),
            };
            match done {
                Err(NodeJobError::Session(_, error)) if !is_second => {
                    assert!(matches!(error, SessionError::Deadline { .. }), "{error:?}")
                }
                Err(NodeJobError::Session(_, SessionError::Refused(_))) | Ok(()) if is_second => {}
                other => panic!("{at}: {other:?}"),
            }
        }
        assert_eq!(fake.left(), 0, "{at}: the late answer was taken for another");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_run_has_done_meanwhile_counts_as_changed() {
    let active =
        ActiveRun { run: run_id(), alive: true, controller: "eve@entry".into(), since: 1, age: Span::seconds(0), events: 3, owes: true };
    let Act::Say(ToController::Planned(mut done)) = planned(2) else { unreachable!("it is a plan") };
    done.steps.clear();
    let says =
        [Act::Say(hello()), planned(1), Act::Say(ToController::Refused(Refusal::Locked(active))), Act::Say(ToController::Planned(done))];
    let fake = FakeNode::new(vec![Some(says.into_iter().flat_map(|say| [Act::Hear, say]).collect())]);
    let (preparation, _told) = fake.preparation();
    let mut job = job(&preparation);
    let mut begun = 0;
    let work = move || {
        let changed = job.run(&Patch::default(), &mut || {
            begun += 1;
            Ok(())
        });
        (changed.unwrap(), begun)
    };
    assert_eq!(tokio::task::spawn_blocking(work).await.unwrap(), (1, 1), "its labels were taken off for it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_another_run_has_for_a_moment_is_waited_for_and_planned_again() {
    let active =
        ActiveRun { run: run_id(), alive: true, controller: "eve@entry".into(), since: 1, age: Span::seconds(0), events: 3, owes: true };
    let ended = Event::Ended { ending: Ending::Good { changed: 1, unchanged: 0, generation: 3 }, millis: 1 };
    let acts = vec![
        (Act::Hear, Act::Say(hello())),
        (Act::Hear, planned(1)),
        (Act::Hear, Act::Say(ToController::Refused(Refusal::Locked(active)))),
        (Act::Hear, planned(1)),
        (Act::Hear, Act::Say(ToController::Refused(Refusal::Moved { planned: 1, found: 2 }))),
        (Act::Hear, planned(2)),
        (Act::Hear, Act::Say(ToController::Going { run: run_id() })),
    ];
    let end = [ToController::Event { seq: 1, event: Box::new(ended) }, ToController::Done { run: run_id(), last: 1 }].map(Act::Say);
    let acts = acts.into_iter().flat_map(|(hear, say)| [hear, say]).chain(end).collect();
    let fake = FakeNode::new(vec![Some(acts)]);
    let (preparation, mut told) = fake.preparation();
    let mut job = job(&preparation);
    let mut begun = 0;
    let work = move || {
        let changed = job.run(&Patch::default(), &mut || {
            begun += 1;
            Ok(())
        });
        (changed.unwrap(), begun)
    };
    assert_eq!(tokio::task::spawn_blocking(work).await.unwrap(), (1, 1));
    let generations = fake.heard().into_iter().filter_map(|heard| match heard {
        ToAgent::Go { generation, owes, .. } => Some((generation, owes)),
        _ => None,
    });
    assert_eq!(generations.collect::<Vec<_>>(), [(1, false), (1, false), (2, false)]);
    preparation.events.end();
    let mut notes = Vec::new();
    while let Some(crate::fleet::FleetMessage::Event(_, FleetEvent::Run { event, .. })) = told.recv().await {
        notes.push(format!("{event:?}"));
    }
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].contains("eve@entry has had the node for 0s"), "{notes:?}");
}
