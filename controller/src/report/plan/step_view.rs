//! One planned step as people read it: its mark, its differences, the contents of its file.

use super::super::visible::{apart, exact, looks, visible};
use super::super::{advice, sanitize};
use crate::fleet::Content as Public;
use ostler_roles::catalog::Action;
use ostler_roles::plan::Planned;
use ostler_roles::resource::{Desired, Shown};
use ostler_roles::words::{Content, Digest};
use similar::{ChangeTag, TextDiff};
use std::collections::BTreeSet;

/// A change as things are now.
pub(super) struct StepView {
    /// What is done: `+`, `-`, `~`, or `!` where nothing can be.
    pub mark: char,
    /// How large what is made is, or that it is secret.
    pub size: Option<String>,
    /// What else there is to say.
    pub lines: Vec<String>,
}

/// The picture of a step that is not as it should be; `made` are directories that need not be told of.
pub(super) fn picture(planned: &Planned, made: &BTreeSet<String>) -> Option<StepView> {
    let (changes, triggered) = match planned {
        Planned::Unchanged { .. } => return None,
        Planned::Change { changes, triggered, .. } => (changes.as_slice(), triggered.as_ref()),
        Planned::MayChange { changes, .. } => (changes.as_slice(), None),
        Planned::Impossible(failure) => {
            let causes = failure.causes.iter().cloned().chain(failure.hint.iter().map(|hint| format!("try: {}", advice(hint))));
            let lines = std::iter::once(failure.message.clone()).chain(causes).map(|line| sanitize(&line, false)).collect();
            return Some(StepView { mark: '!', size: None, lines });
        }
    };
    let mut picture = StepView { mark: mark_of(changes), size: None, lines: Vec::new() };
    for change in changes {
        let Shown { field, from, to, .. } = change;
        let line = match (from.as_str(), to.as_str()) {
            // The mark says it.
            ("absent", "present" | "installed") | ("present" | "installed", "absent") => continue,
            ("absent", parent) if field == "parent" && made.contains(parent) => continue,
            ("absent", to) if to.starts_with("present, ") => {
                picture.size = to.strip_prefix("present, ").map(|size| sanitize(size, false));
                continue;
            }
            (reason, "done") => format!("{field}: {reason}"),
            (from, to) => {
                let (from, to) = apart(from, to);
                format!("{field}: {from} -> {to}")
            }
        };
        picture.lines.push(sanitize(&line, false));
    }
    if let Some((action, because)) = triggered {
        let names: Vec<String> = because.iter().map(ToString::to_string).collect();
        picture.lines.push(sanitize(&format!("{}: because of {}", action_word(*action), names.join(", ")), false));
    }
    Some(picture)
}

/// What is made beside a resource, which may have been there before.
const BESIDE: [&str; 2] = ["parent", "home directory"];

fn mark_of(changes: &[Shown]) -> char {
    match changes {
        _ if changes.iter().any(|change| change.from == "absent" && !BESIDE.contains(&change.field.as_str())) => '+',
        _ if changes.iter().any(|change| change.to == "absent") => '-',
        _ => '~',
    }
}

/// What a watcher does, as a word.
pub fn action_word(action: Action) -> &'static str {
    match action {
        Action::Run => "runs",
        Action::Reload => "reloads",
        Action::Restart => "restarts",
    }
}

/// The content that a file has, and the one that it is to have, where that is public.
pub(super) fn contents<'a>(desired: &Desired, planned: &'a Planned) -> Option<(&'a str, Digest)> {
    let Planned::Change { old, .. } = planned else { return None };
    let Some(Content::Blob(new)) = desired.contents().into_iter().next() else { return None };
    Some((old.as_deref().unwrap_or_default(), new.digest))
}

/// Their difference, where the new one is text.
pub(super) fn content_diff(old: &str, new: &Digest, blob: &dyn Fn(&Digest) -> Option<Public>) -> Vec<String> {
    let new = blob(new).and_then(|content| String::from_utf8(content.whole().ok()?).ok());
    new.map(|new| line_diff(old, &new)).unwrap_or_default()
}

/// What lines differ, with two around them, as unified diffs show it. In a line that differs what the eye does not see is made visible; where
/// one that goes and one that comes would look alike all the same, the lines of that place are written out to the letter.
fn line_diff(old: &str, new: &str) -> Vec<String> {
    let diff = TextDiff::from_lines(old, new);
    let mut lines = Vec::new();
    for hunk in diff.unified_diff().context_radius(2).iter_hunks() {
        lines.push(hunk.header().to_string().trim_end().to_owned());
        let text = |value: &str| value.strip_suffix('\n').unwrap_or(value).to_owned();
        let looks_of = |wanted: ChangeTag| {
            let changes = hunk.iter_changes().filter(move |change| change.tag() == wanted);
            changes.map(|change| (looks(&visible(&text(change.value()))), change.missing_newline())).collect::<BTreeSet<_>>()
        };
        let show = if looks_of(ChangeTag::Delete).is_disjoint(&looks_of(ChangeTag::Insert)) { visible } else { exact };
        for change in hunk.iter_changes() {
            let text = text(change.value());
            lines.push(match change.tag() {
                ChangeTag::Equal => sanitize(&format!(" {text}"), false),
                tag => format!("{tag}{}", show(&text)),
            });
            if change.missing_newline() {
                lines.push("\\ no line feed at its end".to_owned());
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_difference_is_shown_also_one_that_the_eye_does_not_see() {
        let rows: [(&str, &str, &[&str]); 13] = [
            // Lines that look like a diff's own words.
            ("---\nfoo: 1\n-- sql comment\n", "foo: 1\n++ plus\n", &["@@ -1,3 +1,2 @@", "----", " foo: 1", "--- sql comment", "+++ plus"]),
            ("a\n", "a\r\n", &["@@ -1 +1 @@", "-a", "+a␍"]),
            ("\tb\n", "    b\n", &["@@ -1 +1 @@", "-→b", "+    b"]),
            ("c\n", "c \n", &["@@ -1 +1 @@", "-c", "+c·"]),
            ("d\n", "d", &["@@ -1 +1 @@", "-d", "+d", "\\ no line feed at its end"]),
            // Escape sequences, other controls, blanks of other kinds, what has no width, what is composed otherwise or only looks alike.
            ("hi\n", "\u{1b}[31mhi\u{1b}[0m\n", &["@@ -1 +1 @@", "-hi", "+␛[31mhi␛[0m"]),
            ("a\u{1}\n", "a\u{2}\n", &["@@ -1 +1 @@", "-a␁", "+a␂"]),
            ("a b\n", "a\u{a0}b\n", &["@@ -1 +1 @@", "-a b", "+a\\u{a0}b"]),
            ("a\u{200b}\n", "a\u{200c}\n", &["@@ -1 +1 @@", "-a\\u{200b}", "+a\\u{200c}"]),
            ("caf\u{e9}\n", "cafe\u{301}\n", &["@@ -1 +1 @@", "-caf\u{e9}", "+cafe\\u{301}"]),
            ("root\n", "r\u{43e}\u{43e}t\n", &["@@ -1 +1 @@", "-root", "+r\\u{43e}\\u{43e}t"]),
            // The characters that we write ourselves.
            ("e·\n", "e \n", &["@@ -1 +1 @@", "-e\\u{b7}", "+e\\u{20}"]),
            ("f\u{1b}\n", "f␛\n", &["@@ -1 +1 @@", "-f\\u{1b}", "+f\\u{241b}"]),
        ];
        for (old, new, expected) in rows {
            assert_eq!(line_diff(old, new), expected, "{old:?} to {new:?}");
        }
    }

    /// Each of these before a letter, after one, and twice.
    #[test]
    fn no_two_lines_that_differ_are_shown_alike() {
        let characters = [
            "",
            "a",
            " ",
            "\t",
            "\r",
            "·",
            "→",
            "␍",
            "\u{1b}",
            "\u{1b}[0m",
            "␛",
            "\u{7f}",
            "\u{85}",
            "\u{a0}",
            "\u{200b}",
            "\u{feff}",
            "а",
            "\\",
            "\\u{1b}",
            "\\u{a0}",
            "é",
            "e\u{301}",
            "–",
            "-",
        ];
        let lines: Vec<String> = characters.iter().flat_map(|one| [format!("{one}b"), format!("b{one}"), format!("{one}{one}")]).collect();
        for old in &lines {
            for new in lines.iter().filter(|new| *new != old) {
                let shown = line_diff(&format!("{old}\n"), &format!("{new}\n"));
                let side = |prefix| shown.iter().filter_map(|line| line.strip_prefix(prefix)).collect::<Vec<_>>();
                assert_ne!(side('-'), side('+'), "{old:?} to {new:?}: {shown:?}");
                assert!(shown.iter().all(|line| sanitize(line, false) == *line), "{old:?} to {new:?}: {shown:?}");
            }
        }
    }
}
