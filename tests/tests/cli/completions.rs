//! Completions, taken in by the shells that they are for: what a person gets for a tab.

use super::help::VERBS;
use ostler_tests::program::Desk;
use ostler_tests::terminal::Terminal;
use std::process::{Command, Stdio};

/// What is typed, and all that may stand there.
const CASES: &[(&str, &[&str])] = &[
    ("ostler ap", &["apply"]),
    ("ostler lab", &["lab"]),
    ("ostler man", &[]),
    ("ostler plan --det", &["--detailed-exitcode"]),
    ("ostler cancel --fo", &[]),
    ("ostler plan -v --output j", &["json"]),
    ("ostler --output json che", &["check"]),
    ("ostler secret sh", &["show-recipients"]),
    ("ostler secret set --generate ", &["ed25519", "password"]),
    ("ostler schema ", &["image", "nodes", "role", "site"]),
    ("ostler completions z", &["zsh"]),
];

/// A shell in a desk that holds the script for it.
fn shell(desk: &Desk, name: &str, options: &[&str], script: &str) -> Command {
    let said = desk.run(&["completions", name]);
    assert_eq!(said.code, Some(0), "{name}: {said}");
    desk.write("completions", said.out);
    desk.write("script", script);
    let mut command = Command::new(name);
    command.args(options).current_dir(desk.at("")).env_clear();
    command.env("PATH", "/usr/bin:/bin").env("HOME", desk.path().join("home")).env("LANG", "C.UTF-8").stdin(Stdio::null());
    command
}

fn lines(command: &mut Command) -> Vec<String> {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; `make setup` installs every shell"));
    let said = String::from_utf8(output.stdout).expect("text");
    assert!(output.status.success() && output.stderr.is_empty(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    said.lines().map(str::to_owned).collect()
}

fn verbs() -> Vec<&'static str> {
    let mut verbs: Vec<&str> = VERBS.iter().filter(|words| words.len() == 1).map(|words| words[0]).chain(["help"]).collect();
    verbs.sort_unstable();
    verbs
}

#[test]
fn bash_completes_verbs_flags_and_values() {
    let desk = Desk::new();
    let script = r#"
source completions
read -ra COMP_WORDS <<< "$1"
[[ $1 == *" " ]] && COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_ostler ostler "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
printf '%s\n' "${COMPREPLY[@]}"
"#;
    for (typed, wanted) in CASES.iter().chain(&[("ostler ", verbs().as_slice())]) {
        // Flags may stand wherever a word may.
        let mut said = lines(shell(&desk, "bash", &["--norc", "script"], script).arg(typed));
        said.retain(|word| !word.is_empty() && (!word.starts_with('-') || typed.contains(" --")));
        said.sort_unstable();
        assert_eq!(said, *wanted, "{typed}");
    }
}

#[test]
fn fish_completes_verbs_flags_and_values() {
    let desk = Desk::new();
    // Of nothing, nothing is replaced: that is no failure.
    let script = "source completions; complete --do-complete $argv[1] | string replace --regex '\\t.*' ''; true";
    for (typed, wanted) in CASES.iter().chain(&[("ostler ", verbs().as_slice())]) {
        let mut said = lines(shell(&desk, "fish", &["--no-config", "script"], script).arg(typed));
        said.sort_unstable();
        assert_eq!(said, *wanted, "{typed}");
    }
}

#[test]
fn zsh_completes_verbs_flags_and_values() {
    let desk = Desk::new();
    // Ctrl-X shows the line as it stands; a second of several candidates is taken by a second tab.
    let script = r#"PS1=; setopt menu_complete; autoload -Uz compinit; compinit -u -D; source ./completions
show() { print -r -- "<$BUFFER>"; BUFFER=; zle reset-prompt }; zle -N show; bindkey '^X' show; print rea''dy
"#;
    let command = shell(&desk, "zsh", &["-f", "-i"], script);
    let mut terminal = Terminal::start(&command);
    terminal.types("source ./script\n");
    terminal.wait_for("ready");
    for (typed, wanted) in CASES {
        for (number, word) in wanted.iter().enumerate() {
            let start = typed.rsplit_once(' ').map_or("", |(start, _)| start);
            terminal.types(&format!("{typed}{}\u{18}", "\t".repeat(number + 1)));
            // One alone is ended with a blank.
            terminal.wait_for(&format!("<{start} {word}{}>", if wanted.len() == 1 { " " } else { "" }));
        }
        if wanted.is_empty() {
            terminal.types(&format!("{typed}\t\u{18}"));
            terminal.wait_for(&format!("<{typed}>"));
        }
    }
    terminal.types("exit\n");
    assert_eq!(terminal.end(), 0, "{}", terminal.said());
}
