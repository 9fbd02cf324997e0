//! Another run begins on a node that this one met before: the mark under which it changes the node stays.

use std::sync::Arc;

use ostler::masters::jenkins::{InstallAgent, InstallAgentError, JenkinsError};
use ostler::masters::register::Ending;
use ostler_roles::catalog::Step;
use ostler_roles::master::Proof;
use ostler_roles::master::jenkins::{Launcher, Version};
use ostler_roles::words::Secret;
use ostler_tests::jenkins::Model;

use super::bench::{PLANTED, Registration, SITE_KEY, client, credential, model, node, registration, run, ssh, token, writes};

const THEIRS: &str = "run 019ab000 of eve@desk has had the node for 3s";

fn quarantine(model: &Model, name: &str) {
    let mut state = model.state();
    let node = state.nodes.get_mut(name).unwrap();
    node.label = format!("ostler-quarantine-{name}");
    node.mode = Some("EXCLUSIVE".to_owned());
}

fn is_marked(model: &Model, name: &str) -> bool {
    model.state().nodes[name].offline.is_some()
}

#[test]
fn a_mark_of_ours_stays_where_another_run_has_the_node_by_now() {
    let model = model();
    let client = client(&model, token("narrow"));
    client.put_credential(&credential(PLANTED), SITE_KEY).unwrap();
    let wanted = registration(node("n1", ssh()), "true");
    assert!(run(&client, &wanted).is_registered());
    for (is_quarantined, proof) in [(false, Proof::Standing), (true, Proof::Standing), (true, Proof::Wanted)] {
        client.mark(&wanted.node.name, "a run changes this node").unwrap();
        if is_quarantined {
            quarantine(&model, "n1");
        }
        writes(&model);
        let wanted = Registration { proof, ..wanted.clone() };
        wanted.machine.is_taken_by(Some(THEIRS));
        let ending = run(&client, &wanted);
        assert!(matches!(&ending, Ending::Taken(run) if run == THEIRS), "{ending:?}");
        assert_eq!(ending.to_string(), format!("not registered: {THEIRS}; that run, or the next whole one, lets it in"));
        assert_eq!((writes(&model), is_marked(&model, "n1")), (Vec::new(), true), "{is_quarantined} {proof:?}");
        // That one has come to its end, and did not let it in.
        wanted.machine.is_taken_by(None);
        assert!(matches!(run(&client, &wanted), Ending::Labelled(_)));
        assert!(!is_marked(&model, "n1"));
    }
}

/// Brings an agent, or cannot. Another run may come to the node meanwhile.
#[derive(Debug)]
struct Bringing {
    /// Something is to be changed there.
    is_other: bool,
    /// And is not, when its turn has come.
    is_vain: bool,
    is_good: bool,
}

impl InstallAgent for Bringing {
    fn steps(&self, _: &[u8], _: Option<Version>, _: &Secret<String>) -> Result<Vec<Step>, InstallAgentError> {
        unreachable!("nothing is planned here")
    }

    fn bring(
        &self,
        _: &[u8],
        _: Option<Version>,
        _: &Secret<String>,
        before: &mut dyn FnMut() -> Result<(), JenkinsError>,
    ) -> Result<bool, InstallAgentError> {
        if self.is_other {
            before().map_err(|error| InstallAgentError(Box::new(error)))?;
        }
        if self.is_good { Ok(self.is_other && !self.is_vain) } else { Err(InstallAgentError("no space left on device".into())) }
    }
}

#[test]
fn an_agent_that_is_brought_takes_off_its_own_mark_alone() {
    let model = model();
    let client = client(&model, token("narrow"));
    let wanted = registration(node("n2", Launcher::Inbound), "true");
    client.create(&wanted.node).unwrap();
    let secret = model.state().nodes["n2"].secret.clone();
    assert!(model.state().nodes.get_mut("n2").unwrap().call_in(&secret));
    assert!(run(&client, &wanted).is_registered());
    let bring = |is_other, is_good| Registration {
        agent: Some(Arc::new(Bringing { is_other, is_vain: false, is_good }) as Arc<dyn InstallAgent>),
        ..wanted.clone()
    };
    // It cannot be brought: whoever had marked it before has it marked still, and nobody else.
    assert!(matches!(run(&client, &bring(true, false)), Ending::Failed(_)));
    assert!(!is_marked(&model, "n2"), "it was marked for that alone");
    wanted.machine.is_taken_by(Some(THEIRS));
    model.state().nodes.get_mut("n2").unwrap().label = "big debian".to_owned();
    assert!(matches!(run(&client, &bring(true, false)), Ending::Failed(_)));
    assert!(is_marked(&model, "n2"), "another run goes on under it");
    // It is brought, and another run comes meanwhile.
    client.undrain(&wanted.node.name).unwrap();
    let ending = run(&client, &bring(true, true));
    assert!(matches!(&ending, Ending::Taken(_)), "{ending:?}");
    assert!(is_marked(&model, "n2"));
    wanted.machine.is_taken_by(None);
    assert!(run(&client, &bring(false, true)).is_registered());
    assert!(!is_marked(&model, "n2"));
}

#[test]
fn an_agent_that_needed_nothing_after_all_is_proved_again_as_its_labels_came_off_for_it() {
    let model = model();
    let client = client(&model, token("narrow"));
    let wanted = registration(node("n2", Launcher::Inbound), "true");
    client.create(&wanted.node).unwrap();
    let secret = model.state().nodes["n2"].secret.clone();
    assert!(model.state().nodes.get_mut("n2").unwrap().call_in(&secret));
    assert!(run(&client, &wanted).is_registered());
    let agent: Arc<dyn InstallAgent> = Arc::new(Bringing { is_other: true, is_vain: true, is_good: true });
    let ending = run(&client, &Registration { agent: Some(agent), ..wanted });
    assert!(matches!(ending, Ending::Labelled(_)), "{ending:?}");
    assert_eq!(model.state().nodes["n2"].label, "big debian");
    assert!(!is_marked(&model, "n2"));
}
