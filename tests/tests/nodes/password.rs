//! Sudo with a password: asked once, proved on one node, kept nowhere.

use super::secrets::spellings;
use super::{AT_GATE, GATED, OPEN, SMALL, field, field_of, node};
use ostler_tests::e2e::{Field, Ran};
use ostler_tests::terminal::Terminal;
use std::os::unix::fs::PermissionsExt;

pub const RIGHT: &str = "open sesame 4711";
pub const WRONG: &str = "shut sesame 1147";

pub fn with_password(field: &Field, password: &str) -> Ran {
    let file = field.dir().join("sudo-password");
    std::fs::write(&file, format!("{password}\n")).expect("written");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("private");
    let mut call = field.call(["apply", "--yes", "--output", "json"]);
    call.env("OSTLER_SUDO_PASSWORD_FILE", &file);
    ostler_tests::e2e::Running::start(call).end()
}

#[test]
fn a_wrong_sudo_password_is_tried_on_one_node_once_and_the_right_one_is_kept_nowhere() {
    let field = field_of((1..=4).map(|number| node(&format!("n{number}"), 10 + number).with_sudo_password(RIGHT)), SMALL);
    // What sudo itself says of attempts.
    let tried = |node: &str| -> u64 {
        field.said(node, "journalctl -q -o cat | grep -c 'incorrect password attempt' || true").parse().expect("a number")
    };
    let none = field.apply();
    assert_eq!(none.code, 1, "{none}");
    assert!(none.trouble("n1").contains("password"), "{none}");
    let hint = none.of("trouble", Some("n1"))[0]["hint"].to_string();
    assert!(hint.contains("run in a terminal") && hint.contains("OSTLER_SUDO_PASSWORD_FILE"), "{hint}");

    let nobody = field.ostler(["plan", "--ask-become-pass"]);
    assert!(nobody.code == 2 && nobody.stderr.contains("no password came for --ask-become-pass"), "{nobody}");

    let wrong = with_password(&field, WRONG);
    assert_eq!(wrong.code, 1, "{wrong}");
    let attempts: u64 = field.nodes().iter().map(|node| tried(node)).sum();
    assert_eq!(attempts, 1, "one attempt on one node: more could lock the account\n{wrong}");
    assert!(field.nodes().iter().any(|node| wrong.trouble(node).contains("sudo does not take the password of admin")), "{wrong}");

    let untried = field.nodes().iter().filter(|node| wrong.trouble(node).contains("and not tried here"));
    assert_eq!(untried.count(), 3, "{wrong}");

    let right = with_password(&field, RIGHT);
    right.assert_changed(2);
    with_password(&field, RIGHT).assert_changed(0);
    // A step that comes upon it: as it is, in base64, in the line that is shown of its failure.
    field.run("n1", &format!("printf %s '{RIGHT}' >/root/word"));
    let leak = "  - command: {name: leak, run: [sh, -c, 'cat /root/word; echo; base64 /root/word; exit 3'], creates: /srv/never}\n";
    field.write("roles/demo.yaml", &format!("role: demo\nsummary: Leaks.\nsteps:\n{leak}"));
    let leaked = with_password(&field, RIGHT);
    assert!(leaked.code == 1 && leaked.to_string().contains("***"), "{leaked}");
    let mut forms = spellings(RIGHT);
    forms.extend(["open%20sesame", "open+sesame", "open\\ sesame", WRONG].map(str::to_owned));
    let words: Vec<String> = forms.iter().map(|form| format!("-e '{form}'")).collect();
    let words = words.join(" ");
    for node in field.nodes() {
        let found = field.said(node, &format!("grep -rlF {words} /var/lib/ostler /run/ostler /var/log /home/admin /run/log || true"));
        assert_eq!(found, "", "{node}");
        assert_eq!(field.said(node, &format!("journalctl -q | grep -cF {words} || true")), "0");
    }
    let looked = forms.iter().flat_map(|form| ["-e", form]);
    let kept =
        std::process::Command::new("grep").arg("-rlF").args(looked).arg(field.dir().join("state/ostler/sites")).output().expect("grep");
    // 1: it looked, and there was none; 2: there was nothing to look at.
    assert_eq!((String::from_utf8_lossy(&kept.stdout).as_ref(), kept.status.code()), ("", Some(1)));
    for ran in [&none, &wrong, &right, &leaked] {
        let said = ran.to_string();
        assert!(!forms.iter().any(|form| said.contains(form)), "{ran}");
    }
}

#[test]
fn whoever_leaves_at_the_password_leaves_a_terminal_that_echoes() {
    let field = field_of([node("n1", 11).with_sudo_password(RIGHT)], SMALL);
    for (verb, typed, signal) in [("apply", "half a wo\u{3}", None), ("plan", "\u{1c}\u{1a}\u{3}", None), ("check", "half", Some("TERM"))] {
        let mut terminal = Terminal::start(&field.call([verb]));
        terminal.wait_for("sudo password of admin: ");
        terminal.wait_for_silence();
        terminal.types(typed);
        if let Some(signal) = signal {
            terminal.signal(signal);
        }
        assert_eq!(terminal.end(), 130, "{verb}: {}", terminal.said());
        assert!(terminal.echoes(), "{verb}: {}", terminal.said());
        terminal.wait_for("Interrupted. Nothing was changed.");
        assert!(!terminal.said().contains("half"), "{}", terminal.said());
    }
    let mut terminal = Terminal::start(&field.call(["apply", "--ask-become-pass"]));
    terminal.wait_for("sudo password: ");
    terminal.wait_for_silence();
    terminal.types("\u{3}");
    assert_eq!((terminal.end(), terminal.echoes()), (130, true), "{}", terminal.said());

    // With the right word it goes on to the question, and Ctrl-C there leaves as well.
    let mut terminal = Terminal::start(&field.call(["apply"]));
    terminal.wait_for("sudo password of admin: ");
    terminal.wait_for_silence();
    terminal.types(&format!("{RIGHT}\n"));
    terminal.wait_for("[y/N]");
    assert!(terminal.echoes());
    terminal.types("\u{3}");
    assert_eq!(terminal.end(), 130, "{}", terminal.said());
    assert!(!terminal.said().contains(RIGHT), "{}", terminal.said());
    assert_eq!(field.said("n1", "test -e /etc/demo-one || echo none"), "none");
}

/// A run in its midst whose connection has to be made anew, and whose node's sudo asks from now on.
fn asked_in_mid_run() -> (Field, Terminal) {
    let field = field(1, GATED);
    let terminal = Terminal::start(&field.call(["apply", "--yes"]));
    field.wait_for("n1", AT_GATE);
    field.run("n1", &format!("echo 'admin:{RIGHT}' | chpasswd; echo 'admin ALL=(ALL:ALL) ALL' >/etc/sudoers.d/admin"));
    field.run("n1", "ss -K state established sport = :22 >/dev/null");
    terminal.wait_for("n1: sudo password of admin: ");
    terminal.wait_for_silence();
    (field, terminal)
}

#[test]
fn a_question_for_the_password_ends_with_the_patience_of_who_asks_it() {
    let (field, mut terminal) = asked_in_mid_run();
    // A minute, of which each half has its own deadline here. A busy machine may draw no picture for seconds.
    terminal.wait_until("half a minute", |said| (20..50).any(|second| said.contains(&format!(" {second}s 2/3 command gate"))));
    terminal.wait_for("not within 60 s");
    assert_eq!((terminal.end(), terminal.echoes()), (4, true), "{}", terminal.said());
    field.run("n1", OPEN);
}

#[test]
fn ctrl_c_in_mid_run_ends_a_question_for_the_password_too() {
    let (field, mut terminal) = asked_in_mid_run();
    terminal.types("half a wo\u{3}");
    terminal.wait_for("Stopping: each node ends its present step");
    // Nobody is asked a second time, and nobody waited for.
    let status = terminal.end();
    assert!(terminal.echoes(), "{}", terminal.said());
    terminal.wait_for("sudo asks for the password of admin, and none was given");
    assert_eq!((status, terminal.said().matches("sudo password of").count()), (130, 1), "{}", terminal.said());
    assert!(!terminal.said().contains("half"), "{}", terminal.said());
    field.run("n1", OPEN);
}

#[test]
fn where_sudo_wants_the_password_of_root_that_account_is_named_and_its_password_taken() {
    let field = field_of([node("n1", 11).with_sudo_password(RIGHT)], SMALL);
    const ROOTS: &str = "roots own sesame 90";
    field.run("n1", &format!("echo 'Defaults targetpw' >/etc/sudoers.d/targetpw; echo 'root:{ROOTS}' | chpasswd"));
    let none = field.apply();
    assert!(none.code == 1 && none.trouble("n1").contains("sudo asks for the password of root"), "{none}");
    let wrong = with_password(&field, RIGHT);
    assert!(wrong.trouble("n1").contains("sudo does not take the password of root"), "{wrong}");
    with_password(&field, ROOTS).assert_changed(2);
}

#[test]
fn doas_makes_root_where_it_asks_nothing_and_says_what_it_wants_where_it_does() {
    let field = field(1, SMALL);
    field.run("n1", "apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q -y install opendoas");
    let nodes = std::fs::read_to_string(field.dir().join("site/nodes.yaml")).expect("there");
    field.write("nodes.yaml", &nodes.replace("roles: [demo]", "roles: [demo], ssh: {become: doas}"));
    // sudo could do it all the while, and is not what was asked for.
    for (rules, said, hint) in [
        (None, "doas cannot read its rules", "as root on the node: doas -C /etc/doas.conf"),
        (
            Some("permit nopass nobody"),
            "doas does not allow the login account to run the agent as root",
            "in /etc/doas.conf: permit nopass admin",
        ),
        (
            Some("permit admin"),
            "doas wants a password, which it reads from a terminal only",
            "in /etc/doas.conf: permit nopass admin; or use sudo",
        ),
    ] {
        if let Some(rules) = rules {
            field.run("n1", &format!("echo '{rules}' >/etc/doas.conf"));
        }
        let refused = with_password(&field, RIGHT);
        assert_eq!(refused.code, 1, "{refused}");
        let trouble = &refused.of("trouble", Some("n1"))[0];
        assert_eq!((trouble["chain"][0].as_str(), trouble["hint"].as_str()), (Some(said), Some(hint)), "{refused}");
    }
    field.run("n1", "echo 'permit nopass admin' >/etc/doas.conf");
    field.apply().assert_changed(2);
    field.apply().assert_changed(0);
    assert_eq!(field.said("n1", "stat -c %U /etc/demo-one; journalctl -q -o cat | grep -c 'COMMAND=.*agent' || true"), "root\n0");
}

#[test]
fn a_broken_rule_is_told_also_where_sudo_goes_on_to_ask_for_a_password() {
    let field = field_of([node("n1", 11).with_sudo_password(RIGHT)], SMALL);
    field.run("n1", "echo 'ci ALL=(ALL NOPASSWD' >/etc/sudoers.d/broken; chmod 440 /etc/sudoers.d/broken");
    let none = field.apply();
    assert_eq!(none.code, 1, "{none}");
    assert!(none.trouble("n1").contains("sudo cannot read its rules"), "{none}");
    let trouble = none.of("trouble", Some("n1"))[0].to_string();
    assert!(trouble.contains("visudo -c") && trouble.contains("/etc/sudoers.d/broken"), "{trouble}");
    // With it sudo does what its other rules say.
    with_password(&field, RIGHT).assert_changed(2);
}
