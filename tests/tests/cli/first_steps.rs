//! What a newcomer does first, without a node.

use ostler_tests::program::Desk;
use ostler_tests::terminal::Terminal;

#[test]
fn init_writes_a_site_that_lints_as_it_is() {
    let desk = Desk::new();
    insta::assert_snapshot!("init", desk.run(&["init", "."]));
    insta::assert_snapshot!("lint_of_the_first_site", desk.run(&["lint"]));
    insta::assert_snapshot!("nodes_of_the_first_site", desk.run(&["nodes"]));
    let json = desk.run(&["nodes", "--output", "json"]);
    assert_eq!(json.code, Some(0), "{json}");
    assert!(json.out.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok_and(|value| value["v"] == 1)), "{json}");
}

#[test]
fn each_site_gets_an_id_of_its_own() {
    let ids: Vec<String> = (0..2)
        .map(|_| {
            let text = std::fs::read_to_string(Desk::new().with_site().at("ostler.yaml")).expect("written");
            text.lines().find_map(|line| line.strip_prefix("id: ")).expect("an id").to_owned()
        })
        .collect();
    assert!(ids.iter().all(|id| id.len() == 14 && id.bytes().filter(u8::is_ascii_hexdigit).count() == 12), "{ids:?}");
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn init_twice_writes_nothing() {
    let desk = Desk::new().with_site();
    let before = std::fs::read(desk.at("nodes.yaml")).expect("written");
    std::fs::remove_file(desk.at("roles/first.yaml")).expect("there");
    insta::assert_snapshot!("init_twice", desk.run(&["init", "."]));
    assert_eq!(std::fs::read(desk.at("nodes.yaml")).expect("still there"), before);
    assert!(!desk.at("roles/first.yaml").exists(), "init wrote half a site");
}

#[test]
fn wrong_shapes_do_not_hide_wrong_names() {
    let desk = Desk::new().with_site();
    let shape = "  - link: {path: /a}\n  - each: x of y\n    user: {name: \"{{ x }}\"}\n";
    let name = "  - file: {path: /etc/x, content: \"{{ gretting }} {{ third.b }}\"}\n";
    desk.write(
        "roles/first.yaml",
        format!("role: first\nsummary: S.\nneeds: [third: {{}}]\nparams: {{greeting: {{type: text}}}}\nsteps:\n{shape}{name}"),
    );
    // Nothing is said of names that a wrong parameter may have brought, here or where the role is needed.
    desk.write("roles/third.yaml", "role: third\nsummary: T.\nparams: {b: {type: string}}\nlabels: [\"{{ b }}\"]\n");
    insta::assert_snapshot!("shapes_and_names", desk.run(&["lint"]));
}

#[test]
fn init_that_fails_leaves_no_half_of_a_site() {
    let desk = Desk::new();
    desk.write("my site/roles", "a file where a directory is wanted\n");
    let said = desk.run(&["init", "my site"]);
    assert!(said.code == Some(1) && said.err.contains("my site/roles/first.yaml"), "{said}");
    assert!(!desk.at("my site/ostler.yaml").exists() && !desk.at("my site/nodes.yaml").exists(), "{said}");
    std::fs::remove_file(desk.at("my site/roles")).expect("there");
    let said = desk.run(&["init", "my site"]);
    assert!(said.code == Some(0) && said.out.contains("  cd 'my site' && ostler lint "), "{said}");
}

#[test]
fn where_a_value_comes_from_is_told_before_a_node_was_met() {
    let desk = Desk::new().with_site();
    desk.write("nodes.yaml", "groups: {build: {roles: [first]}}\nnodes: {build-1: {groups: [build]}, other: {roles: [job-user]}}\n");
    desk.write("ostler.yaml", "edition: 1\nvars: {first: {greeting: of the site}}\n");
    insta::assert_snapshot!("explain_var", desk.run(&["explain", "var", "build-1", "first.greeting"]));
    insta::assert_snapshot!("explain_var_set", desk.run(&["explain", "var", "build-1", "first", "-e", "first.greeting=now"]));
    let json = desk.run(&["explain", "var", "build-1", "first.greeting", "--output", "json"]);
    let told: serde_json::Value = serde_json::from_str(json.out.trim()).expect("one object");
    assert_eq!((&told["type"], &told["value"], &told["layer"]), (&"variable".into(), &"of the site".into(), &"site".into()), "{json}");
    for (arguments, wanted) in [
        (["build-1", "first.greetin"], "`first` has no parameter `greetin`; nearest: greeting"),
        (["build-1", "frist.greeting"], "there is no role `frist`; nearest: first"),
        (["build-2", "first.greeting"], "no node or group is called `build-2`; nearest: build"),
        (["other", "first.greeting"], "other does not have the role `first`"),
    ] {
        let said = desk.run(&["explain", "var", arguments[0], arguments[1]]);
        assert!(said.code == Some(2) && said.err.contains(wanted), "{wanted}: {said}");
    }
}

#[test]
fn a_value_is_explained_although_another_is_missing() {
    let desk = Desk::new().with_site();
    let role = "role: first\nsummary: S.\nparams: {there: {type: text, default: a}, missing: {type: text}}\n";
    desk.write("roles/first.yaml", role);
    desk.write("ostler.yaml", "edition: 1\n");
    assert_eq!(desk.run(&["lint"]).code, Some(3));
    assert_eq!(desk.run(&["explain", "var", "build-1", "first.there"]).code, Some(0));
    let said = desk.run(&["explain", "var", "build-1", "first.missing"]);
    assert!(said.code == Some(3) && said.err.contains("nothing gives first its `missing`"), "{said}");
}

#[test]
fn a_site_is_found_from_a_directory_inside_it() {
    let desk = Desk::new().with_site();
    let output = desk.command(&["lint"]).current_dir(desk.at("roles")).output().expect("ostler runs");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn secrets_are_made_and_never_shown() {
    let desk = sealed();
    let set = desk.run_with(&["secret", "set", "door"], b"open sesame\n");
    assert_eq!((set.code, set.out.as_str()), (Some(0), "secrets/door.age written\n"), "{set}");
    let stored = std::fs::read_to_string(desk.at("secrets/door.age")).expect("stored");
    assert!(!stored.contains("sesame"), "{stored}");
    let again = desk.run_with(&["secret", "set", "door"], b"open sesame\n");
    assert_eq!(again.code, Some(0), "{again}");
    assert_eq!(std::fs::read_to_string(desk.at("secrets/door.age")).expect("stored"), stored, "the same value changes no byte");
    let other = desk.run_with(&["secret", "set", "door"], b"another\n");
    assert_ne!(other.code, Some(0), "another value needs --replace: {other}");
    let lint = desk.run(&["lint"]);
    assert_eq!(lint.code, Some(0), "{lint}");
}

/// A site with one recipient, whose identity is at hand.
fn sealed() -> Desk {
    let desk = Desk::new().with_site();
    let made = desk.run(&["secret", "show-recipients"]);
    let words = format!("{}{}", made.out, made.err);
    let recipient = words.split_whitespace().find(|word| word.starts_with("age1")).expect("a recipient is shown").to_owned();
    let text = std::fs::read_to_string(desk.at("ostler.yaml")).expect("the site");
    desk.write("ostler.yaml", text + &format!("secrets: {{recipients: [{recipient}]}}\n"));
    desk
}

#[test]
fn a_secret_whose_writing_was_killed_leaves_the_old_one_and_a_site_without_fault() {
    let desk = sealed();
    let set = desk.run_with(&["secret", "set", "door"], b"open sesame\n");
    assert_eq!(set.code, Some(0), "{set}");
    let stored = std::fs::read(desk.at("secrets/door.age")).expect("stored");
    // The kernel kills it at the first byte that it writes to a file (setrlimit(2), RLIMIT_FSIZE).
    let ours = desk.command(&[]);
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "ulimit -f 0; printf another | \"$0\" secret set door --replace"]).arg(ours.get_program()).current_dir(desk.at(""));
    command.env_clear().envs(ours.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let killed = command.output().expect("sh runs");
    assert!(!killed.status.success(), "{killed:?}");
    let left = std::fs::read_dir(desk.at("secrets")).expect("secrets").count();
    assert_eq!(left, 2, "it was killed in the midst of it");
    assert_eq!(std::fs::read(desk.at("secrets/door.age")).expect("stored"), stored);
    let lint = desk.run(&["lint"]);
    assert_eq!(lint.code, Some(0), "{lint}");
    let again = desk.run_with(&["secret", "set", "door", "--replace"], b"another\n");
    assert_eq!(again.code, Some(0), "{again}");
}

#[test]
fn a_secret_that_is_typed_is_not_shown() {
    let desk = sealed();
    let mut terminal = Terminal::start(&desk.command(&["secret", "set", "door"]));
    terminal.wait_for("value of door: ");
    terminal.wait_for_silence();
    terminal.types("open sesame\n");
    assert_eq!((terminal.end(), terminal.echoes()), (0, true), "{}", terminal.said());
    assert!(!terminal.said().contains("sesame"), "{}", terminal.said());
    let same = desk.run_with(&["secret", "set", "door"], b"open sesame\n");
    assert_eq!((same.code, same.out.as_str()), (Some(0), "secrets/door.age unchanged\n"), "{same}");
    let mut terminal = Terminal::start(&desk.command(&["secret", "set", "other"]));
    terminal.wait_for("value of other: ");
    terminal.wait_for_silence();
    terminal.types("half a wo\u{3}");
    assert_eq!((terminal.end(), terminal.echoes()), (130, true), "{}", terminal.said());
    assert!(!desk.at("secrets/other.age").exists());
    let mut terminal = Terminal::start(&desk.command(&["secret", "set", "other"]));
    terminal.wait_for("value of other: ");
    terminal.wait_for_silence();
    terminal.types("\u{4}");
    assert_eq!(terminal.end(), 3, "{}", terminal.said());
    terminal.wait_for("value of other: \r\nerror: the value is empty");
}
