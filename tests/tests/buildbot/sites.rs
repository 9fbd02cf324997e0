//! Several sites on one master.

use super::*;
use ostler_roles::master::Site;
use ostler_tests::buildbot::library;
use std::path::{Path, PathBuf};

/// How workers of one site stand, and what else of it is there.
fn look(master: &Master, workers: &[Worker]) -> (Vec<String>, Vec<String>) {
    let mut machine = Folder::of(master);
    let driver = driver(master, &mut machine, workers, &patience());
    let names: Vec<NodeName> = workers.iter().map(name).collect();
    let sight = driver.observe(&names, &quiet).unwrap();
    let standing = |name: &NodeName| sight.standings[name].as_ref().map_or_else(|error| error.told(), |_| "ours".to_owned());
    (names.iter().map(standing).collect(), sight.ours.iter().map(|orphan| orphan.name.clone()).collect())
}

#[test]
fn workers_of_another_site_are_neither_ours_nor_orphans_of_ours_and_stay_as_they_are() {
    let master = Master::start();
    let mut machine = Folder::of(&master);
    let _processes = (master.worker("node-1"), master.worker("node-2"));
    let of = |name: &str, site: &str| worker(name, &[]).of(Site::parse(site).unwrap());
    for (name, site) in [("node-1", "stage"), ("node-2", "live")] {
        let ending = run(&master, &mut machine, &[(of(name, site), Proof::Standing)]).remove(0);
        assert!(matches!(ending, Ending::Labelled(_)), "{ending:?}");
    }
    let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<String>>();
    assert_eq!(look(&master, &[of("node-1", "stage")]), (own(&["ours"]), own(&[])));
    assert_eq!(look(&master, &[of("node-3", "live")]), (own(&["ours"]), own(&["node-2"])));

    let foreign = "the worker of this name on this Buildbot belongs to the site `live`; it is left alone \
        (if that is this very site, give it `id: \"live\"` in ostler.yaml)";
    assert_eq!(look(&master, &[of("node-2", "stage")]), (own(&[foreign]), own(&["node-1"])));
    machine.written.clear();
    for proof in [Proof::Standing, Proof::Wanted, Proof::Lapsed] {
        let endings = run(&master, &mut machine, &[(of("node-2", "stage"), proof), (of("node-1", "stage"), Proof::Standing)]);
        let [Ending::Failed(error), Ending::Unchanged] = endings.as_slice() else { panic!("{endings:?}") };
        assert_eq!(error.told(), foreign);
    }
    let strangers = [of("node-2", "stage")];
    let driver = driver(&master, &mut machine, &strangers, &patience());
    assert_eq!(driver.cordon(&name(&strangers[0]), "0198", &quiet).unwrap(), Cordon::Absent);
    assert_eq!(driver.retire(&name(&strangers[0])).unwrap_err().told(), foreign);
    drop(driver);
    assert_eq!(machine.written, [""; 0]);
    assert!(seen(&master, "node-2").is_at(&of("node-2", "live").desired(), Stage::Labelled));
    // A file that says no site, as those of before did, is taken over by whoever has the name.
    let ending = run(&master, &mut machine, &[(worker("node-1", &[]), Proof::Standing)]).remove(0);
    assert!(matches!(ending, Ending::Labelled(_)), "{ending:?}");
    assert_eq!(look(&master, &[of("node-1", "live")]).0, own(&["ours"]));
}

/// The `master.cfg` of before 0.2: it refuses a file that says a site.
fn before() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/buildbot/before-0.2/master.cfg")
}

#[test]
fn a_master_of_before_is_told_no_site_and_loses_nothing_that_was_earned() {
    let master = Master::start_by(&before());
    let mut machine = Folder::of(&master);
    let _processes = (master.worker("node-1"), master.worker("node-2"));
    // As a run of before registered it.
    let ending = run(&master, &mut machine, &[(worker("node-1", &[]), Proof::Standing)]).remove(0);
    assert!(matches!(ending, Ending::Labelled(_)), "{ending:?}\n{}", master.log());
    machine.written.clear();

    // A run without the master's own node.
    let of = |name: &str| worker(name, &[]).of(Site::parse("stage").unwrap());
    let ending = run(&master, &mut machine, &[(of("node-1"), Proof::Standing)]).remove(0);
    assert!(matches!(ending, Ending::Unchanged), "{ending:?}");
    assert_eq!(machine.written, [""; 0]);
    assert_eq!(master.run_unit(), (0, "node-1".to_owned()));
    for (name, proof) in [("node-1", Proof::Wanted), ("node-2", Proof::Standing)] {
        let ending = run(&master, &mut machine, &[(of(name), proof)]).remove(0);
        assert!(matches!(ending, Ending::Labelled(_)), "{ending:?}\n{}", master.log());
    }

    // The master's node was applied: each is proved anew, once.
    std::fs::copy(library("files/buildbot/master.cfg"), master.home().join("master.cfg")).unwrap();
    machine.reload();
    master.until("it knows of sites", || master.client().survey().is_ok_and(|survey| survey.knows_sites()));
    let workers = ["node-1", "node-2"].map(|name| (of(name), Proof::Standing));
    let endings = run(&master, &mut machine, &workers);
    assert!(matches!(endings.as_slice(), [Ending::Labelled(_), Ending::Labelled(_)]), "{endings:?}\n{}", master.log());
    assert_eq!(seen(&master, "node-1").site.as_deref(), Some("stage"));
    let endings = run(&master, &mut machine, &workers);
    assert!(matches!(endings.as_slice(), [Ending::Unchanged, Ending::Unchanged]), "{endings:?}");
}

#[test]
fn a_refused_file_of_another_site_stays_that_ones() {
    let master = Master::start();
    let mut machine = Folder::of(&master);
    let _process = master.worker("node-2");
    let file = |name: &str, said: serde_json::Value| {
        let path = master.home().join(format!("workers.d/{name}.json"));
        std::fs::write(&path, said.to_string()).unwrap();
        path
    };
    // One lacks its secret; the others say no site that could be one.
    let live = |name: &str, site: serde_json::Value| {
        serde_json::json!({
            "name": name, "site": site, "quarantined": false, "labels": ["debian"], "builds": 1, "password": "is-not-there", "smoke": []
        })
    };
    let path = file("node-2", live("node-2", "live".into()));
    let _nobodys = (file("node-3", live("node-3", 7.into())), file("node-4", live("node-4", "a site\n".into())), file("node-5", 7.into()));
    let before = std::fs::read(&path).unwrap();
    machine.reload();
    master.until("all are refused", || ["node-2", "node-3", "node-4", "node-5"].iter().all(|name| seen(&master, name).refused.is_some()));

    let of = |name: &str, site: &str| worker(name, &[]).of(Site::parse(site).unwrap());
    let ours = ["node-2", "node-3", "node-4", "node-5"].map(|name| of(name, "stage"));
    let (standings, orphans) = look(&master, &ours);
    assert!(standings[0].contains("belongs to the site `live`"), "{standings:?}");
    assert_eq!((&standings[1..], orphans.len()), (["ours", "ours", "ours"].map(str::to_owned).as_slice(), 0));
    let ending = run(&master, &mut machine, &[(of("node-2", "stage"), Proof::Wanted)]).remove(0);
    assert!(matches!(&ending, Ending::Failed(error) if error.told() == standings[0]), "{ending:?}");
    assert_eq!((std::fs::read(&path).unwrap(), machine.written.len()), (before, 0));
    let ending = run(&master, &mut machine, &[(of("node-2", "live"), Proof::Standing)]).remove(0);
    assert!(matches!(ending, Ending::Labelled(_)), "its own site mends it: {ending:?}");
}
