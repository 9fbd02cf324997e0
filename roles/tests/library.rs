//! The role library we ship: every role is read without a fault, and every file it names is there.

#![expect(clippy::unwrap_used, reason = "a test that meets an error it does not expect ends there")]
#![cfg(feature = "author")]

use std::fs;
use std::path::{Path, PathBuf};

use ostler_roles::author::diagnostic::Faults;
use ostler_roles::author::lower;
use ostler_roles::author::source::{Source, Tree};

fn library() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("library")
}

/// Names and texts of all roles.
fn texts() -> Vec<(String, String)> {
    let entries = fs::read_dir(library().join("roles")).unwrap().map(|entry| entry.unwrap().path());
    let mut texts: Vec<_> = entries
        .map(|path| (format!("roles/{}", path.file_name().unwrap().to_string_lossy()), fs::read_to_string(&path).unwrap()))
        .collect();
    texts.sort();
    texts
}

#[test]
fn every_role_is_read_without_a_fault() {
    let mut faults = Faults::new();
    for (name, text) in texts() {
        assert!(lower::role(&Source::new(Tree::Library, name.clone(), text), &mut faults).is_some(), "{name}");
    }
    let found: Vec<String> = faults.iter().map(ToString::to_string).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn every_parameter_says_what_it_is_for() {
    let mut mute = Vec::new();
    for role in ostler_roles::author::library::roles(&mut Faults::new()) {
        let without = role.params.iter().filter(|param| param.help.is_none());
        mute.extend(without.map(|param| format!("{}.{}", role.name.value, param.name.value)));
    }
    assert!(mute.is_empty(), "no `help`: {mute:?}");
}

#[test]
fn every_file_and_template_that_a_role_names_is_there() {
    for (name, text) in texts() {
        let words = text.split(|c: char| c.is_whitespace() || matches!(c, ',' | '{' | '}' | '"' | '\''));
        for path in words.filter(|word| word.starts_with("files/") || word.starts_with("templates/")) {
            assert!(library().join(path).is_file(), "{name}: {path}");
        }
    }
}

/// `check` and `validate` are started by root: what they are given may lie in no directory that a role gives to another account.
#[test]
fn no_check_of_roots_is_given_a_file_of_another_account() {
    let between = |text: &str, before: &str, after: char| text.split_once(before)?.1.split_once(after).map(|(word, _)| word.to_owned());
    let (mut checks, mut given) = (0, Vec::new());
    for (name, text) in texts() {
        let owned = text.lines().filter(|line| line.contains("- directory:") && !line.contains("owner: root"));
        let owned: Vec<String> = owned.filter(|line| line.contains("owner:")).filter_map(|line| between(line, "path: \"", '"')).collect();
        let text: String = text.lines().filter(|line| !line.trim_start().starts_with('#')).flat_map(|line| [line, "\n"]).collect();
        for (at, word) in [" check:", " validate:"].iter().flat_map(|word| text.match_indices(word)) {
            checks += 1;
            // However many lines it takes.
            let list = text[at + word.len()..].trim_start().strip_prefix('[').and_then(|rest| rest.split_once(']'));
            let list = list.unwrap_or_else(|| panic!("{name}: `{word}` is no list in brackets")).0;
            let is_the_accounts = list.starts_with("runuser, --user,");
            given
                .extend(owned.iter().filter(|path| !is_the_accounts && list.contains(path.as_str())).map(|path| format!("{name}: {path}")));
        }
    }
    assert!(checks >= 4, "{checks}");
    assert!(given.is_empty(), "{given:?}");
}
