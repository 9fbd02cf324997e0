//! What is wrong with what was written: every fault has its place, all faults of a file come at once.

mod render;

use std::fmt;

pub use render::Look;

use super::source::Span;

/// One thing that is wrong, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// Where.
    pub span: Span,
    /// What: one lower-case fragment, without the place.
    pub message: String,
    /// What may stand there.
    pub expected: Option<String>,
    /// The valid word nearest to the one written.
    pub nearest: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// Other places that belong to it, each with what is there (the first declaration, the other value).
    pub also: Vec<(Span, String)>,
}

impl Fault {
    /// A fault at a place.
    #[must_use]
    pub fn new(span: &Span, message: impl Into<String>) -> Self {
        Self { span: span.clone(), message: bounded(message.into()), expected: None, nearest: None, hint: None, also: Vec::new() }
    }

    /// Says what may stand there.
    #[must_use]
    pub fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(bounded(expected.into()));
        self
    }

    /// Names the valid word nearest to `word`, if one is near.
    #[must_use]
    pub fn nearest<'a>(mut self, word: &str, valid: impl IntoIterator<Item = &'a str>) -> Self {
        self.nearest = nearest(word, valid).map(str::to_owned);
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(bounded(hint.into()));
        self
    }

    /// Adds another place.
    #[must_use]
    pub fn also(mut self, span: &Span, text: impl Into<String>) -> Self {
        self.also.push((span.clone(), bounded(text.into())));
        self
    }
}

/// The longest text of a fault: what was written may be a million letters without a blank.
const MAX_TEXT: usize = 4_000;

/// A text cut to a bounded length.
fn bounded(mut text: String) -> String {
    if text.len() > MAX_TEXT {
        text.truncate((0..=MAX_TEXT).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0));
        text.push('…');
    }
    text
}

/// The longest word that has a nearest one.
const MAX_WORD: usize = 300;

/// The word of `valid` nearest to `word`: at most a third of its letters differ, two swapped count once.
#[must_use]
pub fn nearest<'a>(word: &str, valid: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = word.chars().count();
    let limit = length / 3;
    valid
        .into_iter()
        // The distance costs the product of both lengths: words too unlike in length need none.
        .filter(|candidate| length <= MAX_WORD && (candidate.chars().count().abs_diff(length) <= limit || candidate.starts_with(word)))
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= limit || (word.len() > 2 && candidate.starts_with(word)))
        .min()
        .map(|(_, candidate)| candidate)
}

/// The most faults kept: nobody reads more, and a hostile file would have a million.
const MAX_FAULTS: usize = 200;

/// All faults found, in the order of files and places. Empty is good.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Faults {
    list: Vec<Fault>,
    more: usize,
}

impl Faults {
    /// None so far.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one; an equal one is kept once. Beyond a limit they are only counted.
    pub fn push(&mut self, fault: Fault) {
        if self.list.contains(&fault) {
            return;
        }
        if self.list.len() < MAX_FAULTS {
            self.list.push(fault);
        } else {
            self.more += 1;
        }
    }

    /// Adds all of another collection.
    pub fn extend(&mut self, other: impl IntoIterator<Item = Fault>) {
        for fault in other {
            self.push(fault);
        }
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many, those that were only counted included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len() + self.more
    }

    /// How many were counted and not kept.
    #[must_use]
    pub fn more(&self) -> usize {
        self.more
    }

    /// The faults, in order of being found.
    pub fn iter(&self) -> std::slice::Iter<'_, Fault> {
        self.list.iter()
    }

    /// Puts them in the order of files and places.
    pub fn sort(&mut self) {
        self.list.sort_by(|a, b| {
            let key = |fault: &Fault| (fault.span.source().tree(), fault.span.source().name().to_owned(), fault.span.range().start);
            key(a).cmp(&key(b))
        });
    }

    /// `value` if nothing is wrong.
    ///
    /// # Errors
    /// These faults, sorted.
    pub fn into_result<T>(mut self, value: T) -> Result<T, Self> {
        if self.is_empty() {
            Ok(value)
        } else {
            self.sort();
            Err(self)
        }
    }
}

impl IntoIterator for Faults {
    type Item = Fault;
    type IntoIter = std::vec::IntoIter<Fault>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.into_iter()
    }
}

impl From<Fault> for Faults {
    fn from(fault: Fault) -> Self {
        Self { list: vec![fault], more: 0 }
    }
}

/// One line: place and message.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.span, self.message)
    }
}

/// One line a fault.
impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.list.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}
