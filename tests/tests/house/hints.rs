//! What a failure on a node tells to try can be pasted: no name is left to fill in.

use ostler_tests::house::{root, tracked};

/// Where a node's failures get their hints.
const ROOMS: &[&str] = &[
    "agent/src/",
    "roles/src/resource/",
    "roles/src/check/",
    "controller/src/session/",
    "controller/src/transport/",
    "controller/src/fleet/",
    "controller/src/masters/",
    "controller/src/registration/",
    "controller/src/report/",
];
/// The table whose names are filled in from the failure (`no_cause_is_shown_with_a_name_to_fill_in`).
const FILLED: &str = "controller/src/report/cause";
/// What people write for a name that the reader is to fill in.
const PLACEHOLDERS: &[&str] = &[
    "ACCOUNT",
    "ADDRESS",
    "DEVICE",
    "DIR",
    "DIRECTORY",
    "FILE",
    "GROUP",
    "HOST",
    "HOSTNAME",
    "LABEL",
    "LOGIN",
    "MASTER",
    "NAME",
    "NODE",
    "PACKAGE",
    "PATH",
    "PORT",
    "PROGRAM",
    "REPOSITORY",
    "ROLE",
    "SERVER",
    "SERVICE",
    "UNIT",
    "URL",
    "USER",
    "VERSION",
    "WORKER",
];

#[test]
fn no_hint_of_a_node_holds_a_name_to_fill_in() {
    let mut found = Vec::new();
    let of_a_room = |name: &String| ROOMS.iter().any(|room| name.starts_with(room)) && name.ends_with(".rs");
    for name in tracked().into_iter().filter(|name| of_a_room(name) && !name.starts_with(FILLED) && !name.contains("/tests")) {
        let text = std::fs::read_to_string(root().join(&name)).expect("a tracked file");
        let product = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        for line in product.lines().filter(|line| !line.trim_start().starts_with("//")) {
            // Every second piece is between quotes.
            for literal in line.split('"').skip(1).step_by(2).filter(|literal| literal.contains(' ')) {
                found.extend(to_fill_in(literal).map(|word| format!("{name}: `{word}` in \"{literal}\"")));
            }
        }
    }
    assert!(found.is_empty(), "fill in what is known, or leave the command out:\n{}", found.join("\n"));
}

/// A placeholder that stands by itself. "The URL" is English, `{PROGRAM}` is filled in.
fn to_fill_in(text: &str) -> Option<&str> {
    let words: Vec<&str> = text.split(|c: char| !c.is_alphanumeric() && !"{}_$".contains(c)).filter(|word| !word.is_empty()).collect();
    let is_english = |at: usize| at > 0 && ["the", "a", "an", "this", "that"].contains(&words[at - 1].to_lowercase().as_str());
    (0..words.len()).find(|at| PLACEHOLDERS.contains(&words[*at]) && !is_english(*at)).map(|at| words[at])
}

#[test]
fn a_name_to_fill_in_is_told_from_english_and_from_what_is_filled_in() {
    for text in ["chage -l LOGIN", "LOGIN all", "git ls-remote URL", "apt-mark unhold NAME, or drop it", "LOGIN ALL=(ALL) NOPASSWD: ALL"] {
        assert!(to_fill_in(text).is_some(), "{text}");
    }
    for text in ["check the URL", "{PROGRAM} -T", "THE HOST KEY HAS CHANGED: it", "check the URLs and the route", "say $PATH to it"] {
        assert_eq!(to_fill_in(text), None, "{text}");
    }
}
