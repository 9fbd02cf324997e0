//! Printing, ending, the environment, children and files have their doors; everything else goes through them.

use ostler_tests::house::{blanked, production, root, tracked};

/// (crate, what is named, where it may stand)
type Door = (&'static str, &'static str, &'static [&'static str]);

const DOORS: &[Door] = &[
    ("controller", "println!", &["controller/src/report/printer.rs"]),
    ("controller", "eprintln!", &["controller/src/report/printer.rs"]),
    ("controller", "print!(", &["controller/src/report/printer.rs"]),
    ("agent", "println!", &["agent/src/program.rs"]),
    ("agent", "eprintln!", &["agent/src/program.rs"]),
    ("roles", "println!", &[]),
    ("roles", "eprintln!", &[]),
    // A closed pipe; the code of the program that `lab exec` ran; a person's third Ctrl-C.
    ("controller", "process::exit", &["controller/src/command/lab.rs", "controller/src/command/interrupt.rs"]),
    ("roles", "process::exit", &[]),
    // `lab exec` hands the whole environment on to the program that it runs.
    ("controller", "env::var", &["controller/src/environment.rs", "controller/src/lab/command.rs"]),
    ("roles", "env::var", &[]),
    // Besides the host: the three places that start this very program again (runner, tail, root half).
    ("agent", "Command::new", &["agent/src/host/", "agent/src/engine/detach.rs", "agent/src/program.rs", "agent/src/session/escalate.rs"]),
    ("agent", "std::fs::write", &["agent/src/host/", "agent/src/engine/"]),
];

#[test]
fn printing_ending_and_the_environment_have_their_doors() {
    let mut strays = Vec::new();
    for (krate, name, places) in DOORS {
        for source in production(krate) {
            let allowed = places.iter().any(|place| source.name.starts_with(place));
            if !allowed
                && source.code.match_indices(name).any(|(at, _)| !source.code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
            {
                strays.push(format!("{}: `{name}`", source.name));
            }
        }
    }
    assert!(strays.is_empty(), "outside its door:\n{}", strays.join("\n"));
}

#[test]
fn nothing_is_left_to_be_done() {
    for name in tracked().iter().filter(|name| name.ends_with(".rs")) {
        let code = blanked(&std::fs::read_to_string(root().join(name)).expect("a tracked file"));
        for word in ["todo!", "unimplemented!"] {
            assert!(!code.contains(word), "{name}: `{word}`");
        }
    }
}

#[test]
fn every_test_file_is_compiled_and_has_tests() {
    let mut forgotten = Vec::new();
    let names = tracked();
    let read = |name: &str| std::fs::read_to_string(root().join(name)).expect("a tracked file");
    for name in names.iter().filter(|name| name.starts_with("tests/tests/") && name.ends_with(".rs")) {
        let parts: Vec<&str> = name.trim_start_matches("tests/tests/").trim_end_matches(".rs").split('/').collect();
        match parts[..] {
            [top] => {
                let below = format!("tests/tests/{top}/");
                let tests = names.iter().filter(|other| *other == name || other.starts_with(&below)).any(|other| has_tests(&read(other)));
                if !tests {
                    forgotten.push(format!("{name}: no test"));
                }
            }
            [top, .., last] => {
                let parent = read(&format!("tests/tests/{top}.rs"));
                // A table of tests that is compiled under another name, perhaps more than once.
                let by_path = |file: &str| parent.contains(&format!("#[path = \"{}\"]", file.trim_start_matches("tests/tests/")));
                let tables = names.iter().filter(|other| *other != name && by_path(other)).map(|other| read(other));
                let named = by_path(name)
                    || tables.chain([parent.clone()]).any(|table| table.contains(&format!("mod {last};")))
                    || (parts.len() > 2 && parent.contains(&format!("mod {};", parts[1])));
                if !named {
                    forgotten.push(format!("{name}: no `mod {last};` in tests/tests/{top}.rs"));
                }
            }
            [] => {}
        }
    }
    assert!(forgotten.is_empty(), "{}", forgotten.join("\n"));
}

fn has_tests(text: &str) -> bool {
    text.contains("#[test]") || text.contains("#[tokio::test")
}
