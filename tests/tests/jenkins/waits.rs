//! What a run waits for, and what it need not wait for: told with its end; nodes that are offline, and one whose trouble is its own.

use std::time::{Duration, Instant};

use ostler::masters::driver::Event;
use ostler::masters::http::Access;
use ostler::masters::jenkins::{Client, JenkinsError, Patience};
use ostler::masters::register::Ending;
use ostler_roles::master::{Proof, Stage};
use ostler_tests::jenkins::nodes::{Agent, OfflineMark};
use ostler_tests::jenkins::{Fault, Model, Timeline, xml};

use super::bench::{
    PLANTED, Registration, SITE_KEY, client, credential, fault, model, node, patience, register, registration, run, site, ssh, token,
    writes,
};

fn ready() -> (Model, Client) {
    let model = model();
    let client = client(&model, token("narrow"));
    client.put_credential(&credential(PLANTED), SITE_KEY).unwrap();
    model.take_log();
    (model, client)
}

/// Registers with every wait told, does this at each event, and keeps what was told.
fn tell(model: &Model, wanted: &Registration, mut and: impl FnMut(&Event)) -> (Ending, Vec<Event>) {
    let patience = Patience { silence: Duration::ZERO, ..patience() };
    let client = Client::new(&model.url(), token("narrow"), site(), patience, Access::default()).unwrap();
    let mut events = Vec::new();
    let mut take = |event: Event| {
        and(&event);
        events.push(event);
    };
    let ending = register(&client, std::slice::from_ref(wanted), &mut take).unwrap().remove(0).1;
    (ending, events)
}

/// When it was first told that this is waited for.
fn place(events: &[Event], what: &str) -> usize {
    let is_it = |event: &Event| matches!(event, Event::Waiting { what: told, .. } if told == what);
    events.iter().position(is_it).unwrap_or_else(|| panic!("{what} in {events:?}"))
}

#[test]
fn every_wait_says_what_for_since_when_and_until_when() {
    let (model, _) = ready();
    model.state().quieting = true;
    model.state().hold_builds = true;
    let wanted = registration(node("n1", ssh()), "true");
    let (ending, events) = tell(&model, &wanted, |event| match event {
        Event::Quarantining { .. } => model.play(Timeline::new(vec![(Fault::Starting, Duration::from_millis(100))])),
        Event::Waiting { what, .. } if what.contains("leaves the queue") => model.state().quieting = false,
        Event::Waiting { what, .. } if what == "its smoke job ends" => model.state().hold_builds = false,
        _ => {}
    });
    assert!(ending.is_registered(), "{ending:?}");
    place(&events, "Jenkins answers (503 Starting Jenkins)");
    let queued = place(&events, "its smoke job leaves the queue (Jenkins is about to shut down)");
    // It is not said to run before it does.
    let runs = events.iter().position(|event| matches!(event, Event::Running { .. })).unwrap();
    assert!(queued < runs && runs < place(&events, "its smoke job ends"), "{events:?}");
    let Event::Waiting { until, .. } = &events[queued] else { panic!() };
    assert_eq!(*until, patience().smoke);
}

#[test]
fn a_node_on_demand_rests_until_a_job_wants_it_and_is_launched_to_be_proved() {
    let (model, client) = ready();
    let wanted = registration(node("n1", ssh()), "true");
    assert!(run(&client, &wanted).is_registered());
    let strategy = "<retentionStrategy class=\"hudson.slaves.RetentionStrategy$Demand\"><idleDelay>5</idleDelay></retentionStrategy>";
    {
        let mut state = model.state();
        let node = state.nodes.get_mut("n1").unwrap();
        node.retention = Some(xml::parse(strategy).unwrap());
        node.agent = Agent::Resting;
    }
    model.take_log();
    let (ending, events) = tell(&model, &wanted, |_| {});
    assert!(matches!(ending, Ending::Resting), "{ending:?}");
    let note = "registered, as before; its agent rests until a job wants it";
    assert!(events.iter().any(|event| matches!(event, Event::Note(text) if text == note)), "{events:?}");
    assert_eq!(writes(&model), [""; 0]);

    let began = Instant::now();
    let ending = run(&client, &Registration { proof: Proof::Wanted, ..wanted });
    assert!(matches!(&ending, Ending::Labelled(report) if report.is_green()), "{ending:?}");
    assert!(began.elapsed() < patience().connect, "{:?}", began.elapsed());
}

#[test]
fn a_labelled_node_that_somebody_marked_offline_is_told_with_who_and_why() {
    let (model, client) = ready();
    let wanted = registration(node("n1", ssh()), "true");
    assert!(run(&client, &wanted).is_registered());
    let mark = |by: &str, xml: Option<&str>| {
        let element = xml.map(|text| xml::parse(text).unwrap());
        let mark = OfflineMark::new(by, "kernel tests");
        model.state().nodes.get_mut("n1").unwrap().offline = Some(element.map_or(mark, |element| OfflineMark { element }));
    };
    let monitor =
        "<temporaryOfflineCause class=\"hudson.node_monitors.DiskSpaceMonitorDescriptor$DiskSpace\"><size>1</size></temporaryOfflineCause>";
    for (stored, by) in [(None, "by `alice`: kernel tests"), (Some(monitor), "by Jenkins (DiskSpace)")] {
        mark("alice", stored);
        model.take_log();
        let (ending, events) = tell(&model, &wanted, |_| {});
        assert!(matches!(&ending, Ending::Away(_)), "{ending:?}");
        let note = format!("registered, as before, but it takes no jobs: marked offline {by}");
        assert!(events.iter().any(|event| matches!(event, Event::Note(text) if *text == note)), "{events:?}");
        assert_eq!(writes(&model), [""; 0]);
    }
}

#[test]
fn one_node_that_may_not_be_configured_is_nobody_elses_trouble() {
    let (model, client) = ready();
    let all: Vec<Registration> = ["n1", "n2", "n3", "n4"].iter().map(|name| registration(node(name, ssh()), "true")).collect();
    client.create(&all[1].node).unwrap();
    client.update(&all[1].node, Stage::Labelled).unwrap();
    // One is there already, one is to be made.
    model.state().beyond_roles.extend(["n2".to_owned(), "n4".to_owned()]);
    let endings = register(&client, &all, &mut |_| {}).unwrap();
    let is_good: Vec<bool> = endings.iter().map(|(_, ending)| ending.is_registered()).collect();
    assert_eq!(is_good, [true, false, true, false], "{endings:?}");
    for (at, permission) in [(1, "Agent/Configure"), (3, "Agent/Create")] {
        let Some(JenkinsError::MissingPermission { permission: missing, .. }) = fault(&endings[at].1) else { panic!("{endings:?}") };
        assert_eq!(missing, permission);
    }
}
