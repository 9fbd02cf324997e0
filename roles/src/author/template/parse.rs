//! A template's text as a tree.

use std::ops::Range;
use std::sync::Arc;

use crate::author::diagnostic::Fault;
use crate::author::expr::{self, Expr, ExprFault};
use crate::author::source::Source;

/// The deepest nesting of `if` and `for`.
const MAX_DEPTH: usize = 16;

/// A part of a template.
#[derive(Debug)]
pub(super) enum Part {
    /// Taken as it is.
    Plain(Range<usize>),
    /// `{{ }}`: the expression and where its text begins.
    Print(Expr, usize),
    /// `{% if %}` with its branches; the last may be without condition.
    If(Vec<Branch>),
    /// `{% for NAME in EXPR %}`.
    For { name: String, over: (Expr, usize), body: Vec<Part> },
    /// `{% include "PATH" %}`.
    Include(String, Range<usize>),
}

/// A condition, none for `else`, and what stands under it.
pub(super) type Branch = (Option<(Expr, usize)>, Vec<Part>);

/// What stands between texts.
#[derive(Debug)]
enum Piece {
    Plain(Range<usize>),
    Print(Range<usize>),
    Tag(Range<usize>),
}

/// Reads a template.
pub(super) fn parse(source: &Arc<Source>) -> Result<Vec<Part>, Box<Fault>> {
    let pieces = pieces(source)?;
    let mut parser = Parser { source, pieces, at: 0, depth: 0 };
    let (parts, end) = parser.parts()?;
    match end {
        None => Ok(parts),
        Some((word, place)) => Err(parser.fault(&place, format!("`{word}` without its beginning"))),
    }
}

struct Parser<'s> {
    source: &'s Arc<Source>,
    pieces: Vec<Piece>,
    at: usize,
    depth: usize,
}

/// A word that ends a block, and its place.
type End = Option<(String, Range<usize>)>;

impl Parser<'_> {
    fn fault(&self, range: &Range<usize>, message: impl Into<String>) -> Box<Fault> {
        Box::new(Fault::new(&self.source.span(range.clone()), message))
    }

    fn expr(&self, range: &Range<usize>) -> Result<(Expr, usize), Box<Fault>> {
        let text = &self.source.text()[range.clone()];
        expr::parse(text).map(|expr| (expr, range.start)).map_err(|fault| Box::new(placed(self.source, range.start, fault)))
    }

    /// Parts up to a word that ends a block.
    fn parts(&mut self) -> Result<(Vec<Part>, End), Box<Fault>> {
        let mut parts = Vec::new();
        while let Some(piece) = self.pieces.get(self.at) {
            self.at += 1;
            match piece {
                Piece::Plain(range) => parts.push(Part::Plain(range.clone())),
                Piece::Print(range) => {
                    let (expr, at) = self.expr(&range.clone())?;
                    parts.push(Part::Print(expr, at));
                }
                Piece::Tag(range) => {
                    let range = range.clone();
                    let (word, rest) = self.split(&range);
                    match word.as_str() {
                        "if" => parts.push(self.branches(rest, &range)?),
                        "for" => parts.push(self.repeated(rest, &range)?),
                        "include" => parts.push(self.included(&rest)?),
                        "elif" | "else" | "endif" | "endfor" => return Ok((parts, Some((word, rest)))),
                        _ => {
                            let fault = *self.fault(&range, format!("`{word}` is no word of templates"));
                            return Err(Box::new(
                                fault
                                    .expected("`if`, `elif`, `else`, `endif`, `for`, `endfor`, `include`")
                                    .nearest(&word, ["if", "elif", "else", "endif", "for", "endfor", "include"]),
                            ));
                        }
                    }
                }
            }
        }
        Ok((parts, None))
    }

    /// A tag's first word and the place of the rest.
    fn split(&self, range: &Range<usize>) -> (String, Range<usize>) {
        let text = &self.source.text()[range.clone()];
        let from = text.len() - text.trim_start().len();
        let trimmed = text.trim();
        let length = trimmed.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(trimmed.len());
        (trimmed[..length].to_owned(), range.start + from + length..range.start + from + trimmed.len())
    }

    fn deeper(&mut self, range: &Range<usize>) -> Result<(), Box<Fault>> {
        self.depth += 1;
        if self.depth > MAX_DEPTH { Err(self.fault(range, "the template is nested too deep")) } else { Ok(()) }
    }

    fn nothing(&self, word: &str, rest: &Range<usize>) -> Result<(), Box<Fault>> {
        if self.source.text()[rest.clone()].trim().is_empty() { Ok(()) } else { Err(self.fault(rest, format!("nothing follows `{word}`"))) }
    }

    fn branches(&mut self, condition: Range<usize>, opening: &Range<usize>) -> Result<Part, Box<Fault>> {
        self.deeper(opening)?;
        let mut branches = Vec::new();
        let mut condition = Some(self.expr(&condition)?);
        loop {
            let last = condition.is_none();
            let (body, end) = self.parts()?;
            branches.push((condition, body));
            match end {
                Some((word, rest)) if word == "endif" => {
                    self.nothing(&word, &rest)?;
                    self.depth -= 1;
                    return Ok(Part::If(branches));
                }
                Some((word, rest)) if word == "else" && !last => {
                    self.nothing(&word, &rest)?;
                    condition = None;
                }
                Some((word, rest)) if word == "elif" && !last => condition = Some(self.expr(&rest)?),
                Some((word, rest)) => return Err(self.fault(&rest, format!("`{word}` does not belong here"))),
                None => return Err(self.fault(opening, "`if` without its `endif`")),
            }
        }
    }

    fn repeated(&mut self, rest: Range<usize>, opening: &Range<usize>) -> Result<Part, Box<Fault>> {
        self.deeper(opening)?;
        let text = &self.source.text()[rest.clone()];
        let split = text.split_once(" in ").map(|(name, over)| (name.trim().to_owned(), rest.end - over.len()..rest.end));
        let good = |name: &str| {
            name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        let Some((name, over)) = split.filter(|(name, _)| good(name)) else {
            let fault = *self.fault(opening, "this is no loop");
            return Err(Box::new(fault.expected("`for NAME in EXPRESSION`").hint("over a map, NAME has `.key` and `.value`")));
        };
        let over = self.expr(&over)?;
        let (body, end) = self.parts()?;
        match end {
            Some((word, rest)) if word == "endfor" => {
                self.nothing(&word, &rest)?;
                self.depth -= 1;
                Ok(Part::For { name, over, body })
            }
            Some((word, rest)) => Err(self.fault(&rest, format!("`{word}` does not belong here"))),
            None => Err(self.fault(opening, "`for` without its `endfor`")),
        }
    }

    fn included(&self, rest: &Range<usize>) -> Result<Part, Box<Fault>> {
        let text = self.source.text()[rest.clone()].trim();
        let quoted = ['"', '\''].into_iter().find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote));
        match quoted {
            Some(path) if !path.is_empty() => Ok(Part::Include(path.to_owned(), rest.clone())),
            Some(_) | None => Err(Box::new((*self.fault(rest, "`include` names no file")).expected("`include \"templates/NAME\"`"))),
        }
    }
}

/// A fault of an expression that begins at byte `from` of the file.
pub(super) fn placed(source: &Arc<Source>, from: usize, fault: ExprFault) -> Fault {
    let span = source.span(from + fault.range.start..from + fault.range.end.max(fault.range.start + 1));
    fault.at(&span)
}

/// Splits a template at its braces and takes away the white space that they take along.
fn pieces(source: &Arc<Source>) -> Result<Vec<Piece>, Box<Fault>> {
    let text = source.text();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(open) = next_open(text, at) {
        let inside = open + 2;
        let (mark, comment) = match &text[open..inside] {
            "{{" => ("}}", false),
            "{%" => ("%}", false),
            _ => ("#}", true),
        };
        let end = if comment { text[inside..].find(mark).map(|end| inside + end) } else { expr::close(text, inside, mark) };
        let Some(end) = end else {
            let span = source.span(open..inside);
            return Err(Box::new(Fault::new(&span, format!("`{}` without its `{mark}`", span.text()))));
        };
        let after = end + 2;
        let (cut_before, cut_after) = (text[inside..end].starts_with('-'), text[inside..end].ends_with('-') && end > inside);
        let (mut plain, mut resume) = (at..open, after);
        if mark != "}}"
            && let Some((line_start, next_line)) = alone(text, open, after)
            && line_start >= at
        {
            (plain, resume) = (at..line_start, next_line);
        }
        if cut_before {
            plain.end = plain.start + text[plain.clone()].trim_end().len();
        }
        if cut_after {
            resume = text.len() - text[after..].trim_start().len();
        }
        if !plain.is_empty() {
            found.push(Piece::Plain(plain));
        }
        let inner = inside + usize::from(cut_before)..(end - usize::from(cut_after)).max(inside + usize::from(cut_before));
        match mark {
            "}}" => found.push(Piece::Print(inner)),
            "%}" => found.push(Piece::Tag(inner)),
            _ => {}
        }
        at = resume;
    }
    if at < text.len() {
        found.push(Piece::Plain(at..text.len()));
    }
    Ok(found)
}

/// The next `{{`, `{%` or `{#`.
fn next_open(text: &str, from: usize) -> Option<usize> {
    ["{{", "{%", "{#"].into_iter().filter_map(|open| text[from..].find(open)).min().map(|at| from + at)
}

/// The start of its line and of the next, if a tag stands alone on its line.
fn alone(text: &str, open: usize, after: usize) -> Option<(usize, usize)> {
    let start = text[..open].rfind('\n').map_or(0, |at| at + 1);
    let end = text[after..].find('\n').map_or(text.len(), |at| after + at + 1);
    let blank = text[start..open].trim().is_empty() && text[after..end].trim().is_empty();
    blank.then_some((start, end))
}
