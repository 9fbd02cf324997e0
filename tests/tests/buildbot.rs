//! Registration with a real Buildbot 4.3: master and workers run here, from pinned wheels, on loopback.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use ostler::masters::buildbot::{BuildResult, Buildbot, Patience, Registration, SmokeCommand, Worker, WorkerTrouble};
use ostler::masters::driver::{Cordon, Driver, Event, Verdict};
use ostler::masters::files::InstallError;
use ostler::masters::register::{Ending, register};
use ostler::masters::witness::{Nonce, Witness};
use ostler_roles::master::buildbot::{Hold, WorkerName};
use ostler_roles::master::{Proof, Stage};
use ostler_roles::words::{Label, NodeName};
use ostler_tests::buildbot::{Fate, Folder, Front, Master, Meddling};
use ostler_tests::machine::{Given, Machine};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

thread_local! {
    /// The machines of a test's workers, by their names.
    static MACHINES: RefCell<BTreeMap<String, Arc<Machine>>> = RefCell::default();
}

/// The machine of this worker.
fn machine_of(name: &str) -> Arc<Machine> {
    MACHINES.with_borrow_mut(|machines| Arc::clone(machines.entry(name.to_owned()).or_default()))
}

/// From now on the worker of this name is on such a machine.
fn move_to(name: &str, machine: Machine) -> Arc<Machine> {
    MACHINES.with_borrow_mut(|machines| machines.insert(name.to_owned(), Arc::new(machine)));
    machine_of(name)
}

fn worker(name: &str, smoke: &[&[&str]]) -> Worker {
    let labels = ["debian", "asked-for-by-nobody"].iter().map(|label| Label::parse(label).unwrap()).collect();
    let command = |run: &&[&str]| SmokeCommand { name: run[0].to_owned(), run: run.iter().map(|word| (*word).to_owned()).collect() };
    Worker::new(name, 2, labels, Worker::SHARED_PASSWORD, smoke.iter().map(command).collect(), &machine_of(name).path()).unwrap()
}

fn registration(worker: &Worker) -> (NodeName, Registration) {
    let witness: Arc<dyn Witness> = machine_of(worker.name().as_str());
    (name(worker), Registration { worker: worker.clone(), witness })
}

fn patience() -> Patience {
    Patience { load: Duration::from_secs(20), connect: Duration::from_secs(30), smoke: Duration::from_secs(60) }
}

fn name(worker: &Worker) -> NodeName {
    NodeName::parse(worker.name().as_str()).unwrap()
}

fn driver<'a>(master: &Master, machine: &'a mut Folder, workers: &[Worker], patience: &Patience) -> Buildbot<'a> {
    let workers = workers.iter().map(registration).collect();
    Buildbot::new(master.client(), machine, workers, "ostler run 1", patience.clone())
}

fn run_telling(driver: &Buildbot<'_>, workers: &[(Worker, Proof)], events: &mut dyn FnMut(&NodeName, Event)) -> Vec<Ending> {
    let executors: Vec<(NodeName, Proof)> = workers.iter().map(|(worker, proof)| (name(worker), *proof)).collect();
    register(driver, &executors, events).unwrap().into_iter().map(|(_, ending)| ending).collect()
}

fn run_with(master: &Master, machine: &mut Folder, workers: &[(Worker, Proof)], patience: &Patience) -> Vec<Ending> {
    let all: Vec<Worker> = workers.iter().map(|(worker, _)| worker.clone()).collect();
    run_telling(&driver(master, machine, &all, patience), workers, &mut |_, _| {})
}

fn run(master: &Master, machine: &mut Folder, workers: &[(Worker, Proof)]) -> Vec<Ending> {
    run_with(master, machine, workers, &patience())
}

/// Why a worker went no further.
fn trouble(ending: &Ending) -> &WorkerTrouble {
    match ending {
        Ending::Failed(error) => error.of().unwrap_or_else(|| panic!("{error:?}")),
        other => panic!("{other:?}"),
    }
}

fn quiet(_: Event) {}

fn seen(master: &Master, name: &str) -> ostler_roles::master::buildbot::Observed {
    master.client().survey().unwrap().of(&WorkerName::parse(name).unwrap())
}

#[test]
fn a_worker_earns_its_label_and_a_second_run_writes_and_reloads_nothing() {
    let mut master = Master::start();
    let mut machine = Folder::of(&master);
    let _process = master.worker("node-1");
    let workers = [(worker("node-1", &[&["test", "-w", "."], &["uname", "-s"]]), Proof::Standing)];

    let endings = run(&master, &mut machine, &workers);
    let [Ending::Labelled(report)] = endings.as_slice() else { panic!("{endings:?}\n{}", master.log()) };
    assert_eq!((report.verdict, report.text.as_str()), (Verdict::Green, "success"));
    assert!(report.url.as_ref().is_some_and(|url| url.starts_with(&master.url())), "{report:?}");
    assert_eq!(machine.written, ["Quarantined workers.d/node-1.json", "Labelled workers.d/node-1.json"]);
    assert_eq!(master.reloads(), 2);
    assert!(seen(&master, "node-1").is_at(&workers[0].0.desired(), Stage::Labelled));
    assert_eq!(master.run_unit(), (0, "node-1".to_owned()), "a job that asks for the label runs there");

    machine.written.clear();
    let endings = run(&master, &mut machine, &workers);
    assert!(matches!(endings.as_slice(), [Ending::Unchanged]), "{endings:?}");
    assert_eq!((machine.written.len(), master.reloads()), (0, 2));
    assert!(master.is_running());
}

#[test]
fn workers_go_together_where_they_can_and_each_runs_its_own_smoke_job() {
    let master = Master::start();
    let mut machine = Folder::of(&master);
    let _processes = (master.worker("node-1"), master.worker("node-2"));
    // Each greets in a file of its own workspace: a job that ran on the other worker would not find it.
    let workers = ["node-1", "node-2"].map(|name| (worker(name, &[&["sh", "-c", &format!("pwd | grep worker-{name}/")]]), Proof::Standing));
    let endings = run(&master, &mut machine, &workers);
    assert!(matches!(endings.as_slice(), [Ending::Labelled(_), Ending::Labelled(_)]), "{endings:?}\n{}", master.log());
    assert_eq!(machine.written.len(), 4);
    assert_eq!(master.reloads(), 2, "one for each stage: those who come together go together");

    let (client, name) = (master.client(), WorkerName::parse("node-2").unwrap());
    let number = client.survey().unwrap().number(&name);
    for _ in 0..8 {
        // Both workers are free: chance alone would send half of these to the other one.
        let request = client.force_smoke(&name, "again").unwrap();
        master.until("the smoke job has ended", || client.result(request).unwrap().is_some());
        assert_eq!(client.build(request).unwrap().map(|build| build.worker), number);
    }
}

#[test]
fn a_job_that_ran_on_another_machine_gives_no_label_whatever_it_said() {
    for (given, said) in [(Given::Nowhere, "No such file or directory"), (Given::Elsewhere, "but `")] {
        let master = Master::start();
        let mut machine = Folder::of(&master);
        // Another site's, or another machine's: it is connected by the name of ours, which is refused as a duplicate.
        let _stranger = master.worker("node-1");
        let mine = move_to("node-1", Machine::that(given));
        let workers = [(worker("node-1", &[&["true"]]), Proof::Standing)];
        let endings = run(&master, &mut machine, &workers);
        let [Ending::Red(report)] = endings.as_slice() else { panic!("{endings:?}\n{}", master.log()) };
        assert!(report.text.starts_with("ran on another machine: it did not show what p06 alone was given"), "{report:?}");
        assert!(report.text.contains(said), "{report:?}");
        assert!(seen(&master, "node-1").is_at(&workers[0].0.desired(), Stage::Quarantined), "it has no label");
        assert_eq!(mine.nonces(), 1);
        // Nor at the next try, on a node that has changed or not.
        let endings = run(&master, &mut machine, &[(worker("node-1", &[&["true"]]), Proof::Wanted)]);
        assert!(matches!(endings.as_slice(), [Ending::Red(_)]), "{endings:?}");
        assert_eq!(mine.nonces(), 2, "each job has a nonce of its own");
    }
}

#[test]
fn a_job_whose_machine_lost_its_nonce_is_run_once_more() {
    let master = Master::start();
    let mut machine = Folder::of(&master);
    let _process = master.worker("node-1");
    for (lost, is_proved) in [(1, true), (2, false)] {
        let mine = move_to("node-1", Machine::that(Given::Lost(lost)));
        let endings = run(&master, &mut machine, &[(worker("node-1", &[]), Proof::Wanted)]);
        match (endings.as_slice(), is_proved) {
            ([Ending::Labelled(_)], true) => {}
            ([Ending::Unproved(report)], false) => assert!(report.text.contains("it was gone before the job had ended"), "{report:?}"),
            other => panic!("{other:?}"),
        }
        assert_eq!(mine.nonces(), 2);
    }
}

#[test]
fn a_master_that_does_not_run_what_worker_files_say_proves_nothing() {
    let master = Master::start();
    let mut machine = Folder::of(&master);
    let _process = master.worker("node-1");
    let configuration = master.home().join("master.cfg");
    let text = std::fs::read_to_string(&configuration).unwrap();
    let deaf = text.replace("for command in [GREETING, *mine]]", "for command in [GREETING]]");
    assert_ne!(deaf, text);
    std::fs::write(&configuration, deaf).unwrap();
    let endings = run(&master, &mut machine, &[(worker("node-1", &[&["false"]]), Proof::Standing)]);
    let [Ending::Unproved(report)] = endings.as_slice() else { panic!("{endings:?}\n{}", master.log()) };
    let why = "which machine it ran on is not known: the job has no log `which-machine`; does master.cfg run what worker files say?";
    assert_eq!(report.text, why);
    assert!(seen(&master, "node-1").attached.is_empty());
}

#[test]
fn a_red_smoke_job_keeps_the_label_off_and_shows_the_last_lines() {
    let master = Master::start();
    let mut machine = Folder::of(&master);
    let _processes = (master.worker("bad"), master.worker("good"));
    let workers = [
        (worker("bad", &[&["sh", "-c", "echo the disk is on fire; exit 3"], &["true"]]), Proof::Standing),
        (worker("good", &[&["true"]]), Proof::Standing),
    ];
    let endings = run(&master, &mut machine, &workers);
    let [Ending::Red(report), Ending::Labelled(_)] = endings.as_slice() else { panic!("{endings:?}\n{}", master.log()) };
    assert_eq!((report.verdict, report.text.as_str()), (Verdict::Red, "failure"));
    assert!(report.tail.iter().any(|line| line == "the disk is on fire"), "{:?}", report.tail);
    assert!(report.tail.iter().any(|line| line == "program finished with exit code 3"), "{:?}", report.tail);
    assert!(seen(&master, "bad").is_at(&workers[0].0.desired(), Stage::Quarantined));
    assert_eq!(master.run_unit(), (0, "good".to_owned()));
}

#[test]
fn a_changed_node_earns_its_label_again_and_loses_it_when_it_fails() {
    let master = Master::start();
    let mut machine = Folder::of(&master);
    let _process = master.worker("node-1");
    let health = master.home().join("healthy");
    std::fs::write(&health, "").unwrap();
    let smoke = worker("node-1", &[&["test", "-e", health.to_str().unwrap()]]);
    assert!(matches!(run(&master, &mut machine, &[(smoke.clone(), Proof::Standing)]).as_slice(), [Ending::Labelled(_)]));
    assert!(matches!(run(&master, &mut machine, &[(smoke.clone(), Proof::Wanted)]).as_slice(), [Ending::Labelled(_)]));
    std::fs::remove_file(&health).unwrap();
    let endings = run(&master, &mut machine, &[(smoke.clone(), Proof::Wanted)]);
    assert!(matches!(endings.as_slice(), [Ending::Red(_)]), "{endings:?}");
    assert!(seen(&master, "node-1").attached.is_empty(), "the label it had is taken off");
    std::fs::write(&health, "").unwrap();
    assert!(matches!(run(&master, &mut machine, &[(smoke, Proof::Standing)]).as_slice(), [Ending::Labelled(_)]), "mended, it comes back");
}

#[test]
fn a_worker_with_another_number_of_executors_is_proved_again() {
    let master = Master::start();
    let mut machine = Folder::of(&master);
    let _process = master.worker("node-1");
    let with = |builds: u32| {
        Worker::new(
            "node-1",
            builds,
            [Label::parse("debian").unwrap()].into(),
            Worker::SHARED_PASSWORD,
            vec![],
            &machine_of("node-1").path(),
        )
        .unwrap()
    };
    assert!(matches!(run(&master, &mut machine, &[(with(1), Proof::Standing)]).as_slice(), [Ending::Labelled(_)]));
    machine.written.clear();
    assert!(matches!(run(&master, &mut machine, &[(with(2), Proof::Standing)]).as_slice(), [Ending::Labelled(_)]));
    assert_eq!(machine.written, ["Quarantined workers.d/node-1.json", "Labelled workers.d/node-1.json"]);
}

#[test]
fn a_broken_worker_file_is_named_and_harms_no_one_else() {
    let mut master = Master::start();
    let mut machine = Folder::of(&master);
    let _process = master.worker("good");
    assert!(matches!(run(&master, &mut machine, &[(worker("good", &[]), Proof::Standing)]).as_slice(), [Ending::Labelled(_)]));
    machine.meddling = Meddling::Spoil;
    let short = Patience { load: Duration::from_secs(3), ..patience() };
    let endings = run_with(&master, &mut machine, &[(worker("spoilt", &[]), Proof::Standing)], &short);
    let WorkerTrouble::Refused(why) = trouble(&endings[0]) else { panic!("{endings:?}\n{}", master.log()) };
    assert!(why.starts_with("not JSON: "), "{why}");
    assert!(master.is_running());
    assert_eq!(master.run_unit(), (0, "good".to_owned()), "the others keep their labels");
}

#[test]
fn a_configuration_that_cannot_be_loaded_is_noticed_and_the_old_one_goes_on() {
    let mut master = Master::start();
    let mut machine = Folder::of(&master);
    machine.meddling = Meddling::SpoilConfiguration;
    let short = Patience { load: Duration::from_secs(2), ..patience() };
    let endings = run_with(&master, &mut machine, &[(worker("node-1", &[]), Proof::Standing)], &short);
    assert_eq!(trouble(&endings[0]), &WorkerTrouble::NotLoaded(short.load));
    assert!(master.log().contains("configuration update aborted without making any changes"));
    assert!(master.is_running());
}

#[test]
fn a_worker_that_never_connects_meets_the_deadline() {
    let master = Master::start();
    let mut machine = Folder::of(&master);
    let stranger = master.worker_with("stranger", "another password");
    let short = Patience { connect: Duration::from_secs(3), ..patience() };
    let workers = [(worker("absent", &[]), Proof::Standing), (worker("stranger", &[]), Proof::Standing)];
    let told = std::sync::Mutex::new(Vec::new());
    let driver = driver(&master, &mut machine, &workers.each_ref().map(|(worker, _)| worker.clone()), &short);
    let endings = run_telling(&driver, &workers, &mut |name, event| {
        if let Event::Waiting { what, until, .. } = event {
            told.lock().unwrap().push((name.to_string(), what, until));
        }
    });
    for (ending, (worker, _)) in endings.iter().zip(&workers) {
        assert_eq!(trouble(ending), &WorkerTrouble::Absent(short.connect));
        assert_eq!(ending.to_string(), "not registered: the worker did not connect within 3 s");
        assert!(seen(&master, worker.name().as_str()).attached.is_empty());
    }
    let mut told = told.into_inner().unwrap();
    told.sort();
    assert_eq!(told, ["absent", "stranger"].map(|name| (name.to_owned(), "it is connected".to_owned(), short.connect)));
    assert!(stranger.log().contains("unauthorized login"));
}

#[test]
fn a_smoke_job_that_hangs_is_stopped_at_the_deadline() {
    let master = Master::start();
    let mut machine = Folder::of(&master);
    let _process = master.worker("node-1");
    let short = Patience { smoke: Duration::from_secs(4), ..patience() };
    let workers = [(worker("node-1", &[&["sleep", "600"]]), Proof::Standing)];
    let endings = run_with(&master, &mut machine, &workers, &short);
    let [Ending::Unproved(report)] = endings.as_slice() else { panic!("{endings:?}") };
    assert_eq!((report.verdict, report.text.as_str()), (Verdict::Unknown, "not finished within 4 s"));
    let running =
        || master.http().get_json::<serde_json::Value>("api/v2/builds?complete=false").unwrap()["builds"].as_array().unwrap().len();
    master.until("the build is stopped", || running() == 0);
}

#[test]
fn a_worker_that_dies_in_its_smoke_job_holds_up_no_other_and_ends_by_its_own_deadline() {
    let master = Master::start();
    let mut machine = Folder::of(&master);
    let (_one, dying, _three) = (master.worker("node-1"), master.worker("node-2"), master.worker("node-3"));
    let short = Patience { smoke: Duration::from_secs(30), ..patience() };
    let workers = [("node-1", "true"), ("node-2", "sleep 600"), ("node-3", "true")]
        .map(|(name, job)| (worker(name, &[&["sh", "-c", job]]), Proof::Standing));
    let driver = driver(&master, &mut machine, &workers.each_ref().map(|(worker, _)| worker.clone()), &short);
    let mut told = Vec::new();
    let endings = run_telling(&driver, &workers, &mut |name, event| match event {
        // Its power is cut: no connection ends, it says no more.
        Event::Running { .. } if name.as_str() == "node-2" => dying.freeze(),
        Event::Waiting { what, .. } if name.as_str() == "node-2" && what.starts_with("its smoke job ends: ") => told.push("node-2 waits"),
        Event::Smoked { .. } if name.as_str() == "node-2" => told.push("node-2 is given up"),
        Event::Labelling { .. } => told.push("another one is labelled"),
        _ => {}
    });
    let [Ending::Labelled(_), Ending::Unproved(report), Ending::Labelled(_)] = endings.as_slice() else {
        panic!("{endings:?}\n{}", master.log())
    };
    assert_eq!(report.text, "not finished within 30 s");
    let given_up = told.iter().position(|what| *what == "node-2 is given up").unwrap();
    let before = |what: &str| told[..given_up].iter().filter(|told| **told == what).count();
    assert_eq!((before("another one is labelled"), told.len() - given_up), (2, 1), "{told:?}");
    assert!(before("node-2 waits") >= 1, "{told:?}");
}

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

/// Registers one worker, and interrupts the run when this is so.
fn interrupt_when(master: &Master, machine: &mut Folder, one: (Worker, Proof), is_so: impl Fn(&Event) -> bool) -> Ending {
    let (interrupt, stop) = tokio::sync::watch::channel(false);
    let workers = [registration(&one.0)].into();
    let driver = Buildbot::new(master.client().stoppable(stop.into()), machine, workers, "ostler run 1", patience());
    let mut events = |_: &NodeName, event: Event| {
        if is_so(&event) {
            interrupt.send(true).unwrap();
        }
    };
    run_telling(&driver, &[one], &mut events).remove(0)
}

#[test]
fn an_interrupted_run_takes_its_smoke_job_back_and_leaves_the_worker_in_quarantine() {
    let master = Master::start();
    let mut machine = Folder::of(&master);
    // It never connects: the wait for it ends at once.
    let absent =
        interrupt_when(&master, &mut machine, (worker("absent", &[]), Proof::Standing), |event| matches!(event, Event::Waiting { .. }));
    assert_eq!(absent.to_string(), "not registered: interrupted; it stays on the master in quarantine, without its labels");

    let _process = master.worker("node-1");
    let long = (worker("node-1", &[&["sleep", "600"]]), Proof::Standing);
    let ending = interrupt_when(&master, &mut machine, long, |event| matches!(event, Event::Running { .. }));
    assert_eq!(ending.to_string(), "not registered: interrupted; it stays on the master in quarantine, without its labels");
    let running =
        || master.http().get_json::<serde_json::Value>("api/v2/builds?complete=false").unwrap()["builds"].as_array().unwrap().len();
    master.until("the build is stopped", || running() == 0);
    assert!(seen(&master, "node-1").attached.is_empty());

    // The next run goes on from there; labels that are no longer earned go also when it is interrupted at once.
    let good = worker("node-1", &[&["true"]]);
    assert!(matches!(run(&master, &mut machine, &[(good.clone(), Proof::Standing)]).as_slice(), [Ending::Labelled(_)]));
    machine.written.clear();
    let ending = interrupt_when(&master, &mut machine, (good, Proof::Wanted), |event| matches!(event, Event::Quarantining { .. }));
    assert_eq!(ending.to_string(), "not registered: interrupted; it stays on the master in quarantine, without its labels");
    assert_eq!(machine.written, ["Quarantined workers.d/node-1.json"]);
    assert!(seen(&master, "node-1").attached.is_empty());
}

#[test]
fn an_operators_pause_is_neither_undone_nor_worked_around() {
    let master = Master::start();
    let mut machine = Folder::of(&master);
    let _process = master.worker("node-1");
    let name = WorkerName::parse("node-1").unwrap();
    let one = worker("node-1", &[]);
    assert!(matches!(run(&master, &mut machine, &[(one.clone(), Proof::Standing)]).as_slice(), [Ending::Labelled(_)]));
    master.client().pause(&name, "disk swap, alice").unwrap();
    master.until("the worker is paused", || seen(&master, "node-1").hold.is_some());
    assert!(matches!(run(&master, &mut machine, &[(one.clone(), Proof::Standing)]).as_slice(), [Ending::Away(_)]));
    let endings = run(&master, &mut machine, &[(one.clone(), Proof::Wanted)]);
    assert!(matches!(endings.as_slice(), [Ending::Held(hold)] if hold.to_string() == "paused: disk swap, alice"), "{endings:?}");
    assert_eq!(seen(&master, "node-1").hold, Some(Hold::Paused(Some("disk swap, alice".to_owned()))));
    master.client().unpause(&name).unwrap();
    assert!(matches!(run(&master, &mut machine, &[(one, Proof::Standing)]).as_slice(), [Ending::Labelled(_)]));
}

#[test]
fn a_worker_is_drained_before_its_node_changes_and_released_in_quarantine() {
    let master = Master::start();
    let mut machine = Folder::of(&master);
    let _process = master.worker("node-1");
    let (client, name) = (master.client(), WorkerName::parse("node-1").unwrap());
    let gate = master.home().join("gate");
    let wait = format!("until [ -e {} ]; do sleep 0.05; done", gate.display());
    let one = worker("node-1", &[&["sh", "-c", &wait]]);
    let executor = self::name(&one);
    // The machine is nobody's while a run goes on: each asks through a driver of its own.
    let mut other = Folder::of(&master);
    let driver = driver(&master, &mut other, std::slice::from_ref(&one), &patience());
    assert_eq!(driver.cordon(&executor, "0198").unwrap(), Cordon::Absent, "a first registration drains nothing");
    std::fs::write(&gate, "").unwrap();
    assert!(matches!(run(&master, &mut machine, &[(one.clone(), Proof::Standing)]).as_slice(), [Ending::Labelled(_)]));

    std::fs::remove_file(&gate).unwrap();
    machine_of("node-1").give(&Nonce::fresh().unwrap()).unwrap();
    let job = client.force_smoke(&name, "a long job").unwrap();
    let number = client.survey().unwrap().number(&name).unwrap();
    master.until("the job runs", || client.running(number).unwrap() == 1);
    assert_eq!(driver.cordon(&executor, "0198").unwrap(), Cordon::Ours);
    assert!(!driver.drain(&executor, Duration::from_secs(1), &quiet).unwrap(), "it is busy");
    let next_job = client.force_smoke(&name, "comes too late").unwrap();
    std::fs::write(&gate, "").unwrap();
    assert!(driver.drain(&executor, Duration::from_secs(20), &quiet).unwrap());
    assert_eq!(client.result(job).unwrap(), Some(BuildResult::Success), "the running job came to its end");
    assert_eq!(client.result(next_job).unwrap(), None, "no new one was begun");

    let endings = run(&master, &mut machine, &[(one, Proof::Wanted)]);
    assert!(matches!(endings.as_slice(), [Ending::Labelled(_)]), "{endings:?}");
    assert_eq!(seen(&master, "node-1").hold, None);

    client.pause(&name, "disk swap, alice").unwrap();
    let theirs = Hold::Paused(Some("disk swap, alice".to_owned()));
    master.until("the pause is shown", || seen(&master, "node-1").hold.is_some());
    assert_eq!(driver.cordon(&executor, "0199").unwrap(), Cordon::Theirs(theirs.to_string()));
    driver.uncordon(&executor).unwrap();
    assert_eq!(seen(&master, "node-1").hold, Some(theirs));
}

#[test]
fn jobs_that_run_come_to_their_end_before_labels_are_taken_off() {
    let master = Master::start();
    let mut machine = Folder::of(&master);
    let _process = master.worker("node-1");
    let (client, name) = (master.client(), WorkerName::parse("node-1").unwrap());
    let gate = master.home().join("gate");
    let wait = format!("until [ -e {} ]; do sleep 0.05; done", gate.display());
    let one = worker("node-1", &[&["sh", "-c", &wait]]);
    std::fs::write(&gate, "").unwrap();
    assert!(matches!(run(&master, &mut machine, &[(one.clone(), Proof::Standing)]).as_slice(), [Ending::Labelled(_)]));

    std::fs::remove_file(&gate).unwrap();
    machine_of("node-1").give(&Nonce::fresh().unwrap()).unwrap();
    let job = client.force_smoke(&name, "a long job").unwrap();
    let number = client.survey().unwrap().number(&name).unwrap();
    master.until("the job runs", || client.running(number).unwrap() == 1);
    let driver = driver(&master, &mut machine, std::slice::from_ref(&one), &patience());
    let mut ran = Vec::new();
    let endings = std::thread::scope(|scope| {
        scope.spawn(|| {
            master.until("it takes no new jobs", || seen(&master, "node-1").hold.is_some());
            assert_eq!(master.client().running(number).unwrap(), 1, "the job goes on");
            std::fs::write(&gate, "").unwrap();
        });
        run_telling(&driver, &[(one.clone(), Proof::Wanted)], &mut |_, event| {
            if matches!(event, Event::Quarantining { .. }) {
                ran.push(client.running(number).unwrap());
            }
        })
    });
    assert!(matches!(endings.as_slice(), [Ending::Labelled(_)]), "{endings:?}");
    assert_eq!(ran, [0], "labels come off once nothing runs");
    assert_eq!(client.result(job).unwrap(), Some(BuildResult::Success));
    assert_eq!(seen(&master, "node-1").hold, None);
}

#[test]
fn a_worker_whose_run_failed_leaves_the_pool_says_why_and_comes_back() {
    let master = Master::start();
    let mut machine = Folder::of(&master);
    let _process = master.worker("node-1");
    let one = worker("node-1", &[&["true"]]);
    assert!(matches!(run(&master, &mut machine, &[(one.clone(), Proof::Lapsed)]).as_slice(), [Ending::Lapsed]), "there is none");
    assert!(matches!(run(&master, &mut machine, &[(one.clone(), Proof::Standing)]).as_slice(), [Ending::Labelled(_)]));
    let endings = run(&master, &mut machine, &[(one.clone(), Proof::Lapsed)]);
    assert!(matches!(endings.as_slice(), [Ending::Lapsed]), "{endings:?}");
    let hold = seen(&master, "node-1").hold.unwrap();
    assert!(hold.is_ours() && hold.to_string().contains("did not come through"), "{hold}");
    assert!(run(&master, &mut machine, &[(one.clone(), Proof::Lapsed)]).iter().all(|ending| matches!(ending, Ending::Lapsed)));
    let endings = run(&master, &mut machine, &[(one, Proof::Wanted)]);
    assert!(matches!(endings.as_slice(), [Ending::Labelled(_)]), "{endings:?}");
    assert_eq!(seen(&master, "node-1").hold, None);
}

#[test]
fn a_retired_worker_is_gone_and_retiring_it_again_is_nothing() {
    let master = Master::start();
    let mut machine = Folder::of(&master);
    let _process = master.worker("node-1");
    let one = worker("node-1", &[]);
    assert!(matches!(run(&master, &mut machine, &[(one.clone(), Proof::Standing)]).as_slice(), [Ending::Labelled(_)]));
    machine.written.clear();
    let executor = name(&one);
    let driver = driver(&master, &mut machine, &[one], &patience());
    driver.retire(&executor).unwrap();
    driver.retire(&executor).unwrap();
    drop(driver);
    assert_eq!(machine.written, ["gone workers.d/node-1.json"; 2]);
    let seen = seen(&master, "node-1");
    assert_eq!((seen.loaded, seen.attached.len()), (None, 0));
}

#[test]
fn a_run_that_was_cut_anywhere_is_finished_by_the_next() {
    for cut in [Meddling::CutBeforeReload, Meddling::CutAfterReload] {
        let master = Master::start();
        let mut machine = Folder::of(&master);
        let _process = master.worker("node-1");
        let workers = [(worker("node-1", &[]), Proof::Standing)];
        machine.meddling = cut;
        let endings = run(&master, &mut machine, &workers);
        assert!(matches!(endings.as_slice(), [Ending::Failed(error)] if error.of::<InstallError>().is_some()), "{endings:?}");
        machine.meddling = Meddling::None;
        let endings = run(&master, &mut machine, &workers);
        assert!(matches!(endings.as_slice(), [Ending::Labelled(_)]), "{cut:?}: {endings:?}");
        assert!(seen(&master, "node-1").is_at(&workers[0].0.desired(), Stage::Labelled));
    }
}

#[test]
fn only_the_account_may_start_jobs_and_its_password_is_not_shown() {
    let master = Master::start();
    let name = WorkerName::parse("node-1").unwrap();
    for password in ["wrong-but-planted", ""] {
        let error = master.client_as(password).force_smoke(&name, "x").unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(shown.contains("status: 401"), "{shown}");
        assert!(!shown.contains("planted"), "{shown}");
    }
    let anonymous = ostler::masters::buildbot::Client::new(master.http(), None);
    let shown = format!("{:?}", anonymous.force_smoke(&name, "x").unwrap_err());
    assert!(shown.contains("status: 403"), "{shown}");
    assert!(anonymous.survey().is_ok(), "everybody may read");
    assert!(!master.log().contains("planted"), "no password in the master's log");
}

/// The program that the role puts on the master's node, with a `systemctl` that signals this master.
fn reload_master(master: &Master, check: bool, pair: &str) -> std::process::Output {
    reload(&master.home(), master.pid(), check, pair)
}

fn reload(home: &std::path::Path, master: u32, check: bool, pair: &str) -> std::process::Output {
    let bin = concat!(env!("CARGO_MANIFEST_DIR"), "/data/buildbot/bin");
    let mut command = std::process::Command::new(ostler_tests::buildbot::library("files/buildbot/reload-master"));
    command.args(check.then_some("--check")).arg(home).args(["buildbot-master.service", pair]);
    command
        .env("PATH", format!("{bin}:/usr/bin:/bin"))
        .env("MASTER", master.to_string())
        .env("LOG", home.join("../master.log"))
        .output()
        .unwrap()
}

/// What Buildbot answers in the midst of a reload: the scheduler is new, the workers are still the old ones.
#[test]
fn a_file_counts_as_taken_up_only_with_its_worker() {
    use std::io::{BufRead as _, BufReader, Write as _};
    let digest = ostler_roles::words::Digest::of(b"the file");
    let state = serde_json::json!({"workers": {"node-1": digest}, "refused": {"spoilt": {"digest": digest, "why": "not JSON"}}});
    let scheduler = serde_json::json!({"forceschedulers": [{"all_fields": [{"name": "ostler_state", "default": state.to_string()}]}]});
    let (known, on_a_builder) = (serde_json::json!({"builderid": 1}), |on: &[serde_json::Value]| {
        serde_json::json!({"workers": [{"name": "node-1", "configured_on": on}]}).to_string()
    });
    for (workers, pair, code) in [
        (r#"{"workers": []}"#.to_owned(), "node-1", 1),
        (on_a_builder(&[]), "node-1", 1),
        (on_a_builder(&[known]), "node-1", 0),
        (r#"{"workers": []}"#.to_owned(), "spoilt", 0),
    ] {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let home = tempfile::tempdir().unwrap();
        let port = listener.local_addr().unwrap().port();
        std::fs::write(home.path().join("master.json"), serde_json::json!({"http_port": format!("tcp:{port}")}).to_string()).unwrap();
        let scheduler = scheduler.to_string();
        let server = std::thread::spawn(move || {
            for path in ["/api/v2/forceschedulers/ostler-smoke", "/api/v2/workers"] {
                let (mut socket, _) = listener.accept().unwrap();
                let mut head = BufReader::new(socket.try_clone().unwrap()).lines().map(Result::unwrap);
                assert_eq!(head.next().unwrap(), format!("GET {path} HTTP/1.1"));
                head.find(String::is_empty);
                let body = if path.ends_with("workers") { &workers } else { &scheduler };
                write!(socket, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len()).unwrap();
            }
        });
        let done = reload(home.path(), 0, true, &format!("{pair}={digest}"));
        assert_eq!(done.status.code(), Some(code), "{pair}: {}", String::from_utf8_lossy(&done.stderr));
        server.join().unwrap();
    }
}

#[test]
fn the_nodes_reload_returns_only_when_the_files_are_taken_up() {
    let master = Master::start();
    let file = worker("node-1", &[]).file(Stage::Quarantined);
    let pair = format!("node-1={}", ostler_roles::words::Digest::of(&file.bytes));
    std::fs::write(master.home().join(&file.path), &file.bytes).unwrap();
    assert_eq!(reload_master(&master, true, &pair).status.code(), Some(1), "written is not loaded");
    let done = reload_master(&master, false, &pair);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert!(seen(&master, "node-1").loaded.is_some());
    assert_eq!(reload_master(&master, true, &pair).status.code(), Some(0));
    assert_eq!(master.reloads(), 1, "asking reloads nothing");
}

#[test]
fn a_reload_that_the_master_could_not_make_is_told_in_its_own_words() {
    let master = Master::start();
    let file = worker("node-1", &[]).file(Stage::Quarantined);
    let pair = format!("node-1={}", ostler_roles::words::Digest::of(&file.bytes));
    std::fs::write(master.home().join(&file.path), &file.bytes).unwrap();
    std::fs::write(master.home().join("master.cfg"), "this is not Python (").unwrap();
    let failed = reload_master(&master, false, &pair);
    let told = String::from_utf8_lossy(&failed.stderr).into_owned();
    assert_eq!(failed.status.code(), Some(1), "{told}");
    assert!(told.starts_with("buildbot-master.service was reloaded but did not take up, within 30 s: node-1 ("), "{told}");
    assert!(told.contains("SyntaxError: '(' was never closed") && told.contains("aborted without making any changes"), "{told}");
    assert!(told.lines().count() <= 4, "what a run quotes: {told}");
}

/// Buildbot writes them in another thread, and Twisted then keeps some back for ever.
#[test]
fn answers_are_written_whole_and_in_the_reactors_thread() {
    let master = Master::start();
    let mut command = std::process::Command::new(ostler_tests::buildbot::venv(ostler_tests::buildbot::Side::Master).join("bin/python"));
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/data/buildbot/answer.py");
    let done = command.args([script.as_ref(), master.home().as_os_str()]).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let seen: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    let body = r#"{"workers": [1, 2]}"#;
    assert_eq!(seen, serde_json::json!([[format!("content-length: {}", body.len()), true], [body, true], ["the end", true]]));
}

#[test]
fn the_services_check_accepts_the_configuration_from_anywhere() {
    let master = Master::start();
    let mut command = std::process::Command::new(ostler_tests::buildbot::venv(ostler_tests::buildbot::Side::Master).join("bin/buildbot"));
    let done = command.arg("checkconfig").arg(master.home().join("master.cfg")).current_dir("/").output().unwrap();
    assert!(done.status.success(), "{}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
}
