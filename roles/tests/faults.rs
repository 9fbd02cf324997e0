//! What people read when something they wrote is wrong: each `data/faults/NAME.yaml` gives exactly `NAME.txt`.
//!
//! A case holds one or more files, each begun by `# file: PATH` (that line is the file's first). `BLESS=1` writes the
//! expected texts anew; read the difference before you keep it.
#![cfg(feature = "author")]
#![expect(clippy::disallowed_methods, reason = "`BLESS=1` is how expected texts are written")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot read its case has failed")]

use std::fs;
use std::path::{Path, PathBuf};

use ostler_roles::author::compile::Site;
use ostler_roles::author::diagnostic::{Faults, RenderStyle};
use ostler_roles::author::graph::Roles;
use ostler_roles::author::source::{Source, Tree};
use ostler_roles::author::{lower, references};

/// Splits a case into its files.
fn files(case: &str) -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> = Vec::new();
    for line in case.split_inclusive('\n') {
        if let Some(name) = line.strip_prefix("# file: ") {
            files.push((name.trim().to_owned(), String::new()));
        }
        files.last_mut().expect("a case begins with `# file:`").1.push_str(line);
    }
    files
}

/// All faults of a case's files, and of their names across files once all of them can be read.
fn judge(case: &str) -> Faults {
    let mut faults = Faults::new();
    let (mut roles, mut site, mut nodes) = (Vec::new(), None, None);
    let (mut images, mut named) = (Vec::new(), Vec::new());
    for (name, text) in files(case) {
        let tree = if name.starts_with("library/") { Tree::Library } else { Tree::Site };
        let source = Source::new(tree, name.as_str(), text);
        match name.as_str() {
            "ostler.yaml" => site = lower::site_file(&source, &mut faults),
            "nodes.yaml" => nodes = lower::nodes_file(&source, &mut faults),
            _ if name.starts_with("images/") => {
                named.push(name.trim_start_matches("images/").trim_end_matches(".yaml").to_owned());
                images.extend(lower::image(&source, &mut faults));
            }
            _ => roles.extend(lower::role(&source, &mut faults)),
        }
    }
    if roles.len() + usize::from(site.is_some()) + usize::from(nodes.is_some()) > 1 {
        let roles = Roles::new(roles, &mut faults);
        let site = Site { file: site.unwrap_or_default(), nodes: nodes.unwrap_or_default(), images };
        references::check(&roles, &site.file, &site.nodes, &mut faults);
        references::images(&roles, &site, &named.iter().map(String::as_str).collect::<Vec<_>>(), &mut faults);
    }
    faults.sort();
    faults
}

/// The case files, sorted.
fn cases() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/faults");
    let mut cases: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    cases.sort();
    cases
}

#[test]
fn every_case_reads_as_expected() {
    let mut wrong = Vec::new();
    let cases = cases();
    for path in &cases {
        let drawn = judge(&fs::read_to_string(path).unwrap()).render(RenderStyle { color: false, width: 120 });
        let expected = path.with_extension("txt");
        if std::env::var_os("BLESS").is_some() {
            fs::write(&expected, &drawn).unwrap();
        }
        let wanted = fs::read_to_string(&expected).unwrap_or_default();
        if wanted != drawn {
            wrong.push(format!("--- {}\nexpected:\n{wanted}\ngot:\n{drawn}", path.display()));
        }
    }
    assert!(cases.len() >= 60, "only {} cases", cases.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_expected_text_has_lost_its_case() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/faults");
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        assert!(path.with_extension("yaml").is_file(), "{} has no case", path.display());
    }
}

#[test]
fn a_fault_is_also_a_json_object() {
    let faults = judge("# file: roles/base.yaml\nrole: base\nsummary: Base.\nstep: []\n");
    let json = faults.json();
    assert_eq!(json[0]["place"], serde_json::json!({ "file": "roles/base.yaml", "line": 4, "column": 1 }));
    assert_eq!(json[0]["message"], "unknown key `step` in a role");
    assert_eq!(json[0]["nearest"], "steps");
}

#[test]
fn colour_adds_no_word() {
    let faults = judge("# file: roles/base.yaml\nrole: base\nsummary: Base.\nstep: []\n");
    let plain = faults.render(RenderStyle { color: false, width: 120 });
    let colored = faults.render(RenderStyle { color: true, width: 120 });
    assert!(colored.contains("\u{1b}["));
    let mut stripped = String::new();
    let mut escape = false;
    for c in colored.chars() {
        match (escape, c) {
            (false, '\u{1b}') => escape = true,
            (true, 'm') => escape = false,
            (false, c) => stripped.push(c),
            (true, _) => {}
        }
    }
    assert_eq!(stripped, plain);
}
