//! What needs nothing but the HTTP interface: these run against the model, or against a real Jenkins.

use std::num::NonZeroU32;

use ostler::masters::jenkins::{Credential, JenkinsError, Kind, Sent};
use ostler_roles::master::jenkins::{CredentialId, ForeignOwner, Launcher, Name, Node, NotOurs, Seen, Stage, diff};
use ostler_roles::words::Secret;

use super::bench::{SITE_KEY, anywhere, labels, node};

fn seen(bench: &super::bench::Anywhere, name: &Name) -> Seen {
    bench.client.observe(std::slice::from_ref(name)).unwrap().remove(name).unwrap()
}

#[test]
fn a_node_is_made_in_quarantine_read_changed_and_removed() {
    let bench = anywhere();
    let wanted = node("ostler-test-crud", Launcher::Inbound);
    bench.client.delete(&wanted.name).unwrap();
    assert_eq!(seen(&bench, &wanted.name), Seen::Absent);

    bench.client.create(&wanted).unwrap();
    let Seen::Ours { config, hold: None, is_connected: false, .. } = seen(&bench, &wanted.name) else { panic!("not ours") };
    assert_eq!(diff(&wanted, Stage::Quarantined, &config), []);
    assert_eq!(config.labels.into_iter().collect::<Vec<_>>(), ["ostler-quarantine-ostler-test-crud"]);

    let wanted = Node { executors: NonZeroU32::new(5).unwrap(), labels: labels(&["new", "debian"]), ..wanted };
    bench.client.update(&wanted, Stage::Labelled).unwrap();
    let Seen::Ours { config, .. } = seen(&bench, &wanted.name) else { panic!("not ours") };
    assert_eq!(diff(&wanted, Stage::Labelled, &config), []);
    assert!(!bench.client.agent_secret(&wanted.name).unwrap().expose().is_empty());

    bench.client.delete(&wanted.name).unwrap();
    assert_eq!(seen(&bench, &wanted.name), Seen::Absent);
    bench.client.delete(&wanted.name).unwrap();
}

#[test]
fn an_operators_offline_mark_and_message_survive_every_change() {
    let bench = anywhere();
    let wanted = node("ostler-test-held", Launcher::Inbound);
    bench.client.delete(&wanted.name).unwrap();
    bench.client.create(&wanted).unwrap();
    assert_eq!(bench.by_hand("/computer/ostler-test-held/toggleOffline", "offlineMessage=disk+swap+%26+more"), 302);

    bench.client.update(&Node { executors: NonZeroU32::new(7).unwrap(), ..wanted.clone() }, Stage::Labelled).unwrap();
    let Seen::Ours { config, hold: Some(hold), .. } = seen(&bench, &wanted.name) else { panic!("the mark is gone") };
    assert_eq!((config.executors, hold.reason.as_str()), (7, "disk swap & more"));

    bench.client.drain(&wanted.name, "maintenance").unwrap();
    let kept = bench.client.undrain(&wanted.name).unwrap().unwrap();
    assert_eq!(kept.reason, "disk swap & more");
    let error = bench.client.wait_online(&wanted.name).unwrap_err();
    assert_eq!(error.to_string(), "node `ostler-test-held` is marked offline by `narrow`: disk swap & more");
    bench.client.delete(&wanted.name).unwrap();
}

#[test]
fn our_own_offline_mark_names_the_reason_and_comes_off_again() {
    let bench = anywhere();
    let wanted = node("ostler-test-drain", Launcher::Inbound);
    bench.client.delete(&wanted.name).unwrap();
    bench.client.create(&wanted).unwrap();
    bench.client.drain(&wanted.name, "run 0198").unwrap();
    bench.client.drain(&wanted.name, "run 0198").unwrap();
    let Seen::Ours { hold: Some(hold), .. } = seen(&bench, &wanted.name) else { panic!("no mark") };
    assert_eq!(hold.reason, "ostler: run 0198");
    assert_eq!(bench.client.undrain(&wanted.name).unwrap(), None);
    let Seen::Ours { hold: None, .. } = seen(&bench, &wanted.name) else { panic!("the mark is still there") };
    bench.client.delete(&wanted.name).unwrap();
}

#[test]
fn a_foreign_node_of_the_same_name_is_refused_and_untouched() {
    let bench = anywhere();
    let wanted = node("ostler-test-foreign", Launcher::Inbound);
    let remove = || bench.by_hand("/computer/ostler-test-foreign/doDelete", "");
    remove();
    let json = "%7B%22name%22%3A%22ostler-test-foreign%22%2C%22nodeDescription%22%3A%22mine%22%2C%22numExecutors%22%3A%223%22%7D";
    let made = bench.by_hand("/computer/doCreateItem", &format!("name=ostler-test-foreign&type=hudson.slaves.DumbSlave&json={json}"));
    assert_eq!(made, 302);

    assert_eq!(seen(&bench, &wanted.name), Seen::Foreign(ForeignOwner::Nobody));
    for error in [bench.client.update(&wanted, Stage::Labelled).unwrap_err(), bench.client.delete(&wanted.name).unwrap_err()] {
        assert!(matches!(&error, JenkinsError::NotOurs(NotOurs::Foreign(name, ForeignOwner::Nobody)) if *name == wanted.name), "{error:?}");
    }
    let error = bench.client.create(&wanted).unwrap_err();
    assert!(
        matches!(&error, JenkinsError::Refused { reason, .. } if reason == "Agent called ostler-test-foreign already exists"),
        "{error:?}"
    );
    assert_eq!(remove(), 302, "somebody touched it");
}

#[test]
fn a_credential_is_made_rotated_and_removed_and_the_second_run_sends_nothing() {
    let bench = anywhere();
    let credential = |password: &str| Credential {
        id: CredentialId::parse("ostler-test-credential").unwrap(),
        username: "jenkins".to_owned(),
        kind: Kind::Password(Secret::new(password.to_owned())),
    };
    let (first, second) = (credential("first"), credential("second"));
    bench.client.delete_credential(&first.id).unwrap();
    assert_eq!(bench.client.put_credential(&first, SITE_KEY).unwrap(), Sent::Created);
    assert_eq!(bench.client.put_credential(&first, SITE_KEY).unwrap(), Sent::Unchanged);
    assert_eq!(bench.client.put_credential(&second, SITE_KEY).unwrap(), Sent::Replaced);
    assert_eq!(bench.client.put_credential(&second, SITE_KEY).unwrap(), Sent::Unchanged);
    if let Some(model) = &bench.model {
        assert_eq!(model.state().credentials[0].secret.as_deref(), Some("second"));
    }
    bench.client.delete_credential(&second.id).unwrap();
    bench.client.delete_credential(&second.id).unwrap();
}
