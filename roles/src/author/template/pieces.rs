//! A template's text split at its braces, white space taken away with them.

use std::ops::Range;
use std::sync::Arc;

use crate::author::diagnostic::Fault;
use crate::author::expr;
use crate::author::source::Source;

/// What stands between texts: bytes of the file, the braces left out.
#[derive(Debug)]
pub(super) enum Piece {
    /// Taken as it is.
    Plain(Range<usize>),
    /// The inside of `{{ }}`.
    Print(Range<usize>),
    /// The inside of `{% %}`.
    Tag(Range<usize>),
}

/// Splits a template, and says whether a tag was torn. What is not closed is a fault and ends with its line, so that the rest is judged too.
pub(super) fn pieces(source: &Arc<Source>, faults: &mut Vec<Fault>) -> (Vec<Piece>, bool) {
    let text = source.text();
    let (mut found, mut torn) = (Vec::new(), false);
    let mut at = 0;
    while let Some(open) = next_open(text, at) {
        let inside = open + 2;
        let mark = match &text[open..inside] {
            "{{" => "}}",
            "{%" => "%}",
            _ => "#}",
        };
        let closed =
            if mark == "#}" { text[inside..].find(mark).map(|end| inside + end).ok_or(None) } else { expr::close(text, inside, mark) };
        let end = match closed {
            Ok(end) => end,
            Err(quote) => {
                faults.push(unclosed(source, open, mark, quote));
                torn |= mark == "%}";
                at = text[inside..].find('\n').map_or(text.len(), |end| inside + end + 1);
                continue;
            }
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
    (found, torn)
}

/// Braces without their end, or a quote that hides it.
fn unclosed(source: &Arc<Source>, open: usize, mark: &str, quote: Option<usize>) -> Fault {
    let braces = source.span(open..open + 2);
    match quote {
        Some(quote) => {
            Fault::new(&source.span(quote..quote + 1), "this quote is not closed").also(&braces, "in the expression opened here")
        }
        None => Fault::new(&braces, format!("`{}` without its `{mark}`", braces.text())),
    }
}

/// The next `{{`, `{%` or `{#`.
fn next_open(text: &str, from: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let is_open = |at: &usize| matches!(bytes.get(at + 1), Some(b'{' | b'%' | b'#'));
    text[from..].match_indices('{').map(|(at, _)| from + at).find(is_open)
}

/// The start of its line and of the next, if a tag stands alone on its line.
fn alone(text: &str, open: usize, after: usize) -> Option<(usize, usize)> {
    let start = text[..open].rfind('\n').map_or(0, |at| at + 1);
    let end = text[after..].find('\n').map_or(text.len(), |at| after + at + 1);
    let blank = text[start..open].trim().is_empty() && text[after..end].trim().is_empty();
    blank.then_some((start, end))
}
