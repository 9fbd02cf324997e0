//! Into the pool and out of it: jobs that run, operators, interrupts, failures.

use super::*;

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
    assert_eq!(driver.cordon(&executor, "0198", &|_| {}).unwrap(), Cordon::Absent, "a first registration drains nothing");
    std::fs::write(&gate, "").unwrap();
    assert!(matches!(run(&master, &mut machine, &[(one.clone(), Proof::Standing)]).as_slice(), [Ending::Labelled(_)]));

    std::fs::remove_file(&gate).unwrap();
    machine_of("node-1").give(&Nonce::fresh().unwrap()).unwrap();
    let job = smoke(&client, &name, "a long job").unwrap();
    let number = client.survey().unwrap().number(&name).unwrap();
    master.until("the job runs", || client.running(number).unwrap() == 1);
    assert_eq!(driver.cordon(&executor, "0198", &|_| {}).unwrap(), Cordon::Made);
    assert_eq!(driver.drain(&executor, Duration::from_secs(1), &quiet).unwrap(), Drain::Busy);
    // Somebody ends the pause: whoever waits is told, and may hold it again.
    let (say, said) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let drain = scope.spawn(|| driver.drain(&executor, Duration::from_secs(60), &|event| drop(say.send(event))));
        assert!(matches!(said.recv_timeout(Duration::from_secs(60)), Ok(Event::Waiting { .. })));
        client.unpause(&name).unwrap();
        assert_eq!(drain.join().unwrap().unwrap(), Drain::Unheld);
    });
    assert_eq!(driver.cordon(&executor, "0198", &|_| {}).unwrap(), Cordon::Made);
    let next_job = smoke(&client, &name, "comes too late").unwrap();
    std::fs::write(&gate, "").unwrap();
    assert_eq!(driver.drain(&executor, Duration::from_secs(20), &quiet).unwrap(), Drain::Idle);
    // Buildbot notes the end of a build a moment before that of what asked for it.
    master.until("its end is noted", || client.result(job).unwrap().is_some());
    assert_eq!(client.result(job).unwrap(), Some(BuildResult::Success), "the running job came to its end");
    assert_eq!(client.result(next_job).unwrap(), None, "no new one was begun");

    let endings = run(&master, &mut machine, &[(one, Proof::Wanted)]);
    assert!(matches!(endings.as_slice(), [Ending::Labelled(_)]), "{endings:?}");
    assert_eq!(seen(&master, "node-1").hold, None);

    client.pause(&name, "disk swap, alice").unwrap();
    let theirs = Hold::Paused(Some("disk swap, alice".to_owned()));
    master.until("the pause is shown", || seen(&master, "node-1").hold.is_some());
    assert_eq!(driver.cordon(&executor, "0199", &|_| {}).unwrap(), Cordon::Theirs(theirs.to_string()));
    driver.uncordon(&executor, &|_| {}).unwrap();
    assert_eq!(seen(&master, "node-1").hold, Some(theirs));
}

/// Registers a labelled worker on which a job runs; how that ends, and whether it is held then.
fn while_a_job_runs(proof: Proof) -> (Ending, bool) {
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
    let job = smoke(&client, &name, "a long job").unwrap();
    let number = client.survey().unwrap().number(&name).unwrap();
    master.until("the job runs", || client.running(number).unwrap() == 1);
    let driver = driver(&master, &mut machine, std::slice::from_ref(&one), &patience());
    let mut ran = Vec::new();
    let mut endings = std::thread::scope(|scope| {
        scope.spawn(|| {
            master.until("it takes no new jobs", || seen(&master, "node-1").hold.is_some());
            assert_eq!(master.client().running(number).unwrap(), 1, "the job goes on");
            std::fs::write(&gate, "").unwrap();
        });
        run_telling(&driver, &[(one.clone(), proof)], &mut |_, event| {
            if matches!(event, Event::Quarantining { .. }) {
                ran.push(client.running(number).unwrap());
            }
        })
    });
    assert_eq!(ran, [0], "labels come off once nothing runs");
    assert_eq!(client.result(job).unwrap(), Some(BuildResult::Success));
    (endings.remove(0), seen(&master, "node-1").hold.is_some())
}

#[test]
fn jobs_that_run_come_to_their_end_before_labels_are_taken_off() {
    let (ending, is_held) = while_a_job_runs(Proof::Wanted);
    assert!(matches!(ending, Ending::Labelled(_)) && !is_held, "{ending:?}");
}

#[test]
fn jobs_that_run_come_to_their_end_also_where_a_run_failed() {
    let (ending, is_held) = while_a_job_runs(Proof::Lapsed);
    assert!(matches!(ending, Ending::Lapsed) && is_held, "{ending:?}");
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
