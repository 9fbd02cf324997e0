//! Everything that leaves a run passes here: secrets are masked by value, texts and lists are bounded.

use ostler_roles::check::Verdict;
use ostler_roles::outcome::{CommandFailure, Ending, Event, Failure, Outcome};
use ostler_roles::plan::Planned;
use ostler_roles::resource::{ResourceId, Shown};

/// Longest text in an event.
const TEXT: usize = 4096;
/// Longest list in an event.
const LIST: usize = 2000;
/// Shorter values cannot be masked without masking everything.
const SHORTEST: usize = 4;
/// Lines of a value that are this long are masked alone as well: a private key's lines come one by one.
const LINE: usize = 8;
const MASK: &str = "***";

/// Masks and bounds.
#[derive(Clone, Default)]
pub struct Cleaner {
    values: Vec<String>,
}

impl std::fmt::Debug for Cleaner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Cleaner({} values)", self.values.len())
    }
}

impl Cleaner {
    /// Masks these values.
    pub fn of<'a>(secrets: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut values = Vec::new();
        for secret in secrets {
            let text = String::from_utf8_lossy(secret);
            let whole = text.trim();
            values.extend(Some(whole).filter(|whole| whole.len() >= SHORTEST).map(str::to_owned));
            values.extend(whole.lines().map(str::trim).filter(|line| line.len() >= LINE).map(str::to_owned));
        }
        // The longest first, so that no part of it is left.
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        values.dedup();
        Self { values }
    }

    /// One text.
    pub fn text(&self, text: String) -> String {
        let mut text = text;
        for value in &self.values {
            if text.contains(value.as_str()) {
                text = text.replace(value.as_str(), MASK);
            }
        }
        if text.len() > TEXT {
            let cut = (0..=TEXT).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            text.truncate(cut);
            text.push('…');
        }
        text
    }

    fn texts(&self, texts: Vec<String>) -> Vec<String> {
        texts.into_iter().take(LIST).map(|text| self.text(text)).collect()
    }

    fn id(&self, id: ResourceId) -> ResourceId {
        ResourceId { kind: id.kind, key: self.text(id.key) }
    }

    fn shown(&self, changes: Vec<Shown>) -> Vec<Shown> {
        let each = |Shown { field, from, to }| Shown { field: self.text(field), from: self.text(from), to: self.text(to) };
        changes.into_iter().take(LIST).map(each).collect()
    }

    /// Whether a change is among those that a cleaned plan has shown. Of a list that was cut, the rest counts as shown.
    pub fn was_shown(&self, change: &Shown, shown: &[Shown]) -> bool {
        shown.len() >= LIST || self.shown(vec![change.clone()]).iter().all(|change| shown.contains(change))
    }

    /// A failure.
    pub fn failure(&self, failure: Failure) -> Failure {
        let Failure { kind, message, causes, command, hint } = failure;
        let command =
            command.map(|CommandFailure { argv, status, tail }| CommandFailure { argv: self.texts(argv), status, tail: self.texts(tail) });
        Failure { kind, message: self.text(message), causes: self.texts(causes), command, hint: hint.map(|hint| self.text(hint)) }
    }

    /// An answer to a check.
    pub fn verdict(&self, verdict: Verdict) -> Verdict {
        match verdict {
            Verdict::Pass { found } => Verdict::Pass { found: self.text(found) },
            Verdict::Fail { found, wanted, missing, hint } => Verdict::Fail {
                found: self.text(found),
                wanted: self.text(wanted),
                missing: missing.map(|missing| self.text(missing)),
                hint: self.text(hint),
            },
            Verdict::CouldNotTell { why } => Verdict::CouldNotTell { why: self.text(why) },
        }
    }

    fn outcome(&self, outcome: Outcome) -> Outcome {
        match outcome {
            Outcome::Unchanged { why } => Outcome::Unchanged { why: self.text(why) },
            Outcome::Changed { changes, notes } => Outcome::Changed { changes: self.shown(changes), notes: self.texts(notes) },
            Outcome::Failed(failure) => Outcome::Failed(self.failure(failure)),
            Outcome::NotStarted { because } => Outcome::NotStarted { because: self.text(because) },
        }
    }

    /// An event.
    pub fn event(&self, event: Event) -> Event {
        match event {
            Event::Started { run, steps, resumed_at } => Event::Started { run, steps, resumed_at },
            Event::StepStarted { index, id } => Event::StepStarted { index, id: self.id(id) },
            Event::Progress { index, what, items, bytes } => Event::Progress { index, what: self.text(what), items, bytes },
            Event::StepDone { index, id, outcome, millis } => {
                Event::StepDone { index, id: self.id(id), outcome: self.outcome(outcome), millis }
            }
            Event::Triggered { index, id, action, because } => {
                let because = because.into_iter().take(LIST).map(|id| self.id(id)).collect();
                Event::Triggered { index, id: self.id(id), action, because }
            }
            Event::Verified { index, name, verdict } => Event::Verified { index, name: self.text(name), verdict: self.verdict(verdict) },
            Event::Note { index, text } => Event::Note { index, text: self.text(text) },
            Event::Ended { ending: ending @ (Ending::Good { .. } | Ending::Failed | Ending::Cancelled), millis } => {
                Event::Ended { ending, millis }
            }
        }
    }

    /// What one step of a plan would do. The old content of a file is bounded by whoever read it.
    pub fn planned(&self, planned: Planned) -> Planned {
        match planned {
            Planned::Unchanged { why } => Planned::Unchanged { why: self.text(why) },
            Planned::Change { changes, triggered, old } => {
                let triggered = triggered.map(|(action, ids)| (action, ids.into_iter().take(LIST).collect()));
                Planned::Change { changes: self.shown(changes), triggered, old }
            }
            Planned::MayChange { because, changes } => Planned::MayChange { because, changes: self.shown(changes) },
            Planned::Impossible(failure) => Planned::Impossible(self.failure(failure)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_their_lines_are_masked_and_texts_are_bounded() {
        let key = b"-----BEGIN-----\nAAAABBBBCCCC\nshort\n-----END-----\n";
        let cleaner = Cleaner::of([b"hunter2".as_slice(), key.as_slice(), b"ab".as_slice()].into_iter());
        assert_eq!(cleaner.text("pw=hunter2;".to_owned()), "pw=***;");
        assert_eq!(cleaner.text("line AAAABBBBCCCC of it".to_owned()), "line *** of it");
        assert_eq!(cleaner.text("abc".to_owned()), "abc");
        let long = cleaner.text("é".repeat(TEXT));
        assert!(long.len() <= TEXT + '…'.len_utf8() && long.ends_with('…'));
        assert_eq!(format!("{cleaner:?}"), "Cleaner(5 values)");
    }

    #[test]
    fn a_failing_command_shows_no_secret() {
        let cleaner = Cleaner::of([b"hunter2".as_slice()].into_iter());
        let failure = Failure {
            kind: ostler_roles::outcome::FailureKind::Apply,
            message: "log in with hunter2".to_owned(),
            causes: vec!["hunter2 refused".to_owned()],
            command: Some(CommandFailure {
                argv: vec!["login".to_owned(), "hunter2".to_owned()],
                status: ostler_roles::outcome::Ended::Exit(1),
                tail: vec!["bad password hunter2".to_owned()],
            }),
            hint: Some("not hunter2".to_owned()),
        };
        assert!(!format!("{:?}", cleaner.failure(failure)).contains("hunter2"));
    }
}
