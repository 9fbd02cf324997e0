//! How a fault looks: `file:line:column: message`, the source line with a mark under the fault, what may stand there, what to do.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde_json::{Value, json};

use super::{Fault, Faults};
use crate::author::source::Span;

/// For whom it is drawn.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// With colour; meaning never rests on it.
    pub color: bool,
    /// Columns of the terminal.
    pub width: usize,
}

impl Default for Look {
    /// Plain, as wide as a page.
    fn default() -> Self {
        Self { color: false, width: 140 }
    }
}

/// The narrowest drawing: below it lines break rather than vanish.
const MIN_WIDTH: usize = 40;
/// The longest source line drawn; one longer (a whole file in one line) is shown by its place alone.
const MAX_LINE: usize = 4000;

impl Fault {
    /// Draws it for people; ends with a line feed.
    #[must_use]
    pub fn render(&self, look: Look) -> String {
        let renderer = if look.color { Renderer::styled() } else { Renderer::plain() }.term_width(look.width.max(MIN_WIDTH));
        let title = Level::ERROR.no_name().primary_title(clean(&format!("{}: {}", self.span, self.message)));
        let mut group: Group<'_> = Group::with_title(title);
        if let Some(snippet) = snippet(&self.span, AnnotationKind::Primary, None, false) {
            group = group.element(snippet);
        }
        for (span, text) in &self.also {
            if let Some(snippet) = snippet(span, AnnotationKind::Context, Some(text), true) {
                group = group.element(snippet);
            }
        }
        let mut drawn = renderer.render(&[group]);
        for (word, text) in self.advice() {
            drawn.push('\n');
            drawn.push_str(&if look.color {
                format!("\u{1b}[1m{word}:\u{1b}[0m {}", clean(text))
            } else {
                format!("{word}: {}", clean(text))
            });
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
        let mut object = json!({ "place": place(&self.span), "message": self.message });
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
    pub fn render(&self, look: Look) -> String {
        self.iter().map(|fault| fault.render(look)).collect::<Vec<_>>().join("\n")
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

/// The source line with its mark. Only the first line of a longer span is marked: the place matters, not its extent.
fn snippet<'a>(
    span: &'a Span,
    kind: AnnotationKind,
    label: Option<&'a str>,
    named: bool,
) -> Option<Snippet<'a, annotate_snippets::Annotation<'a>>> {
    let text = span.source().text();
    let at = span.range();
    let from = text[..at.start].rfind('\n').map_or(0, |found| found + 1);
    let until = text[at.start..].find('\n').map_or(text.len(), |found| at.start + found);
    let line = text[from..until].trim_end_matches('\r');
    if line.is_empty() || line.len() > MAX_LINE {
        return None;
    }
    let start = (at.start - from).min(line.len());
    let end = (at.end.min(until) - from).min(line.len()).max(start);
    let mark = kind.span(start..end);
    let mark = if let Some(label) = label { mark.label(clean(label)) } else { mark };
    let (number, _) = span.line_column();
    let snippet = Snippet::source(line).line_start(number).fold(true).annotation(mark);
    Some(if named { snippet.path(span.source().name()) } else { snippet })
}

/// Text on one line without control characters: what was written by others meets a terminal here.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c == '\n' || c == '\t' { ' ' } else { c }).filter(|c| !c.is_control()).collect()
}
