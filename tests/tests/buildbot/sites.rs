//! Several sites on one master.

use super::*;
use ostler_roles::master::Site;

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
