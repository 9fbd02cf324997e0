//! A node's whole way, on the model: made in quarantine, connected, smoked on that very node, labelled.

use std::num::NonZeroU32;
use std::time::Duration;

use ostler::masters::driver::{Event, Verdict};
use ostler::masters::http::Access;
use ostler::masters::jenkins::{Client, JenkinsError, Kind, Sent};
use ostler::masters::register::Ending;
use ostler_roles::master::jenkins::{ForeignOwner, HostKey, Launcher, Name, Node, NotOurs, Ssh};
use ostler_roles::master::{Proof, Stage};
use ostler_tests::jenkins::Model;

use super::bench::{
    HOST_KEY, PLANTED, Registration, SITE_KEY, client, credential, fault, labels, model, node, patience, register, registration, ssh,
    timeless, token, version, writes,
};

fn only(endings: Vec<(ostler_roles::words::NodeName, Ending)>) -> Ending {
    assert_eq!(endings.len(), 1);
    endings.into_iter().next().unwrap().1
}

fn run(client: &Client, registration: &Registration) -> Ending {
    only(register(client, std::slice::from_ref(registration), &mut |_| {}).unwrap())
}

/// A model that holds the credential of SSH launches.
fn ready() -> (Model, Client) {
    let model = model();
    let client = client(&model, token("narrow"));
    assert_eq!(client.put_credential(&credential(PLANTED), SITE_KEY).unwrap(), Sent::Created);
    model.take_log();
    (model, client)
}

fn label_on(model: &Model, name: &str) -> String {
    model.state().nodes[name].label.clone()
}

#[test]
fn an_ssh_node_goes_from_nothing_to_its_labels_and_the_second_run_writes_nothing() {
    let (model, client) = ready();
    let registration = registration(node("n1", ssh()), "test \"$NODE_NAME\" = n1");
    let mut events = Vec::new();
    let endings = register(&client, std::slice::from_ref(&registration), &mut |event| events.push(event)).unwrap();
    let ending = only(endings);
    assert!(matches!(&ending, Ending::Labelled(report) if report.is_green()), "{ending:?}");
    assert_eq!(label_on(&model, "n1"), "big debian");
    // A quick agent is online before anybody waits for it.
    events.retain(|event| !matches!(event, Event::Waiting { .. }));
    let [
        Event::Quarantining { is_new: true, .. },
        Event::Smoking,
        Event::Running { .. },
        Event::Smoked { verdict, .. },
        Event::Labelling { changes },
    ] = events.as_slice()
    else {
        panic!("{events:?}")
    };
    let told: Vec<String> = changes.iter().map(ToString::to_string).collect();
    assert_eq!(*verdict, Verdict::Green);
    assert_eq!(told, ["labels: ostler-quarantine-n1 -> big debian", "mode: EXCLUSIVE -> NORMAL"]);
    assert!(model.state().jobs.is_empty(), "a green smoke job is left behind");
    assert_eq!(
        writes(&model),
        ["/computer/doCreateItem", "/createItem", "/job/ostler-smoke-n1/build", "/job/ostler-smoke-n1/doDelete", "/computer/n1/config.xml"]
            .map(|path| format!("POST {path}"))
    );

    let before = model.state().nodes["n1"].config_xml(version());
    let ending = run(&client, &registration);
    assert!(matches!(ending, Ending::Unchanged), "{ending:?}");
    assert_eq!(model.take_log().iter().map(|request| request.method.as_str()).collect::<Vec<_>>(), ["GET", "GET", "GET"]);
    assert_eq!(model.state().nodes["n1"].config_xml(version()), before);
}

#[test]
fn the_labels_are_not_there_while_the_smoke_job_runs() {
    let (model, client) = ready();
    model.state().hold_builds = true;
    let registration = registration(node("n1", ssh()), "true");
    std::thread::scope(|scope| {
        let done = scope.spawn(|| run(&client, &registration));
        let running = |model: &Model| model.state().jobs.values().any(|job| job.builds.iter().any(|build| build.is_running()));
        while !running(&model) && !done.is_finished() {
            std::thread::yield_now();
        }
        let node = model.state().nodes["n1"].clone();
        assert_eq!((node.label.as_str(), node.mode.as_deref()), ("ostler-quarantine-n1", Some("EXCLUSIVE")));
        let job = model.state().jobs["ostler-smoke-n1"].clone();
        assert_eq!(job.assigned_label(), Some("ostler-quarantine-n1"));
        model.state().hold_builds = false;
        assert!(done.join().unwrap().is_registered());
    });
    assert_eq!(model.state().nodes["n1"].mode.as_deref(), Some("NORMAL"));
}

#[test]
fn an_inbound_node_calls_in_with_its_secret_and_earns_its_labels() {
    let (model, client) = ready();
    let registration = registration(node("n2", Launcher::Inbound), "true");
    std::thread::scope(|scope| {
        let done = scope.spawn(|| run(&client, &registration));
        while !model.state().nodes.contains_key("n2") && !done.is_finished() {
            std::thread::yield_now();
        }
        let secret = client.agent_secret(&registration.node.name).unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(***)");
        assert!(!model.state().nodes.get_mut("n2").unwrap().call_in("wrong"));
        assert!(model.state().nodes.get_mut("n2").unwrap().call_in(secret.expose()));
        assert!(done.join().unwrap().is_registered());
    });
    assert_eq!(label_on(&model, "n2"), "big debian");
}

#[test]
fn a_red_smoke_job_leaves_the_node_without_labels_and_shows_its_last_lines() {
    let (model, client) = ready();
    let ending = run(&client, &registration(node("n1", ssh()), "echo no java here >&2; exit 3"));
    let Ending::Red(report) = &ending else { panic!("{ending:?}") };
    assert_eq!((report.verdict, report.text.as_str()), (Verdict::Red, "FAILURE"));
    assert!(report.tail.iter().any(|line| line == "no java here"), "{report:?}");
    assert_eq!(report.tail.last().unwrap(), "Finished: FAILURE");
    assert_eq!(ending.to_string(), "not registered: smoke job: FAILURE");
    assert_eq!(label_on(&model, "n1"), "ostler-quarantine-n1");

    // Mended, the next run proves it; the red job of the first is used again and then removed.
    let ending = run(&client, &registration(node("n1", ssh()), "true"));
    assert!(matches!(ending, Ending::Labelled(_)), "{ending:?}");
    assert!(model.state().jobs.is_empty());
}

#[test]
fn a_labelled_node_whose_machine_changed_loses_its_labels_until_it_passed_again() {
    let (model, client) = ready();
    assert!(run(&client, &registration(node("n1", ssh()), "true")).is_registered());
    let again = Registration { proof: Proof::Wanted, ..registration(node("n1", ssh()), "exit 1") };
    assert!(matches!(run(&client, &again), Ending::Red(_)));
    assert_eq!(label_on(&model, "n1"), "ostler-quarantine-n1");
}

#[test]
fn drift_is_repaired_and_earned_again_and_the_operators_settings_stay() {
    let (model, client) = ready();
    let wanted = registration(node("n1", ssh()), "true");
    assert!(run(&client, &wanted).is_registered());
    {
        use ostler_tests::jenkins::xml::{Element, parse};
        let mut state = model.state();
        let node = state.nodes.get_mut("n1").unwrap();
        node.executors = 9;
        node.label = "big  debian extra big".to_owned();
        node.description = Some("rack 4; managed by ostler, site tests".to_owned());
        node.retention = Some(
            parse("<retentionStrategy class=\"hudson.slaves.RetentionStrategy$Demand\"><idleDelay>5</idleDelay></retentionStrategy>")
                .unwrap(),
        );
        node.properties = Element::new("nodeProperties").child(Element::text("x.y.Property", "kept"));
    }
    model.take_log();
    assert!(matches!(run(&client, &wanted), Ending::Labelled(_)));
    let xml = model.state().nodes["n1"].config_xml(version());
    for kept in [
        "<idleDelay>5</idleDelay>",
        "<x.y.Property>kept</x.y.Property>",
        "rack 4; managed by ostler",
        "<label>big debian</label>",
        "<numExecutors>2<",
    ] {
        assert!(xml.contains(kept), "{kept} is not in {xml}");
    }
}

#[test]
fn a_label_string_with_other_blanks_and_order_is_no_drift() {
    let (model, client) = ready();
    let wanted = registration(node("n1", ssh()), "true");
    assert!(run(&client, &wanted).is_registered());
    model.state().nodes.get_mut("n1").unwrap().label = "debian   \"big\" debian".to_owned();
    model.take_log();
    assert!(matches!(run(&client, &wanted), Ending::Unchanged));
    assert_eq!(writes(&model), [""; 0]);
}

#[test]
fn changed_labels_and_executors_reach_the_node_after_a_new_proof() {
    let (model, client) = ready();
    assert!(run(&client, &registration(node("n1", ssh()), "true")).is_registered());
    let wanted = Node { executors: NonZeroU32::new(4).unwrap(), labels: labels(&["trixie"]), ..node("n1", ssh()) };
    assert!(matches!(run(&client, &registration(wanted, "true")), Ending::Labelled(_)));
    assert_eq!(label_on(&model, "n1"), "trixie");
    assert_eq!(model.state().nodes["n1"].executors, 4);
}

#[test]
fn a_changed_launcher_is_proved_over_a_new_connection() {
    let (model, client) = ready();
    assert!(run(&client, &registration(node("n1", ssh()), "true")).is_registered());
    model.take_log();
    // The machine got a new host key: only that one may be accepted from now on.
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEkxLrnAD5SPlmSaQwDptUc67JfSgjPo8Kp3+hpHuB8I";
    model.state().hosts[0].host_key = key.to_owned();
    let Launcher::Ssh(old) = ssh() else { panic!() };
    let launcher = Launcher::Ssh(Ssh { host_key: HostKey::parse(key).unwrap(), ..old });
    assert!(matches!(run(&client, &registration(node("n1", launcher), "true")), Ending::Labelled(_)));
    let writes = writes(&model);
    let place = |path: &str| writes.iter().position(|write| write.ends_with(path)).unwrap_or_else(|| panic!("{path} is not in {writes:?}"));
    assert!(place("n1/config.xml") < place("n1/doDisconnect"));
    assert!(place("n1/doDisconnect") < place("n1/launchSlaveAgent"));
    assert!(place("n1/launchSlaveAgent") < place("ostler-smoke-n1/build"));
}

#[test]
fn a_machine_with_another_host_key_never_gets_a_job() {
    let (model, _) = ready();
    let patience = ostler::masters::jenkins::Patience { connect: Duration::from_millis(300), ..patience() };
    let client = Client::new(&model.url(), token("narrow"), super::bench::site(), patience, Access::default()).unwrap();
    let Launcher::Ssh(old) = ssh() else { panic!() };
    let other = HostKey::parse(&HOST_KEY.replace("ZzPMw", "ZzPMx")).unwrap();
    let ending = run(&client, &registration(node("n1", Launcher::Ssh(Ssh { host_key: other, ..old })), "true"));
    let Some(JenkinsError::Offline { log, reason, .. }) = fault(&ending) else { panic!("{ending:?}") };
    assert_eq!(reason, "it is still being launched");
    assert_eq!(log.last().unwrap(), "Key exchange was not finished, connection is closed.");
    assert!(model.state().jobs.is_empty());
    assert_eq!(label_on(&model, "n1"), "ostler-quarantine-n1");
}

#[test]
fn a_missing_credential_ends_the_wait_at_once_with_jenkins_reason() {
    let model = model();
    let ending = run(&client(&model, token("narrow")), &registration(node("n1", ssh()), "true"));
    let Some(JenkinsError::Offline { waited, log, .. }) = fault(&ending) else { panic!("{ending:?}") };
    assert!(*waited < Duration::from_secs(20), "{waited:?}");
    assert_eq!(log.last().unwrap(), "The selected credentials cannot be found");
}

#[test]
fn a_smoke_job_that_never_ends_is_reported_late_and_taken_back() {
    let (model, _) = ready();
    let patience = ostler::masters::jenkins::Patience { smoke: Duration::from_millis(400), ..patience() };
    let client = Client::new(&model.url(), token("narrow"), super::bench::site(), patience, Access::default()).unwrap();
    model.state().quieting = true;
    let ending = run(&client, &registration(node("n1", ssh()), "true"));
    assert_eq!(timeless(&ending.to_string()), "not registered: smoke job: not finished within s: Jenkins is about to shut down");
    assert!(model.state().queue.iter().all(|item| item.left.is_some()), "the item still waits");
}

#[test]
fn a_smoke_job_that_runs_too_long_is_stopped() {
    let (model, _) = ready();
    let patience = ostler::masters::jenkins::Patience { smoke: Duration::from_millis(400), ..patience() };
    let client = Client::new(&model.url(), token("narrow"), super::bench::site(), patience, Access::default()).unwrap();
    model.state().hold_builds = true;
    let ending = run(&client, &registration(node("n1", ssh()), "true"));
    assert_eq!(timeless(&ending.to_string()), "not registered: smoke job: not finished within s: it is still running");
    assert_eq!(model.state().jobs["ostler-smoke-n1"].builds[0].result, Some("ABORTED"));
    assert_eq!(label_on(&model, "n1"), "ostler-quarantine-n1");
}

#[test]
fn a_held_node_in_quarantine_is_left_to_its_operator() {
    let (model, client) = ready();
    assert!(matches!(run(&client, &registration(node("n1", ssh()), "exit 1")), Ending::Red(_)));
    model.state().nodes.get_mut("n1").unwrap().offline = Some(ostler_tests::jenkins::nodes::OfflineMark::new("admin", "disk swap"));
    model.take_log();
    let ending = run(&client, &registration(node("n1", ssh()), "true"));
    assert_eq!(ending.to_string(), "not registered: marked offline by `admin`: disk swap");
    assert_eq!(writes(&model), [""; 0]);
}

#[test]
fn our_own_mark_of_a_run_that_was_cut_comes_off() {
    let (model, client) = ready();
    assert!(matches!(run(&client, &registration(node("n1", ssh()), "exit 1")), Ending::Red(_)));
    client.drain(&Name::parse("n1").unwrap(), "run 0198").unwrap();
    assert!(run(&client, &registration(node("n1", ssh()), "true")).is_registered());
    assert!(model.state().nodes["n1"].offline.is_none());
}

#[test]
fn foreign_nodes_jobs_and_other_sites_are_never_touched() {
    let (model, client) = ready();
    assert!(run(&client, &registration(node("n1", ssh()), "true")).is_registered());
    model.take_log();
    for (description, expected) in [
        ("a build node", "node `n1` on this Jenkins was not made by ostler; it is left alone"),
        (
            "managed by ostler, site berlin",
            "node `n1` on this Jenkins belongs to the site `berlin`; it is left alone (if that is this very site, give it `id: \"berlin\"` in ostler.yaml)",
        ),
    ] {
        model.state().nodes.get_mut("n1").unwrap().description = Some(description.to_owned());
        let ending = run(&client, &registration(node("n1", ssh()), "true"));
        assert!(matches!(fault(&ending), Some(JenkinsError::NotOurs(why)) if why.to_string() == expected), "{ending:?}");
    }
    assert_eq!(writes(&model), [""; 0]);

    let job = ostler_tests::jenkins::xml::parse("<project><description>mine</description></project>").unwrap();
    model.state().jobs.insert("ostler-smoke-n3".to_owned(), ostler_tests::jenkins::jobs::Job::new("ostler-smoke-n3", job));
    let ending = run(&client, &registration(node("n3", ssh()), "true"));
    assert!(matches!(fault(&ending), Some(JenkinsError::ForeignJob(job, ForeignOwner::Nobody)) if job == "ostler-smoke-n3"), "{ending:?}");
    assert!(model.state().jobs["ostler-smoke-n3"].builds.is_empty());
}

#[test]
fn a_name_taken_by_an_orphan_is_said_before_anything_is_sent() {
    let (model, client) = ready();
    let orphan = ostler_tests::jenkins::nodes::Node::from_form("n1", &serde_json::json!({"numExecutors": "0"})).unwrap();
    model.state().nodes.insert("n1".to_owned(), orphan);
    let ending = run(&client, &registration(node("n1", ssh()), "true"));
    assert!(matches!(fault(&ending), Some(JenkinsError::NotOurs(NotOurs::Orphan(_)))), "{ending:?}");
    assert_eq!(writes(&model), [""; 0]);
    let error = client.delete(&Name::parse("n1").unwrap()).unwrap_err();
    assert!(matches!(error, JenkinsError::NotOurs(NotOurs::Orphan(_))), "{error:?}");
}

#[test]
fn a_hundred_nodes_cost_one_listing_and_two_reads_each_and_no_write_the_second_time() {
    let (model, client) = ready();
    let all: Vec<Registration> = (0..100).map(|number| registration(node(&format!("n{number}"), ssh()), "true")).collect();
    for registration in &all {
        client.create(&registration.node).unwrap();
        client.update(&registration.node, Stage::Labelled).unwrap();
    }
    model.state().settle_agents();
    model.take_log();
    let endings = register(&client, &all, &mut |_| {}).unwrap();
    assert!(endings.iter().all(|(_, ending)| matches!(ending, Ending::Unchanged)), "{endings:?}");
    assert!(endings.iter().zip(&all).all(|((name, _), one)| name.as_str() == one.node.name.as_str()), "{endings:?}");
    let log = model.take_log();
    // Its configuration, and the beginning of its agent's log.
    assert_eq!(log.len(), 201);
    assert!(log.iter().all(|request| request.method == "GET"));
}

#[test]
fn a_secret_is_sent_once_never_read_back_and_shown_nowhere() {
    let model = model();
    let client = client(&model, token("narrow"));
    let wanted = credential(PLANTED);
    assert_eq!(client.put_credential(&wanted, SITE_KEY).unwrap(), Sent::Created);
    assert!(model.state().credentials[0].secret.as_deref().unwrap().contains(PLANTED), "it did not arrive");
    assert_eq!(client.put_credential(&wanted, SITE_KEY).unwrap(), Sent::Unchanged);
    // What was sent is not known, as from an older release: it is sent whole again, not read. What somebody wrote beside the mark stays.
    let described = model.state().credentials[0].description.clone();
    model.state().credentials[0].description = format!("of the farm; {}", super::bench::site().mark());
    assert_eq!(client.put_credential(&wanted, SITE_KEY).unwrap(), Sent::Replaced);
    assert_eq!(model.state().credentials[0].description, format!("of the farm; {described}"));
    assert_eq!(client.put_credential(&wanted, SITE_KEY).unwrap(), Sent::Unchanged);
    // Changed by hand, as far as that shows.
    model.state().credentials[0].username = "root".to_owned();
    assert_eq!(client.put_credential(&wanted, SITE_KEY).unwrap(), Sent::Replaced);
    let rotated = credential("another-key");
    assert_eq!(client.put_credential(&rotated, SITE_KEY).unwrap(), Sent::Replaced);
    assert!(model.state().credentials[0].secret.as_deref().unwrap().contains("another-key"));

    let log = model.take_log();
    let reads: Vec<&str> = log.iter().filter(|request| request.method == "GET").map(|request| request.path.as_str()).collect();
    let domain = "/credentials/store/system/domain/_";
    let seen = [format!("{domain}/api/json"), format!("{domain}/credential/jenkins-ssh/config.xml")];
    assert!(reads.iter().all(|path| seen.iter().any(|known| known == path)), "{reads:?}");
    let answer = model.state().credentials[0].config_xml(version());
    assert!(answer.contains("<secret-redacted/>") && !answer.contains("another-key"), "{answer}");
    let with_secret: Vec<&str> = log.iter().filter(|r| r.text().contains(PLANTED)).map(|r| r.method.as_str()).collect();
    assert_eq!(with_secret, ["POST", "POST", "POST"]);
    for request in &log {
        assert!(!request.target.contains(PLANTED) && !format!("{:?}", request.headers).contains(PLANTED));
    }

    model.state().credentials[0].description = "somebody's".to_owned();
    let error = client.put_credential(&wanted, SITE_KEY).unwrap_err();
    assert!(matches!(&error, JenkinsError::ForeignCredential(id, ForeignOwner::Nobody) if id.as_str() == "jenkins-ssh"), "{error:?}");
    let shown = format!("{wanted:?} {client:?} {error:?} {error}");
    for secret in [PLANTED, "11narrow-token", "another-key"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}

#[test]
fn a_credential_of_another_kind_is_made_anew() {
    let model = model();
    let client = client(&model, token("narrow"));
    let mut wanted = credential(PLANTED);
    client.put_credential(&wanted, SITE_KEY).unwrap();
    wanted.kind = Kind::Password(ostler_roles::words::Secret::new("word".to_owned()));
    assert_eq!(client.put_credential(&wanted, SITE_KEY).unwrap(), Sent::Replaced);
    assert_eq!(model.state().credentials[0].secret.as_deref(), Some("word"));
}

#[test]
fn a_launcher_that_jenkins_drops_without_a_word_is_noticed() {
    let (model, client) = ready();
    model.state().has_ssh_plugin = false;
    let error = client.create(&node("n1", ssh())).unwrap_err();
    assert!(matches!(&error, JenkinsError::Status { status: 500, .. }), "{error:?}");
    client.create(&node("n2", Launcher::Inbound)).unwrap();
    let error = client.update(&node("n2", ssh()), Stage::Quarantined).unwrap_err();
    let expected = "node `n2` did not keep its values: launcher none -> ssh 192.0.2.7:22 as jenkins-ssh, ssh-ed25519";
    assert_eq!(error.to_string(), expected);
}
