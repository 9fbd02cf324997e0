//! `user`, `group`: with the real programs of the shadow suite, on a tree.

use super::*;
use crate::host::tests::SmallDisk;
use ostler_roles::resource::{group, user};

fn may_run() -> bool {
    crate::host::tests::proves_as_root("what useradd and its like do")
}

#[test]
fn a_user_is_made_with_home_and_groups_and_drift_is_repaired() {
    if !may_run() {
        return;
    }
    let fixture = Fixture::new();
    let gid = Desired::Group(group::Desired { name: account("build"), present: Some(group::Present { gid: Some(2345), system: false }) });
    assert_eq!(fields(&fixture.twice(&gid)), ["group"]);
    let present = user::Present {
        uid: Some(4321),
        groups: [account("adm"), account("build")].into(),
        home: Some(at("/srv/homes/jenkins")),
        shell: Some(at("/bin/bash")),
        ..user::Present::default()
    };
    let desired = |present| Desired::User(user::Desired { name: account("jenkins"), present: Some(present) });
    assert_eq!(fields(&fixture.twice(&desired(present.clone()))), ["user"]);
    let passwd = std::fs::read_to_string(fixture.path("/etc/passwd")).unwrap();
    assert!(passwd.contains("jenkins:x:4321:4321::/srv/homes/jenkins:/bin/bash"), "{passwd}");
    assert!(fixture.path("/srv/homes/jenkins").is_dir());
    std::fs::remove_dir_all(fixture.path("/srv/homes/jenkins")).unwrap();
    let drifted = user::Present { shell: Some(at("/bin/sh")), groups: [account("ci")].into(), ..present };
    assert_eq!(fields(&fixture.twice(&desired(drifted))), ["groups", "home directory", "shell"]);
    let groups = std::fs::read_to_string(fixture.path("/etc/group")).unwrap();
    assert!(groups.contains("adm:x:4:jenkins") && groups.contains("ci:x:1001:jenkins"), "{groups}");
    assert!(!passwd.contains("being made"), "{passwd}");
    let gone = Desired::User(user::Desired { name: account("jenkins"), present: None });
    assert_eq!(fields(&fixture.twice(&gone)), ["user"]);
}

#[test]
fn an_account_that_was_half_made_gets_its_home_and_no_other_one_does() {
    if !may_run() {
        return;
    }
    let fixture = Fixture::new();
    std::fs::create_dir_all(fixture.path("/etc/skel")).unwrap();
    std::fs::write(fixture.path("/etc/skel/.profile"), "umask 022\n").unwrap();
    std::fs::create_dir_all(fixture.path("/etc/skel/.config/tool")).unwrap();
    std::fs::write(fixture.path("/etc/skel/.config/tool/rc"), "deep\n").unwrap();
    std::os::unix::fs::symlink("tool/rc", fixture.path("/etc/skel/.config/link")).unwrap();
    let mut passwd = std::fs::read_to_string(fixture.path("/etc/passwd")).unwrap();
    passwd += "half:x:1002:1001:being made by ostler:/home/half:/bin/sh\nbegun:x:1003:1001:being made by ostler:/home/begun:/bin/sh\n";
    std::fs::write(fixture.path("/etc/passwd"), passwd).unwrap();
    let shadow = std::fs::read_to_string(fixture.path("/etc/shadow")).unwrap();
    std::fs::write(fixture.path("/etc/shadow"), shadow + "half:*:19000::::::\nbegun:*:19000::::::\n").unwrap();
    // As useradd leaves it between making a home and giving it away.
    std::fs::create_dir(fixture.path("/home/begun")).unwrap();
    let desired = |name| Desired::User(user::Desired { name: account(name), present: Some(user::Present::default()) });
    for name in ["half", "begun"] {
        assert_eq!(fields(&fixture.twice(&desired(name))), ["home directory"]);
        let home = fixture.path(&format!("/home/{name}"));
        assert!(home.join(".profile").is_file() && bits(&home) == 0o700);
        let owner = |path: &std::path::Path| std::os::unix::fs::MetadataExt::uid(&path.metadata().unwrap());
        assert_ne!(owner(&home), 0);
        assert_eq!(std::fs::read_to_string(home.join(".config/link")).unwrap(), "deep\n");
        assert_eq!((owner(&home.join(".config/tool")), owner(&home.join(".config/tool/rc"))), (owner(&home), owner(&home)));
    }
    let passwd = std::fs::read_to_string(fixture.path("/etc/passwd")).unwrap();
    assert!(!passwd.contains("being made"), "{passwd}");
    assert!(fixture.provider.examine(&desired("ci")).unwrap().changes.is_empty(), "it was there before, without a home");
}

#[test]
fn an_account_of_which_useradd_wrote_only_a_part_is_made_anew() {
    if !may_run() {
        return;
    }
    let fixture = Fixture::new();
    let passwd = std::fs::read_to_string(fixture.path("/etc/passwd")).unwrap();
    let lines = "part:x:1002:1002:being made by ostler:/home/part:/bin/sh\ndaemon:x:902:902:being made by ostler, without a home:/home/daemon:/bin/sh\n";
    std::fs::write(fixture.path("/etc/passwd"), passwd + lines).unwrap();
    for (name, system) in [("part", false), ("daemon", true)] {
        let present = user::Present { groups: [account("adm")].into(), system, ..user::Present::default() };
        let desired = Desired::User(user::Desired { name: account(name), present: Some(present) });
        assert_eq!(fields(&fixture.twice(&desired)), ["user"]);
        for file in ["passwd", "shadow", "group"] {
            let text = std::fs::read_to_string(fixture.path(&format!("/etc/{file}"))).unwrap();
            assert_eq!(text.lines().filter(|line| line.starts_with(&format!("{name}:"))).count(), 1, "{file}: {text}");
        }
        assert_eq!(fixture.path(&format!("/home/{name}")).is_dir(), !system);
    }
    let passwd = std::fs::read_to_string(fixture.path("/etc/passwd")).unwrap();
    assert!(!passwd.contains("being made"), "{passwd}");
}

#[test]
fn a_group_is_compared_by_its_number_whatever_it_is_called() {
    let fixture = Fixture::new();
    let group = std::fs::read_to_string(fixture.path("/etc/group")).unwrap();
    std::fs::write(fixture.path("/etc/group"), group + "first:x:3001:ci\nsecond:x:3001:\nown:x:1001:\n").unwrap();
    let present = user::Present { group: Some(account("own")), groups: [account("second")].into(), ..user::Present::default() };
    let desired = Desired::User(user::Desired { name: account("ci"), present: Some(present) });
    assert!(fixture.provider.examine(&desired).unwrap().changes.is_empty());
}

#[test]
fn a_home_that_was_there_before_is_not_waited_for() {
    if !may_run() {
        return;
    }
    let fixture = Fixture::new();
    // Nobody but its owner follows it; a home on a file server may be as closed to root.
    std::fs::create_dir_all(fixture.path("/home")).unwrap();
    std::os::unix::fs::symlink("/srv", fixture.path("/home/late")).unwrap();
    std::os::unix::fs::lchown(fixture.path("/home/late"), Some(4321), Some(4321)).unwrap();
    let present = user::Present { uid: Some(4321), home: Some(at("/home/late")), ..user::Present::default() };
    fixture.twice(&Desired::User(user::Desired { name: account("late"), present: Some(present) }));
    let passwd = std::fs::read_to_string(fixture.path("/etc/passwd")).unwrap();
    assert!(passwd.contains("\nlate:x:4321:") && !passwd.contains("being made"), "{passwd}");
}

#[test]
fn an_account_says_that_it_is_being_made_until_its_home_is_on_the_disk() {
    if !may_run() {
        return;
    }
    // Everything on one disk; homes on a disk of their own, while the files of accounts stay.
    for one_disk in [true, false] {
        let (directory, later) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let disk = SmallDisk::at(directory.path());
        let (tree, home) = if one_disk { (disk.path(), "home/ci") } else { (directory.path(), "state/ci") };
        for path in ["etc", "home", "tmp"] {
            std::fs::create_dir_all(tree.join(path)).unwrap();
        }
        for (path, text) in [("passwd", "root:x:0:0:root:/root:/bin/sh\n"), ("group", "root:x:0:\n"), ("shadow", "root:*:19000::::::\n")] {
            std::fs::write(tree.join("etc").join(path), text).unwrap();
        }
        rustix::fs::sync();
        let present = user::Present { home: Some(at(&format!("/{home}"))), ..user::Present::default() };
        let desired = Desired::User(user::Desired { name: account("ci"), present: Some(present) });
        let fixture = Fixture { provider: NodeProvider::at(tree, None).unwrap(), ..Fixture::new() };
        fixture.apply(&desired).unwrap();
        let found = disk.after_a_power_cut(later.path());
        let tree = if one_disk { found.path() } else { directory.path() };
        let passwd = std::fs::read_to_string(tree.join("etc/passwd")).unwrap();
        assert!(passwd.contains("\nci:x:"), "{passwd}");
        // useradd takes the skeleton of the running system.
        let whole = std::fs::read_to_string("/etc/skel/.profile").unwrap();
        let profile = std::fs::read_to_string(found.path().join(if one_disk { home } else { "ci" }).join(".profile")).unwrap_or_default();
        assert!(passwd.contains("being made") || profile == whole, "one disk: {one_disk}: {passwd}{profile:?}");
    }
}
