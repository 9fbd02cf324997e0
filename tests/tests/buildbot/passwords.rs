//! Passwords of workers: one for all, or one of its own.

use super::*;

#[test]
fn a_worker_with_a_password_of_its_own_is_let_in_with_that_and_with_no_other() {
    let master = Master::start();
    let mut machine = Folder::of(&master);
    let own = serde_json::json!([{"name": "node-1", "password": "planted-own-password-1"}, {"name": "node-2", "password": "planted-own-password-2"}]);
    std::fs::write(master.home().join("secrets/worker-passwords.json"), own.to_string()).unwrap();
    // node-2 shows what all others show, node-3 what node-1 alone may show.
    let _processes = (
        master.worker_with("node-1", "planted-own-password-1"),
        master.worker("node-2"),
        master.worker_with("node-3", "planted-own-password-1"),
    );
    let _other = master.worker("node-4");
    let short = Patience { connect: Duration::from_secs(10), ..patience() };
    let workers = ["node-1", "node-2", "node-3", "node-4"].map(|name| (worker(name, &[]), Proof::Standing));
    let endings = run_with(&master, &mut machine, &workers, &short);
    let [Ending::Labelled(_), two, three, Ending::Labelled(_)] = endings.as_slice() else { panic!("{endings:?}\n{}", master.log()) };
    assert_eq!([two, three].map(trouble), [&WorkerTrouble::Absent(short.connect); 2]);
    assert!(!master.log().contains("planted"), "no password in the master's log");
    // One that is replaced is the only one from then on, and one that is taken off the list has that of all others again.
    let own = serde_json::json!([{"name": "node-3", "password": "planted-own-password-1"}]);
    std::fs::write(master.home().join("secrets/worker-passwords.json"), own.to_string()).unwrap();
    machine.reload();
    let endings = run_with(&master, &mut machine, &workers[1..3], &short);
    assert!(matches!(endings.as_slice(), [Ending::Labelled(_), Ending::Labelled(_)]), "{endings:?}\n{}", master.log());
}
