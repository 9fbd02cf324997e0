//! What a node says steers nobody's terminal, wherever it is shown.

use super::field;
use ostler_tests::e2e::{Field, Ran};
use ostler_tests::terminal::Terminal;

const ROLE: &str = r#"role: demo
summary: A file that is there with other words, and a program that speaks and fails.
steps:
  - file: {path: /etc/demo-one, content: "one\n"}
  - command: {name: say, run: [/srv/say], creates: /srv/never}
"#;

/// For printf(1): a title (OSC), a wipe of the screen (CSI), the same by one C1 character, a turn of the reading direction.
const STEERS: &str = r"\033]0;owned\007\033[2J\302\2332J\342\200\256";

/// All that this node says of itself goes wherever it can: files, outputs, the banner, facts.
fn hostile() -> Field {
    let field = field(1, ROLE);
    let says = |word: &str| format!("printf '{word}{STEERS}\\n'");
    field.run("n1", &format!("{} >/etc/demo-one", says("OLD")));
    let script = format!("#!/bin/sh\n{}\n{} >&2\nexit 3\n", says("OUT"), says("ERR"));
    field.lab().node_command("n1", ["tee", "/srv/say", "/srv/shell"]).input(script.as_str()).output().expect("written");
    field.run("n1", "chmod 755 /srv/say /srv/shell && cp --remove-destination /usr/lib/os-release /etc/os-release");
    for (fact, word) in [("VERSION_CODENAME", "CODE"), ("ID", "SYSTEM")] {
        field.run("n1", &format!("sed -i '/^{fact}=/d' /etc/os-release; printf '{fact}=\"{word}{STEERS}\"\\n' >>/etc/os-release"));
    }
    field.run("n1", &format!("{} >/srv/banner; echo 'Banner /srv/banner' >/etc/ssh/sshd_config.d/banner.conf", says("BANNER")));
    field.run("n1", "systemctl reload ssh");
    field
}

/// The lines that would do something to a terminal.
fn steering(ran: &Ran) -> Vec<String> {
    let does = |c: char| c.is_control() || c == '\u{202e}';
    let lines = ran.stdout.lines().chain(ran.stderr.lines());
    lines.filter(|line| line.contains(does)).map(|line| format!("{line:?}")).collect()
}

#[test]
fn no_word_of_a_node_steers_a_terminal_wherever_it_is_shown() {
    let field = hostile();
    let mut steers = Vec::new();
    let mut look = |words: &[&str], shown: &[&str]| {
        for output in ["human", "json"] {
            let ran = field.ostler(words.iter().chain(&["--output", output]));
            for word in shown {
                assert!(ran.stdout.contains(word) || ran.stderr.contains(word), "{word} is not shown: {ran}");
            }
            steers.extend(steering(&ran));
        }
    };
    look(&["plan", "-D"], &["OLD", "BANNER"]);
    look(&["apply", "--yes", "-v"], &["OUT", "ERR"]);
    look(&["nodes", "--facts"], &["CODE", "SYSTEM"]);
    let mut terminal = Terminal::start(&field.call(["apply", "--yes"]));
    terminal.end();
    terminal.wait_for("ERR");
    field.write("roles/demo.yaml", &ROLE.replace("steps:", "require:\n  - system: {any_of: [debian-13]}\nsteps:"));
    look(&["check"], &["SYSTEM"]);
    field.run("n1", "usermod -s /srv/shell admin");
    look(&["check"], &["ERR"]);
    let seen = terminal.said();
    let escaped =
        ["\u{1b}]0;", "\u{9b}", "\u{202e}"].iter().filter(|steer| seen.contains(**steer)).map(|steer| format!("terminal: {steer:?}"));
    steers.extend(escaped);
    assert!(steers.is_empty(), "{}", steers.join("\n"));
}
