//! The repository speaks of the product: no path of one machine, no host that packages come from.

use ostler_tests::house::{root, tracked};

/// Written in two halves, so that this file does not find itself.
const FOREIGN: &[(&str, &str)] = &[
    (concat!("/wo", "rk/"), "a path of one machine"),
    (concat!("/ho", "me/runner"), "a path of one machine"),
    (concat!("/roo", "t/.cargo"), "a path of one machine"),
    (concat!("/roo", "t/.pyenv"), "a path of one machine"),
    (concat!("crates", ".io/"), "a registry's host: the client's own configuration names it"),
    (concat!("pypi", ".org"), "a registry's host: the client's own configuration names it"),
    (concat!("python", "hosted.org"), "a registry's host: the client's own configuration names it"),
    (concat!("npmjs", ".org"), "a registry's host: the client's own configuration names it"),
    (concat!("docker", ".io"), "a registry's host: the client's own configuration names it"),
    (concat!("deb.debian", ".org"), "an archive's host: apt's own configuration names it"),
];

#[test]
fn no_tracked_file_names_a_registry_or_a_path_of_one_machine() {
    let mut found = Vec::new();
    for name in tracked() {
        // The lock file names the index that cargo resolved; recorded exchanges are kept as they were.
        if name == "Cargo.lock" || name.starts_with("tests/data/jenkins/") {
            continue;
        }
        let Ok(text) = std::fs::read_to_string(root().join(&name)) else { continue };
        for (number, line) in text.lines().enumerate() {
            for (word, why) in FOREIGN {
                if line.contains(word) {
                    found.push(format!("{name}:{}: `{word}`: {why}", number + 1));
                }
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn no_tracked_file_holds_both_sides_of_a_merge() {
    let marks = ["<".repeat(7) + " ", ">".repeat(7) + " "];
    for name in tracked() {
        let Ok(text) = std::fs::read_to_string(root().join(&name)) else { continue };
        let line = text.lines().position(|line| marks.iter().any(|mark| line.starts_with(mark.as_str())));
        assert_eq!(line, None, "{name}: a merge was left half done");
    }
}

#[test]
fn every_relative_link_in_the_docs_leads_somewhere() {
    let mut broken = Vec::new();
    for name in tracked().into_iter().filter(|name| name.ends_with(".md")) {
        let text = std::fs::read_to_string(root().join(&name)).expect("a tracked file");
        let directory = root().join(&name).parent().expect("a file has a directory").to_owned();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap_or_default();
            if file.is_empty() || target.contains("://") || target.contains(' ') {
                continue;
            }
            if !directory.join(file).exists() {
                broken.push(format!("{name}: {target}"));
            }
        }
    }
    assert!(broken.is_empty(), "links to nothing:\n{}", broken.join("\n"));
}
