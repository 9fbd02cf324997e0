//! `user`, `group`: with the real programs of the shadow suite, on a tree.

use super::*;
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
    let gone = Desired::User(user::Desired { name: account("jenkins"), present: None });
    assert_eq!(fields(&fixture.twice(&gone)), ["user"]);
}
