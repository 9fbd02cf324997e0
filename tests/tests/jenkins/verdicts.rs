//! What a smoke job shows, and what it does not: red is what the job itself said, nothing else.

use std::time::Duration;

use ostler::masters::driver::{Event, Verdict};
use ostler::masters::http::Access;
use ostler::masters::jenkins::{Client, Patience};
use ostler::masters::register::Ending;
use ostler_roles::master::jenkins::{Launcher, Ssh};
use ostler_tests::jenkins::{Model, Permission};
use ostler_tests::machine::Kept;

use super::bench::{
    PLANTED, Registration, SITE_KEY, and_then, credential, model, node, patience, register, registration, run, site, ssh, timeless, token,
    writes,
};

const JOB: &str = "ostler-smoke-n1";

fn ready(patience: Patience) -> (Model, Client) {
    let model = model();
    let client = Client::new(&model.url(), token("narrow"), site(), patience, Access::default()).unwrap();
    client.put_credential(&credential(PLANTED), SITE_KEY).unwrap();
    model.take_log();
    (model, client)
}

fn runs(model: &Model) -> bool {
    model.state().jobs.values().any(|job| job.builds.iter().any(|build| build.is_running()))
}

/// Registers, and keeps what was told.
fn tell(client: &Client, wanted: &Registration) -> (Ending, Vec<Event>) {
    let mut events = Vec::new();
    let ending = register(client, std::slice::from_ref(wanted), &mut |event| events.push(event)).unwrap().remove(0).1;
    (ending, events)
}

#[test]
fn a_master_that_answers_500_meanwhile_is_asked_again() {
    let (model, client) = ready(patience());
    let broken = [("/build?delay", 2), ("/queue/item/", 2), ("/job/ostler-smoke-n1/1/api/json", 3)];
    model.state().broken = broken.map(|(word, times)| (word.to_owned(), times)).into();
    let (ending, events) = tell(&client, &registration(node("n1", ssh()), "true"));
    assert!(matches!(&ending, Ending::Labelled(report) if report.is_green()), "{ending:?}");
    assert!(model.state().broken.iter().all(|(_, left)| *left == 0), "{:?}", model.state().broken);
    assert!(events.iter().any(|event| matches!(event, Event::Smoked { verdict: Verdict::Green, .. })), "{events:?}");
}

#[test]
fn a_master_that_does_not_tell_until_the_time_is_over_has_not_said_red() {
    for word in ["/queue/item/", "/job/ostler-smoke-n1/1/api/json"] {
        let (model, client) = ready(Patience { smoke: Duration::from_millis(400), ..patience() });
        model.state().broken = vec![(word.to_owned(), usize::MAX)];
        let (ending, events) = tell(&client, &registration(node("n1", ssh()), "true"));
        assert!(matches!(&ending, Ending::Unproved(report) if report.text.starts_with("Jenkins did not tell")), "{ending:?}");
        let told = timeless(&ending.to_string());
        let expected = "not registered: smoke job: Jenkins did not tell within s how it ended: follow job `ostler-smoke-n1`";
        assert!(told.starts_with(expected) && told.contains("unexpected status 500"), "{told}");
        let unknown = |event: &Event| matches!(event, Event::Smoked { verdict: Verdict::Unknown, text, .. } if text.contains("status 500"));
        assert!(events.iter().any(unknown), "{events:?}");
        assert_eq!(model.state().nodes["n1"].label, "ostler-quarantine-n1");
        // The next run proves it.
        model.state().broken.clear();
        assert!(run(&client, &registration(node("n1", ssh()), "true")).is_registered());
    }
}

#[test]
fn a_green_node_is_labelled_though_its_job_may_not_be_removed() {
    let (model, client) = ready(patience());
    model.state().users[1].permissions.remove(&Permission::JobDelete);
    let (ending, events) = tell(&client, &registration(node("n1", ssh()), "true"));
    assert!(matches!(&ending, Ending::Labelled(report) if report.is_green()), "{ending:?}");
    assert_eq!(model.state().nodes["n1"].label, "big debian");
    let expected =
        "job `ostler-smoke-n1` is left on the master: remove job `ostler-smoke-n1`: user `narrow` is missing the permission Job/Delete";
    assert!(events.iter().any(|event| matches!(event, Event::Note(text) if text == expected)), "{events:?}");
    assert!(model.state().jobs.contains_key(JOB));
}

/// Another account to log in with, over a changed launcher: the agent has to be launched again.
fn relaunched() -> Launcher {
    let Launcher::Ssh(old) = ssh() else { panic!() };
    let java = ostler_roles::words::AbsPath::parse("/usr/bin/java").unwrap();
    Launcher::Ssh(Ssh { java: Some(java), ..old })
}

#[test]
fn an_agent_is_launched_again_only_when_its_old_connection_is_closed() {
    let (model, client) = ready(Patience { settle: Duration::from_millis(900), ..patience() });
    assert!(run(&client, &registration(node("n1", ssh()), "true")).is_registered());
    model.state().close_delay = Duration::from_millis(300);
    model.take_log();
    // Long enough for the old connection's end to come in the midst of it.
    let ending = run(&client, &registration(node("n1", relaunched()), "sleep 0.6"));
    assert!(matches!(&ending, Ending::Labelled(report) if report.is_green()), "{ending:?}");
    let writes = writes(&model);
    let count = |what: &str| writes.iter().filter(|write| write.ends_with(what)).count();
    assert_eq!((count("/launchSlaveAgent"), count("/build")), (1, 1), "it was lost, and tried again: {writes:?}");
}

#[test]
fn an_agent_that_vanishes_in_its_smoke_job_is_no_verdict() {
    let (model, client) = ready(patience());
    let wanted = registration(node("n1", ssh()), "true");
    model.state().hold_builds = true;
    let ending = and_then(&model, &client, &wanted, runs, |model| {
        let mut state = model.state();
        state.lose_agent("n1");
        state.hold_builds = false;
    });
    assert!(matches!(&ending, Ending::Labelled(report) if report.is_green()), "{ending:?}");
    assert_eq!(model.state().nodes["n1"].label, "big debian");

    // Again and again, it is said; and it is not said to be red.
    let (model, client) = ready(patience());
    model.state().hold_builds = true;
    let ending = and_then(&model, &client, &wanted, runs, |model| {
        model.state().lose_agent("n1");
        while !runs(model) {
            std::thread::sleep(Duration::from_millis(2));
        }
        model.state().lose_agent("n1");
    });
    assert!(matches!(&ending, Ending::Unproved(report) if report.text == "its agent went offline while it ran"), "{ending:?}");
    assert_eq!(ending.to_string(), "not registered: smoke job: its agent went offline while it ran");
    assert_eq!(model.state().nodes["n1"].label, "ostler-quarantine-n1");
    assert!(model.state().jobs.is_empty());
}

#[test]
fn a_job_that_passed_gives_no_label_where_another_run_has_changed_its_node() {
    let (model, client) = ready(patience());
    let wanted = registration(node("n1", ssh()), "true");
    let label = || model.state().nodes["n1"].label.clone();
    wanted.machine.keeps(Kept::Changed);
    let ending = run(&client, &wanted);
    let text = "passed, but another run has the node, or has changed it since: the node was changed again; run the same command again";
    assert!(matches!(&ending, Ending::Unproved(report) if report.text == text), "{ending:?}");
    assert_eq!(label(), "ostler-quarantine-n1");
    // What cannot be kept is owed on, and proved all the same.
    wanted.machine.keeps(Kept::Owed);
    let (ending, events) = tell(&client, &wanted);
    assert!(matches!(&ending, Ending::Labelled(_)), "{ending:?}");
    let note = "its proof is not kept on the node, which goes on owing it: no space left on device";
    assert!(events.iter().any(|event| matches!(event, Event::Note(text) if text == note)), "{events:?}");
    assert_ne!(label(), "ostler-quarantine-n1");
}
