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
fn a_node_on_demand_that_nobody_has_launched_yet_is_launched_to_be_proved() {
    let (model, client) = ready();
    let wanted = registration(node("n1", ssh()), "true");
    assert!(run(&client, &wanted).is_registered());
    let strategy = "<retentionStrategy class=\"hudson.slaves.RetentionStrategy$Demand\"><idleDelay>5</idleDelay></retentionStrategy>";
    {
        let mut state = model.state();
        let node = state.nodes.get_mut("n1").unwrap();
        node.retention = Some(xml::parse(strategy).unwrap());
        node.agent = Agent::Unlaunched;
    }
    model.take_log();
    let ending = run(&client, &Registration { proof: Proof::Wanted, ..wanted });
    assert!(matches!(&ending, Ending::Labelled(report) if report.is_green()), "{ending:?}");
    assert_eq!(writes(&model).iter().filter(|write| write.ends_with("/launchSlaveAgent")).count(), 1);
}

#[test]
fn a_mark_in_our_words_that_somebody_else_has_set_is_his() {
    let (model, client) = ready();
    let wanted = registration(node("n1", ssh()), "true");
    assert!(run(&client, &wanted).is_registered());
    let mark =
        |by: &str| model.state().nodes.get_mut("n1").unwrap().offline = Some(OfflineMark::new(by, "ostler: hands off, kernel tests"));
    mark("alice");
    model.take_log();
    let ending = run(&client, &wanted);
    assert!(matches!(&ending, Ending::Away(hold) if hold.text.contains("by `alice`")), "{ending:?}");
    let ending = run(&client, &Registration { proof: Proof::Wanted, ..wanted.clone() });
    assert!(matches!(&ending, Ending::Held(_)), "{ending:?}");
    assert!(model.state().nodes["n1"].offline.is_some());
    // Our own, whatever Jenkins makes of its letters.
    mark("NARROW");
    assert!(run(&client, &wanted).is_registered());
    assert!(model.state().nodes["n1"].offline.is_none());
}

#[test]
fn a_node_whose_run_failed_keeps_its_labels_until_its_jobs_have_ended() {
    let (model, client) = ready();
    let wanted = registration(node("n1", ssh()), "true");
    client.create(&wanted.node).unwrap();
    client.wait_online(&wanted.node.name).unwrap();
    // Somebody's job, which runs until it is let go.
    model.state().hold_builds = true;
    let other = super::bench::client(&model, token("narrow"));
    let running = |model: &Model| model.state().jobs.values().any(|job| job.builds.iter().any(|build| build.is_running()));
    let (ending, at_work) = std::thread::scope(|scope| {
        let job = scope.spawn(|| other.smoke(&wanted.node, "/dev/null", &wanted.smoke));
        while !running(&model) && !job.is_finished() {
            std::thread::sleep(Duration::from_millis(2));
        }
        client.update(&wanted.node, Stage::Labelled).unwrap();
        let mut at_work = Vec::new();
        let (ending, _) = tell(&model, &Registration { proof: Proof::Lapsed, ..wanted.clone() }, |event| {
            let is_wait = matches!(event, Event::Waiting { what, .. } if what == "what runs there has ended");
            if is_wait && at_work.is_empty() {
                let mut state = model.state();
                at_work.push((state.nodes["n1"].label.clone(), state.nodes["n1"].offline.is_some()));
                state.hold_builds = false;
            }
        });
        job.join().unwrap().unwrap();
        (ending, at_work)
    });
    assert_eq!(at_work, [("big debian".to_owned(), true)], "it takes no new jobs, and has its labels while one runs");
    assert!(matches!(ending, Ending::Lapsed), "{ending:?}");
    assert_eq!(model.state().nodes["n1"].label, "ostler-quarantine-n1");
}

#[test]
fn an_agent_is_believed_when_it_has_been_online_for_five_seconds() {
    assert_eq!(Patience::default().settle, Duration::from_secs(5));
    let model = model();
    let patience = Patience { settle: Duration::from_millis(900), ..patience() };
    let client = Client::new(&model.url(), token("narrow"), site(), patience.clone(), Access::default()).unwrap();
    client.put_credential(&credential(PLANTED), SITE_KEY).unwrap();
    let wanted = node("n1", ssh());
    client.create(&wanted).unwrap();
    client.wait_online(&wanted.name).unwrap();
    let began = Instant::now();
    client.wait_online(&wanted.name).unwrap();
    assert!(began.elapsed() >= patience.settle, "{:?}", began.elapsed());
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
