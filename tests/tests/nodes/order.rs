//! A node whose proofs name another one, when that one changes in the same run.

use super::{field_of, node};
use ostler_tests::e2e::Field;

const SERVER: &str = r#"role: server
summary: A door.
steps:
  - file:
      path: /etc/systemd/system/door.service
      content: |
        [Service]
        ExecStart=/usr/bin/perl -MIO::Socket::INET -e "my $$door = IO::Socket::INET->new(Listen => 9, LocalPort => 7000, ReuseAddr => 1); 1 while $$door->accept"
        [Install]
        WantedBy=multi-user.target
  - service: {name: door, enabled: true, state: running}
verify:
  - connect: {to: 127.0.0.1, port: 7000}
"#;

const CLIENT: &str = r#"role: client
summary: Somebody at the door.
params:
  door: {type: host, help: where it is}
steps:
  - file: {path: /etc/client, content: "{{ door }}\n"}
verify:
  - connect: {to: "{{ door }}", port: 7000}
"#;

const NODES: &str = r#"nodes:
  client: {host: 10.78.0.12, roles: [client], vars: {client: {door: "{{ nodes.server.host }}"}}}
  server: {host: 10.78.0.11, roles: [server]}
"#;

fn at_the_door() -> Field {
    let field = field_of([node("server", 11), node("client", 12)], SERVER);
    field.write("roles/server.yaml", SERVER);
    field.write("roles/client.yaml", CLIENT);
    std::fs::remove_file(field.dir().join("site/roles/demo.yaml")).expect("written by the field");
    field.write("nodes.yaml", NODES);
    field
}

/// The states that a node went through, as programs read them.
fn stages(ran: &ostler_tests::e2e::Ran, node: &str) -> Vec<String> {
    let lines = ran.json().into_iter().filter(|line| line["node"] == node);
    let stage = |line: serde_json::Value| match line["type"].as_str() {
        Some("going") => Some("going".to_owned()),
        Some("stage") => line["stage"].as_str().map(str::to_owned),
        _ => None,
    };
    lines.filter_map(stage).collect()
}

#[test]
fn what_an_unchanged_node_proves_of_another_waits_until_that_one_has_come_through() {
    let field = at_the_door();
    let first = field.apply();
    assert_eq!(first.code, 0, "{first}");
    for node in ["server", "client"] {
        assert_eq!(stages(&first, node), ["asked", "going", "applied", "verified"], "{first}");
    }
    field.run("server", "systemctl stop door");
    // What a run would mend is no fault of the plan.
    let plan = field.ostler(["plan", "--output", "json", "--detailed-exitcode"]);
    assert_eq!(plan.code, 5, "{plan}");
    let again = field.apply();
    assert_eq!((again.code, again.changed("server")), (0, vec!["service door".to_owned()]), "{again}");
    assert_eq!((stages(&again, "client"), again.recap("client")["trouble"].is_null()), (vec!["verified".to_owned()], true), "{again}");
    // Where nothing mends it, it does not hold.
    field.run("server", "systemctl stop door");
    let alone = field.ostler(["apply", "--yes", "--output", "json", "--limit", "client"]);
    assert_eq!((alone.code, stages(&alone, "client")), (1, vec!["failed".to_owned()]), "{alone}");
    // A server that fails holds it back.
    field.write(
        "roles/server.yaml",
        &SERVER.replace("verify:", "  - command: {name: broken, run: [\"false\"], unless: [\"false\"]}\nverify:"),
    );
    let held = field.apply();
    assert_eq!(held.code, 1, "{held}");
    assert_eq!(held.trouble("client"), "not started: waits for server", "{held}");
}
