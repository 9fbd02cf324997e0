//! Jobs that name no label go wherever a node's mode lets them: never to a node that has not been proved.

use std::time::Duration;

use ostler::masters::jenkins::Client;
use ostler::masters::register::Ending;
use ostler_roles::master::jenkins::{Mode, Node};
use ostler_tests::jenkins::jobs::{Job, Left, enqueue};
use ostler_tests::jenkins::{Model, xml};

use super::bench::{PLANTED, Registration, SITE_KEY, client, credential, model, node, register, registration, ssh, token};

const LIMIT: Duration = Duration::from_secs(20);

fn run(client: &Client, registration: &Registration) -> Ending {
    register(client, std::slice::from_ref(registration), &mut |_| {}).unwrap().remove(0).1
}

/// A job of somebody's that is asked for at once.
fn ask_for(model: &Model, name: &str, place: &str) -> u64 {
    let mut state = model.state();
    state.jobs.insert(name.to_owned(), Job::new(name, xml::parse(&format!("<project>{place}</project>")).unwrap()));
    enqueue(&mut state, name, "admin", Some(Duration::ZERO))
}

/// Where an item went, once nothing runs any more; none while it waits.
fn place_of(model: &Model, item: u64) -> Option<String> {
    assert!(model.wait_for_builds(LIMIT));
    let state = model.state();
    let item = state.queue.iter().find(|one| one.id == item).unwrap();
    match item.left {
        Some(Left::Build(number)) => Some(state.jobs[&item.job].builds[number - 1].built_on.clone()),
        Some(Left::Cancelled) | None => None,
    }
}

fn waits_because(model: &Model, item: u64) -> String {
    let state = model.state();
    let item = state.queue.iter().find(|one| one.id == item).unwrap();
    ostler_tests::jenkins::jobs::item_json(&state, item)["why"].as_str().unwrap().to_owned()
}

#[test]
fn a_job_without_a_label_waits_while_a_node_is_not_proved_and_then_goes_where_the_mode_lets_it() {
    for (mode, is_taken) in [(Mode::Any, true), (Mode::Labelled, false)] {
        let model = model();
        let client = client(&model, token("narrow"));
        client.put_credential(&credential(PLANTED), SITE_KEY).unwrap();
        let roaming = ask_for(&model, "anything", "<canRoam>true</canRoam>");
        let wanted = Node { mode, ..node("n1", ssh()) };

        // Made, online, idle, proved to be bad: the job had every chance.
        let red = run(&client, &registration(wanted.clone(), "exit 1"));
        assert!(matches!(red, Ending::Red(_)), "{red:?}");
        assert!(model.state().nodes["n1"].is_online());
        assert_eq!(place_of(&model, roaming), None);
        assert_eq!(waits_because(&model, roaming), "‘n1’ is reserved for jobs with matching label expression");

        let good = run(&client, &registration(wanted.clone(), "true"));
        assert!(matches!(good, Ending::Labelled(_)), "{good:?}");
        assert_eq!(place_of(&model, roaming), is_taken.then(|| "n1".to_owned()), "{mode:?}");
        if is_taken {
            let state = model.state();
            let console = &state.jobs["anything"].builds[0].console;
            assert!(console.contains("Building remotely on n1 (big debian)"), "before it had its labels: {console}");
        }
        // Whatever the mode, a job that asks for a label of the node comes.
        let labelled = ask_for(&model, "debian-only", "<assignedNode>debian</assignedNode><canRoam>false</canRoam>");
        assert_eq!(place_of(&model, labelled).as_deref(), Some("n1"), "{mode:?}");

        // Back in quarantine, neither does.
        let red = run(&client, &Registration { proof: ostler_roles::master::Proof::Wanted, ..registration(wanted, "exit 1") });
        assert!(matches!(red, Ending::Red(_)), "{red:?}");
        for (name, place) in [("more", "<canRoam>true</canRoam>"), ("debian-again", "<assignedNode>debian</assignedNode>")] {
            let late = ask_for(&model, name, place);
            assert_eq!(place_of(&model, late), None, "{name}, {mode:?}");
        }
    }
}

#[test]
fn a_job_of_the_built_in_node_goes_to_no_other() {
    let model = model();
    let client = client(&model, token("narrow"));
    client.put_credential(&credential(PLANTED), SITE_KEY).unwrap();
    assert!(run(&client, &registration(node("n1", ssh()), "true")).is_registered());
    let item = ask_for(&model, "built-in-only", "<canRoam>false</canRoam>");
    assert_eq!(place_of(&model, item), None);
}
