//! Java: asked for before a node is touched, and known for the cause where it is too old.

use ostler::masters::driver::Event;
use ostler::masters::jenkins::{JenkinsError, Program};
use ostler_roles::master::Proof;
use ostler_tests::jenkins::Version;

use super::bench::{
    PLANTED, Registration, SITE_KEY, client, credential, fault, model_of, node, register, registration, run, ssh, token, version, writes,
};

#[test]
fn a_java_that_the_master_does_not_accept_is_said_before_anything_is_written() {
    for version in Version::ALL {
        let model = model_of(version);
        let client = client(&model, token("narrow"));
        client.put_credential(&credential(PLANTED), SITE_KEY).unwrap();
        model.take_log();
        assert_eq!(client.version().unwrap().unwrap().to_string(), version.number());
        let least = version.least_java();
        let old = Registration { java: Some(least - 1), ..registration(node("n1", ssh()), "true") };
        let ending = run(&client, &old);
        let expected = format!(
            "Jenkins {} wants Java {least} on its agents, and node `n1` has Java {}; give the role a newer one (`java_version`)",
            version.number(),
            least - 1
        );
        assert_eq!(fault(&ending).map(ToString::to_string), Some(expected), "{ending:?}");
        assert_eq!(writes(&model), [""; 0]);
        assert!(run(&client, &Registration { java: Some(least), ..old.clone() }).is_registered(), "{version:?}");
        // Labels that are no longer earned come off all the same.
        let ending = run(&client, &Registration { proof: Proof::Wanted, ..old });
        assert!(matches!(fault(&ending), Some(JenkinsError::Java { .. })), "{ending:?}");
        assert_eq!(model.state().nodes["n1"].label, "ostler-quarantine-n1", "{version:?}");
    }
}

#[test]
fn an_agent_whose_java_is_too_old_is_not_waited_for_and_its_cause_is_told() {
    let model = model_of(version());
    let client = client(&model, token("narrow"));
    client.put_credential(&credential(PLANTED), SITE_KEY).unwrap();
    let least = version().least_java();
    model.state().hosts[0].java = least - 1;
    let ending = run(&client, &registration(node("n1", ssh()), "true"));
    let Some(JenkinsError::Offline { waited, reason, .. }) = fault(&ending) else { panic!("{ending:?}") };
    assert!(*waited < super::bench::patience().connect, "{waited:?}");
    let expected = format!(
        "Connection was broken; most often the node's Java is too old then: Jenkins {} wants Java {least} or newer on its agents",
        version().number()
    );
    assert_eq!(*reason, expected);
}

#[test]
fn a_jenkins_that_is_configured_as_code_is_told_when_a_node_is_made() {
    for is_code in [true, false] {
        let model = model_of(version());
        model.state().is_code = is_code;
        let client = client(&model, token("narrow"));
        client.put_credential(&credential(PLANTED), SITE_KEY).unwrap();
        let mut notes = Vec::new();
        let mut keep = |event| {
            if let Event::Note(text) = event {
                notes.push(text);
            }
        };
        let wanted = registration(node("n1", ssh()), "true");
        let ending = register(&client, std::slice::from_ref(&wanted), &mut keep).unwrap().remove(0).1;
        assert!(ending.is_registered(), "{ending:?}");
        assert_eq!(notes.iter().any(|note| note.contains("is configured as code")), is_code, "{notes:?}");
    }
}

#[test]
fn the_agents_program_is_fetched_once_while_it_stays_the_same() {
    let model = model_of(version());
    let client = client(&model, token("narrow"));
    let first = client.agent_program(None).unwrap();
    assert!(first.bytes.len() > 1_000_000 && first.modified.is_some(), "{:?}", first.modified);
    model.take_log();
    assert_eq!(client.agent_program(Some(first.clone())).unwrap(), first);
    assert!(model.take_log().iter().all(|request| request.header("If-Modified-Since") == first.modified.as_deref()));
    // Another one is there.
    let old = Program { bytes: b"PK\x03\x04old".to_vec(), modified: Some("Sat, 28 Nov 2026 00:00:00 GMT".to_owned()) };
    assert_eq!(client.agent_program(Some(old)).unwrap(), first);
}
