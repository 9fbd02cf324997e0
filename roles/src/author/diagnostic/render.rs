//! How a fault looks: `file:line:column: message`, the source line with a mark under the fault, what may stand there, what to do.

use std::sync::Arc;

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Renderer, Snippet};
use serde_json::{Value, json};

use super::{Fault, Faults};
use crate::author::source::Span;

/// For whom it is drawn.
#[derive(Clone, Copy, Debug)]
pub struct RenderStyle {
    /// With colour; meaning never rests on it.
    pub color: bool,
    /// Columns of the terminal.
    pub width: usize,
}

impl Default for RenderStyle {
    /// Plain, as wide as a page.
    fn default() -> Self {
        Self { color: false, width: 140 }
    }
}

/// The narrowest drawing: below it lines break rather than vanish.
const MIN_WIDTH: usize = 40;
/// From here on the first line stays whole: editors and build servers read `file:line:column: message`.
const PAGE: usize = 80;
/// The longest source line drawn; one longer (a whole file in one line) is shown by its place alone.
const MAX_LINE: usize = 4000;

impl Fault {
    /// Draws it for people; ends with a line feed.
    #[must_use]
    pub fn render(&self, look: RenderStyle) -> String {
        let renderer = if look.color { Renderer::styled() } else { Renderer::plain() }.term_width(look.width.max(MIN_WIDTH));
        let title = clean(&self.to_string());
        let title = if look.width < PAGE { wrap(&title, look.width.max(MIN_WIDTH), 2) } else { title };
        let title = Level::ERROR.no_name().primary_title(title);
        let mut group: Group<'_> = Group::with_title(title);
        let line = |span: &Span| (Arc::as_ptr(span.source()), span.line_column().0);
        let (beside, elsewhere): (Vec<_>, Vec<_>) = self.also.iter().partition(|(span, _)| line(span) == line(&self.span));
        if let Some((snippet, from)) = snippet(&self.span, AnnotationKind::Primary, None, false) {
            let marks = beside.iter().map(|(span, text)| mark(span, from, AnnotationKind::Context, Some(text)));
            group = group.element(snippet.annotations(marks));
        }
        for (span, text) in elsewhere {
            if let Some((snippet, _)) = snippet(span, AnnotationKind::Context, Some(text), true) {
                group = group.element(snippet);
            }
        }
        let mut drawn = renderer.render(&[group]);
        for (word, text) in self.advice() {
            let text = wrap(&clean(text), look.width.max(MIN_WIDTH), word.len() + 2);
            drawn.push_str(&if look.color { format!("\n\u{1b}[1m{word}:\u{1b}[0m {text}") } else { format!("\n{word}: {text}") });
        }
        drawn.push('\n');
        drawn
    }

    /// The lines after the source: what may stand there, what is nearest, what to do.
    fn advice(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [("expected", &self.expected), ("nearest", &self.nearest), ("hint", &self.hint)]
            .into_iter()
            .filter_map(|(word, text)| text.as_deref().map(|text| (word, text)))
    }

    /// One JSON object: `place`, `message`, and those of `expected`, `nearest`, `hint`, `also` that are there.
    #[must_use]
    pub fn json(&self) -> Value {
        let mut object = json!({ "place": place(&self.span), "message": self.told() });
        for (word, text) in self.advice() {
            object[word] = json!(text);
        }
        if !self.also.is_empty() {
            object["also"] = self.also.iter().map(|(span, text)| json!({ "place": place(span), "message": text })).collect();
        }
        object
    }
}

impl Faults {
    /// Draws all, one after the other.
    #[must_use]
    pub fn render(&self, look: RenderStyle) -> String {
        let mut drawn: Vec<String> = self.iter().map(|fault| fault.render(look)).collect();
        if self.more() > 0 {
            drawn.push(format!("and {} more\n", self.more()));
        }
        drawn.join("\n")
    }

    /// All as a JSON list.
    #[must_use]
    pub fn json(&self) -> Value {
        self.iter().map(Fault::json).collect()
    }
}

/// A place for programs.
fn place(span: &Span) -> Value {
    let (line, column) = span.line_column();
    json!({ "file": span.source().name(), "line": line, "column": column })
}

/// The source line with its mark, and where in the file that line begins.
fn snippet<'a>(span: &'a Span, kind: AnnotationKind, label: Option<&'a str>, named: bool) -> Option<(Snippet<'a, Annotation<'a>>, usize)> {
    let number = span.line_column().0;
    let range = span.source().line(number);
    let (from, line) = (range.start, &span.source().text()[range]);
    if line.is_empty() || line.len() > MAX_LINE {
        return None;
    }
    let snippet = Snippet::source(line).line_start(number).fold(true).annotation(mark(span, from, kind, label));
    Some((if named { snippet.path(span.source().name()) } else { snippet }, from))
}

/// The mark under a span, in the line that begins at `from`. Only the first line of a longer span is marked: the place
/// matters, not its extent.
fn mark<'a>(span: &Span, from: usize, kind: AnnotationKind, label: Option<&'a str>) -> Annotation<'a> {
    let length = span.source().line(span.line_column().0).end - from;
    let start = span.range().start.saturating_sub(from).min(length);
    let end = span.range().end.saturating_sub(from).min(length).max(start);
    let mark = kind.span(start..end);
    if let Some(label) = label { mark.label(clean(label)) } else { mark }
}

/// Breaks a text between words so that no line is longer than `width`; further lines are indented.
fn wrap(text: &str, width: usize, indent: usize) -> String {
    let mut wrapped = String::new();
    let mut column = indent;
    for word in text.split(' ') {
        let length = word.chars().count();
        if column > indent && column + 1 + length > width {
            wrapped.push('\n');
            wrapped.push_str(&" ".repeat(indent));
            column = indent;
        } else if column > indent {
            wrapped.push(' ');
            column += 1;
        }
        wrapped.push_str(word);
        column += length;
    }
    wrapped
}

/// Text on one line without control characters: what was written by others meets a terminal here.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c == '\n' || c == '\t' { ' ' } else { c }).filter(|c| !c.is_control() && !crate::words::is_unseen(*c)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::author::source::{Source, Tree};

    #[test]
    fn the_first_line_is_broken_only_on_a_narrow_terminal() {
        let source = Source::new(Tree::Site, "roles/base.yaml", "role: base\n");
        let fault = Fault::new(&source.span(0..4), "a message that is a little longer than half a narrow terminal is wide, and then some");
        let first = |width: usize| fault.render(RenderStyle { color: false, width }).lines().next().unwrap_or_default().to_owned();
        assert_eq!(first(140), fault.to_string());
        assert_eq!(first(80), fault.to_string());
        let narrow = fault.render(RenderStyle { color: false, width: 40 });
        assert!(narrow.lines().all(|line| line.chars().count() <= 40), "{narrow}");
    }
}
