//! Everything that leaves a run passes here: secrets are masked, then texts and lists are bounded.

use ostler_roles::check::Verdict;
use ostler_roles::mask::{CUT, Mask};
use ostler_roles::outcome::{Event, Failure, Outcome};
use ostler_roles::plan::Planned;
use ostler_roles::resource::Shown;
use ostler_roles::texts::{Text, Texts};

/// Longest text in an event.
const TEXT: usize = 4096;
/// Longest list in an event.
const LIST: usize = 2000;

/// Masks and bounds. The default one only bounds: before `Go` no value is here, and the controller masks what it is told.
#[derive(Debug, Clone, Default)]
pub struct Cleaner(Mask);

impl Cleaner {
    /// With the mask of a run.
    pub fn of(mask: Mask) -> Self {
        Self(mask)
    }

    /// Every text of it.
    fn clean<T: Texts + ?Sized>(&self, told: &mut T) {
        told.texts(&mut |text| match text {
            Text::One(text) => {
                self.0.hide(Text::One(text));
                cut(text);
            }
            Text::Lines(lines) => {
                self.0.hide(Text::Lines(lines));
                lines.truncate(LIST);
                lines.iter_mut().for_each(cut);
            }
        });
    }

    /// An event.
    pub fn event(&self, mut event: Event) -> Event {
        match &mut event {
            Event::StepDone { outcome: Outcome::Changed { changes, notes }, .. } => {
                changes.truncate(LIST);
                notes.truncate(LIST);
            }
            Event::StepDone { outcome: Outcome::Failed(failure), .. } => bound(failure),
            Event::Triggered { because, .. } => because.truncate(LIST),
            _ => {}
        }
        self.clean(&mut event);
        event
    }

    /// A note beside a plan.
    pub fn note(&self, mut note: String) -> String {
        self.clean(&mut note);
        note
    }

    /// An answer to a check.
    pub fn verdict(&self, mut verdict: Verdict) -> Verdict {
        self.clean(&mut verdict);
        verdict
    }

    /// What one step of a plan would do. The old content of a file is bounded by whoever read it.
    pub fn planned(&self, mut planned: Planned) -> Planned {
        let mut content = None;
        match &mut planned {
            Planned::Change { changes, triggered, old } => {
                changes.truncate(LIST);
                if let Some((_, because)) = triggered {
                    because.truncate(LIST);
                }
                content = old.take();
            }
            Planned::MayChange { changes, .. } => changes.truncate(LIST),
            Planned::Impossible(failure) => bound(failure),
            Planned::Unchanged { .. } => {}
        }
        self.clean(&mut planned);
        if let Planned::Change { old, .. } = &mut planned {
            *old = content;
        }
        planned
    }

    /// Whether a change is among those that a plan has shown, which was bounded when it was made and masked at `Go`. Of a list that was cut,
    /// the rest counts as shown.
    pub fn was_shown(&self, change: &Shown, shown: &[Shown]) -> bool {
        let mut change = change.clone();
        Self::default().clean(&mut change);
        self.0.hide_in(&mut change);
        shown.len() >= LIST || change.is_among(shown)
    }
}

fn bound(failure: &mut Failure) {
    failure.causes.truncate(LIST);
    if let Some(command) = &mut failure.command {
        command.argv.truncate(LIST);
    }
}

fn cut(text: &mut String) {
    if text.len() > TEXT {
        let end = (0..=TEXT).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push(CUT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ostler_roles::outcome::{CommandFailure, Ended, FailureKind};

    fn cleaner() -> Cleaner {
        Cleaner::of(Mask::of([b"hunter2".as_slice()]))
    }

    fn note(text: String) -> String {
        match cleaner().event(Event::Note { index: None, text }) {
            Event::Note { text, .. } => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_text_is_bounded_and_shows_no_half_of_a_secret_there() {
        assert_eq!(note("pw=hunter2;".to_owned()), "pw=***;");
        let long = note("é".repeat(TEXT));
        assert!(long.len() <= TEXT + CUT.len_utf8() && long.ends_with(CUT));
        for before in TEXT - 8..TEXT {
            let told = note(format!("{}hunter2{}", "x".repeat(before), "y".repeat(9)));
            assert!(!told.contains("hun") && told.ends_with(CUT), "{told}");
        }
    }

    #[test]
    fn a_failing_command_shows_no_secret() {
        let failure = Failure {
            kind: FailureKind::Apply,
            message: "log in with hunter2".to_owned(),
            causes: vec!["hunter2 refused".to_owned()],
            command: Some(CommandFailure {
                argv: vec!["login".to_owned(), "hunter2".to_owned()],
                status: Ended::Exit(1),
                tail: vec!["bad password hun".to_owned(), "ter2 it was".to_owned()],
            }),
            hint: Some("not hunter2".to_owned()),
        };
        let Planned::Impossible(told) = cleaner().planned(Planned::Impossible(failure)) else { panic!("a failure") };
        let text = format!("{told:?}");
        assert!(!text.contains("hun") && !text.contains("ter2"), "{text}");
        assert_eq!(told.command.unwrap().tail, ["bad password *** it was"]);
    }

    #[test]
    fn what_a_masked_plan_shows_is_known_again() {
        let change = Shown::new("content", "hunter2", "x".repeat(TEXT - 3) + "hunter2");
        let Planned::MayChange { changes, .. } = Cleaner::default().planned(Planned::MayChange {
            because: ostler_roles::resource::ResourceId { kind: ostler_roles::resource::Kind::File, key: "/x".to_owned() },
            changes: vec![change.clone()],
        }) else {
            panic!("a change")
        };
        let mut shown = changes;
        Mask::of([b"hunter2".as_slice()]).hide_in(shown.as_mut_slice());
        assert!(cleaner().was_shown(&change, &shown));
        assert!(!cleaner().was_shown(&Shown::new("content", "hunter3", ""), &shown));
    }
}
