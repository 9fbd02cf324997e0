//! Files and functions stay small; so does the agent.

use ostler_tests::house::{functions, production, root, tracked};

const CRATES: [&str; 4] = ["agent", "controller", "roles", "tests"];
const FILE_LINES: usize = 500;
const FUNCTION_LINES: usize = 80;
const AGENT_BYTES: u64 = 6 * 1024 * 1024;

/// Functions that are longer today, each with its reason.
const LONG_FUNCTIONS: &[(&str, &str, &str)] = &[];

#[test]
fn no_file_has_more_than_500_lines_of_production_code() {
    let long: Vec<String> = CRATES
        .iter()
        .flat_map(|krate| production(krate))
        .filter(|source| source.lines > FILE_LINES)
        .map(|source| format!("{}: {} lines", source.name, source.lines))
        .collect();
    assert!(long.is_empty(), "too long, at most {FILE_LINES}:\n{}", long.join("\n"));
}

/// Sources that are tests as a whole: all of their lines count.
#[test]
fn no_file_of_tests_has_more_than_500_lines() {
    let files = tracked()
        .into_iter()
        .filter(|name| name.ends_with(".rs") && CRATES.iter().any(|krate| name.starts_with(&format!("{krate}/tests/"))));
    let lines = |name: &String| std::fs::read_to_string(root().join(name)).expect("a tracked file").lines().count();
    let long: Vec<String> = files
        .map(|name| (lines(&name), name))
        .filter(|(lines, _)| *lines > FILE_LINES)
        .map(|(lines, name)| format!("{name}: {lines} lines"))
        .collect();
    assert!(long.is_empty(), "too long, at most {FILE_LINES}:\n{}", long.join("\n"));
}

#[test]
fn no_function_has_more_than_80_lines() {
    let mut long = Vec::new();
    for source in CRATES.iter().flat_map(|krate| production(krate)) {
        for (name, lines) in functions(&source.code) {
            let known = LONG_FUNCTIONS.iter().any(|(file, function, _)| *file == source.name && *function == name);
            if lines > FUNCTION_LINES && !known {
                long.push(format!("{}: fn {name}: {lines} lines", source.name));
            }
        }
    }
    assert!(long.is_empty(), "too long, at most {FUNCTION_LINES}:\n{}", long.join("\n"));
}

#[test]
fn every_file_says_in_its_first_line_what_it_is_for() {
    let mut silent = Vec::new();
    for source in CRATES.iter().flat_map(|krate| production(krate)) {
        let text = std::fs::read_to_string(root().join(&source.name)).expect("a tracked file");
        if !text.starts_with("//! ") {
            silent.push(source.name);
        }
    }
    assert!(silent.is_empty(), "no `//!` head line:\n{}", silent.join("\n"));
}

/// The agent that `make agent` built, when there is one: it travels to each node, so it stays small.
#[test]
fn the_static_agent_fits_in_six_megabytes() {
    let triple = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let file = root().join("target/agent-static").join(triple).join("agent/ostler-agent");
    match std::fs::metadata(&file) {
        Ok(metadata) => {
            println!("agent: {} bytes", metadata.len());
            assert!(metadata.len() <= AGENT_BYTES, "{} has {} bytes, at most {AGENT_BYTES}", file.display(), metadata.len());
        }
        Err(_) => println!("no {}: not measured (`make agent` builds it)", file.display()),
    }
}
