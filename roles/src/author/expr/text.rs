//! Texts with `{{ }}` in them.

use std::ops::Range;

use super::ExprFault;

/// A part of a text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Segment {
    /// Taken as it is: bytes of the text.
    Plain(Range<usize>),
    /// The inside of `{{ }}`: bytes of the text.
    Expression(Range<usize>),
}

/// Splits a text at its `{{ }}`. Quotes inside an expression hide `}}`.
///
/// # Errors
/// A `{{` without its `}}`.
pub fn segments(text: &str) -> Result<Vec<Segment>, ExprFault> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(open) = text[at..].find("{{").map(|open| at + open) {
        if open > at {
            found.push(Segment::Plain(at..open));
        }
        let end = close(text, open + 2, "}}").map_err(|quote| match quote {
            Some(quote) => ExprFault::new(&(quote..quote + 1), "this quote is not closed in its expression")
                .hint("inside a YAML text in `\"`, write expressions with `'`"),
            None => ExprFault::new(&(open..open + 2), "`{{` without its `}}`")
                .hint("braces of another language belong into a file taken by `from`"),
        })?;
        found.push(Segment::Expression(open + 2..end));
        at = end + 2;
    }
    if at < text.len() {
        found.push(Segment::Plain(at..text.len()));
    }
    Ok(found)
}

/// The end of an expression: the first `mark` outside quotes, before other braces are opened.
///
/// # Errors
/// There is none; the quote that hides it, if one is open.
pub(crate) fn close(text: &str, from: usize, mark: &str) -> Result<usize, Option<usize>> {
    let bytes = text.as_bytes();
    let mut at = from;
    let mut quote = None;
    while at < bytes.len() {
        match (quote, bytes[at]) {
            (Some(_), b'\\') => at += 1,
            (Some((open, _)), byte) if byte == open => quote = None,
            (Some(_), _) => {}
            (None, byte @ (b'"' | b'\'')) => quote = Some((byte, at)),
            (None, _) if bytes[at..].starts_with(mark.as_bytes()) => return Ok(at),
            (None, _) if bytes[at..].starts_with(b"{{") || bytes[at..].starts_with(b"{%") => return Err(None),
            (None, _) => {}
        }
        at += 1;
    }
    Err(quote.map(|(_, at)| at))
}

/// The inside of the one `{{ }}` that is all of the text, if it is so: its value keeps its type. A blank or line end beside it makes a text.
#[must_use]
pub fn whole(segments: &[Segment]) -> Option<Range<usize>> {
    if let [Segment::Expression(range)] = segments { Some(range.clone()) } else { None }
}
