//! Every text of what is told, for whoever masks or bounds it: one walk over each type.

use crate::check::Verdict;
use crate::outcome::{Event, Failure, Outcome};
use crate::plan::{Plan, Planned};
use crate::resource::{ResourceId, Shown};

/// A text that can be changed where it stands.
#[derive(Debug)]
pub enum Text<'a> {
    /// By itself.
    One(&'a mut String),
    /// Lines of one output.
    Lines(&'a mut Vec<String>),
}

/// Takes a text.
pub type Edit<'a> = &'a mut dyn FnMut(Text<'_>);

/// Something with texts in it.
pub trait Texts {
    /// Calls `edit` with each of them.
    fn texts(&mut self, edit: Edit<'_>);
}

fn one(text: &mut String, edit: Edit<'_>) {
    edit(Text::One(text));
}

fn each(texts: &mut [String], edit: Edit<'_>) {
    texts.iter_mut().for_each(|text| edit(Text::One(text)));
}

impl<T: Texts> Texts for [T] {
    fn texts(&mut self, edit: Edit<'_>) {
        self.iter_mut().for_each(|one| one.texts(edit));
    }
}

impl Texts for String {
    fn texts(&mut self, edit: Edit<'_>) {
        one(self, edit);
    }
}

impl Texts for ResourceId {
    fn texts(&mut self, edit: Edit<'_>) {
        one(&mut self.key, edit);
    }
}

impl Texts for Shown {
    fn texts(&mut self, edit: Edit<'_>) {
        let Self { field, from, to, basis: _ } = self;
        [field, from, to].into_iter().for_each(|text| edit(Text::One(text)));
    }
}

impl Texts for Failure {
    fn texts(&mut self, edit: Edit<'_>) {
        let Self { kind: _, message, causes, command, hint } = self;
        one(message, edit);
        each(causes, edit);
        if let Some(command) = command {
            each(&mut command.argv, edit);
            edit(Text::Lines(&mut command.tail));
        }
        if let Some(hint) = hint {
            one(hint, edit);
        }
    }
}

impl Texts for Verdict {
    fn texts(&mut self, edit: Edit<'_>) {
        match self {
            Self::Pass { found } => one(found, edit),
            Self::Fail { found, wanted, missing, hint } => {
                [Some(found), Some(wanted), missing.as_mut(), Some(hint)].into_iter().flatten().for_each(|text| edit(Text::One(text)));
            }
            Self::CouldNotTell { why } => one(why, edit),
        }
    }
}

impl Texts for Outcome {
    fn texts(&mut self, edit: Edit<'_>) {
        match self {
            Self::Unchanged { why: text } | Self::NotStarted { because: text } => one(text, edit),
            Self::Changed { changes, notes } => {
                changes.texts(edit);
                each(notes, edit);
            }
            Self::Failed(failure) => failure.texts(edit),
        }
    }
}

impl Texts for Event {
    fn texts(&mut self, edit: Edit<'_>) {
        match self {
            Self::Started { .. } | Self::Ended { .. } => {}
            Self::StepStarted { index: _, id } => id.texts(edit),
            Self::Progress { index: _, what, items: _, bytes: _ } => one(what, edit),
            Self::StepDone { index: _, id, outcome, millis: _ } => {
                id.texts(edit);
                outcome.texts(edit);
            }
            Self::Triggered { index: _, id, action: _, because } => {
                id.texts(edit);
                because.texts(edit);
            }
            Self::Verified { index: _, name, verdict } => {
                one(name, edit);
                verdict.texts(edit);
            }
            Self::Note { index: _, text } => one(text, edit),
        }
    }
}

impl Texts for Planned {
    fn texts(&mut self, edit: Edit<'_>) {
        match self {
            Self::Unchanged { why } => one(why, edit),
            Self::Change { changes, triggered, old } => {
                changes.texts(edit);
                if let Some((_, because)) = triggered {
                    because.texts(edit);
                }
                if let Some(old) = old {
                    one(old, edit);
                }
            }
            Self::MayChange { because, changes } => {
                because.texts(edit);
                changes.texts(edit);
            }
            Self::Impossible(failure) => failure.texts(edit),
        }
    }
}

impl Texts for Plan {
    fn texts(&mut self, edit: Edit<'_>) {
        let Self { catalog: _, generation: _, requirements, steps, verify, notes } = self;
        requirements.texts(edit);
        steps.texts(edit);
        verify.texts(edit);
        edit(Text::Lines(notes));
    }
}
