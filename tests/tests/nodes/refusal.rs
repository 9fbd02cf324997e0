//! What is refused before anything changes, and what a plan finds.

use super::{SMALL, field, field_of, node};
use ostler_tests::e2e::Field;
use std::collections::BTreeSet;

/// All that a run may write, with digests and times. The agent's own file is no change of the node.
fn written(field: &Field, node: &str) -> BTreeSet<String> {
    let text = field.said(
        node,
        "find /etc /srv /opt /usr/local /var/lib /root -type f -not -path '*/ostler/bin/*' \
           -printf '%p %T@ %C@ %s %m\\n' -exec sha256sum {} ';'",
    );
    text.lines().map(str::to_owned).collect()
}

/// Asserts that nothing was written since.
fn assert_unwritten(field: &Field, node: &str, before: &BTreeSet<String>) {
    let difference: Vec<String> = written(field, node).symmetric_difference(before).cloned().collect();
    assert_eq!(difference, [""; 0], "{node}");
}

#[test]
fn a_requirement_missed_on_one_node_changes_nothing_on_any() {
    let field = field_of([node("n1", 11), node("n2", 12).with_disk_mb(300)], SMALL);
    field.apply().assert_changed(2);
    let stricter = SMALL.replace("one\\n", "another\\n").replace("steps:", "require:\n  - disk: {path: /, size: 1 GiB}\nsteps:");
    field.write("roles/demo.yaml", &stricter);
    let before = [written(&field, "n1"), written(&field, "n2")];
    assert!(before[0].iter().any(|line| line.starts_with("/var/lib/ostler/node ")), "the generation is among what is compared");

    let ran = field.apply();
    assert_eq!(ran.code, 6, "{ran}");
    let answers = ran.of("requirement", None);
    assert_eq!(answers.len(), 2, "{ran}");
    let of = |node: &str| answers.iter().find(|line| line["node"] == node).expect("its answer")["verdict"].clone();
    assert!(of("n1").get("pass").is_some(), "{ran}");
    let failed = &of("n2")["fail"];
    let numbers = ["found", "missing", "wanted"].map(|field| failed[field].as_str().unwrap_or_default());
    assert_eq!(numbers, ["/ (overlay) is 300 MiB", "724 MiB", "a file system of at least 1 GiB below /"], "{ran}");
    assert_eq!(ran.of("going", None).len(), 0, "{ran}");
    assert_eq!(ran.json().pop().map(|last| (last["type"].clone(), last["exit"].clone())), Some(("recap".into(), 6.into())), "{ran}");
    assert_eq!(ran.recap("n1")["trouble"], serde_json::Value::Null, "{ran}");
    assert_eq!(ran.recap("n2")["trouble"], "refused: / (overlay) is 300 MiB, wanted: a file system of at least 1 GiB below /", "{ran}");

    let ran = field.ostler(["apply", "--yes"]);
    assert_eq!(ran.code, 6, "{ran}");
    assert!(ran.stdout.contains("Refused: 1 of 2 nodes. Nothing was changed anywhere."), "{ran}");

    // The site is wrong for the other one by its facts: that weighs more, whatever is asked.
    let place = "steps:\n  - file: {path: \"{{ 'nowhere' if facts.hostname == 'n1' else '/etc/three' }}\", content: \"3\\n\"}";
    field.write("roles/demo.yaml", &stricter.replace("steps:", place));
    for words in [&["plan"][..], &["apply", "--yes"]] {
        let ran = field.ostler(words.iter().copied());
        assert_eq!(ran.code, 3, "{words:?}: {ran}");
        assert!(ran.stdout.contains("/ (overlay) is 300 MiB") && ran.stdout.contains("nowhere"), "{words:?}: {ran}");
    }
    assert_unwritten(&field, "n1", &before[0]);
    assert_unwritten(&field, "n2", &before[1]);
}

#[test]
fn without_a_terminal_apply_wants_yes_and_standard_output_is_json_on_every_way_out() {
    let field = field(1, SMALL);
    let before = written(&field, "n1");
    let ran = field.ostler(["apply", "--output", "json"]);
    assert_eq!(ran.code, 8, "{ran}");
    let error = ran.of("error", None).pop().expect("an error line");
    assert_eq!((&error["exit"], &error["hint"]), (&8.into(), &"look at `ostler plan`, then add --yes".into()), "{ran}");
    assert_eq!(ran.of("step", Some("n1")).len(), 2, "{ran}");
    let human = field.ostler(["apply"]);
    assert_eq!(human.code, 8, "{human}");
    assert!(human.stderr.contains("a confirmation is needed and there is no terminal to ask at"), "{human}");
    assert_unwritten(&field, "n1", &before);

    // A failing step, a wrong site, a wrong selection, a node without power: JSON lines and nothing else.
    let failing =
        SMALL.replace("steps:", "steps:\n  - command: {name: broken, run: [sh, -c, 'echo why >&2; exit 3'], creates: /srv/never}");
    field.write("roles/demo.yaml", &failing);
    let ran = field.apply();
    assert_eq!(ran.code, 1, "{ran}");
    let recap = ran.recap("n1");
    assert!(recap["trouble"].as_str().is_some_and(|text| text.starts_with("command broken: ")), "{ran}");
    field.write("roles/demo.yaml", "role: demo\nsummary: Wrong.\nsteps:\n  - fil: {}\n");
    let ran = field.apply();
    assert_eq!((ran.code, ran.of("error", None)[0]["faults"][0]["place"]["line"].as_u64()), (3, Some(4)), "{ran}");
    field.write("roles/demo.yaml", SMALL);
    let ran = field.ostler(["plan", "--limit", "nobody", "--output", "json"]);
    assert_eq!((ran.code, ran.of("error", None).len()), (2, 1), "{ran}");
    field.lab().fault("n1", ostler::lab::Fault::PowerCut).expect("cut");
    let ran = field.apply();
    assert_eq!((ran.code, ran.of("trouble", Some("n1")).len()), (4, 1), "{ran}");
}

#[test]
fn a_plan_finds_what_was_changed_behind_its_back_and_shows_the_difference() {
    let field = field(1, SMALL);
    field.apply().assert_changed(2);
    let clean = field.ostler(["plan", "--detailed-exitcode"]);
    assert_eq!(clean.code, 0, "{clean}");
    assert!(clean.stdout.contains("Nothing to change."), "{clean}");

    field.run("n1", "echo somebody >> /etc/demo-one; chmod 0600 /srv/demo/two");
    let before = written(&field, "n1");
    let ran = field.ostler(["plan", "-D", "--detailed-exitcode"]);
    assert_eq!(ran.code, 5, "{ran}");
    for part in ["file /etc/demo-one", "-somebody", "file /srv/demo/two", "0600", "0640", "2 to change, 0 may change"] {
        assert!(ran.stdout.contains(part), "{part}: {ran}");
    }
    assert_unwritten(&field, "n1", &before);
    field.apply().assert_changed(2);
    assert_eq!(field.said("n1", "cat /etc/demo-one; stat -c %a /srv/demo/two"), "one\n640");
}

#[test]
fn a_partial_run_does_one_role_what_it_needs_and_what_watches_them() {
    let role = |name: &str, rest: &str| format!("role: {name}\nsummary: One of three.\n{rest}");
    let base = role("ground", "steps:\n  - file: {path: /etc/ground, content: \"1\\n\"}\n");
    let conf = role("conf", "needs:\n  - ground: {}\nsteps:\n  - file: {path: /etc/conf, content: \"1\\n\"}\n");
    let server = role(
        "server",
        "needs:\n  - conf: {}\nrequire:\n  - disk: {path: /, free_after: 900 TiB}\nsteps:\n  - file: {path: /etc/server, content: \"1\\n\"}\n  - command: {name: heard, run: [/bin/sh, -c, echo heard >>/srv/heard], run_on: [file /etc/conf]}\n",
    );
    let files = [("roles/ground.yaml", base.as_str()), ("roles/conf.yaml", &conf), ("roles/server.yaml", &server)];
    let field = Field::up(ostler::lab::LabSpec::new([node("n1", 11)]), "roles: [server]", &files);
    assert_eq!(field.apply().code, 6, "the whole is refused");

    let ran = field.ostler(["apply", "--yes", "--only", "conf", "--output", "json"]);
    assert_eq!(ran.code, 0, "{ran}");
    assert_eq!(ran.changed("n1"), ["file /etc/ground", "file /etc/conf", "command heard"], "{ran}");
    let recap = ran.of("recap", None).pop().expect("a recap");
    assert_eq!((&recap["only"], &recap["nodes"][0]["labels"]), (&"conf".into(), &serde_json::json!([])), "{ran}");
    assert_eq!(field.said("n1", "cat /srv/heard; ls /etc/server 2>/dev/null || true"), "heard");
    let again = field.ostler(["apply", "--yes", "--only", "conf"]);
    assert!(again.stdout.contains("Nothing to change. 1 node verified"), "{again}");
    assert!(again.stdout.contains("Partial: conf, what it needs and what watches them. No label was attached;"), "{again}");
    let none = field.ostler(["plan", "--only", "base"]);
    assert!(none.code == 2 && none.stderr.contains("--only: no selected node has the role `base`"), "{none}");
    let wrong = field.ostler(["plan", "--only", "cnof"]);
    assert!(wrong.code == 2 && wrong.stderr.contains("there is no role `cnof`") && wrong.stderr.contains("`conf`"), "{wrong}");
}
