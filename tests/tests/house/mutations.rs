//! Each end-to-end test has a change of the product that turned it red, written down in `docs/mutations.md` under its name.

use ostler_tests::house::{root, tracked};
use std::collections::BTreeSet;

/// Test programs that run the whole product on real nodes and masters.
const END_TO_END: &[&str] = &["agent", "buildbot", "image", "jenkins_apply", "kinds", "lab", "nodepool", "nodes", "roles"];

/// Names of the tests in a test program: `tests/tests/NAME.rs` and what lies below `tests/tests/NAME/`.
fn tests_of(program: &str) -> BTreeSet<String> {
    let (file, below) = (format!("tests/tests/{program}.rs"), format!("tests/tests/{program}/"));
    let sources = tracked().into_iter().filter(|name| *name == file || name.starts_with(&below) && name.ends_with(".rs"));
    let mut names = BTreeSet::new();
    for source in sources {
        let text = std::fs::read_to_string(root().join(source)).expect("a tracked file");
        // What is not run yet cannot have been seen red.
        for item in text.replace("#[tokio::test]\n", "#[test]\n").split("#[test]\n").skip(1).filter(|item| !item.starts_with("#[ignore")) {
            let name = item.split_once("fn ").and_then(|(_, rest)| rest.split_once('(')).map(|(name, _)| name.to_owned());
            names.insert(name.expect("a test is a function"));
        }
    }
    names
}

/// The rows of a program's section: what its first cell names, in backticks or in words, and the mutation.
fn rows_of<'a>(page: &'a str, program: &str) -> Vec<(Vec<String>, &'a str)> {
    let heading = format!("tests/{program}.rs`");
    let section = page.split("\n## ").find(|section| section.lines().next().is_some_and(|line| line.contains(&heading)));
    let rows = section.unwrap_or_default().lines().filter(|line| !line.starts_with("| |"));
    let rows = rows.filter_map(|line| line.strip_prefix("| ")?.split_once(" | "));
    let word = |name: &str| {
        let kept = name.chars().filter(|letter| letter.is_ascii_alphanumeric() || matches!(letter, ' ' | '_'));
        kept.collect::<String>().trim().to_ascii_lowercase().replace(' ', "_")
    };
    let named = rows.map(|(names, rest)| {
        let names = if names.contains('`') { names.split(", ").map(word).collect() } else { vec![word(names)] };
        (names, rest.split(" | ").next().unwrap_or_default().trim())
    });
    named.filter(|(names, _)| names != &["test"] && names != &[""]).collect()
}

#[test]
fn every_end_to_end_test_has_its_recorded_mutation() {
    let page = std::fs::read_to_string(root().join("docs/mutations.md")).expect("the page");
    let mut faults = Vec::new();
    for program in END_TO_END {
        let tests = tests_of(program);
        assert!(tests.len() > 2, "{program}: {tests:?}");
        let rows = rows_of(&page, program);
        let named: BTreeSet<String> = rows.iter().filter(|(_, mutation)| mutation.len() > 5).flat_map(|(names, _)| names.clone()).collect();
        faults.extend(tests.difference(&named).map(|name| format!("tests/tests/{program}.rs: `{name}` has no row in docs/mutations.md")));
        faults.extend(named.difference(&tests).map(|name| format!("docs/mutations.md: `{name}` is no test of tests/tests/{program}.rs")));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
