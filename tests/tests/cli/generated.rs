//! What is made from the types: schemas, the manual, the pages of the reference.

use ostler::report::Exit;
use ostler_tests::house::root;
use ostler_tests::program::Desk;
use std::fmt::Write;

#[test]
fn schemas_are_valid_json_with_a_root() {
    let desk = Desk::new();
    for of in ["role", "nodes", "site", "image"] {
        let said = desk.run(&["schema", of]);
        assert_eq!(said.code, Some(0), "{of}: {said}");
        let schema: serde_json::Value = serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{of}: {error}"));
        assert!(schema["$schema"].as_str().is_some_and(|dialect| dialect.contains("json-schema.org")), "{of}");
        assert_eq!(schema["type"], "object", "{of}");
        assert_eq!(schema["additionalProperties"], false, "{of}: unknown keys are refused");
    }
}

#[test]
fn the_manual_is_a_page() {
    let desk = Desk::new();
    let said = desk.run(&["man"]);
    assert_eq!(said.code, Some(0), "{said}");
    assert!(said.out.contains(".TH ostler 1"), "{said}");
    assert_eq!(desk.run(&["man", "apply"]).code, Some(0));
    assert_eq!(desk.run(&["man", "aply"]).code, Some(2));
}

#[test]
fn every_code_is_explained() {
    let desk = Desk::new();
    let all = desk.run(&["explain"]);
    assert_eq!(all.code, Some(0), "{all}");
    let codes: Vec<&str> = all.out.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(codes.len() > 5, "{all}");
    for code in codes {
        let said = desk.run(&["explain", code]);
        assert_eq!(said.code, Some(0), "{said}");
        assert!(said.out.contains("try: "), "{code}: {said}");
    }
}

#[test]
fn the_page_of_exit_codes_is_fresh() {
    let mut page =
        "# Exit codes\n\nWritten by the program from its own table; a test keeps it fresh.\n\n| code | meaning |\n|---|---|\n".to_owned();
    for (exit, meaning) in Exit::TABLE {
        let _ = writeln!(page, "| {} | {meaning} |", exit.code());
    }
    page.push_str(
        "\nWith several nodes the weightiest code is the program's. From light to heavy: 0, 9, 5, 7, 4, 1, 6, 3, 8, 2, 130, 70. `ostler lab exec`\nends as the program that it ran.\n\n\
         A reader that closes standard output (`ostler apply | head`) changes neither the work nor the code: what goes on on the nodes is\n\
         followed to its end, in silence. Output that cannot be written for another reason, a full disk, makes 0 a 1.\n",
    );
    fresh("docs/reference/exit-codes.md", &page);
}

#[test]
fn the_order_of_weight_on_the_page_is_the_programs() {
    let by_weight = [0, 9, 5, 7, 4, 1, 6, 3, 8, 2, 130, 70];
    let of = |code: u8| Exit::TABLE.iter().find(|(exit, _)| exit.code() == code).map(|(exit, _)| *exit).expect("a code of the table");
    assert_eq!(by_weight.len(), Exit::TABLE.len());
    for pair in by_weight.windows(2) {
        assert_eq!(ostler::report::merge([of(pair[0]), of(pair[1])]), of(pair[1]), "{pair:?}");
    }
}

/// The variables stand in the docs of the fields of one struct: `/// `NAME`: what it does`.
#[test]
fn the_page_of_the_environment_is_fresh() {
    let source = std::fs::read_to_string(root().join("controller/src/environment.rs")).expect("the door to the environment");
    let mut page = "# Environment\n\nWritten by the program from the one file that reads the environment; a test keeps it fresh. Empty values count as unset, but\nfor `NO_COLOR` and `CI`, where only a value counts.\n\n| variable | meaning |\n|---|---|\n".to_owned();
    let mut rows = 0;
    for doc in source.lines().filter_map(|line| line.trim().strip_prefix("/// `")) {
        let Some((names, meaning)) = doc.split_once(": ") else { continue };
        let _ = writeln!(page, "| `{names} | {meaning} |");
        rows += 1;
    }
    assert!(rows > 10, "only {rows} variables were read");
    page.push_str(
        "\nTwins of flags: `OSTLER_SITE` (`--site`), `OSTLER_OUTPUT` (`--output`), `OSTLER_FORKS` (`--forks`). A flag is stronger.\n",
    );
    for twin in ["OSTLER_SITE", "OSTLER_OUTPUT", "OSTLER_FORKS"] {
        assert!(Desk::new().run(&["plan", "--help"]).out.contains(twin), "{twin}");
    }
    fresh("docs/reference/environment.md", &page);
}

#[test]
fn the_page_of_dib_options_is_fresh() {
    use ostler::image::dib::{HARMLESS, HONOURED, REFUSED, UNKNOWN_FORMATS};
    let mut page = "# Options of disk-image-create\n\nWritten by the program from its own tables; a test keeps it fresh. `ostler image dib` takes every option that\n\
                    disk-image-create 3.43 documents: each is honoured, harmless, or refused by its name. [The guide](../guide/images-nodepool.md).\n\n\
                    | option, variable or format | what becomes of it |\n|---|---|\n"
        .to_owned();
    for (how, table) in [("honoured", HONOURED), ("harmless", HARMLESS), ("refused", REFUSED), ("format refused", UNKNOWN_FORMATS)] {
        for (name, words) in table {
            let _ = writeln!(page, "| `{name}` | {how}: {words} |");
        }
    }
    page.push_str("\nOther variables `DIB_*` are for elements, which there are none of: the log names those that were set.\n");
    fresh("docs/reference/dib-options.md", &page);
}

#[test]
fn the_reference_of_the_command_line_is_fresh() {
    let desk = Desk::new();
    let mut page =
        "# The command line\n\nWritten by the program; a test keeps it fresh. Flags of every verb stand under `ostler` alone.\n".to_owned();
    for verb in super::help::VERBS {
        let arguments = [verb, &["--help"][..]].concat();
        let help = desk.run(&arguments).out;
        let own = if verb.is_empty() { help.as_str() } else { help.split("\nEverywhere:").next().unwrap_or_default() };
        let text: Vec<&str> = own.trim_end().lines().map(str::trim_end).collect();
        let _ = write!(page, "\n## `{}`\n\n```text\n{}\n```\n", format!("ostler {}", verb.join(" ")).trim_end(), text.join("\n"));
    }
    fresh("docs/reference/cli.md", &page);
}

fn fresh(name: &str, now: &str) {
    let file = root().join(name);
    if std::env::vars_os().any(|(name, _)| name == "BLESS") {
        std::fs::write(&file, now).expect("the page is written");
    }
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(kept, now, "{name} is stale: run this test with BLESS=1");
}
