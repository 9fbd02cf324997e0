//! A real Buildbot, and several runs at once that register workers with it: each writes its files on the one master's machine.

use crate::*;

#[test]
fn workers_that_are_registered_by_runs_at_the_same_time_all_have_their_labels() {
    let names = ["n1", "n2", "n3"];
    let worker = |(number, name): (usize, &&str)| format!("  {name}: {{host: 10.78.0.{}, roles: [buildbot-worker]}}\n", 12 + number);
    let workers: String = names.iter().enumerate().map(worker).collect();
    let nodes = format!("nodes:\n  master: {{host: 10.78.0.11, roles: [buildbot-master]}}\n{workers}");
    let machines = [("master", 11), ("n1", 12), ("n2", 13), ("n3", 14)].map(|(name, last)| node(name, last));
    let site = Site::up(&format!("{SSH}{BUILDBOT}"), &nodes, machines);
    site.secret("buildbot", "a-password-of-the-web-interface");
    site.secret("worker", "a-password-of-the-workers");
    site.serve_wheels();
    site.run(&["apply", "--yes", "-l", "master"]).good();
    let has_labels = |ran: &Ran, name: &str| assert_eq!(ran.recap(name)["labels"], serde_json::json!(["debian"]), "{name}: {}", ran.told());
    let site = &site;
    let at_once = || {
        std::thread::scope(|scope| {
            let runs = names.map(|name| (name, scope.spawn(move || site.run(&["apply", "--yes", "-l", name]))));
            for (name, run) in runs {
                let ran = run.join().unwrap();
                ran.good();
                has_labels(&ran, name);
            }
        });
        let all = site.apply();
        all.nothing_to_do();
        names.iter().for_each(|name| has_labels(&all, name));
    };
    at_once();
    // And once more, when all are to be proved again in the same moment.
    names.iter().for_each(|name| drop(site.sh(name, "echo drift >> /etc/buildbot-worker/worker.json")));
    at_once();
}
