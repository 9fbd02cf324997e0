//! Which machine a smoke job ran on.

use super::*;

/// From now on the worker of this name is on such a machine.
fn move_to(name: &str, machine: Machine) -> Arc<Machine> {
    MACHINES.with_borrow_mut(|machines| machines.insert(name.to_owned(), Arc::new(machine)));
    machine_of(name)
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
