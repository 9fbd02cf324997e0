//! The agent on the oldest and the newest Debian it serves, and names that only the node itself can resolve.

use super::field_of;
use ostler::lab::{LabNode, Suite};
use ostler_tests::e2e::Field;
use std::net::Ipv4Addr;
use std::process::Command;

const ROLE: &str = r#"role: demo
summary: A download and a cache, by name.
steps:
  - file: {path: /etc/demo-one, content: "{{ facts.kernel.release }}\n"}
  - download: {path: /srv/part, url: "http://cache.lab.test:8088/part", sha256: "SUM"}
  - git_cache: {root: /srv/git, upstreams: ["http://cache.lab.test:8088/git"], repositories: [one, two]}
"#;

/// Serves a file and two repositories as plain files, under a name that the node's own hosts file knows.
fn serve(field: &Field, node: &str) -> String {
    let www = field.lab().www();
    let content = "part of it\n".repeat(1000);
    std::fs::write(www.join("part"), &content).expect("written");
    let script = "set -e; for name in one two; do mkdir -p git/$name.src; cd git/$name.src; git init -q -b main; \
        git -c user.name=t -c user.email=t@example.org commit -q --allow-empty -m first; cd ..; \
        git clone -q --bare $name.src $name; git clone -q --bare $name.src $name.git; \
        for bare in $name $name.git; do git -C $bare update-server-info; done; cd ..; done";
    let made = Command::new("sh").args(["-c", script]).current_dir(&www).output().expect("git");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    field.run(node, "echo '10.78.0.1 cache.lab.test' >> /etc/hosts");
    ostler_roles::words::Digest::of(content.as_bytes()).to_string()
}

fn story(node: LabNode) -> Field {
    let name = node.name.clone();
    let field = field_of([node.with_packages(["git"])], ROLE);
    let sum = serve(&field, &name);
    field.write("roles/demo.yaml", &ROLE.replace("SUM", &sum));
    let first = field.apply();
    first.assert_changed(3);
    assert_eq!(field.said(&name, "sha256sum < /srv/part | cut -d' ' -f1"), sum);
    assert_eq!(field.said(&name, "for name in one two; do git -C /srv/git/$name* log -1 --format=%s main; done"), "first\nfirst");
    let second = field.apply();
    assert_eq!(second.code, 0, "{second}");
    assert_eq!(second.recap(&name)["changed"], 0, "{second}");
    field
}

#[test]
fn bullseye_downloads_and_caches_by_a_name_of_its_own() {
    let _ = story(LabNode::new("old", Suite::Bullseye, Ipv4Addr::new(10, 78, 0, 22)));
}

#[test]
fn trixie_with_resolving_modules_downloads_and_caches_by_names_only_they_know() {
    let node = LabNode::new("new", Suite::Trixie, Ipv4Addr::new(10, 78, 0, 21));
    let field = story(node.with_packages(["libnss-resolve", "libnss-myhostname", "libnss-mymachines"]));
    let modules = field.said("new", "grep ^hosts: /etc/nsswitch.conf");
    for module in ["mymachines", "resolve", "myhostname"] {
        assert!(modules.contains(module), "{modules}");
    }
    // No file knows this name: nss-myhostname (or resolved) answers for everything below `localhost`.
    assert_eq!(field.said("new", "grep -c here.localhost /etc/hosts || true"), "0");
}
