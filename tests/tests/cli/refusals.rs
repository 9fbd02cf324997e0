//! What is refused, with which words and which exit code.

use ostler_tests::program::Desk;
use serde_json::Value;

#[test]
fn without_a_site_every_verb_says_so() {
    let desk = Desk::new();
    insta::assert_snapshot!("apply_without_a_site", desk.run(&["apply", "--yes"]));
    for verb in ["lint", "check", "plan", "apply", "nodes", "attach"] {
        assert_eq!(desk.run(&[verb]).code, Some(3), "{verb}");
    }
}

#[test]
fn a_limit_that_means_nothing_is_wrong_usage() {
    let desk = Desk::new().with_site();
    insta::assert_snapshot!("limit_unknown", desk.run(&["plan", "--limit", "buidl-1"]));
    insta::assert_snapshot!("limit_empty", desk.run(&["plan", "--limit", "build,!build"]));
    for limit in ["nowhere", "!build", "", ",", "!", "&", "!all", "all,!all"] {
        let said = desk.run(&["plan", "--limit", limit]);
        assert_eq!(said.code, Some(2), "--limit '{limit}': {said}");
    }
}

#[test]
fn a_name_that_nobody_has_is_told_as_it_was_written() {
    let desk = Desk::new().with_site();
    desk.write("nodes.yaml", "groups: {spare: {roles: [first]}}\nnodes: {build-1: {roles: [first]}}\n");
    for (arguments, wanted) in [
        (&["attach", "biuld-1"][..], "error: no node or group is called `biuld-1`; nearest: build-1\n"),
        (&["explain", "var", "biuld-1", "first"], "error: no node or group is called `biuld-1`; nearest: build-1\n"),
        (&["nodes", "--limit", "x*"], "error: no node or group matches `x*`\n"),
        (&["nodes", "--limit", "spare"], "error: `spare` selects no node\n"),
        (&["plan", "--only", "frist"], "error: --only: there is no role `frist`\n  try: did you mean `first`?\n"),
        (&["plan", "--only", "qqqqq"], "error: --only: there is no role `qqqqq`\n  try: ostler nodes lists each node's roles\n"),
    ] {
        let said = desk.run(arguments);
        assert!(said.code == Some(2) && said.err.starts_with(wanted), "{wanted}: {said}");
    }
}

#[test]
fn an_ssh_configuration_that_is_not_there_is_told_once_and_before_anybody_is_met() {
    let desk = Desk::new().with_site();
    desk.write("nodes.yaml", "nodes: {build-1: {host: 127.0.0.1, roles: [first]}, build-2: {host: 127.0.0.2, roles: [first]}}\n");
    let wanted = "error: read the ssh configuration nowhere: No such file or directory (os error 2)\n  \
        try: name another file with --ssh-config, or leave it out\n";
    for verb in ["check", "plan", "apply"] {
        let said = desk.run(&[verb, "-F", "nowhere"]);
        assert_eq!((said.code, said.err.as_str()), (Some(2), wanted), "{verb}: {said}");
    }
}

#[test]
fn nodes_that_wait_for_each_other_are_refused_by_every_verb_that_would_meet_them() {
    let desk = Desk::new().with_site();
    desk.write("roles/first.yaml", "role: first\nsummary: One.\nparams:\n  peer: {type: host, help: another}\nsteps:\n  - file: {path: /etc/peer, content: \"{{ peer }}\\n\"}\n");
    let node = |other: &str| format!("{{host: 192.0.2.1, roles: [first], vars: {{first: {{peer: \"{{{{ nodes.{other}.host }}}}\"}}}}}}");
    desk.write("nodes.yaml", format!("nodes:\n  a: {}\n  b: {}\n", node("b"), node("a")));
    desk.write("ostler.yaml", "edition: 1\n");
    for verb in [&["plan"][..], &["apply", "--yes"]] {
        let said = desk.run(verb);
        assert!(said.code == Some(3) && said.err.contains("wait"), "{verb:?}: {said}");
    }
}

#[test]
fn wrong_words_are_wrong_usage() {
    let desk = Desk::new().with_site();
    insta::assert_snapshot!("unknown_verb", desk.run(&["aply"]));
    insta::assert_snapshot!("unknown_code", desk.run(&["explain", "apt-lok"]));
    let cases: &[&[&str]] = &[
        &["plan", "--forks", "0"],
        &["plan", "--forks", "501"],
        &["plan", "--nonsense"],
        &["--output", "xml", "nodes"],
        &["plan", "--set", "first.greeting"],
        &["schema", "everything"],
        &["completions", "cmd"],
        &["cancel"],
        &["secret", "set"],
        &["explain", "var", "nobody", "first"],
    ];
    for case in cases {
        let said = desk.run(case);
        assert_eq!(said.code, Some(2), "{case:?}: {said}");
        assert!(said.out.is_empty() && !said.err.is_empty(), "{case:?}: {said}");
    }
}

#[test]
fn a_verb_takes_only_the_flags_that_mean_something_for_it() {
    let desk = Desk::new().with_site();
    let cases: &[&[&str]] = &[
        &["attach", "--set", "first.greeting=x"],
        &["attach", "build-1", "--limit", "build"],
        &["cancel", "build-1", "--set", "first.greeting=x"],
        &["cancel", "build-1", "--limit", "build"],
        &["cancel", "build-1", "--forks", "3"],
        &["explain", "var", "build-1", "first", "--limit", "build"],
        &["explain", "var", "build-1", "first", "--forks", "3"],
        &["explain", "var", "build-1", "first", "--accept-new"],
        &["explain", "var", "build-1", "first", "-F", "/dev/null"],
        &["explain", "var", "build-1", "first", "-K"],
    ];
    for case in cases {
        let said = desk.run(case);
        assert!(said.code == Some(2) && said.out.is_empty(), "{case:?}: {said}");
        let flag = case.iter().rev().find(|word| word.starts_with('-')).expect("a flag");
        assert!(said.err.contains(flag), "{case:?}: {said}");
    }
}

#[test]
fn whoever_follows_or_stops_a_run_needs_no_secret_of_the_site() {
    let desk = Desk::new().with_site();
    desk.write("nodes.yaml", "nodes: {build-1: {host: 127.0.0.1, roles: [first], ssh: {port: 1}}}\n");
    desk.write("secrets/door.age", "sealed for somebody else\n");
    assert!(desk.run(&["plan"]).err.contains("identity.txt does not exist"));
    for verb in ["attach", "cancel"] {
        let said = desk.run(&[verb, "build-1"]);
        assert!(said.code == Some(4) || said.err.contains("no agent"), "{verb}: {said}");
    }
}

#[test]
fn values_of_the_command_line_are_proved_too() {
    let desk = Desk::new().with_site();
    for (set, said) in [
        ("frist.greeting=x", "unknown role `frist`"),
        ("first.greetings=x", "`first` has no parameter `greetings`"),
        ("first.greeting=[a, b]", "-e first.greeting"),
    ] {
        let lint = desk.run(&["lint", "--set", set]);
        assert_eq!(lint.code, Some(3), "{set}: {lint}");
        assert!(lint.err.contains(said), "{set}: {lint}");
    }
    // What can be said without a node is not said after it was met.
    for verb in ["plan", "apply", "check"] {
        let said = desk.run(&[verb, "--set", "frist.greeting=x"]);
        assert!(said.code == Some(3) && said.err.contains("unknown role `frist`"), "{verb}: {said}");
    }
    let fine = desk.run(&["lint", "--set", "first.greeting=hello"]);
    assert_eq!(fine.code, Some(0), "{fine}");
}

#[test]
fn a_wrong_site_shows_every_fault_with_its_place() {
    let desk = Desk::new().with_site();
    desk.write(
        "nodes.yaml",
        "groups:\n  build:\n    roles: [frist]\nnodes:\n  build-1: {host: 192.0.2.11, groups: [build, biuld]}\n  Build_2: {hots: 192.0.2.12}\n",
    );
    desk.write("ostler.yaml", "edition: 1\nssh: {user: admin, become: su}\nvars:\n  first: {greeting: yes}\n");
    let said = desk.run(&["lint"]);
    assert_eq!(said.code, Some(3));
    insta::assert_snapshot!("lint_of_a_wrong_site", said);
}

#[test]
fn one_machine_under_two_names_is_refused() {
    let desk = Desk::new().with_site();
    let nodes = |second: &str| format!("nodes:\n  a: {{host: 192.0.2.7, roles: [first]}}\n  b: {{{second}, roles: [first]}}\n");
    desk.write("nodes.yaml", nodes("host: 192.0.2.7"));
    insta::assert_snapshot!("lint_of_one_machine_twice", desk.run(&["lint"]));
    for other in
        ["host: 192.0.2.8", "host: 192.0.2.7, ssh: {port: 2222}", "host: 192.0.2.7, ssh: {jump: a}", "host: 192.0.2.7, ssh: {user: b}"]
    {
        desk.write("nodes.yaml", nodes(other));
        let said = desk.run(&["lint"]);
        assert_eq!(said.code, Some(0), "{other}: {said}");
    }
}

#[test]
fn failure_is_json_where_json_was_asked_for() {
    let desk = Desk::new();
    let none = desk.run(&["--output", "json", "lint"]);
    assert_eq!(none.code, Some(3));
    assert_eq!(none.err, "", "stderr is empty");
    let line: Value = serde_json::from_str(none.out.trim()).expect("one JSON object");
    assert_eq!((line["v"].as_u64(), line["type"].as_str(), line["exit"].as_u64()), (Some(1), Some("error"), Some(3)), "{line}");
    let desk = desk.with_site();
    desk.write("nodes.yaml", "nodes: {a: {groups: [nowhere]}}\n");
    let faults = desk.run(&["--output", "json", "lint"]);
    assert_eq!(faults.code, Some(3), "{faults}");
    for line in faults.out.lines() {
        let value: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(value["faults"].as_array().is_none_or(|faults| !faults.is_empty()), "{value}");
    }
}

#[test]
fn apply_asks_nobody_when_there_is_nobody() {
    let desk = Desk::new().with_site();
    let said = desk.run(&["apply"]);
    assert_ne!(said.code, Some(0), "{said}");
    assert!(!said.out.contains("registered"), "{said}");
}

#[test]
fn a_limit_of_another_tool_and_a_site_that_is_not_there_are_told_as_what_they_are() {
    let desk = Desk::new().with_site();
    let limited = desk.run(&["plan", "--limit", "build-1:web"]);
    assert_eq!(limited.code, Some(2), "{limited}");
    assert!(limited.err.contains("try: patterns are parted by commas: --limit 'build-1,web'"), "{limited}");
    let nowhere = desk.run(&["lint", "-C", "no/such"]);
    assert_eq!(nowhere.code, Some(3), "{nowhere}");
    assert!(nowhere.err.contains("no/such: there is no such directory"), "{nowhere}");
}
