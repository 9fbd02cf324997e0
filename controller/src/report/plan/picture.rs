//! One planned step as people read it: its mark, its differences, the contents of its file.

use super::super::sanitize;
use ostler_roles::catalog::Action;
use ostler_roles::plan::Planned;
use ostler_roles::resource::{Desired, Shown};
use ostler_roles::words::{Content, Digest};
use std::collections::BTreeSet;

/// A change as things are now.
pub(super) struct Picture {
    /// What is done: `+`, `-`, `~`, or `!` where nothing can be.
    pub mark: char,
    /// How large what is made is, or that it is secret.
    pub size: Option<String>,
    /// What else there is to say.
    pub lines: Vec<String>,
}

/// The picture of a step that is not as it should be; `made` are directories that need not be told of.
pub(super) fn picture(planned: &Planned, made: &BTreeSet<String>) -> Option<Picture> {
    let (changes, triggered) = match planned {
        Planned::Unchanged { .. } => return None,
        Planned::Change { changes, triggered, .. } => (changes.as_slice(), triggered.as_ref()),
        Planned::MayChange { changes, .. } => (changes.as_slice(), None),
        Planned::Impossible(failure) => {
            let causes = failure.causes.iter().cloned().chain(failure.hint.iter().map(|hint| format!("try: {hint}")));
            let lines = std::iter::once(failure.message.clone()).chain(causes).map(|line| sanitize(&line, false)).collect();
            return Some(Picture { mark: '!', size: None, lines });
        }
    };
    let mut picture = Picture { mark: mark_of(changes), size: None, lines: Vec::new() };
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
            (from, to) => format!("{field}: {from} -> {to}"),
        };
        picture.lines.push(sanitize(&line, false));
    }
    if let Some((action, because)) = triggered {
        let names: Vec<String> = because.iter().map(ToString::to_string).collect();
        picture.lines.push(sanitize(&format!("{}: because of {}", action_word(*action), names.join(", ")), false));
    }
    Some(picture)
}

fn mark_of(changes: &[Shown]) -> char {
    match changes {
        _ if changes.iter().any(|change| change.from == "absent" && change.field != "parent") => '+',
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

/// The difference of a file's contents, where both are text and public.
pub(super) fn content_diff(desired: &Desired, planned: &Planned, blob: &dyn Fn(&Digest) -> Option<Vec<u8>>) -> Vec<String> {
    let Planned::Change { old, .. } = planned else { return Vec::new() };
    let Some(Content::Blob(new)) = desired.contents().into_iter().next() else { return Vec::new() };
    let Some(new) = blob(&new.digest).and_then(|bytes| String::from_utf8(bytes).ok()) else { return Vec::new() };
    let old = old.clone().unwrap_or_default();
    let diff = similar::TextDiff::from_lines(&old, &new);
    let unified = diff.unified_diff().context_radius(2).to_string();
    unified.lines().filter(|line| !line.starts_with("---") && !line.starts_with("+++")).map(|line| sanitize(line, false)).collect()
}
