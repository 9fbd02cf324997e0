//! What is wrong with what was written: every fault has its place, all faults of a file come at once.

mod render;

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::{Hash, Hasher};

pub use render::RenderStyle;

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
    /// For whom it holds, where it does not hold for all.
    pub on: AppliesTo,
}

/// For whom a fault holds: it is one fault however many they are.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AppliesTo {
    /// The node that it was found on, if it speaks of one.
    pub node: Option<String>,
    /// How many nodes more.
    pub others: usize,
    /// The systems that it was found for (`debian-13`), if others have it not.
    pub systems: Vec<String>,
}

impl Fault {
    /// A fault at a place.
    #[must_use]
    pub fn new(span: &Span, message: impl Into<String>) -> Self {
        Self {
            span: span.clone(),
            message: bounded(message.into()),
            expected: None,
            nearest: None,
            hint: None,
            also: Vec::new(),
            on: AppliesTo::default(),
        }
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

    /// Says which node it speaks of.
    #[must_use]
    pub fn on_node(mut self, node: &str) -> Self {
        self.on.node = Some(node.to_owned());
        self
    }

    /// What is wrong, and for whom: its one line without the place.
    #[must_use]
    pub fn told(&self) -> String {
        let systems = if self.on.systems.is_empty() { String::new() } else { format!(" (on {})", self.on.systems.join(", ")) };
        match &self.on.node {
            None => format!("{}{systems}", self.message),
            Some(node) if self.on.others == 0 => format!("{node}: {}{systems}", self.message),
            Some(node) => format!(
                "{node} and {} more {}: {}{systems}",
                self.on.others,
                if self.on.others == 1 { "node" } else { "nodes" },
                self.message
            ),
        }
    }

    /// What makes it this fault and no other: all but for whom it holds.
    pub(super) fn identity(&self) -> u64 {
        let mut hasher = std::hash::DefaultHasher::new();
        let place = |span: &Span, hasher: &mut std::hash::DefaultHasher| {
            (span.source().tree(), span.source().name(), span.range()).hash(hasher);
        };
        place(&self.span, &mut hasher);
        (&self.message, &self.expected, &self.nearest, &self.hint).hash(&mut hasher);
        for (span, text) in &self.also {
            place(span, &mut hasher);
            text.hash(&mut hasher);
        }
        hasher.finish()
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
    /// Every fault that was found, by what makes it this one, and where in the list it is kept, if it is.
    known: HashMap<u64, Option<usize>>,
    /// Places of values that were refused: nothing further is said of them.
    refused: HashSet<u64>,
}

/// A place as a number.
fn place(span: &Span) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    (span.source().tree(), span.source().name(), span.range()).hash(&mut hasher);
    hasher.finish()
}

impl Faults {
    /// None so far.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one; an equal one is kept once. Beyond a limit they are only counted.
    pub fn push(&mut self, fault: Fault) {
        if self.refused.contains(&place(&fault.span)) {
            return;
        }
        let Entry::Vacant(free) = self.known.entry(fault.identity()) else { return };
        let kept = self.list.len() < MAX_FAULTS;
        free.insert(kept.then_some(self.list.len()));
        if kept {
            self.list.push(fault);
        }
    }

    /// Says no more of a value: what is wrong with it was told.
    pub(super) fn refuse(&mut self, span: &Span) {
        self.refused.insert(place(span));
    }

    /// Adds all of another collection, those that were only counted too.
    pub fn merge(&mut self, other: Self) {
        self.extend(other.list);
        other.known.into_keys().for_each(|fault| _ = self.known.entry(fault).or_insert(None));
    }

    /// Adds all of a list.
    pub fn extend(&mut self, other: impl IntoIterator<Item = Fault>) {
        for fault in other {
            self.push(fault);
        }
    }

    /// The kept fault that is the same but for whom it holds.
    pub(super) fn same(&mut self, fault: &Fault) -> Option<&mut Fault> {
        self.list.get_mut((*self.known.get(&fault.identity())?)?)
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many, those that were only counted included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// How many were counted and not kept.
    #[must_use]
    pub fn more(&self) -> usize {
        self.known.len() - self.list.len()
    }

    /// The faults, in order of being found.
    pub fn iter(&self) -> std::slice::Iter<'_, Fault> {
        self.list.iter()
    }

    /// Leaves out what another collection has not.
    pub(super) fn keep_those_of(&mut self, other: &Self) {
        self.list.retain(|fault| other.known.contains_key(&fault.identity()));
        self.known.retain(|fault, _| other.known.contains_key(fault));
        self.number();
    }

    /// Numbers the kept ones anew.
    fn number(&mut self) {
        for (index, fault) in self.list.iter().enumerate() {
            self.known.insert(fault.identity(), Some(index));
        }
    }

    /// The same, to say of each for whom it holds.
    pub(super) fn iter_mut(&mut self) -> std::slice::IterMut<'_, Fault> {
        self.list.iter_mut()
    }

    /// Puts them in the order of files and places.
    pub fn sort(&mut self) {
        self.list.sort_by(|a, b| {
            let key = |fault: &Fault| (fault.span.source().tree(), fault.span.source().name().to_owned(), fault.span.range().start);
            key(a).cmp(&key(b))
        });
        self.number();
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
        let mut faults = Self::new();
        faults.push(fault);
        faults
    }
}

/// One line: place and message.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.span, self.told())
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
