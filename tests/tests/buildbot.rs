//! Registration with a real Buildbot 4.3: master and workers run here, from pinned wheels, on loopback.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

#[path = "buildbot/answers.rs"]
mod answers;
#[path = "buildbot/machines.rs"]
mod machines;
#[path = "buildbot/on_the_master.rs"]
mod on_the_master;
#[path = "buildbot/passwords.rs"]
mod passwords;
#[path = "buildbot/pool.rs"]
mod pool;
#[path = "buildbot/sites.rs"]
mod sites;
#[path = "buildbot/waits.rs"]
mod waits;

use ostler::masters::buildbot::{
    BuildResult, Buildbot, BuildbotError, Client, Patience, Registration, SmokeCommand, Worker, WorkerService, WorkerTrouble,
};
use ostler::masters::driver::{Cordon, Drain, Driver, Event, Verdict};
use ostler::masters::files::InstallError;
use ostler::masters::register::{Ending, register};
use ostler::masters::witness::{Nonce, Witness};
use ostler_roles::master::buildbot::{Hold, WorkerName};
use ostler_roles::master::{Proof, Stage};
use ostler_roles::words::{Label, NodeName};
use ostler_tests::buildbot::{Fate, Folder, Front, Master, Tampering};
use ostler_tests::machine::{Given, Machine};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

thread_local! {
    /// The machines of a test's workers, by their names.
    static MACHINES: RefCell<BTreeMap<String, Arc<Machine>>> = RefCell::default();
}

/// The machine of this worker.
fn machine_of(name: &str) -> Arc<Machine> {
    MACHINES.with_borrow_mut(|machines| Arc::clone(machines.entry(name.to_owned()).or_default()))
}

fn worker(name: &str, smoke: &[&[&str]]) -> Worker {
    let labels = ["debian", "asked-for-by-nobody"].iter().map(|label| Label::parse(label).unwrap()).collect();
    let command = |run: &&[&str]| SmokeCommand { name: run[0].to_owned(), run: run.iter().map(|word| (*word).to_owned()).collect() };
    Worker::new(name, 2, labels, Worker::SHARED_PASSWORD, smoke.iter().map(command).collect(), &machine_of(name).path()).unwrap()
}

fn registration(worker: &Worker) -> (NodeName, Registration) {
    let witness: Arc<dyn Witness> = machine_of(worker.name().as_str());
    (name(worker), Registration { worker: worker.clone(), witness, service: Arc::new(Said(None)) })
}

/// What a worker's own service says of itself.
#[derive(Debug)]
struct Said(Option<&'static str>);

impl WorkerService for Said {
    fn trouble(&self) -> Option<String> {
        self.0.map(str::to_owned)
    }
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

/// Forces a smoke job of this test's own.
fn smoke(client: &Client, worker: &WorkerName, reason: &str) -> Result<u64, BuildbotError> {
    static FORCED: AtomicU32 = AtomicU32::new(0);
    client.force_smoke(worker, reason, &format!("test-{}", FORCED.fetch_add(1, Ordering::Relaxed)))
}

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
        let request = smoke(&client, &name, "again").unwrap();
        master.until("the smoke job has ended", || client.result(request).unwrap().is_some());
        assert_eq!(client.build(request).unwrap().map(|build| build.worker), number);
    }
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
    machine.meddling = Tampering::Spoil;
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
    machine.meddling = Tampering::SpoilConfiguration;
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
fn a_worker_whose_service_does_not_stay_up_is_told_with_what_that_logged() {
    let master = Master::start();
    let mut machine = Folder::of(&master);
    let one = worker("absent", &[]);
    let (node, absent) = registration(&one);
    let why = "buildbot-worker.service does not stay up: the disk is on fire";
    let workers = [(node, Registration { service: Arc::new(Said(Some(why))), ..absent })].into();
    let short = Patience { connect: Duration::from_secs(1), ..patience() };
    let driver = Buildbot::new(master.client(), &mut machine, workers, "ostler run 1", short);
    let ending = run_telling(&driver, &[(one, Proof::Standing)], &mut |_, _| {}).remove(0);
    assert_eq!(ending.to_string(), "not registered: the worker did not connect within 1 s");
    assert_eq!(ending.tail(), [why]);
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

#[test]
fn a_run_that_was_cut_anywhere_is_finished_by_the_next() {
    for cut in [Tampering::CutBeforeReload, Tampering::CutAfterReload] {
        let master = Master::start();
        let mut machine = Folder::of(&master);
        let _process = master.worker("node-1");
        let workers = [(worker("node-1", &[]), Proof::Standing)];
        machine.meddling = cut;
        let endings = run(&master, &mut machine, &workers);
        assert!(matches!(endings.as_slice(), [Ending::Failed(error)] if error.of::<InstallError>().is_some()), "{endings:?}");
        machine.meddling = Tampering::None;
        let endings = run(&master, &mut machine, &workers);
        assert!(matches!(endings.as_slice(), [Ending::Labelled(_)]), "{cut:?}: {endings:?}");
        assert!(seen(&master, "node-1").is_at(&workers[0].0.desired(), Stage::Labelled));
    }
}
