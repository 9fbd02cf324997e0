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

/// Compares what a first run left alone with the reviewed list, by steps (`TEST: ROLE KIND#NTH  # why`: nothing of the step changed, or it
/// was left out) and by resources (`TEST: NODE: KIND KEY  # why`: it was so already).
///
/// # Panics
/// When a step or resource is skipped that is not listed, or listed and not skipped.
pub fn assert_skips_are_reviewed(test: &str, ran: &[(&Ran, &str)], roles: &[&str]) {
    let changed: Vec<String> = ran.iter().flat_map(|(ran, node)| ran.places(node)).collect();
    let all = roles.iter().flat_map(|role| steps(role));
    let steps = all.filter(|(place, _)| !changed.contains(place)).map(|(_, name)| name);
    let resources = ran.iter().flat_map(|(ran, node)| ran.unchanged(node).into_iter().map(move |id| format!("{node}: {id}")));
    let skipped: Vec<String> = steps.chain(resources).collect();
    let told: String = ran.iter().map(|(ran, _)| ran.told()).collect();
    assert!(ran.iter().all(|(ran, node)| !ran.changed(node).is_empty()), "a run without a change skips everything: {told}");
    assert_eq!(skipped, reviewed(test), "what changed nothing, and tests/data/roles/skipped.txt: {told}");
}

/// Lines of the reviewed list: the test's label, and what it skips.
#[must_use]
pub fn reviewed_lines() -> Vec<(String, String)> {
    #[expect(clippy::expect_used, reason = "test support: the reviewed list is part of the test")]
    let list = std::fs::read_to_string(data().join("roles/skipped.txt")).expect("the reviewed list");
    let lines = list.lines().skip(1).filter(|line| !line.trim().is_empty());
    #[expect(clippy::expect_used, reason = "test support: a line without its reason is not reviewed")]
    let read = lines.map(|line| line.split_once("  # ").filter(|(_, why)| !why.is_empty()).expect(line).0);
    read.filter_map(|line| line.split_once(": ")).map(|(test, skip)| (test.to_owned(), skip.trim().to_owned())).collect()
}

fn reviewed(test: &str) -> Vec<String> {
    reviewed_lines().into_iter().filter(|(label, _)| label == test).map(|(_, skip)| skip).collect()
}

/// Names of the roles of the library.
#[must_use]
pub fn roles() -> Vec<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../roles/library/roles");
    #[expect(clippy::expect_used, reason = "test support: the library is there")]
    let files = std::fs::read_dir(path).expect("the library").flatten();
    let names = files.filter_map(|file| file.file_name().to_str()?.strip_suffix(".yaml").map(str::to_owned));
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}
