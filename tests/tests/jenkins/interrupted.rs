//! A run that is interrupted while it waits for the master: every wait ends, nothing half-made stays, and what is left is said.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ostler::masters::Cancellation;
use ostler::masters::driver::{Cordon, CordonError, Driver as _, Event, MasterError, Verdict};
use ostler::masters::http::Access;
use ostler::masters::jenkins::{Client, InstallAgent, InstallAgentError, JenkinsError, Patience};
use ostler::masters::register::{Ending, Leftover};
use ostler_roles::catalog::Step;
use ostler_roles::master::Proof;
use ostler_roles::master::jenkins::{Launcher, Name, Version};
use ostler_roles::words::{NodeName, Secret};
use ostler_tests::jenkins::nodes::{Node, OfflineMark};
use ostler_tests::jenkins::{Fault, Loss, Model, Request, Timeline};
use tokio::sync::watch;

use super::bench::{
    PLANTED, Registration, SITE_KEY, and_then, client, credential, model, node, register, registration, run, ssh, token, writes,
};

/// A model, a client, and what interrupts it.
fn ready() -> (Model, Client, watch::Sender<bool>) {
    let model = model();
    let (interrupt, stop) = watch::channel(false);
    let client = client(&model, token("narrow")).stoppable(Cancellation::from(stop));
    client.put_credential(&credential(PLANTED), SITE_KEY).unwrap();
    model.take_log();
    (model, client, interrupt)
}

/// Registers, and interrupts when this is so.
fn interrupt_when(
    model: &Model,
    client: &Client,
    interrupt: &watch::Sender<bool>,
    wanted: &Registration,
    is_so: impl Fn(&Model) -> bool,
) -> Ending {
    and_then(model, client, wanted, is_so, |_| interrupt.send(true).unwrap())
}

fn quarantined(model: &Model, name: &str) -> bool {
    let state = model.state();
    let node = &state.nodes[name];
    node.label == format!("ostler-quarantine-{name}") && node.mode.as_deref() == Some("EXCLUSIVE") && node.offline.is_none()
}

#[test]
fn a_node_that_is_waited_for_stays_in_quarantine() {
    let (model, client, interrupt) = ready();
    let wanted = registration(node("n2", Launcher::Inbound), "true");
    // Its state is asked for only by who waits.
    let is_awaited = |model: &Model| model.take_log().iter().any(|request| request.path == "/computer/n2/api/json");
    let ending = interrupt_when(&model, &client, &interrupt, &wanted, is_awaited);
    assert!(matches!(ending, Ending::Stopped(Leftover::Quarantined, None)), "{ending:?}");
    assert_eq!(ending.to_string(), "not registered: interrupted; it stays on the master in quarantine, without its labels");
    assert!(quarantined(&model, "n2"));
    assert!(model.state().jobs.is_empty());
}

#[test]
fn a_running_smoke_job_is_stopped_and_removed() {
    let (model, client, interrupt) = ready();
    model.state().hold_builds = true;
    let wanted = registration(node("n1", ssh()), "true");
    let running = |model: &Model| model.state().jobs.values().any(|job| job.builds.iter().any(|build| build.is_running()));
    let ending = interrupt_when(&model, &client, &interrupt, &wanted, running);
    assert!(matches!(ending, Ending::Stopped(Leftover::Quarantined, None)), "{ending:?}");
    assert!(quarantined(&model, "n1"));
    assert!(model.state().jobs.is_empty(), "the job is left behind");
    let writes = writes(&model);
    assert!(writes.iter().any(|write| write.ends_with("/job/ostler-smoke-n1/1/stop")), "{writes:?}");
}

#[test]
fn a_smoke_job_that_waits_in_the_queue_is_taken_back() {
    let (model, client, interrupt) = ready();
    model.state().quieting = true;
    let wanted = registration(node("n1", ssh()), "true");
    let ending = interrupt_when(&model, &client, &interrupt, &wanted, |model| !model.state().queue.is_empty());
    assert!(matches!(ending, Ending::Stopped(Leftover::Quarantined, None)), "{ending:?}");
    assert!(model.state().queue.iter().all(|item| item.left.is_some()), "the item still waits");
    assert!(model.state().jobs.is_empty());
}

#[test]
fn what_the_master_does_not_let_go_of_is_named() {
    let (model, client, interrupt) = ready();
    model.state().hold_builds = true;
    let wanted = registration(node("n1", ssh()), "true");
    let running = |model: &Model| {
        let mut state = model.state();
        let runs = state.jobs.values().any(|job| job.builds.iter().any(|build| build.is_running()));
        if runs {
            state.users[1].permissions.remove(&ostler_tests::jenkins::Permission::JobDelete);
        }
        runs
    };
    let ending = interrupt_when(&model, &client, &interrupt, &wanted, running);
    let told = ending.to_string();
    let expected = "not registered: interrupted; it stays on the master in quarantine, without its labels; job `ostler-smoke-n1` is left on the \
        master: remove job `ostler-smoke-n1`: user `narrow` is missing the permission Job/Delete";
    assert_eq!(told, expected);
    assert_eq!(model.state().jobs["ostler-smoke-n1"].builds[0].result, Some("ABORTED"));
}

#[test]
fn nothing_new_is_begun_after_it() {
    let (model, client, interrupt) = ready();
    interrupt.send(true).unwrap();
    let ending = run(&client, &registration(node("n1", ssh()), "true"));
    assert_eq!(ending.to_string(), "not registered: interrupted; it is not on the master");
    assert_eq!(writes(&model), [""; 0]);
}

#[test]
fn labels_that_are_no_longer_earned_are_taken_off_all_the_same() {
    let (model, client, interrupt) = ready();
    assert!(run(&client, &registration(node("n1", ssh()), "true")).is_registered());
    model.take_log();
    interrupt.send(true).unwrap();
    // Nothing changed on the node: they are still earned.
    assert!(run(&client, &registration(node("n1", ssh()), "true")).is_registered());
    assert_eq!(writes(&model), [""; 0]);
    let ending = run(&client, &Registration { proof: Proof::Wanted, ..registration(node("n1", ssh()), "true") });
    assert!(matches!(ending, Ending::Stopped(Leftover::Quarantined, None)), "{ending:?}");
    assert_eq!(writes(&model), ["POST /computer/n1/config.xml"]);
    assert!(quarantined(&model, "n1"));
}

#[test]
fn labels_that_were_earned_a_moment_ago_are_put_on() {
    let (model, client, interrupt) = ready();
    let wanted = registration(node("n1", ssh()), "true");
    let mut interrupt_after_green = |event| {
        if matches!(event, Event::Smoked { verdict: Verdict::Green, .. }) {
            interrupt.send(true).unwrap();
        }
    };
    let ending = register(&client, std::slice::from_ref(&wanted), &mut interrupt_after_green).unwrap().remove(0).1;
    assert!(ending.is_registered(), "{ending:?}");
    assert_eq!(model.state().nodes["n1"].label, "big debian");
}

#[test]
fn a_master_that_restarts_is_not_waited_for() {
    let (model, client, interrupt) = ready();
    model.play(Timeline::new(vec![(Fault::Restarting, Duration::from_secs(600))]));
    let error = std::thread::scope(|scope| {
        let done = scope.spawn(|| register(&client, &[registration(node("n1", ssh()), "true")], &mut |_| {}).unwrap_err());
        interrupt.send(true).unwrap();
        done.join().unwrap()
    });
    assert_eq!(error.to_string(), "interrupted");
}

#[test]
fn a_request_that_hangs_is_given_up_whatever_it_asks_for() {
    let (model, _, _) = ready();
    let patience = Patience { request: Duration::from_secs(90), ..super::bench::patience() };
    let (other, stop) = watch::channel(false);
    let slow = Client::new(&model.url(), token("narrow"), super::bench::site(), patience, Access::default()).unwrap();
    let slow = slow.stoppable(Cancellation::from(stop));
    slow.create(&node("n1", ssh())).unwrap();
    model.play(Timeline::new(vec![(Fault::Hang, Duration::from_secs(600))]));
    model.take_log();
    let name = Name::parse("n1").unwrap();
    let began = Instant::now();
    std::thread::scope(|scope| {
        let looks = scope.spawn(|| slow.observe(std::slice::from_ref(&name)).unwrap_err());
        let writes = scope.spawn(|| slow.put_credential(&credential("another"), SITE_KEY).unwrap_err());
        while model.take_log().is_empty() && began.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_millis(2));
        }
        other.send(true).unwrap();
        for done in [looks, writes] {
            let error = done.join().unwrap();
            assert!(matches!(error, JenkinsError::Stopped { .. }), "{error:?}");
        }
    });
    // The request itself had ninety.
    assert!(began.elapsed() < Duration::from_secs(80), "{:?}", began.elapsed());
}

#[test]
fn a_look_at_many_nodes_of_a_slow_master_goes_no_further() {
    let (model, client, interrupt) = ready();
    client.create(&node("n0", ssh())).unwrap();
    let names: Vec<Name> = (0..200).map(|number| Name::parse(&format!("n{number}")).unwrap()).collect();
    {
        let mut state = model.state();
        let made = state.nodes["n0"].clone();
        for name in &names {
            let node = Node { name: name.to_string(), ..made.clone() };
            state.nodes.insert(name.to_string(), node);
        }
        state.delay = Duration::from_millis(100);
    }
    model.take_log();
    let mut read = 0;
    let mut count = |log: Vec<Request>| {
        read += log.iter().filter(|request| request.path.ends_with("/config.xml")).count();
        read
    };
    let error = std::thread::scope(|scope| {
        let look = scope.spawn(|| client.list(&names).map(drop).unwrap_err());
        while count(model.take_log()) < 3 {
            assert!(!look.is_finished(), "it never came to that");
            std::thread::sleep(Duration::from_millis(2));
        }
        interrupt.send(true).unwrap();
        look.join().unwrap()
    });
    assert_eq!(error.to_string(), "list the nodes: interrupted");
    let read = count(model.take_log());
    assert!(read < 150, "{read} of 200 were read");
}

/// A node whose agent is to be changed.
#[derive(Debug)]
struct Changing;

impl InstallAgent for Changing {
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
        before().map(|()| true).map_err(|error| InstallAgentError(Box::new(error)))
    }
}

#[test]
fn a_node_that_is_drained_gets_its_mark_off_again() {
    let (model, client, interrupt) = ready();
    let secret_of = |name: &str| model.state().nodes[name].secret.clone();
    client.create(&node("n2", Launcher::Inbound)).unwrap();
    let secret = secret_of("n2");
    assert!(model.state().nodes.get_mut("n2").unwrap().call_in(&secret));
    // An operator's job that does not end.
    model.state().hold_builds = true;
    std::thread::scope(|scope| {
        let busy = scope.spawn(|| client.smoke(&node("n2", Launcher::Inbound), "/dev/null", &[]));
        let running = |model: &Model| model.state().jobs.values().any(|job| job.builds.iter().any(|build| build.is_running()));
        while !running(&model) && !busy.is_finished() {
            std::thread::sleep(Duration::from_millis(2));
        }
        let (interrupt_this, stop) = watch::channel(false);
        let other = super::bench::client(&model, token("narrow")).stoppable(Cancellation::from(stop));
        let wanted = Registration { agent: Some(Arc::new(Changing)), ..registration(node("n2", Launcher::Inbound), "true") };
        let marked = |model: &Model| model.state().nodes["n2"].offline.is_some();
        let ending = interrupt_when(&model, &other, &interrupt_this, &wanted, marked);
        assert!(matches!(ending, Ending::Stopped(Leftover::Quarantined, None)), "{ending:?}");
        assert!(!marked(&model), "our mark is left behind");
        interrupt.send(true).unwrap();
        busy.join().unwrap().unwrap_err()
    });
}

/// Takes a node out of service on a master that falls silent after so many answers, and is interrupted then; whether it came to that, and whether
/// the node is marked and the master was told, as the run knows it.
fn cordoned_with_answers(answers: usize) -> (bool, bool, bool) {
    let (model, client, interrupt) = ready();
    let wanted = registration(node("n1", ssh()), "true");
    client.create(&wanted.node).unwrap();
    let executor = NodeName::parse("n1").unwrap();
    model.lose_answer_after(answers, Loss::Silence);
    let done = std::thread::scope(|scope| {
        let driver = super::bench::driver(&client, std::slice::from_ref(&wanted));
        let name = &executor;
        let done = scope.spawn(move || driver.cordon(name, "a run changes this node", &|_| {}));
        while !model.has_lost_answer() && !done.is_finished() {
            std::thread::sleep(Duration::from_millis(2));
        }
        interrupt.send(true).unwrap();
        done.join().unwrap()
    });
    let (is_lost, is_marked) = (model.has_lost_answer(), model.state().nodes["n1"].offline.is_some());
    let is_told = match done {
        Ok(cordon) => cordon.is_made(),
        Err(CordonError { error, is_told }) => {
            assert!(matches!(error, MasterError::Stopped { .. }), "{error:?}");
            is_told
        }
    };
    // It answers again: what it may have marked is let go.
    model.lose_answer_after(usize::MAX, Loss::Silence);
    model.play(Timeline::new(Vec::new()));
    let later = super::bench::client(&model, token("narrow"));
    super::bench::driver(&later, std::slice::from_ref(&wanted)).uncordon(&executor, &|_| {}).unwrap();
    assert!(model.state().nodes["n1"].offline.is_none(), "{answers}");
    (is_lost, is_marked, is_told)
}

#[test]
fn a_mark_whose_answer_is_lost_is_known_as_perhaps_ours() {
    let all: Vec<_> = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..9).map(|answers| scope.spawn(move || cordoned_with_answers(answers))).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    for (answers, (_, is_marked, is_told)) in all.iter().enumerate() {
        assert!(*is_told || !is_marked, "after {answers} answers it is marked, and nobody knows: {all:?}");
    }
    assert!(all.contains(&(true, true, true)), "its answer was never lost: {all:?}");
    assert!(all.contains(&(true, false, false)), "it was told before it was looked at: {all:?}");
    assert_eq!(all.last(), Some(&(false, true, true)), "there is more to lose: {all:?}");
}

/// Takes a node out of service that an operator marks once the master has given so many answers; none: it is marked by us by then.
fn cordoned_beside_an_operator(answers: usize) -> Option<Cordon> {
    let (model, client, _interrupt) = ready();
    let wanted = registration(node("n1", ssh()), "true");
    client.create(&wanted.node).unwrap();
    let name = NodeName::parse("n1").unwrap();
    model.lose_answer_after(answers, Loss::Silence);
    std::thread::scope(|scope| {
        let (client, wanted, name) = (&client, &wanted, &name);
        let done = scope.spawn(move || {
            let driver = super::bench::driver(client, std::slice::from_ref(wanted));
            driver.cordon(name, "a run changes this node", &|_| {})
        });
        while !model.has_lost_answer() && !done.is_finished() {
            std::thread::sleep(Duration::from_millis(2));
        }
        let is_ours = model.state().nodes["n1"].offline.is_some();
        if !is_ours {
            model.state().nodes.get_mut("n1").unwrap().offline = Some(OfflineMark::new("operator", "disk swap"));
        }
        model.lose_answer_after(usize::MAX, Loss::Silence);
        model.play(Timeline::new(Vec::new()));
        let cordon = done.join().unwrap().unwrap();
        (!is_ours).then_some(cordon)
    })
}

#[test]
fn a_mark_that_an_operator_sets_between_two_looks_is_not_taken_for_our_own() {
    let all: Vec<_> = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..9).map(|answers| scope.spawn(move || cordoned_beside_an_operator(answers))).collect();
        runs.into_iter().filter_map(|run| run.join().unwrap()).collect()
    });
    assert!(!all.contains(&Cordon::Made), "{all:?}");
    assert!(all.contains(&Cordon::Ours), "nobody came between: {all:?}");
}

#[test]
fn a_mark_behind_which_jenkins_stumbles_is_this_runs_still() {
    for answers in 0..9 {
        let (model, client, _interrupt) = ready();
        let wanted = registration(node("n1", ssh()), "true");
        client.create(&wanted.node).unwrap();
        model.lose_answer_after(answers, Loss::Stumble);
        let driver = super::bench::driver(&client, std::slice::from_ref(&wanted));
        let cordon = driver.cordon(&NodeName::parse("n1").unwrap(), "a run changes this node", &|_| {}).unwrap();
        assert_eq!(cordon, Cordon::Made, "after {answers} answers");
    }
}
