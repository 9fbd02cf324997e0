//! Answers of a master that do not come, or say something else: no verdict on a node.

use super::*;

/// Registers one worker by way of a front.
fn run_behind(master: &Master, front: &Front, machine: &mut Folder, one: Worker) -> Ending {
    let workers = [registration(&one)].into();
    let driver = Buildbot::new(master.client_behind(front), machine, workers, "ostler run 1", patience());
    run_telling(&driver, &[(one, Proof::Standing)], &mut |_, _| {}).remove(0)
}

/// All builds of the smoke job that this master has ever begun or was asked for.
fn smoke_jobs(master: &Master) -> usize {
    let requests: serde_json::Value = master.http().get_json("api/v2/buildrequests").unwrap();
    requests["buildrequests"].as_array().unwrap().len()
}

#[test]
fn an_answer_of_500_or_a_broken_one_in_a_smoke_job_is_asked_again() {
    let master = Master::start();
    let mut machine = Folder::of(&master);
    let _process = master.worker("node-1");
    let mut bad = [Fate::Refused(500), Fate::Answered(502), Fate::Broken, Fate::Refused(504)].into_iter();
    let front = Front::of(master.address(), move |line| match line.contains("/buildrequests/") || line.contains("/builds?") {
        true => bad.next().unwrap_or(Fate::Passed),
        false => Fate::Passed,
    });
    let ending = run_behind(&master, &front, &mut machine, worker("node-1", &[&["true"]]));
    assert!(matches!(ending, Ending::Labelled(_)), "{ending:?}\n{}", master.log());
    assert_eq!(smoke_jobs(&master), 1);
}

#[test]
fn a_smoke_job_whose_answer_was_lost_is_found_again_and_never_forced_twice() {
    for lost in [Fate::Answered(504), Fate::Broken, Fate::Refused(502)] {
        let master = Master::start();
        let mut machine = Folder::of(&master);
        let _process = master.worker("node-1");
        let mut fates = [lost].into_iter();
        let front = Front::of(master.address(), move |line| match line.starts_with("POST") {
            true => fates.next().unwrap_or(Fate::Passed),
            false => Fate::Passed,
        });
        let ending = run_behind(&master, &front, &mut machine, worker("node-1", &[&["true"]]));
        assert!(matches!(ending, Ending::Labelled(_)), "{lost:?}: {ending:?}\n{}", master.log());
        assert_eq!(smoke_jobs(&master), 1, "{lost:?}");
    }
}

#[test]
fn a_smoke_job_that_the_master_hears_of_late_is_not_run_twice() {
    let master = Master::start();
    let mut machine = Folder::of(&master);
    let _process = master.worker("node-1");
    // The first word hangs somewhere until the connection breaks; the master hears it behind the second.
    let mut words = [Fate::Late, Fate::Overtaking].into_iter();
    let front = Front::of(master.address(), move |line| match line.starts_with("POST /api/v2/forceschedulers") {
        true => words.next().unwrap_or(Fate::Passed),
        false => Fate::Passed,
    });
    let ending = run_behind(&master, &front, &mut machine, worker("node-1", &[&["true"]]));
    assert!(matches!(ending, Ending::Labelled(_)), "{ending:?}\n{}", master.log());
    assert_eq!(smoke_jobs(&master), 1);
}

/// The role of an older program, until it is applied again.
#[test]
fn a_master_that_would_run_a_smoke_job_twice_is_asked_for_it_once() {
    let master = Master::start();
    let configuration = master.home().join("master.cfg");
    let text = std::fs::read_to_string(&configuration).unwrap();
    let older = text
        .replace("        SmokeScheduler(\n", "        schedulers.ForceScheduler(\n")
        .replace("util.StringParameter(name=\"ostler_request\", default=\"\", hide=True),", "");
    assert!(!older.contains("name=\"ostler_request\"") && older.contains("schedulers.ForceScheduler(\n            name=SMOKE"), "{older}");
    std::fs::write(&configuration, older).unwrap();
    let _process = master.worker("node-1");
    // The look that comes after the third one finds what came late.
    for heard in [true, false] {
        let mut machine = Folder::of(&master);
        let before = smoke_jobs(&master);
        let (mut words, mut looks) = ([Fate::Late].into_iter(), 0);
        let front = Front::of(master.address(), move |line| match line {
            force if force.starts_with("POST /api/v2/forceschedulers") => words.next().unwrap_or(Fate::Passed),
            look if look.starts_with("GET /api/v2/buildsets") => {
                looks += 1;
                if looks == 3 && heard { Fate::Overtaking } else { Fate::Passed }
            }
            _ => Fate::Passed,
        });
        let one = worker("node-1", &[&["true"]]);
        let workers = [registration(&one)].into();
        let short = Patience { smoke: Duration::from_secs(if heard { 60 } else { 2 }), ..patience() };
        let driver = Buildbot::new(master.client_behind(&front), &mut machine, workers, "ostler run 1", short);
        let ending = run_telling(&driver, &[(one, Proof::Wanted)], &mut |_, _| {}).remove(0);
        assert_eq!((matches!(ending, Ending::Labelled(_)), smoke_jobs(&master) - before), (heard, usize::from(heard)), "{ending:?}");
        if !heard {
            let told = ending.to_string();
            assert!(told.contains("may still run") && told.contains("buildbot-master"), "{told}");
        }
    }
}

#[test]
fn bad_answers_neither_keep_a_worker_in_the_pool_whose_run_failed_nor_out_of_it_afterwards() {
    let master = Master::start();
    let mut machine = Folder::of(&master);
    let _process = master.worker("node-1");
    let one = worker("node-1", &[&["true"]]);
    assert!(matches!(run(&master, &mut machine, &[(one.clone(), Proof::Standing)]).as_slice(), [Ending::Labelled(_)]));
    let mut behind = |proof| {
        let mut logins = [Fate::Refused(502)].into_iter();
        let mut words = [Fate::Refused(500), Fate::Answered(502), Fate::Broken, Fate::Refused(504)].into_iter();
        let front = Front::of(master.address(), move |line| match line {
            login if login.contains("/auth/login") => logins.next().unwrap_or(Fate::Passed),
            word if word.starts_with("POST /api/v2/workers/") => words.next().unwrap_or(Fate::Passed),
            _ => Fate::Passed,
        });
        let workers = [registration(&one)].into();
        let driver = Buildbot::new(master.client_behind(&front), &mut machine, workers, "ostler run 1", patience());
        run_telling(&driver, &[(one.clone(), proof)], &mut |_, _| {}).remove(0)
    };
    let ending = behind(Proof::Lapsed);
    assert!(matches!(ending, Ending::Lapsed), "{ending}\n{}", master.log());
    let out = seen(&master, "node-1");
    assert!(out.hold.is_some_and(|hold| hold.is_ours()) && out.attached.is_empty());
    let ending = behind(Proof::Wanted);
    assert!(matches!(ending, Ending::Labelled(_)), "{ending}\n{}", master.log());
    assert!(seen(&master, "node-1").hold.is_none());
}

#[test]
fn a_master_at_which_nobody_can_log_in_is_not_a_wrong_password() {
    let master = Master::start();
    let mut machine = Folder::of(&master);
    let _process = master.worker("node-1");
    let front = Front::of(master.address(), |line| if line.contains("/auth/login") { Fate::Refused(404) } else { Fate::Passed });
    let told = run_behind(&master, &front, &mut machine, worker("node-1", &[&["true"]])).to_string();
    assert!(told.contains("status 404") && !told.contains("refused"), "{told}");
}

#[test]
fn a_wrong_web_password_is_no_verdict_on_the_node() {
    let master = Master::start();
    let mut machine = Folder::of(&master);
    let _process = master.worker("node-1");
    let one = worker("node-1", &[&["true"]]);
    let workers = [registration(&one)].into();
    let driver = Buildbot::new(master.client_as("wrong-but-planted"), &mut machine, workers, "ostler run 1", patience());
    let ending = run_telling(&driver, &[(one, Proof::Standing)], &mut |_, _| {}).remove(0);
    let told = ending.to_string();
    assert!(matches!(ending, Ending::Failed(_)) && told.contains("the account or its password is refused"), "{told}");
    assert!(!told.contains("planted") && !told.contains("RED"), "{told}");
    assert!(seen(&master, "node-1").attached.is_empty());
}

#[test]
fn a_force_scheduler_that_a_reload_has_taken_away_for_a_moment_is_asked_for_again() {
    let master = Master::start();
    let mut gone = [Fate::Refused(404), Fate::Refused(404)].into_iter();
    let front = Front::of(master.address(), move |line| match line.contains("/forceschedulers/") {
        true => gone.next().unwrap_or(Fate::Passed),
        false => Fate::Passed,
    });
    master.client_behind(&front).survey().unwrap();
    let none = Front::of(master.address(), |line| if line.contains("/forceschedulers/") { Fate::Refused(404) } else { Fate::Passed });
    let told = master.client_behind(&none).survey().unwrap_err().to_string();
    assert!(told.contains("it has no force scheduler ostler-smoke"), "{told}");
}
