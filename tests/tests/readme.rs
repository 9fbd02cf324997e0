//! What README and docs claim: commands that parse, targets that exist, tests that are there.

use clap::Parser;
use ostler::cli::Cli;
use ostler_tests::house::{root, tracked};
use ostler_tests::program::Desk;
use std::collections::BTreeSet;

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Pages for users: README and the guides.
fn pages() -> Vec<String> {
    tracked().into_iter().filter(|name| name == "README.md" || (name.starts_with("docs/") && name.ends_with(".md"))).collect()
}

#[test]
fn every_command_in_the_docs_parses() {
    let mut count = 0;
    for page in pages() {
        for line in read(&page).lines() {
            let line = line.trim().trim_start_matches("$ ");
            let command = line
                .split(" #")
                .next()
                .unwrap_or_default()
                .split(" > ")
                .next()
                .unwrap_or_default()
                .split(" <")
                .next()
                .unwrap_or_default()
                .split("   ")
                .next()
                .unwrap_or_default();
            if !command.starts_with("ostler ") || command.contains('|') || command.contains("...") {
                continue;
            }
            let words: Vec<&str> = command.split_whitespace().collect();
            if let Err(error) = Cli::try_parse_from(&words) {
                let harmless = matches!(error.kind(), clap::error::ErrorKind::DisplayHelp | clap::error::ErrorKind::DisplayVersion);
                assert!(harmless, "{page}: `{command}`: {error}");
            }
            count += 1;
        }
    }
    assert!(count > 15, "only {count} commands were read");
}

#[test]
fn every_make_target_in_the_readme_exists() {
    let makefile = read("Makefile");
    let readme = read("README.md");
    let targets: BTreeSet<&str> = readme
        .split("make ")
        .skip(1)
        .filter_map(|rest| rest.split(|c: char| !c.is_ascii_lowercase()).next())
        .filter(|word| !word.is_empty())
        .collect();
    assert!(targets.contains("demo") && targets.contains("test"), "{targets:?}");
    for target in ["demo", "test"] {
        assert!(makefile.contains(&format!("\n{target}: ")), "no target `{target}`");
    }
}

#[test]
fn the_role_of_the_readme_lints() {
    let readme = read("README.md");
    let (_, rest) = readme.split_once("```yaml\n").expect("a role");
    let (role, _) = rest.split_once("```").expect("its end");
    let desk = Desk::new().with_site();
    desk.write("roles/first.yaml", role);
    let said = desk.run(&["lint"]);
    assert_eq!(said.code, Some(0), "{said}");
}

#[test]
fn every_test_that_the_docs_name_exists() {
    let files = tracked();
    let mut known = String::new();
    for name in files.iter().filter(|name| name.ends_with(".rs")) {
        known.push_str(&read(name));
    }
    let page = read("docs/breaking.md");
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| ") && line.contains("` |")).collect();
    assert!(rows.len() >= 30, "only {} attempts", rows.len());
    let mut missing = Vec::new();
    for row in rows {
        let held = row.trim_end_matches(" |").rsplit(" | ").next().unwrap_or_default();
        // Between backticks: a test's name, or the file of several.
        for name in held.split('`').skip(1).step_by(2) {
            let is_there =
                if name.ends_with(".rs") { files.iter().any(|file| file.ends_with(name)) } else { known.contains(&format!("fn {name}(")) };
            if !is_there {
                missing.push(name);
            }
        }
    }
    assert!(missing.is_empty(), "docs/breaking.md names tests that are not there: {missing:?}");
    let page = read("docs/mutations.md");
    let first_cells = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |")).map(|(name, _)| name);
    let is_name = |name: &&str| name.matches('_').count() > 2 && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    let named: Vec<&str> = first_cells.filter(is_name).collect();
    assert!(named.len() > 100, "only {} names", named.len());
    let missing: Vec<&str> = named.into_iter().filter(|name| !known.contains(&format!("fn {name}("))).collect();
    assert!(missing.is_empty(), "docs/mutations.md names tests that are not there: {missing:?}");
}

#[test]
fn the_figures_that_the_readme_quotes_are_those_of_the_tests() {
    let readme = read("README.md");
    let jenkins = read("docs/jenkins.md");
    for figure in ["415", "439", "2.532"] {
        assert!(readme.contains(figure) && jenkins.contains(figure), "{figure}");
    }
    let wheels = read("roles/library/files/buildbot/master-requirements.txt");
    assert!(wheels.contains("buildbot==4.3."), "README says Buildbot 4.3");
    assert!(read("rust-toolchain.toml").contains("1.95") && readme.contains("Rust 1.95"));
    let kept = read("docs/decisions/0003-yaml-readers.md");
    assert!(kept.contains("foreign.rs") && root().join("controller/src/inventory/foreign.rs").is_file());
}

/// The fixed words of what `README.md` shows. They stand in the program too, so that nobody changes the one without the other.
#[test]
fn the_program_still_says_what_the_readme_shows() {
    let readme = read("README.md");
    let (shown, _) = readme.split_once("## Install").expect("the transcript comes first");
    let sources: String = tracked()
        .iter()
        .filter(|name| name.starts_with("controller/src/") || name.starts_with("roles/src/"))
        .map(|name| read(name))
        .collect();
    for words in [
        "wanted:",
        "found:",
        "try:",
        " and this plan writes ",
        "Nothing was changed anywhere.",
        "smoke job runs: ",
        "smoke job green",
        "attaching labels (",
        "labelled",
        "Nothing to change. ",
        " verified in ",
        " to change, ",
        " may change",
        "Nothing was changed.",
    ] {
        assert!(shown.contains(words), "README does not show `{words}` any more");
        assert!(sources.contains(words), "the program does not say `{words}` any more, and README shows it");
    }
}
