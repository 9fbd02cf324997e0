//! One file's text, places in it, and the tree read from it.
//!
//! Everything later in the author rooms speaks of a [`Span`]: it carries its file, so a fault can always be shown.

mod tree;
mod yaml;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

pub use tree::{Bare, Entry, Key, Node, NodeKind, Scalar, Style};
pub use yaml::{MAX_BYTES, MAX_DEPTH, MAX_NODES, read};

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
}

impl Source {
    /// Wraps a file's text. `name` is relative to its tree, e.g. `roles/base.yaml`.
    #[must_use]
    pub fn new(tree: Tree, name: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        Arc::new(Self { name: name.into(), tree, text: text.into() })
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
        let before = &self.source.text[..self.start];
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let column = before[before.rfind('\n').map_or(0, |at| at + 1)..].chars().count() + 1;
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
