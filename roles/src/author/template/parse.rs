//! A template's text as a tree. What is wrong is kept, and reading goes on: all faults of a file come at once.

use std::ops::Range;
use std::sync::Arc;

use super::pieces::{Piece, pieces};
use crate::author::diagnostic::Fault;
use crate::author::expr::{self, Expr, ExprFault};
use crate::author::source::{Source, Span};

/// The deepest nesting of `if` and `for`.
const MAX_DEPTH: usize = 16;
/// The words of tags.
const WORDS: [&str; 7] = ["if", "elif", "else", "endif", "for", "endfor", "include"];

/// A template, read.
#[derive(Debug)]
pub struct Template {
    pub(super) source: Arc<Source>,
    pub(super) parts: Vec<Part>,
    /// What is wrong with it; the parts are those that could be read.
    pub(super) faults: Vec<Fault>,
}

/// A part of a template.
#[derive(Debug)]
pub(super) enum Part {
    /// Taken as it is.
    Plain(Range<usize>),
    /// `{{ }}`.
    Print(Placed),
    /// `{% if %}` with its branches; the last may be without condition.
    If(Vec<Branch>),
    /// `{% for NAME in EXPR %}`.
    For { name: String, over: Placed, body: Vec<Part> },
    /// What stands in a block whose head could not be read: judged, never rendered.
    Headless(Option<String>, Vec<Part>),
    /// `{% include "PATH" %}`.
    Include(String, Range<usize>),
}

/// An expression and where its text begins.
pub(super) type Placed = (Expr, usize);
/// A condition, none for `else`, and what stands under it.
pub(super) type Branch = (Option<Placed>, Vec<Part>);

impl Template {
    /// Reads a template; faults are told when it is rendered.
    #[must_use]
    pub fn parse(source: &Arc<Source>) -> Arc<Self> {
        let mut faults = Vec::new();
        let (pieces, torn) = pieces(source, &mut faults);
        let mut parser = Parser { source, pieces, at: 0, open: Vec::new(), torn, faults };
        let parts = parser.top();
        Arc::new(Self { source: Arc::clone(source), parts, faults: parser.faults })
    }
}

/// A block that is not ended yet.
struct Open {
    /// `if` or `for`.
    word: &'static str,
    /// Where that word stands.
    span: Span,
}

struct Parser<'s> {
    source: &'s Arc<Source>,
    pieces: Vec<Piece>,
    at: usize,
    /// Blocks around the next piece, outermost first.
    open: Vec<Open>,
    /// A tag could not be read: which blocks end where is not known, and not judged.
    torn: bool,
    faults: Vec<Fault>,
}

/// A word that ends a part of a block: it, its place and what follows it.
struct End {
    word: String,
    place: Range<usize>,
    rest: Range<usize>,
}

impl Parser<'_> {
    fn span(&self, range: &Range<usize>) -> Span {
        self.source.span(range.clone())
    }

    /// The expression at a place; none if it cannot be read, which is told.
    fn expr(&mut self, range: &Range<usize>) -> Option<Placed> {
        let text = &self.source.text()[range.clone()];
        match expr::parse(text) {
            Ok(expr) => Some((expr, range.start)),
            Err(fault) => {
                self.faults.push(placed(self.source, range.start, fault));
                None
            }
        }
    }

    /// All of the file: a word that ends what was never begun is told and left out.
    fn top(&mut self) -> Vec<Part> {
        let mut parts = Vec::new();
        loop {
            let (more, end) = self.parts();
            parts.extend(more);
            let Some(end) = end else { return parts };
            let begin = if end.word == "endfor" { "for" } else { "if" };
            if self.torn {
                continue;
            }
            self.faults.push(Fault::new(&self.span(&end.place), format!("`{}` without its `{begin}`", end.word)));
        }
    }

    /// Parts up to a word that ends a block.
    fn parts(&mut self) -> (Vec<Part>, Option<End>) {
        let mut parts = Vec::new();
        while let Some(piece) = self.pieces.get(self.at) {
            self.at += 1;
            match piece {
                Piece::Plain(range) => parts.push(Part::Plain(range.clone())),
                Piece::Print(range) => parts.extend(self.expr(&range.clone()).map(Part::Print)),
                Piece::Tag(range) => {
                    let (word, place, rest) = self.split(&range.clone());
                    match word.as_str() {
                        "if" => parts.extend(self.block("if", &place, Self::branches, rest)),
                        "for" => parts.extend(self.block("for", &place, Self::repeated, rest)),
                        "include" => parts.extend(self.included(&rest)),
                        "elif" | "else" | "endif" | "endfor" => return (parts, Some(End { word, place, rest })),
                        _ => {
                            let fault = Fault::new(&self.span(&place), format!("`{word}` is not a word of templates"));
                            let expected = WORDS.map(|word| format!("`{word}`")).join(", ");
                            self.faults.push(fault.expected(expected).nearest(&word, WORDS));
                        }
                    }
                }
            }
        }
        (parts, None)
    }

    /// A tag's first word, its place and that of the rest.
    fn split(&self, range: &Range<usize>) -> (String, Range<usize>, Range<usize>) {
        let text = &self.source.text()[range.clone()];
        let from = range.start + text.len() - text.trim_start().len();
        let trimmed = text.trim();
        let length = trimmed.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(trimmed.len());
        (trimmed[..length].to_owned(), from..from + length, from + length..from + trimmed.len())
    }

    /// A block, while it is open.
    fn block(
        &mut self,
        word: &'static str,
        place: &Range<usize>,
        read: fn(&mut Self, Range<usize>) -> Part,
        rest: Range<usize>,
    ) -> Option<Part> {
        if self.open.len() == MAX_DEPTH {
            self.faults
                .push(Fault::new(&self.span(place), "the template is nested too deep").expected(format!("at most {MAX_DEPTH} levels")));
            (self.at, self.torn) = (self.pieces.len(), true);
            return None;
        }
        self.open.push(Open { word, span: self.span(place) });
        let part = read(self, rest);
        self.open.pop();
        Some(part)
    }

    fn nothing(&mut self, word: &str, rest: &Range<usize>) {
        if !self.source.text()[rest.clone()].trim().is_empty() {
            let span = self.span(&(rest.end - self.source.text()[rest.clone()].trim_start().len()..rest.end));
            self.faults.push(Fault::new(&span, format!("nothing follows `{word}`")));
        }
    }

    /// A word that is not the end of the innermost block: a slip, or the end of one around it, which is read again there.
    fn foreign(&mut self, end: Option<&End>) -> bool {
        let Some((open, around)) = self.open.split_last() else { return false };
        let wanted = if open.word == "if" { "endif" } else { "endfor" };
        let begins = |end: &End| if end.word == "endfor" { "for" } else { "if" };
        let outer = end.filter(|end| around.iter().any(|block| block.word == begins(end)));
        let fault = match (outer, end) {
            (Some(end), _) => Fault::new(&open.span, format!("`{}` without its `{wanted}`", open.word))
                .also(&self.span(&end.place), format!("`{}` belongs to the `{}` around it", end.word, begins(end))),
            (None, Some(end)) if open.word == "if" && end.word != "endfor" => {
                Fault::new(&self.span(&end.place), format!("`{}` behind the `else`", end.word)).also(&open.span, "opened here")
            }
            (None, Some(end)) => Fault::new(&self.span(&end.place), format!("`{}` ends no `{}`", end.word, open.word))
                .also(&open.span, "opened here")
                .hint(format!("it ends with `{wanted}`")),
            (None, None) => Fault::new(&open.span, format!("`{}` without its `{wanted}`", open.word)),
        };
        if !self.torn {
            self.faults.push(fault);
        }
        self.at -= usize::from(outer.is_some());
        outer.is_some()
    }

    fn branches(&mut self, condition: Range<usize>) -> Part {
        let mut branches: Vec<Branch> = Vec::new();
        let mut headless = Vec::new();
        let mut condition = self.expr(&condition);
        let (mut otherwise, mut broken) = (false, condition.is_none());
        loop {
            let (body, end) = self.parts();
            if broken {
                headless.push(Part::Headless(None, body))
            } else {
                branches.push((condition.take(), body))
            }
            match end {
                Some(End { word, rest, .. }) if word == "endif" => self.nothing(&word, &rest),
                Some(End { word, rest, .. }) if word == "else" && !otherwise => {
                    self.nothing(&word, &rest);
                    otherwise = true;
                    continue;
                }
                Some(End { word, rest, .. }) if word == "elif" && !otherwise => {
                    condition = self.expr(&rest);
                    broken |= condition.is_none();
                    continue;
                }
                end => {
                    let given_back = self.foreign(end.as_ref());
                    // A second `else`: what stands behind it belongs to the block all the same.
                    if !given_back && end.is_some_and(|end| matches!(end.word.as_str(), "else" | "elif")) {
                        broken = true;
                        continue;
                    }
                }
            }
            if headless.is_empty() {
                return Part::If(branches);
            }
            // Which branch counts is not known: none is rendered, all are judged.
            headless.extend(branches.into_iter().map(|(_, body)| Part::Headless(None, body)));
            return Part::Headless(None, headless);
        }
    }

    fn repeated(&mut self, rest: Range<usize>) -> Part {
        let text = &self.source.text()[rest.clone()];
        let split = text.split_once(" in ").map(|(name, over)| (name.trim().to_owned(), rest.end - over.len()..rest.end));
        let good = |name: &str| {
            name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        let head = split.filter(|(name, _)| good(name));
        let (name, over) = match head {
            Some((name, over)) => (Some(name), self.expr(&over)),
            None => {
                let span = self.open.last().map_or_else(|| self.span(&rest), |open| open.span.clone());
                let fault = Fault::new(&span, "this is not a loop").expected("`for NAME in EXPRESSION`");
                self.faults.push(fault.hint("over a map, NAME has `.key` and `.value`"));
                (None, None)
            }
        };
        let mut body = Vec::new();
        loop {
            let (more, end) = self.parts();
            body.extend(more);
            match end {
                Some(End { word, rest, .. }) if word == "endfor" => self.nothing(&word, &rest),
                end => {
                    let given_back = self.foreign(end.as_ref());
                    // An `else` where no `if` is open: what stands behind it belongs to the loop all the same.
                    if !given_back && end.is_some_and(|end| matches!(end.word.as_str(), "else" | "elif")) {
                        continue;
                    }
                }
            }
            return match (name, over) {
                (Some(name), Some(over)) => Part::For { name, over, body },
                (name, _) => Part::Headless(name, body),
            };
        }
    }

    fn included(&mut self, rest: &Range<usize>) -> Option<Part> {
        let text = self.source.text()[rest.clone()].trim_start();
        let place = rest.end - text.len()..rest.end;
        let quoted = ['"', '\''].into_iter().find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote));
        match quoted {
            Some(path) if !path.is_empty() => Some(Part::Include(path.to_owned(), place)),
            Some(_) | None => {
                self.faults.push(Fault::new(&self.span(&place), "`include` names no file").expected("`include \"templates/NAME\"`"));
                None
            }
        }
    }
}

/// A fault of an expression that begins at byte `from` of the file.
pub(super) fn placed(source: &Arc<Source>, from: usize, fault: ExprFault) -> Fault {
    let span = source.span(from + fault.range.start..from + fault.range.end.max(fault.range.start + 1));
    fault.at(&span)
}
