//! Commit subjects: `room: What changes`, at most 60 characters.

use ostler_tests::house::root;
use std::process::Command;

const LONGEST: usize = 60;

/// Subjects that stand in the history and break the rule.
const KEPT: &str = include_str!("../../data/house/commit-subjects-kept.txt");

fn fault(subject: &str) -> Option<&'static str> {
    let Some((room, what)) = subject.split_once(": ") else { return Some("no `room: `") };
    if room.is_empty() || !room.chars().all(|c| c.is_ascii_lowercase() || matches!(c, '-' | '_' | '.')) {
        return Some("the room is one lower-case word");
    }
    // A name is written as it is: `git-server`, `master.cfg`.
    let name = what.split(' ').next().is_some_and(|word| word.contains(['-', '_', '.']));
    if what.starts_with(|c: char| c.is_ascii_lowercase()) && !name {
        return Some("what changes begins with a capital");
    }
    if subject.ends_with('.') {
        return Some("a subject has no full stop");
    }
    (subject.chars().count() > LONGEST).then_some("longer than 60 characters")
}

#[test]
fn the_last_200_commits_say_room_and_change_in_60_characters() {
    let log = Command::new("git").args(["log", "-200", "--no-merges", "--format=%s"]).current_dir(root()).output();
    let Some(log) = log.ok().filter(|output| output.status.success()) else {
        println!("not a git checkout: no commit was looked at");
        return;
    };
    let text = String::from_utf8_lossy(&log.stdout).into_owned();
    let wrong: Vec<String> = text
        .lines()
        .filter(|subject| !KEPT.lines().any(|kept| kept == *subject))
        .filter_map(|subject| fault(subject).map(|fault| format!("{subject}\n    {fault}")))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_wrong_subject_is_seen() {
    assert_eq!(fault("no room at all"), Some("no `room: `"));
    assert_eq!(fault("Lab: Start"), Some("the room is one lower-case word"));
    assert_eq!(fault("lab: start"), Some("what changes begins with a capital"));
    assert_eq!(fault("lab: Start."), Some("a subject has no full stop"));
    assert_eq!(fault(&format!("lab: {}", "S".repeat(60))), Some("longer than 60 characters"));
    assert_eq!(fault("git_cache: master.cfg is kept"), None);
    assert_eq!(fault("lab: Start nodes in a holder process"), None);
}
