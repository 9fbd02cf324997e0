//! Jobs that name no label go wherever a node's mode lets them: never to a node that has not been proved.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use ostler::masters::jenkins::{Client, InstallAgent, InstallAgentError, JenkinsError};
use ostler::masters::register::Ending;
use ostler_roles::catalog::Step;
use ostler_roles::master::jenkins::{Launcher, Mode, Node, Version};
use ostler_roles::words::Secret;
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

/// Brings an agent that calls in at once; with which labels.
struct Calling {
    model: Arc<Model>,
    labels: Mutex<Vec<String>>,
}

impl std::fmt::Debug for Calling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Calling")
    }
}

impl InstallAgent for Calling {
    fn steps(&self, _: &[u8], _: Option<Version>, _: &Secret<String>) -> Result<Vec<Step>, InstallAgentError> {
        unreachable!("nothing is planned here")
    }

    fn bring(
        &self,
        _: &[u8],
        _: Option<Version>,
        secret: &Secret<String>,
        before: &mut dyn FnMut() -> Result<(), JenkinsError>,
    ) -> Result<bool, InstallAgentError> {
        before().map_err(|error| InstallAgentError(Box::new(error)))?;
        let mut state = self.model.state();
        let node = state.nodes.get_mut("n2").unwrap();
        self.labels.lock().unwrap().push(node.label.clone());
        Ok(node.call_in(secret.expose()))
    }
}

#[test]
fn an_agent_that_is_brought_to_a_node_that_is_away_calls_in_without_labels() {
    let model = Arc::new(model());
    let client = client(&model, token("narrow"));
    let wanted = registration(node("n2", Launcher::Inbound), "true");
    client.create(&wanted.node).unwrap();
    let secret = model.state().nodes["n2"].secret.clone();
    assert!(model.state().nodes.get_mut("n2").unwrap().call_in(&secret));
    assert!(run(&client, &wanted).is_registered());
    assert_eq!(model.state().nodes["n2"].label, "big debian");
    model.state().lose_agent("n2");
    let agent = Arc::new(Calling { model: Arc::clone(&model), labels: Mutex::default() });
    let wanted = Registration { agent: Some(Arc::clone(&agent) as Arc<dyn InstallAgent>), ..wanted };
    let ending = run(&client, &wanted);
    assert!(matches!(&ending, Ending::Labelled(_)), "{ending:?}");
    assert_eq!(*agent.labels.lock().unwrap(), ["ostler-quarantine-n2"]);
    assert_eq!(model.state().nodes["n2"].label, "big debian");
}
