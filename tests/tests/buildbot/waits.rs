//! Why a smoke job does not begin: each wait says so, and so does its end.

use super::*;
use ostler::masters::driver::Cause;
use ostler::masters::witness::Unkept;
use ostler_tests::buildbot::WorkerProcess;
use std::sync::{Mutex, mpsc};

/// The machine of a worker, which is given its nonce only when somebody says so: right before its smoke job is asked for.
#[derive(Debug)]
struct Gate(Arc<Machine>, Mutex<mpsc::Receiver<()>>);

impl Witness for Gate {
    fn node(&self) -> String {
        self.0.node()
    }

    fn path(&self) -> String {
        self.0.path()
    }

    fn give(&self, nonce: &Nonce) -> Result<(), Cause> {
        self.1.lock().unwrap().recv_timeout(Duration::from_secs(90))?;
        self.0.give(nonce)
    }

    fn take(&self) -> Result<bool, Cause> {
        self.0.take()
    }

    fn keep(&self) -> Result<(), Unkept> {
        self.0.keep()
    }

    fn taken_by(&self) -> Result<Option<String>, Cause> {
        self.0.taken_by()
    }
}

/// Registers one worker of this master. `begin` puts something in the way before its smoke job is asked for, and `end` takes it away when it is
/// told of; what the waits were for, and how it ended.
fn hindered<T>(
    (master, one, short): (&Master, Worker, &Patience),
    told: &str,
    begin: impl Fn() -> T,
    end: impl Fn(T),
) -> (Vec<String>, Ending) {
    let mut machine = Folder::of(master);
    let (go, gone) = mpsc::channel();
    let (node, registration) = registration(&one);
    let witness = Arc::new(Gate(machine_of(one.name().as_str()), Mutex::new(gone)));
    let workers = [(node, Registration { witness, ..registration })].into();
    let driver = Buildbot::new(master.client(), &mut machine, workers, "ostler run 1", short.clone());
    let (mut waits, mut way) = (Vec::new(), None);
    let mut endings = run_telling(&driver, &[(one, Proof::Wanted)], &mut |_, event| match event {
        Event::Smoking => {
            way = Some(begin());
            go.send(()).unwrap();
        }
        Event::Waiting { what, .. } => {
            if what.contains(told)
                && let Some(way) = way.take()
            {
                end(way);
            }
            waits.push(what);
        }
        _ => {}
    });
    (waits, endings.remove(0))
}

#[test]
fn a_smoke_job_that_does_not_begin_says_why() {
    let master = Master::start();
    let name = WorkerName::parse("node-1").unwrap();
    let gate = master.home().join("gate");
    let open = || std::fs::write(&gate, "").unwrap();
    let one = worker("node-1", &[&["sh", "-c", &format!("until [ -e {} ]; do sleep 0.05; done", gate.display())]]);
    open();
    let process: RefCell<Option<WorkerProcess>> = RefCell::new(Some(master.worker("node-1")));

    let paused = "the worker is paused: disk swap, alice";
    let pause = || {
        master.client().pause(&name, "disk swap, alice").unwrap();
        master.until("it is paused", || seen(&master, "node-1").hold.is_some());
    };
    let (waits, ending) = hindered((&master, one.clone(), &patience()), paused, pause, |()| master.client().unpause(&name).unwrap());
    assert!(waits.iter().any(|what| what.starts_with("its smoke job begins (build request ") && what.ends_with(paused)), "{waits:?}");
    assert!(matches!(ending, Ending::Labelled(_)), "{ending:?}");

    let away = "the worker is not connected";
    let leave = || {
        process.replace(None);
        master.until("it is away", || !seen(&master, "node-1").connected);
    };
    let (waits, ending) =
        hindered((&master, one.clone(), &patience()), away, leave, |()| drop(process.replace(Some(master.worker("node-1")))));
    assert!(waits.iter().any(|what| what.ends_with(away)), "{waits:?}");
    assert!(matches!(ending, Ending::Labelled(_)), "{ending:?}");

    let busy = "the worker runs 1 other job";
    let fill = || {
        std::fs::remove_file(&gate).unwrap();
        machine_of("node-1").give(&Nonce::fresh().unwrap()).unwrap();
        let client = master.client();
        smoke(&client, &name, "somebody's").unwrap();
        let number = client.survey().unwrap().number(&name).unwrap();
        master.until("it is busy", || client.running(number).unwrap() == 1);
    };
    let (waits, ending) = hindered((&master, one.clone(), &patience()), busy, fill, |()| open());
    assert!(waits.iter().any(|what| what.ends_with(busy)), "{waits:?}");
    assert!(matches!(ending, Ending::Labelled(_)), "{ending:?}");

    // It ends by its deadline, with the reason.
    let short = Patience { smoke: Duration::from_secs(3), ..patience() };
    let (_, ending) = hindered((&master, one, &short), "nothing ends it", pause, |()| {});
    let Ending::Unproved(report) = ending else { panic!("{ending:?}") };
    assert_eq!(report.text, format!("not begun within 3 s: {paused}"));
}

#[test]
fn a_smoke_job_that_waits_for_a_lock_is_told_from_a_worker_that_is_away_or_busy() {
    let master = Master::start();
    let configuration = master.home().join("master.cfg");
    let text = std::fs::read_to_string(&configuration).unwrap();
    let lock = "util.MasterLock(\"one at a time\").access(\"exclusive\")";
    let locked = text.replace("canStartBuild=enforceChosenWorker,", &format!("canStartBuild=enforceChosenWorker, locks=[{lock}],"));
    assert_ne!(text, locked);
    std::fs::write(&configuration, locked).unwrap();
    let _processes = (master.worker("node-1"), master.worker("node-2"));
    let (gate, began) = (master.home().join("gate"), master.home().join("began"));
    let script = format!("touch {}; until [ -e {} ]; do sleep 0.05; done", began.display(), gate.display());
    let other = worker("node-2", &[&["sh", "-c", &script]]);
    std::fs::write(&gate, "").unwrap();
    assert!(matches!(run(&master, &mut Folder::of(&master), &[(other, Proof::Standing)]).as_slice(), [Ending::Labelled(_)]));
    let take = || {
        [&gate, &began].iter().for_each(|file| std::fs::remove_file(file).unwrap());
        machine_of("node-2").give(&Nonce::fresh().unwrap()).unwrap();
        let (client, name) = (master.client(), WorkerName::parse("node-2").unwrap());
        smoke(&client, &name, "somebody's").unwrap();
        // It has its lock once it does something.
        master.until("the other one runs", || began.exists());
    };
    let why = "the worker is connected and free: the master has not come to it, or a lock in its master.cfg is taken";
    let release = |()| std::fs::write(&gate, "").unwrap();
    let (waits, ending) = hindered((&master, worker("node-1", &[]), &patience()), why, take, release);
    assert!(waits.iter().any(|what| what.ends_with(why)), "{waits:?}");
    assert!(matches!(ending, Ending::Labelled(_)), "{ending:?}");
}
