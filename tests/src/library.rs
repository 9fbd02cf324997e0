//! The role library as tests see it: its steps, and which of them a run left alone.

use std::path::PathBuf;

use crate::site::{Ran, data};

/// Steps of library roles, by place and name: `library/roles/base.yaml:10:5` is `base package#1`.
fn steps(role: &str) -> Vec<(String, String)> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../roles/library/roles/{role}.yaml"));
    #[expect(clippy::expect_used, reason = "test support: a role of the library that is not there stops the test")]
    let text = std::fs::read_to_string(path).expect("a role of the library");
    let lines = text.lines().enumerate().skip_while(|(_, line)| *line != "steps:").skip(1);
    let own = lines.take_while(|(_, line)| line.starts_with([' ', '#']) || line.is_empty());
    let mut found: Vec<(String, String)> = Vec::new();
    for (index, line) in own {
        let Some(kind) = line.strip_prefix("  - ").and_then(|rest| rest.split_once(':')).map(|(kind, _)| kind) else { continue };
        let nth = found.iter().filter(|(_, name)| name.starts_with(&format!("{role} {kind}#"))).count() + 1;
        found.push((format!("library/roles/{role}.yaml:{}:5", index + 1), format!("{role} {kind}#{nth}")));
    }
    found
}

/// Compares the steps of these roles that changed nothing in a first run with the reviewed list: `TEST: STEP  # why`.
///
/// # Panics
/// When a step is skipped that is not listed, or listed and not skipped.
pub fn assert_skips_are_reviewed(test: &str, ran: &[(&Ran, &str)], roles: &[&str]) {
    let changed: Vec<String> = ran.iter().flat_map(|(ran, node)| ran.places(node)).collect();
    let all = roles.iter().flat_map(|role| steps(role));
    let skipped: Vec<String> = all.filter(|(place, _)| !changed.contains(place)).map(|(_, name)| name).collect();
    #[expect(clippy::expect_used, reason = "test support: the reviewed list is part of the test")]
    let list = std::fs::read_to_string(data().join("roles/skipped.txt")).expect("the reviewed list");
    let lines = list.lines().map(|line| line.split("  #").next().unwrap_or(line).trim());
    let reviewed: Vec<&str> = lines.filter_map(|line| line.strip_prefix(&format!("{test}: "))).collect();
    assert_eq!(skipped, reviewed, "steps that changed nothing, and tests/data/roles/skipped.txt");
}
