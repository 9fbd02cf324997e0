//! Plans of many packages, on a tree with dpkg's database and apt's lists.

use super::*;
use crate::engine::{BlobStore, PendingActions, Planning, StatePaths};
use ostler_roles::catalog::{Catalog, Requirement};
use ostler_roles::check::{Check, Package, PackageWant};
use ostler_roles::resource::package;
use ostler_roles::words::{NodeName, PackageName};

fn name(number: usize) -> PackageName {
    PackageName::parse(&format!("kinds-{number}")).unwrap()
}

/// How long this thread was at work: on a busy machine its turns are few, and no longer (proc(5), `/proc/PID/schedstat`).
fn at_work() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

/// How long so many plans took, of so many packages each.
fn time(fixture: &Fixture, packages: usize, plans: usize) -> Duration {
    let state = package::State::Installed { version: None };
    let steps: Vec<Step> = (0..packages).map(|number| step(package::Desired { name: name(number), state: state.clone() }.into())).collect();
    let asked = |number| Requirement {
        check: Check::Package(Package { name: name(number), want: PackageWant::Offered, version: None }),
        role: RoleName::parse("base").unwrap(),
        origin: Origin::default(),
        within: Span::seconds(30),
    };
    let node = NodeName::parse("n1").unwrap();
    let catalog = Catalog { node, facts: Digest::of(b""), require: (0..packages).map(asked).collect(), steps, verify: Vec::new() };
    let owed = PendingActions::default();
    let blobs = BlobStore::of(&StatePaths::below(fixture.tree.path()));
    let provider = NodeProvider::at(fixture.tree.path(), None).unwrap();
    let began = at_work();
    for _ in 0..plans {
        let planning = Planning {
            provider: &provider,
            catalog: &catalog,
            owed: &owed,
            generation: 0,
            part: false,
            want_old: false,
            blobs: &blobs,
            wanted: &|| true,
        };
        let draft = planning.draft().unwrap();
        assert_eq!(draft.plan.steps.len(), packages);
    }
    at_work() - began
}

#[test]
fn a_plan_takes_time_in_proportion_to_its_packages() {
    let fixture = Fixture::new();
    let stanza = |number: usize| format!("Package: kinds-{number}\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n\n");
    let list: String = (0..2000).map(stanza).collect();
    std::fs::create_dir_all(fixture.path("/var/lib/apt/lists")).unwrap();
    for (status, offered, what) in [("", list.as_str(), "to be installed"), (list.as_str(), "", "installed"), ("", "", "to be had nowhere")]
    {
        std::fs::write(fixture.path("/var/lib/dpkg/status"), status).unwrap();
        std::fs::write(fixture.path("/var/lib/apt/lists/x_Packages"), offered).unwrap();
        let (small, large) = (time(&fixture, 200, 50), time(&fixture, 2000, 5));
        // As many packages in all: a loop in a loop makes ten times of it.
        assert!(large < small * 5, "{what}: {small:?} for 50 times 200, {large:?} for 5 times 2000");
    }
}

#[test]
fn what_packages_write_beside_the_root_is_on_the_disk_before_they_are_called_done() {
    if !crate::host::tests::proves_as_root("what a kernel's package wrote survives a power cut") {
        return;
    }
    for place in ["boot", "opt"] {
        let (directory, later) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        // The place of its own file system.
        let disk = crate::host::tests::SmallDisk::at(directory.path());
        std::os::unix::fs::symlink("state", directory.path().join(place)).unwrap();
        let node = node::Node::new(crate::host::Host::at(directory.path()).unwrap(), None);
        std::fs::write(disk.path().join("vmlinuz"), "whole").unwrap();
        let none: Vec<(&package::Desired, Vec<package::Change>)> = Vec::new();
        let act = |work: &ApplyContext<'_>| package::Desired::apply_all(&node, none, work);
        Fixture::new().with_work(Instant::now() + Duration::from_secs(20), &|| false, act).unwrap();
        node.host.sync().unwrap();
        let found = disk.after_a_power_cut(later.path());
        assert_eq!(std::fs::read_to_string(found.path().join("vmlinuz")).unwrap(), "whole", "{place}");
    }
}
