//! One file's text, places in it, and the tree read from it.
//!
//! Everything later in the author rooms speaks of a [`Span`]: it carries its file, so a fault can always be shown.

mod tree;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

pub use tree::{Bare, Entry, Key, Node, NodeKind, Scalar, Style};

/// Which tree a file belongs to; a path written in a role is relative to the tree of that role.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Tree {
    /// The user's site.
    Site,
    /// The role library that ships with the program.
    Library,
}

/// One file: its name as shown to people, its tree and its text.
#[derive(PartialEq, Eq)]
pub struct Source {
    name: String,
    tree: Tree,
    text: String,
    /// Where each line begins.
    lines: Vec<usize>,
}

impl Source {
    /// Wraps a file's text. `name` is relative to its tree, e.g. `roles/base.yaml`.
    #[must_use]
    pub fn new(tree: Tree, name: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        let text = text.into();
        Arc::new(Self { name: name.into(), tree, lines: lines(&text), text })
    }

    /// The name shown in diagnostics: the path in its tree, with `library:` before those of the library.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The tree the file belongs to.
    #[must_use]
    pub fn tree(&self) -> Tree {
        self.tree
    }

    /// The whole text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The bytes of the line of this number (from 1), its end left out.
    pub(super) fn line(&self, number: usize) -> Range<usize> {
        let at = |index: usize| self.lines.get(index).copied().unwrap_or(self.text.len());
        let start = at(number.saturating_sub(1));
        start..start + self.text[start..at(number)].trim_end_matches(['\r', '\n']).len()
    }

    /// A span over `range` of this file's bytes, clamped to the text and to character borders.
    #[must_use]
    pub fn span(self: &Arc<Self>, range: Range<usize>) -> Span {
        let start = floor(&self.text, range.start);
        let end = floor(&self.text, range.end.max(start));
        Span { source: Arc::clone(self), start, end }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({:?}, {} bytes)", self.name, self.text.len())
    }
}

/// Where each line begins. YAML ends lines as editors do: with a line feed, a carriage return, or both (YAML 1.2.2, 5.4). A byte order
/// mark has no column.
fn lines(text: &str) -> Vec<usize> {
    let bytes = text.as_bytes();
    let ends = |at: &usize| bytes[*at] == b'\n' || (bytes[*at] == b'\r' && bytes.get(at + 1) != Some(&b'\n'));
    let first = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    std::iter::once(first).chain((0..bytes.len()).filter(ends).map(|at| at + 1)).collect()
}

/// The greatest character border at or below `at`.
fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// A place: a range of bytes of one file. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Span {
    source: Arc<Source>,
    start: usize,
    end: usize,
}

impl Span {
    /// The file.
    #[must_use]
    pub fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// The range of bytes in the file.
    #[must_use]
    pub fn range(&self) -> Range<usize> {
        self.start..self.end
    }

    /// The text under the span.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.source.text[self.start..self.end]
    }

    /// Line and column of the start, both from 1, columns counted in characters.
    #[must_use]
    pub fn line_column(&self) -> (usize, usize) {
        let line = self.source.lines.partition_point(|begin| *begin <= self.start).max(1);
        let begin = self.source.lines[line - 1].min(self.start);
        let column = self.source.text[begin..self.start].chars().count() + 1;
        (line, column)
    }

    /// A span over part of this one; `range` counts bytes from its start.
    #[must_use]
    pub fn part(&self, range: Range<usize>) -> Self {
        let end = (self.start + range.end).min(self.end);
        self.source.span((self.start + range.start).min(end)..end)
    }

    /// From the start of this span to the end of `last` (of the same file; otherwise this span alone).
    #[must_use]
    pub fn to(&self, last: &Self) -> Self {
        if Arc::ptr_eq(&self.source, &last.source) { self.source.span(self.start..last.end.max(self.end)) } else { self.clone() }
    }
}

/// `file:line:column`.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.line_column();
        write!(f, "{}:{line}:{column}", self.source.name)
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{self}>")
    }
}

/// A value and where it was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it was written.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// Joins a value to its place.
    pub fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The place of `wanted`.
    fn place(text: &str, wanted: &str) -> String {
        let source = Source::new(Tree::Site, "a", text);
        let at = text.find(wanted).unwrap();
        source.span(at..at + wanted.len()).to_string()
    }

    #[test]
    fn places_are_those_that_an_editor_shows() {
        assert_eq!(place("one\n two\n", "two"), "a:2:2");
        assert_eq!(place("one\r\n two\r\n", "two"), "a:2:2");
        assert_eq!(place("one\r two\r", "two"), "a:2:2");
        assert_eq!(place("\u{feff}one\n", "one"), "a:1:1");
        assert_eq!(place("\u{feff}one\ntwo", "two"), "a:2:1");
        assert_eq!(place("日本\tx", "x"), "a:1:4");
        assert_eq!(Source::new(Tree::Site, "a", "\u{feff}").span(0..0).to_string(), "a:1:1");
        assert_eq!(Source::new(Tree::Site, "a", "").span(0..0).to_string(), "a:1:1");
    }

    #[test]
    fn a_line_is_given_without_its_end() {
        let source = Source::new(Tree::Site, "a", "\u{feff}one\r\n\r\nthree\rfour");
        let line = |number: usize| &source.text()[source.line(number)];
        assert_eq!([line(1), line(2), line(3), line(4), line(5)], ["one", "", "three", "four", ""]);
    }
}
