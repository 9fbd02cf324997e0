//! A master that restarts, or loses a job, while the smoke job waits or runs: what the job says is believed, what nobody knows any more is not.

use std::time::{Duration, Instant};

use ostler::masters::jenkins::Client;
use ostler::masters::register::Ending;
use ostler_tests::jenkins::jobs::{Job, Left, enqueue};
use ostler_tests::jenkins::{Fault, Model, Timeline, xml};

use super::bench::{PLANTED, Registration, SITE_KEY, and_then, client, credential, model, node, registration, run, ssh, token, writes};
use super::faults::recorded_restart;

const JOB: &str = "ostler-smoke-n1";

fn ready() -> (Model, Client, Registration) {
    let model = model();
    let client = client(&model, token("narrow"));
    client.put_credential(&credential(PLANTED), SITE_KEY).unwrap();
    model.take_log();
    (model, client, registration(node("n1", ssh()), "true"))
}

fn runs(model: &Model) -> bool {
    model.state().jobs.values().any(|job| job.builds.iter().any(|build| build.is_running()))
}

fn waits(model: &Model) -> bool {
    model.state().queue.iter().any(|item| item.left.is_none())
}

/// In quarantine and nothing of the job left; and the next run goes on from there.
fn goes_on(model: &Model, client: &Client, wanted: &Registration) {
    {
        let state = model.state();
        let node = &state.nodes["n1"];
        assert_eq!((node.label.as_str(), node.mode.as_deref()), ("ostler-quarantine-n1", Some("EXCLUSIVE")));
        assert!(state.jobs.is_empty(), "the smoke job is left behind");
    }
    model.state().hold_builds = false;
    let ending = run(client, wanted);
    assert!(matches!(&ending, Ending::Labelled(report) if report.is_green()), "{ending:?}");
    assert_eq!(model.state().nodes["n1"].label, "big debian");
    assert!(model.state().jobs.is_empty());
}

#[test]
fn a_smoke_job_that_waits_through_a_restart_runs_after_it() {
    let (model, client, wanted) = ready();
    // A safe restart lets nothing start, and is over once nothing runs.
    model.state().quieting = true;
    let ending = and_then(&model, &client, &wanted, waits, |model| model.play(recorded_restart(0.02)));
    assert!(matches!(&ending, Ending::Labelled(report) if report.is_green()), "{ending:?}");
    assert_eq!(model.state().restarts, 1);
    assert_eq!(model.state().last_item, 1, "it was asked for again");
    assert_eq!(model.state().nodes["n1"].label, "big debian");
    assert!(model.state().jobs.is_empty());
}

/// Lets so many restarts come, each while a smoke job is on its way.
fn restart_while(model: &Model, is_so: fn(&Model) -> bool, times: u64, is_crash: bool) {
    let end = Instant::now() + Duration::from_secs(60);
    for restart in 0..times {
        // A second one waits, or runs, as the restart left it.
        while !(is_so(model) || (restart > 0 && (runs(model) || waits(model)))) {
            assert!(Instant::now() < end, "it never came to that");
            std::thread::sleep(Duration::from_millis(2));
        }
        model.state().will_crash = is_crash;
        model.play(recorded_restart(0.02));
        while model.state().restarts <= restart {
            assert!(Instant::now() < end, "the restart never ended");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

#[test]
fn a_smoke_job_that_is_cut_off_by_a_restart_is_tried_once_more_in_the_same_run() {
    for is_crash in [false, true] {
        let (model, client, wanted) = ready();
        model.state().hold_builds = true;
        let ending = and_then(&model, &client, &wanted, runs, |model| {
            restart_while(model, runs, 1, is_crash);
            model.state().hold_builds = false;
        });
        assert!(matches!(&ending, Ending::Labelled(report) if report.is_green()), "{ending:?}");
        assert_eq!(model.state().nodes["n1"].label, "big debian");
        assert!(model.state().jobs.is_empty());
    }
}

#[test]
fn a_smoke_job_that_is_cut_off_by_two_restarts_says_so_and_leaves_nothing() {
    let (model, client, wanted) = ready();
    model.state().hold_builds = true;
    let ending = and_then(&model, &client, &wanted, runs, |model| restart_while(model, runs, 2, false));
    assert!(matches!(&ending, Ending::Unproved(report) if report.text == "cut off by a restart of Jenkins"), "{ending:?}");
    assert_eq!(ending.to_string(), "not registered: smoke job: cut off by a restart of Jenkins");
    goes_on(&model, &client, &wanted);
}

#[test]
fn a_smoke_job_that_was_lost_in_a_crash_says_so_and_leaves_nothing() {
    for keeps_waiting in [true, false] {
        let (model, client, wanted) = ready();
        model.state().hold_builds = true;
        model.state().quieting = keeps_waiting;
        let is_so = if keeps_waiting { waits } else { runs };
        let ending = and_then(&model, &client, &wanted, is_so, |model| {
            restart_while(model, is_so, 2, true);
        });
        assert!(matches!(&ending, Ending::Unproved(report) if report.text == "cut off by a restart of Jenkins"), "{ending:?}");
        goes_on(&model, &client, &wanted);
    }
}

#[test]
fn another_jobs_queue_item_is_not_taken_for_ours_after_a_crash() {
    // The step of a pipeline has no name.
    for name in ["other", ""] {
        let (model, client, wanted) = ready();
        model.state().quieting = true;
        let ending = and_then(&model, &client, &wanted, waits, |model| {
            let mut state = model.state();
            state.will_crash = true;
            state.restart();
            // Somebody is quicker than we are: his job is given the id that ours had.
            let job = "<project><canRoam>true</canRoam></project>";
            state.jobs.insert("other".to_owned(), Job::new("other", xml::parse(job).unwrap()));
            assert_eq!(enqueue(&mut state, name, "admin", Some(Duration::from_secs(3600))), 1);
        });
        assert!(matches!(&ending, Ending::Labelled(report) if report.is_green()), "{ending:?}");
        let state = model.state();
        assert_eq!(state.jobs.keys().collect::<Vec<_>>(), ["other"]);
        assert!(state.queue[0].left.is_none(), "somebody else's item was taken back");
    }
}

#[test]
fn a_smoke_job_that_ended_just_before_a_restart_is_judged_by_its_build() {
    for (command, is_green) in [("true", true), ("exit 3", false)] {
        let (model, client, _) = ready();
        let wanted = registration(node("n1", ssh()), command);
        model.state().quieting = true;
        let ending = and_then(&model, &client, &wanted, waits, |model| {
            // Nobody can ask until it is over and gone from the queue.
            model.play(Timeline::new(vec![(Fault::Starting, Duration::from_secs(600))]));
            model.state().quieting = false;
            assert!(model.wait_for_builds(Duration::from_secs(20)));
            assert!(matches!(model.state().queue[0].left, Some(Left::Build(1))));
            model.state().restart();
            model.play(Timeline::default());
        });
        match &ending {
            Ending::Labelled(report) => assert!(is_green && report.is_green(), "{ending:?}"),
            Ending::Red(report) => {
                assert!(!is_green && report.text == "FAILURE", "{ending:?}");
                assert_eq!(report.tail.last().unwrap(), "Finished: FAILURE");
            }
            _ => panic!("{ending:?}"),
        }
    }
}

#[test]
fn a_smoke_job_that_somebody_removes_is_not_waited_for() {
    for keeps_waiting in [true, false] {
        let (model, client, wanted) = ready();
        model.state().hold_builds = true;
        model.state().quieting = keeps_waiting;
        let is_so = if keeps_waiting { waits } else { runs };
        let ending = and_then(&model, &client, &wanted, is_so, |model| {
            let mut state = model.state();
            state.jobs.clear();
            state.queue.clear();
        });
        assert_eq!(ending.to_string(), "not registered: smoke job: Jenkins does not know it any more; somebody removed it");
        model.state().quieting = false;
        goes_on(&model, &client, &wanted);
    }
}

/// Of the model: what a build printed is no word of a later one of the same name and number.
#[test]
fn a_build_of_a_job_that_was_removed_ends_no_build_of_the_next() {
    let (model, client, wanted) = ready();
    assert!(matches!(run(&client, &wanted), Ending::Labelled(_)), "a node to run on");
    let begin = |script: &str| {
        let shell = format!("<builders><hudson.tasks.Shell><command>{script}</command></hudson.tasks.Shell></builders>");
        let job = format!("<project><canRoam>true</canRoam>{shell}</project>");
        {
            let mut state = model.state();
            state.jobs.insert("a".to_owned(), Job::new("a", xml::parse(&job).unwrap()));
            enqueue(&mut state, "a", "admin", Some(Duration::ZERO));
        }
        while !runs(&model) {
            model.wait_for_builds(Duration::from_millis(20));
        }
    };
    model.state().hold_builds = true;
    begin("echo of the first");
    model.state().jobs.clear();
    begin("sleep 1; echo of the second");
    model.state().hold_builds = false;
    assert!(model.wait_for_builds(Duration::from_secs(60)));
    let console = model.state().jobs["a"].builds[0].console.clone();
    assert!(console.contains("\nof the second\n") && !console.contains("of the first"), "{console}");
}

#[test]
fn a_smoke_job_that_somebody_cancels_or_aborts_is_red_and_stays_to_be_looked_at() {
    let (model, client, wanted) = ready();
    model.state().quieting = true;
    let ending = and_then(&model, &client, &wanted, waits, |model| model.state().queue[0].left = Some(Left::Cancelled));
    assert_eq!(ending.to_string(), "not registered: smoke job: cancelled");
    model.state().quieting = false;
    model.state().hold_builds = true;
    let ending = and_then(&model, &client, &wanted, runs, |model| {
        let mut state = model.state();
        state.jobs.get_mut(JOB).unwrap().builds[0].result = Some("ABORTED");
        state.hold_builds = false;
    });
    assert_eq!(ending.to_string(), "not registered: smoke job: ABORTED");
    assert!(model.state().jobs.contains_key(JOB));
    assert!(!writes(&model).iter().any(|write| write.ends_with("/doDelete")));
    goes_on_from_red(&model, &client, &wanted);
}

#[test]
fn a_smoke_job_that_waited_through_a_restart_and_was_then_aborted_is_no_casualty_of_it() {
    let (model, client, wanted) = ready();
    model.state().quieting = true;
    model.state().hold_builds = true;
    let ending = and_then(&model, &client, &wanted, waits, |model| {
        model.play(recorded_restart(0.02));
        let end = Instant::now() + Duration::from_secs(60);
        // Once it was seen to run: of the last of these looks it cannot be known.
        let mut looks = 0;
        while looks < 3 {
            assert!(Instant::now() < end, "it was never looked at");
            std::thread::sleep(Duration::from_millis(2));
            looks += model.take_log().iter().filter(|request| request.path.starts_with(&format!("/job/{JOB}/1/api/json"))).count();
        }
        let mut state = model.state();
        assert_eq!(state.restarts, 1);
        state.jobs.get_mut(JOB).unwrap().builds[0].result = Some("ABORTED");
        state.hold_builds = false;
    });
    assert_eq!(ending.to_string(), "not registered: smoke job: ABORTED");
    assert!(model.state().jobs.contains_key(JOB));
}

fn goes_on_from_red(model: &Model, client: &Client, wanted: &Registration) {
    model.state().jobs.clear();
    goes_on(model, client, wanted);
}
