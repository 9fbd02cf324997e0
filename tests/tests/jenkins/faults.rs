//! A master that restarts, refuses, hangs, lies or breaks off, and accounts that may not do everything.

use std::time::{Duration, Instant};

use ostler::masters::http::Access;
use ostler::masters::jenkins::{JenkinsError, Login, Sent};
use ostler::masters::register::Ending;
use ostler_roles::master::Stage;
use ostler_roles::master::jenkins::Name;
use ostler_roles::words::Secret;
use ostler_tests::jenkins::replay::RESTART;
use ostler_tests::jenkins::{Fault, Loss, Model, Permission, Timeline, User};

use super::bench::{PLANTED, SITE_KEY, client, credential, model, node, register, registration, run, ssh, token, writes};

pub fn recorded_restart(scale: f64) -> Timeline {
    let path = format!("{}/data/jenkins/exchanges/{RESTART}.json", env!("CARGO_MANIFEST_DIR"));
    let recording = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    Timeline::recorded_restart(&recording, scale).unwrap()
}

fn always(fault: Fault) -> Timeline {
    Timeline::new(vec![(fault, Duration::from_secs(60))])
}

#[test]
fn a_restart_as_it_was_recorded_is_waited_out_in_the_middle_of_a_registration() {
    let model = model();
    let client = client(&model, token("narrow"));
    client.put_credential(&credential(PLANTED), SITE_KEY).unwrap();
    let before = model.state().session.clone();
    let mut restarts = 0;
    let wanted = registration(node("n1", ssh()), "true");
    let endings = register(&client, std::slice::from_ref(&wanted), &mut |_| {
        // At each step of the way, once the one before is over.
        restarts += 1;
        model.play(recorded_restart(0.02));
    })
    .unwrap();
    assert!(matches!(&endings[0].1, Ending::Labelled(_)), "{endings:?}");
    assert!(restarts >= 4);
    assert_ne!(model.state().session, before);
    assert_eq!(model.state().nodes.len(), 1);
    assert!(model.state().jobs.is_empty());
}

#[test]
fn an_answer_lost_at_any_point_leaves_no_orphan_no_duplicate_and_the_same_end() {
    lose_each(Loss::Connection);
}

#[test]
fn an_answer_that_a_proxy_did_not_wait_for_is_a_lost_one() {
    lose_each(Loss::Gateway);
}

#[test]
fn what_a_proxy_did_not_pass_on_is_sent_again() {
    lose_each(Loss::Unheard);
}

#[test]
fn an_answer_of_500_at_any_point_ends_nothing_whether_the_master_did_what_was_asked_or_not() {
    lose_each(Loss::Stumble);
    lose_each(Loss::Failure);
}

fn lose_each(how: Loss) {
    for answers in 0..60 {
        let model = model();
        let client = client(&model, token("narrow"));
        model.lose_answer_after(answers, how);
        client.put_credential(&credential(PLANTED), SITE_KEY).unwrap();
        let wanted = registration(node("n1", ssh()), "true");
        let endings = register(&client, std::slice::from_ref(&wanted), &mut |_| {}).unwrap();
        assert!(endings[0].1.is_registered(), "after {answers} answers: {endings:?}");
        let state = model.state();
        assert_eq!((state.nodes.len(), state.credentials.len(), state.jobs.len()), (1, 1, 0), "after {answers} answers");
        assert_eq!(state.nodes["n1"].label, "big debian", "after {answers} answers");
        assert_eq!(state.last_item, 1, "after {answers} answers its smoke job was asked for again");
        drop(state);
        client.delete_credential(&credential(PLANTED).id).unwrap();
        assert!(model.state().credentials.is_empty(), "after {answers} answers");
        if !model.has_lost_answer() {
            // Credential, node, job, build, labels, no credential: each of these was written, and its answer lost, before.
            let writes = writes(&model);
            assert!(writes.len() >= 7 && answers > writes.len(), "after {answers} answers: {writes:?}");
            return;
        }
    }
    panic!("a registration takes more than 60 answers");
}

#[test]
fn a_build_of_an_earlier_run_is_not_the_one_that_was_asked_for_in_vain() {
    let model = model();
    let client = client(&model, token("narrow"));
    client.put_credential(&credential(PLANTED), SITE_KEY).unwrap();
    assert!(matches!(run(&client, &registration(node("n1", ssh()), "exit 1")), Ending::Red(_)));
    model.state().broken = vec![("/build?delay".to_owned(), 1)];
    let ending = run(&client, &registration(node("n1", ssh()), "true"));
    assert!(matches!(ending, Ending::Labelled(_)), "{ending:?}");
    assert_eq!(model.state().last_item, 2);
}

#[test]
fn a_mark_that_somebody_else_toggles_at_the_same_time_ends_as_it_was_wanted() {
    let model = model();
    let client = client(&model, token("narrow"));
    let name = Name::parse("n1").unwrap();
    client.create(&node("n1", ssh())).unwrap();
    let is_marked = || model.state().nodes["n1"].offline.is_some();
    model.state().rivals = 1;
    client.mark(&name, "a run").unwrap();
    assert!(is_marked(), "their toggle and ours have left it online");
    model.state().rivals = 1;
    assert_eq!(client.undrain(&name).unwrap(), None);
    assert!(!is_marked(), "their toggle and ours have left it offline");
    // Whoever comes right behind us has his own.
    model.state().rivals = 2;
    client.mark(&name, "a run").unwrap();
    assert!(is_marked());
    // It ends, whoever goes on.
    client.undrain(&name).unwrap();
    model.state().rivals = usize::MAX;
    assert_eq!(client.mark(&name, "a run").unwrap_err().to_string(), "mark node `n1` offline: refused: the mark does not hold");
}

#[test]
fn an_answer_counts_as_lost_only_when_that_was_asked_for_and_happened() {
    let model = model();
    let client = client(&model, token("narrow"));
    client.observe(&[]).unwrap();
    assert!(!model.has_lost_answer(), "nobody asked");
    model.lose_answer_after(1, Loss::Connection);
    client.observe(&[]).unwrap();
    assert!(!model.has_lost_answer(), "not yet");
    client.observe(&[]).unwrap();
    assert!(model.has_lost_answer());
}

#[test]
fn a_master_that_restarts_for_ever_ends_the_patience_not_the_run() {
    let model = model();
    let mut patience = super::bench::patience();
    patience.restart = Duration::from_millis(500);
    for (fault, last) in [(Fault::Starting, "503 Starting Jenkins"), (Fault::Restarting, "503 Restarting Jenkins")] {
        let client =
            ostler::masters::jenkins::Client::new(&model.url(), token("narrow"), super::bench::site(), patience.clone(), Access::default())
                .unwrap();
        model.play(always(fault));
        let error = client.observe(&[]).unwrap_err();
        assert!(matches!(&error, JenkinsError::NotReady { last: seen, .. } if seen == last), "{error:?}");
    }
}

#[test]
fn a_hanging_a_silent_and_an_absent_master_meet_the_deadline() {
    let model = model();
    let patience = ostler::masters::jenkins::Patience { request: Duration::from_millis(300), ..super::bench::patience() };
    for fault in [Fault::Hang, Fault::Reset, Fault::Refused] {
        let client =
            ostler::masters::jenkins::Client::new(&model.url(), token("narrow"), super::bench::site(), patience.clone(), Access::default())
                .unwrap();
        model.play(always(fault));
        // The server needs a moment to close its door.
        let started = Instant::now();
        let error = client.observe(&[]).unwrap_err();
        assert!(matches!(&error, JenkinsError::NotReady { action, .. } if action == "list the nodes"), "{fault:?}: {error:?}");
        assert!(started.elapsed() < Duration::from_secs(8), "{fault:?}: {:?}", started.elapsed());
        model.play(Timeline::default());
        while client.observe(&[]).is_err() {
            assert!(started.elapsed() < Duration::from_secs(60), "{fault:?}: it never came back");
        }
    }
}

#[test]
fn a_wrong_token_and_a_wrong_password_are_named_and_are_no_restart() {
    let model = model();
    let wrong = || Secret::new("not-the-token".to_owned());
    for login in [
        Login::Token { user: "narrow".to_owned(), token: wrong() },
        Login::Password { user: "narrow".to_owned(), password: wrong() },
        Login::Token { user: "ghost".to_owned(), token: wrong() },
    ] {
        let error = client(&model, login).observe(&[]).unwrap_err();
        assert!(matches!(error, JenkinsError::WrongLogin { .. }), "{error:?}");
        assert!(!format!("{error:?} {error}").contains("not-the-token"));
    }
    let error = client(&model, Login::Token { user: "narrow".to_owned(), token: wrong() }).observe(&[]).unwrap_err();
    assert_eq!(error.to_string(), "list the nodes: Jenkins does not know this token or password of user `narrow` (401)");
}

#[test]
fn a_password_brings_a_crumb_and_its_session_and_renews_them_after_a_restart() {
    let model = model();
    let login = Login::Password { user: "narrow".to_owned(), password: Secret::new("narrow-password".to_owned()) };
    let client = client(&model, login);
    client.create(&node("n1", ssh())).unwrap();
    client.create(&node("n2", ssh())).unwrap();
    let crumbs = |model: &Model| model.take_log().iter().filter(|request| request.path == "/crumbIssuer/api/json").count();
    assert_eq!(crumbs(&model), 1);
    model.play(recorded_restart(0.01));
    client.create(&node("n3", ssh())).unwrap();
    assert_eq!(crumbs(&model), 1);
    // Crumbs that went without a restart, as behind a proxy that drops sessions.
    model.state().crumbs.clear();
    client.create(&node("n4", ssh())).unwrap();
    assert_eq!(crumbs(&model), 1);
    assert_eq!(model.state().nodes.len(), 4);
}

#[test]
fn what_is_not_jenkins_answer_is_not_taken_for_one() {
    let model = model();
    let client = client(&model, token("narrow"));
    model.play(always(Fault::Html));
    let error = client.observe(&[]).unwrap_err();
    assert!(matches!(&error, JenkinsError::NotJenkins { kind, .. } if kind == "text/html;charset=utf-8"), "{error:?}");
    model.play(always(Fault::Endless));
    let error = client.observe(&[]).unwrap_err();
    assert!(matches!(&error, JenkinsError::Http { action, .. } if action == "list the nodes"), "{error:?}");
    model.play(Timeline::new(vec![(Fault::Half, Duration::from_millis(150))]));
    client.observe(&[]).unwrap();
}

#[test]
fn each_missing_permission_is_named_as_jenkins_security_page_names_it() {
    use Permission::{
        AgentConfigure, AgentConnect, AgentCreate, AgentDelete, CredentialsCreate, CredentialsUpdate, CredentialsView, JobBuild,
        JobConfigure, JobCreate, JobRead, Read,
    };
    type Attempt = fn(&ostler::masters::jenkins::Client) -> Result<(), JenkinsError>;
    let create: Attempt = |client| client.create(&node("n2", ssh()));
    let update: Attempt = |client| client.update(&super::bench::node("n1", ssh()), Stage::Labelled);
    let drain: Attempt = |client| client.drain(&Name::parse("n1").unwrap(), "a run");
    let delete: Attempt = |client| client.delete(&Name::parse("n1").unwrap());
    let secret: Attempt = |client| client.agent_secret(&Name::parse("n1").unwrap()).map(drop);
    let observe: Attempt = |client| client.observe(&[Name::parse("n1").unwrap()]).map(drop);
    let put: Attempt = |client| client.put_credential(&credential("new"), SITE_KEY).map(drop);
    let smoke: Attempt = |client| client.smoke(&node("n1", ssh()), "/dev/null", &[]).map(drop);
    for (missing, words, attempt) in [
        (Read, "Overall/Read", observe),
        (AgentCreate, "Agent/Create", create),
        (AgentConfigure, "Agent/Configure", observe),
        (AgentConfigure, "Agent/Configure", update),
        (AgentConnect, "Agent/Connect", drain),
        (AgentConnect, "Agent/Connect", secret),
        (AgentDelete, "Agent/Delete", delete),
        (CredentialsView, "Credentials/View", put),
        (CredentialsUpdate, "Credentials/Update", put),
        (JobCreate, "Job/Create", smoke),
        (JobRead, "Job/Read", smoke),
        (JobBuild, "Job/Build", smoke),
    ] {
        let model = model();
        let full = client(&model, token("narrow"));
        full.put_credential(&credential(PLANTED), SITE_KEY).unwrap();
        full.create(&node("n1", ssh())).unwrap();
        full.wait_online(&Name::parse("n1").unwrap()).unwrap();
        let narrowed = |user: &mut User| {
            user.permissions.remove(&missing);
            // Disconnect would stand in for Connect.
            user.permissions.remove(&Permission::AgentDisconnect);
        };
        model.state().users.iter_mut().filter(|user| user.name == "narrow").for_each(narrowed);
        let error = attempt(&full).unwrap_err();
        assert!(
            matches!(&error, JenkinsError::MissingPermission { user, permission, .. } if user == "narrow" && permission == words),
            "{words}: {error:?}"
        );
    }
    // Creating needs its own permission where nothing is there yet; so does changing the job of an earlier run.
    let model = model();
    model.state().users[1].permissions.retain(|permission| ![CredentialsCreate, JobConfigure].contains(permission));
    let error = put(&client(&model, token("narrow"))).unwrap_err();
    assert_eq!(error.to_string(), "create credential `jenkins-ssh`: user `narrow` is missing the permission Credentials/Create");
}

#[test]
fn a_job_that_exists_but_may_not_be_seen_is_a_missing_permission() {
    let model = model();
    let client = client(&model, token("narrow"));
    client.put_credential(&credential(PLANTED), SITE_KEY).unwrap();
    let red = registration(node("n1", ssh()), "exit 1");
    let endings = register(&client, std::slice::from_ref(&red), &mut |_| {}).unwrap();
    assert!(matches!(&endings[0].1, Ending::Red(_)), "{endings:?}");
    model.state().users[1].permissions.remove(&Permission::JobRead);
    let error = client.smoke(&red.node, "/dev/null", &red.smoke).unwrap_err();
    assert_eq!(error.to_string(), "create job `ostler-smoke-n1`: user `narrow` is missing the permission Job/Read");
}

#[test]
fn four_hundred_and_four_is_no_proof_of_absence() {
    let model = model();
    let full = client(&model, token("narrow"));
    assert_eq!(full.put_credential(&credential(PLANTED), SITE_KEY).unwrap(), Sent::Created);
    // Who may not look gets 404 for what is there: it must not be taken for "not there".
    let error = client(&model, token("reader")).delete_credential(&credential("x").id).unwrap_err();
    assert!(matches!(&error, JenkinsError::MissingPermission { permission, .. } if permission == "Credentials/View"), "{error:?}");
    assert_eq!(model.state().credentials.len(), 1);
}
