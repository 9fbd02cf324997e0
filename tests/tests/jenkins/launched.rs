//! An agent that runs with another launcher than the one that is configured by now: Jenkins uses a new one at the next launch only.

use std::num::NonZeroU16;

use ostler::masters::register::Ending;
use ostler_roles::master::jenkins::{CredentialId, Launcher, Node, Ssh};
use ostler_tests::jenkins::{Model, SshHost};

use super::bench::{HOST_KEY, PLANTED, SITE_KEY, client, credential, model, node, registration, run, ssh, token, writes};

/// A machine that has the node's own host key, as a clone has.
fn clone_at(model: &Model, host: &str, port: u16) {
    model.state().hosts.push(SshHost { host: host.to_owned(), port, host_key: HOST_KEY.to_owned(), java: 21 });
}

/// Somebody launches the agent with this, and sets the configuration back.
fn launch_with(model: &Model, host: &str, port: u16, credential: &str) {
    let mut state = model.state();
    let node = state.nodes.get_mut("n1").unwrap();
    let before = node.launcher.clone();
    for (field, value) in [("host", host), ("port", &port.to_string()), ("credentialsId", credential)] {
        set(node, field, value);
    }
    node.reconnect();
    state.settle_agents();
    state.nodes.get_mut("n1").unwrap().launcher = before;
    assert!(state.nodes["n1"].is_online());
}

fn set(node: &mut ostler_tests::jenkins::nodes::Node, field: &str, value: &str) {
    let launcher = node.launcher.as_mut().unwrap();
    launcher.children.iter_mut().find(|child| child.name == field).unwrap().text = Some(value.to_owned());
}

/// Where the agent that is online was launched.
fn launched(model: &Model) -> String {
    model.state().nodes["n1"].log.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn an_agent_that_was_launched_elsewhere_keeps_no_labels_though_its_configuration_is_right_again() {
    let model = model();
    let client = client(&model, token("narrow"));
    let other = ostler::masters::jenkins::Credential { id: CredentialId::parse("another").unwrap(), ..credential("another") };
    client.put_credential(&credential(PLANTED), SITE_KEY).unwrap();
    client.put_credential(&other, SITE_KEY).unwrap();
    clone_at(&model, "192.0.2.9", 22);
    clone_at(&model, "192.0.2.7", 2222);
    let wanted = registration(node("n1", ssh()), "true");
    assert!(matches!(run(&client, &wanted), Ending::Labelled(_)));
    for (host, port, credential) in [("192.0.2.9", 22, "jenkins-ssh"), ("192.0.2.7", 2222, "jenkins-ssh"), ("192.0.2.7", 22, "another")] {
        launch_with(&model, host, port, credential);
        assert!(launched(&model).contains(&format!("host='{host}', port={port}, credentialsId='{credential}'")), "{}", launched(&model));
        let ending = run(&client, &wanted);
        assert!(matches!(&ending, Ending::Labelled(report) if report.is_green()), "{host}:{port} as {credential}: {ending:?}");
        assert!(launched(&model).contains("host='192.0.2.7', port=22, credentialsId='jenkins-ssh'"), "{}", launched(&model));
        assert_eq!(model.state().nodes["n1"].label, "big debian");
    }
    writes(&model);
    assert!(matches!(run(&client, &wanted), Ending::Unchanged));
    assert_eq!(writes(&model), [""; 0]);
}

#[test]
fn a_run_that_was_cut_before_it_launched_anew_is_gone_on_with() {
    let model = model();
    let client = client(&model, token("narrow"));
    client.put_credential(&credential(PLANTED), SITE_KEY).unwrap();
    assert!(run(&client, &registration(node("n1", ssh()), "true")).is_registered());
    // The node has moved. Its new address was written, and no more.
    clone_at(&model, "192.0.2.9", 22);
    let Launcher::Ssh(here) = ssh() else { unreachable!("over SSH") };
    let there = Launcher::Ssh(Ssh { host: "192.0.2.9".to_owned(), port: NonZeroU16::new(22).unwrap(), ..here });
    {
        let mut state = model.state();
        let node = state.nodes.get_mut("n1").unwrap();
        set(node, "host", "192.0.2.9");
        node.label = "ostler-quarantine-n1".to_owned();
        node.mode = Some("EXCLUSIVE".to_owned());
    }
    let moved: Node = node("n1", there);
    let ending = run(&client, &registration(moved, "true"));
    assert!(matches!(&ending, Ending::Labelled(report) if report.is_green()), "{ending:?}");
    assert!(launched(&model).contains("host='192.0.2.9'"), "{}", launched(&model));
}
