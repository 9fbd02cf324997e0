//! The YAML we read: no anchors, aliases, tags, merge keys, directives, second documents, duplicate keys or nulls; capped.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use granit_parser::{Event, Parser, ScalarStyle, ScanError};

use super::diagnostic::{Fault, Faults};
use super::source::{Entry, Key, Node, NodeKind, Scalar, Source, Span, Spanned, Style};

/// The greatest file read as YAML. A generous role is 10 KB.
pub const MAX_BYTES: usize = 1 << 20;
/// The greatest number of nodes in one file.
pub const MAX_NODES: usize = 100_000;
/// The greatest nesting: what is deeper is no role.
pub const MAX_DEPTH: usize = 48;

/// Reads one file. Faults that leave a tree behind (a duplicate key, an anchor) are all reported and the tree is
/// still given, so that later stages find theirs in the same go; a fault of syntax ends the reading.
pub fn read(source: &Arc<Source>, faults: &mut Faults) -> Option<Node> {
    if source.text().len() > MAX_BYTES {
        faults.push(
            Fault::new(&source.span(0..0), format!("the file has {} bytes", source.text().len()))
                .expected(format!("at most {MAX_BYTES} bytes")),
        );
        return None;
    }
    let options = granit_parser::options! {
        disallow_directives: true,
        emit_unresolved_aliases: true,
        emit_comments: false,
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
    };
    let mut builder = Builder { source, faults, open: Vec::new(), root: None, documents: 0, nodes: 0 };
    for next in Parser::new_from_str_with_options(source.text(), options) {
        match next {
            Ok((event, span)) => {
                if !builder.event(event, &span) {
                    return None;
                }
            }
            Err(error) => {
                let fault = syntax(source, &error);
                builder.faults.push(fault);
                return None;
            }
        }
    }
    let root = builder.root.take();
    if root.is_none() {
        faults.push(Fault::new(&source.span(0..0), "the file is empty"));
    }
    root
}

/// What the parser cannot read at all, in our words where we have better ones.
fn syntax(source: &Arc<Source>, error: &ScanError) -> Fault {
    let at = error.marker().byte_offset().unwrap_or_else(|| source.text().len());
    let span = source.span(at..at + 1);
    let info = error.info();
    let rest = source.text().get(at..).unwrap_or_default();
    if info.contains("tabs disallowed") || rest.starts_with('\t') {
        let tab = source.text()[..at].rfind('\t').map_or(at, |tab| if rest.starts_with('\t') { at } else { tab });
        return Fault::new(&source.span(tab..tab + 1), "a tab stands where spaces indent").expected("spaces");
    }
    if info.contains("recursion limit") {
        return Fault::new(&span, "nested too deep").expected(format!("at most {MAX_DEPTH} levels"));
    }
    if span.text() == "%" {
        return Fault::new(&span, "YAML directives are not read").hint("delete the line");
    }
    let fault = Fault::new(&span, format!("not YAML: {info}"));
    if rest.starts_with('{') || source.text()[..at].ends_with("{{") {
        return fault.hint("a value with an expression wants quotes: `\"{{ … }}\"`");
    }
    if rest.starts_with(':') || info.contains("mapping values") {
        return fault.hint("a text with `: ` in it wants quotes; or a `[` or `{` above is not closed");
    }
    fault
}

/// A list or map whose end is not yet read.
enum Open {
    /// A map: where it began, what it has, every key it ever named, the key that waits for its value, faults of keys that have none, and
    /// whether it is the outer half of `{{ }}` without quotes.
    Map { start: usize, entries: Vec<Entry>, known: HashMap<String, Span>, key: Waiting, empty: Vec<Fault>, braces: bool },
    /// A list: where it began and what it has.
    List { start: usize, items: Vec<Node> },
}

/// The key that waits for its value.
enum Waiting {
    /// None: the next node is a key.
    Nothing,
    /// This one.
    Key(Key),
    /// One that was refused: its value is read and dropped.
    Refused,
}

/// Builds the tree from events.
struct Builder<'a> {
    source: &'a Arc<Source>,
    faults: &'a mut Faults,
    open: Vec<Open>,
    root: Option<Node>,
    documents: usize,
    nodes: usize,
}

impl Builder<'_> {
    /// Takes one event; false ends the reading.
    fn event(&mut self, event: Event<'_>, place: &granit_parser::Span) -> bool {
        let range = range(place);
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            self.faults.push(Fault::new(&self.source.span(range), "the file has too many values").expected(format!("at most {MAX_NODES}")));
            return false;
        }
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    self.faults.push(
                        Fault::new(&self.source.span(range), "a second document").expected("one document a file").hint("delete the `---`"),
                    );
                    return false;
                }
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                let span = self.source.span(range.clone());
                self.faults.push(Fault::new(&span, "aliases are not read").hint("write the value again, or make it a parameter"));
                let refused = self.refused(span);
                self.close(refused);
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.properties(&range, place, anchor, tag.is_some());
                self.scalar(text.into_owned(), style, range);
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.properties(&range, place, anchor, tag.is_some());
                self.open.push(Open::List { start: range.start, items: Vec::new() });
            }
            Event::MappingStart(_, anchor, tag) => {
                self.properties(&range, place, anchor, tag.is_some());
                self.open.push(Open::Map {
                    start: range.start,
                    entries: Vec::new(),
                    known: HashMap::new(),
                    key: Waiting::Nothing,
                    empty: Vec::new(),
                    braces: false,
                });
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(&range),
            _ => {}
        }
        true
    }

    /// Refuses anchors and tags.
    fn properties(&mut self, range: &Range<usize>, place: &granit_parser::Span, anchor: usize, tag: bool) {
        if anchor != 0 {
            let (at, word) = self.before(range.start, '&');
            self.faults.push(
                Fault::new(&at, format!("anchors are not read: `{word}`"))
                    .hint("write the value where it is wanted, or make it a parameter"),
            );
        }
        if tag {
            let at = place.tag_span().map_or_else(|| self.source.span(range.clone()), |span| self.source.span(self::range(&span)));
            self.faults.push(
                Fault::new(&at, format!("tags are not read: `{}`", at.text()))
                    .hint("quote a text; types come from the parameter or the kind"),
            );
        }
    }

    /// The property (`&name`) that stands before a node.
    fn before(&self, start: usize, character: char) -> (Span, String) {
        let text = &self.source.text()[..start];
        let at = text.rfind(character).unwrap_or(start);
        let end =
            self.source.text()[at..].find(|c: char| c.is_whitespace() || matches!(c, ',' | ']' | '}')).map_or(start, |length| at + length);
        let span = self.source.span(at..end);
        let word = span.text().to_owned();
        (span, word)
    }

    /// A scalar: a key or a value.
    fn scalar(&mut self, text: String, style: ScalarStyle, range: Range<usize>) {
        let style = match style {
            ScalarStyle::Plain => Style::Plain,
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Style::Quoted,
            ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
        };
        let span = self.source.span(range);
        self.close(Node { span, kind: NodeKind::Scalar(Scalar { text, style }) });
    }

    /// What stands for a value that was refused: nothing further is said of it.
    fn refused(&mut self, span: Span) -> Node {
        self.faults.refuse(&span);
        Node { span, kind: NodeKind::Scalar(Scalar { text: String::new(), style: Style::Quoted }) }
    }

    /// The end of a list or map.
    fn end(&mut self, range: &Range<usize>) {
        let (start, kind, empty, braces) = match self.open.pop() {
            Some(Open::Map { start, entries, empty, braces, .. }) => (start, NodeKind::Map(entries), empty, braces),
            Some(Open::List { start, items }) => (start, NodeKind::List(items), Vec::new(), false),
            None => return,
        };
        // A flow collection ends at its bracket; a block one at its last value, whatever blank lines and comments follow.
        let bracket = self.source.text().get(range.clone()).is_some_and(|text| text == "]" || text == "}");
        let last = match &kind {
            NodeKind::Map(entries) => entries.last().map(|entry| entry.value.span.range().end),
            NodeKind::List(items) => items.last().map(|item| item.span.range().end),
            NodeKind::Scalar(_) => None,
        };
        let end = if bracket { range.end } else { last.unwrap_or(range.end) };
        let span = self.source.span(start..end);
        if braces {
            let fault = Fault::new(&span, "`{{ }}` outside quotes: YAML reads braces as a map");
            let written = span.text().split_whitespace().collect::<Vec<_>>().join(" ").replace('"', "'");
            self.faults.push(fault.hint(format!("put it in quotes: `\"{written}\"`")));
            let refused = self.refused(span);
            return self.close(refused);
        }
        if let Some(fault) = self.beside_the_key(&kind) {
            self.faults.push(fault);
            let refused = self.refused(span);
            return self.close(refused);
        }
        // The inner half of `{{ }}` has keys without values by nature; its outer half is told.
        if !self.in_braces(start) {
            self.faults.extend(empty);
        }
        self.close(Node { span, kind });
    }

    /// Whether a map that began there is the inner half of `{{ }}`.
    fn in_braces(&self, start: usize) -> bool {
        let waits = matches!(self.open.last(), Some(Open::Map { key: Waiting::Nothing, .. }));
        waits && self.source.text()[..start].ends_with('{') && self.source.text()[start..].starts_with('{')
    }

    /// An element of a list whose first key has no value and whose others have one: they were meant to stand in it.
    fn beside_the_key(&self, kind: &NodeKind) -> Option<Fault> {
        let NodeKind::Map(entries) = kind else { return None };
        let [first, second, ..] = entries.as_slice() else { return None };
        let nothing = |entry: &Entry| {
            entry.value.as_scalar().is_some_and(|scalar| scalar.text.is_empty() && entry.value.span.text().trim().is_empty())
        };
        let element = matches!(self.open.last(), Some(Open::List { .. }));
        let word = &first.key.value;
        if !element || !nothing(first) || entries.iter().skip(1).any(nothing) || matches!(word.as_str(), "when" | "each" | "within") {
            return None;
        }
        let fault = Fault::new(&first.key.span, format!("the fields of `{word}` stand beside it, not in it"));
        Some(fault.also(&second.key.span, "from here on").hint(format!("indent the lines below `{word}:` by two more spaces")))
    }

    /// A whole node: the root, an element, a key or a value.
    fn close(&mut self, node: Node) {
        let Some(mut open) = self.open.pop() else {
            self.root = Some(node);
            return;
        };
        match &mut open {
            Open::List { items, .. } => match self.null(&node, None) {
                Some(fault) => self.faults.push(fault),
                None => items.push(node),
            },
            Open::Map { entries, known, key, empty, braces, .. } => match std::mem::replace(key, Waiting::Nothing) {
                Waiting::Nothing if node.as_map().is_some() && node.span.source().text()[..node.span.range().start].ends_with('{') => {
                    (*braces, *key) = (true, Waiting::Refused);
                }
                Waiting::Nothing => *key = self.key(node, known),
                Waiting::Refused => {}
                Waiting::Key(name) => {
                    let missing = self.null(&node, Some(&name));
                    let written = !node.span.text().trim().is_empty();
                    // The key stays: what it was to hold is not missing as well.
                    let value = match missing {
                        Some(fault) if written => {
                            self.faults.push(fault);
                            self.refused(node.span)
                        }
                        Some(fault) => {
                            empty.push(fault);
                            self.refused(node.span)
                        }
                        None => node,
                    };
                    entries.push(Entry { key: name, value });
                }
            },
        }
        self.open.push(open);
    }

    /// A key: a text, not the merge key, not twice.
    fn key(&mut self, node: Node, known: &mut HashMap<String, Span>) -> Waiting {
        let NodeKind::Scalar(scalar) = node.kind else {
            self.faults.push(Fault::new(&node.span, "a key is a list or a map").expected("a word"));
            return Waiting::Refused;
        };
        if scalar.style == Style::Plain && scalar.text == "<<" {
            self.faults.push(Fault::new(&node.span, "merge keys are not read").hint("write the entries, or make them a parameter"));
            return Waiting::Refused;
        }
        if scalar.text.is_empty() {
            self.faults.push(Fault::new(&node.span, "an empty key").expected("a word"));
            return Waiting::Refused;
        }
        if let Some(first) = known.get(&scalar.text) {
            self.faults.push(Fault::new(&node.span, format!("`{}` is written twice", scalar.text)).also(first, "first written here"));
            return Waiting::Refused;
        }
        known.insert(scalar.text.clone(), node.span.clone());
        Waiting::Key(Spanned::new(scalar.text, node.span))
    }

    /// Why a null, written or left out, is refused.
    fn null(&self, node: &Node, key: Option<&Key>) -> Option<Fault> {
        let scalar = node.as_scalar()?;
        if scalar.style != Style::Plain || !matches!(scalar.text.as_str(), "" | "~" | "null" | "Null" | "NULL") {
            return None;
        }
        let written = node.span.text().trim();
        let what = if written.is_empty() { "nothing".to_owned() } else { format!("`{written}`") };
        let fault = match key {
            Some(key) if written.is_empty() => Fault::new(&key.span, format!("`{}` has no value", key.value)),
            Some(key) => Fault::new(&node.span, format!("`{}` is {what}: there is no null", key.value)),
            None => Fault::new(&node.span, format!("an element is {what}: there is no null")),
        };
        Some(fault.hint("leave it out, or write `\"\"`, `[]` or `{}`"))
    }
}

/// The bytes of a parser's span.
fn range(span: &granit_parser::Span) -> Range<usize> {
    span.byte_range().unwrap_or(0..0)
}
