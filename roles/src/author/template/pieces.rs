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
    let mut comments = Comments { text, next: Some(0) };
    let mut at = 0;
    while let Some(open) = next_open(text, at) {
        let inside = open + 2;
        let mark = match &text[open..inside] {
            "{{" => "}}",
            "{%" => "%}",
            _ => "#}",
        };
        let closed = if mark == "#}" { comments.end(inside).ok_or(None) } else { expr::close(text, inside, mark) };
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

/// Where comments end, looked for once however many are open.
struct Comments<'t> {
    text: &'t str,
    /// The end that was found last; none: there is no further one.
    next: Option<usize>,
}

impl Comments<'_> {
    fn end(&mut self, from: usize) -> Option<usize> {
        if self.next? < from || self.next == Some(0) {
            self.next = self.text[from..].find("#}").map(|end| from + end);
        }
        self.next
    }
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
    // Only blanks are looked at: a line may be as long as the file.
    let blank = |letter: char| letter != '\n' && letter.is_whitespace();
    let before = text[..open].trim_end_matches(blank);
    let behind = text[after..].trim_start_matches(blank);
    let is_alone = (before.is_empty() || before.ends_with('\n')) && (behind.is_empty() || behind.starts_with('\n'));
    is_alone.then(|| (before.len(), (text.len() - behind.len() + 1).min(text.len())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::author::source::Tree;
    use std::time::Duration;

    /// How long this thread was at work: on a busy machine its turns are few, and no longer (proc(5), `/proc/PID/schedstat`).
    fn at_work() -> Duration {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
    }

    fn time(line: &str, lines: usize, times: usize) -> Duration {
        let source = Source::new(Tree::Site, "templates/x", line.repeat(lines));
        let began = at_work();
        for _ in 0..times {
            std::hint::black_box(pieces(&source, &mut Vec::new()));
        }
        at_work() - began
    }

    #[test]
    fn a_template_is_split_in_time_in_proportion_to_its_length_whatever_is_not_closed() {
        let mixed = "{{ \"\n{{ '\n{% \"\n{#\n";
        for line in ["{#\n", "{{ 'x\n", "{{ \"\n", "{%\n", "{% if true %}", "{# x #}", mixed] {
            let (small, large) = (time(line, 500, 400), time(line, 20_000, 10));
            // As many lines in all: a search to the end for each makes forty times of it.
            assert!(large < small * 8, "{line:?}: {small:?} for 400 times 500, {large:?} for 10 times 20000");
        }
    }

    #[test]
    fn a_tag_alone_on_its_line_takes_the_line_with_it() {
        for (text, open, after, found) in [
            ("a\n  {% x %} \nb", 4, 11, Some((2, 13))),
            ("{% x %}\nb", 0, 7, Some((0, 8))),
            ("{% x %}", 0, 7, Some((0, 7))),
            ("a\n{% x %}\r\nb", 2, 9, Some((2, 11))),
            ("a {% x %}\n", 2, 9, None),
            ("{% x %} a\n", 0, 7, None),
        ] {
            assert_eq!(alone(text, open, after), found, "{text:?}");
        }
    }
}
