//! The tree read from one file: maps, lists and scalars, each with its place.

use std::ops::Range;

use super::{Span, Spanned};

/// A node of the tree and its place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Node {
    /// Where it was written: a scalar's token with its quotes, a list or map from its first to its last byte.
    pub span: Span,
    /// What it is.
    pub kind: NodeKind,
}

/// The three shapes of a node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NodeKind {
    /// Keys in written order, none twice.
    Map(Vec<Entry>),
    /// Elements in written order.
    List(Vec<Node>),
    /// One word or text.
    Scalar(Scalar),
}

/// A key with its value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The key.
    pub key: Key,
    /// The value.
    pub value: Node,
}

/// The name before a colon.
pub type Key = Spanned<String>;

/// A scalar as written. Nothing is guessed from it: [`Scalar::bare`] says what an unquoted word looks like.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scalar {
    /// The text after unquoting and unescaping.
    pub text: String,
    /// How it was written.
    pub style: Style,
}

/// How a scalar was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Style {
    /// Bare: may be a boolean or a number.
    Plain,
    /// In quotes: always text.
    Quoted,
    /// A `|` or `>` block: always text.
    Block,
}

/// What a scalar is by our own rule: quoted is text; bare it is a boolean, a whole number in its one form, another number, or text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bare {
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number in its one written form: `0`, `-7`, `40`; not `007`, `+1`, `1_000`.
    Integer(i64),
    /// Anything else that a reader of YAML might take for a number: `1.10`, `0644`, `1e3`, `0x1f`, `1_000`.
    NumberLike,
    /// Text.
    Text,
}

impl Node {
    /// The scalar, if it is one.
    #[must_use]
    pub fn as_scalar(&self) -> Option<&Scalar> {
        if let NodeKind::Scalar(scalar) = &self.kind { Some(scalar) } else { None }
    }

    /// The elements, if it is a list.
    #[must_use]
    pub fn as_list(&self) -> Option<&[Node]> {
        if let NodeKind::List(list) = &self.kind { Some(list) } else { None }
    }

    /// The entries, if it is a map.
    #[must_use]
    pub fn as_map(&self) -> Option<&[Entry]> {
        if let NodeKind::Map(map) = &self.kind { Some(map) } else { None }
    }

    /// The value of a key, if it is a map that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.as_map()?.iter().find(|entry| entry.key.value == key).map(|entry| &entry.value)
    }

    /// `a map`, `a list`, `a text`, ...: how messages call it.
    #[must_use]
    pub fn noun(&self) -> &'static str {
        match &self.kind {
            NodeKind::Map(_) => "a map",
            NodeKind::List(_) => "a list",
            NodeKind::Scalar(scalar) => match scalar.bare() {
                Bare::Boolean(_) => "a boolean",
                Bare::Integer(_) => "a whole number",
                Bare::NumberLike => "a bare number",
                Bare::Text => "a text",
            },
        }
    }

    /// The place of `range` (bytes of the scalar's unquoted text) in the file; the whole node when it cannot be told.
    #[must_use]
    pub fn part(&self, range: Range<usize>) -> Span {
        self.as_scalar()
            .and_then(|scalar| scalar.locate(self.span.text(), range))
            .map_or_else(|| self.span.clone(), |found| self.span.part(found))
    }
}

impl Scalar {
    /// Whether the text holds an expression.
    #[must_use]
    pub fn has_expression(&self) -> bool {
        self.text.contains("{{")
    }

    /// What the scalar is by our own rule.
    #[must_use]
    pub fn bare(&self) -> Bare {
        match (self.style, self.text.as_str()) {
            (Style::Quoted | Style::Block, _) => Bare::Text,
            (Style::Plain, "true") => Bare::Boolean(true),
            (Style::Plain, "false") => Bare::Boolean(false),
            (Style::Plain, text) => match text.parse::<i64>() {
                Ok(number) if number.to_string() == text => Bare::Integer(number),
                _ if number_like(text) => Bare::NumberLike,
                _ => Bare::Text,
            },
        }
    }

    /// Finds `range` of the text in the raw token. Each occurrence in the text has its own in the token unless escapes hide it.
    fn locate(&self, raw: &str, range: Range<usize>) -> Option<Range<usize>> {
        let wanted = self.text.get(range.clone())?;
        if wanted.is_empty() {
            return None;
        }
        let before = self.text.get(..range.start)?.matches(wanted).count();
        let (at, _) = raw.match_indices(wanted).nth(before)?;
        Some(at..at + wanted.len())
    }
}

/// Whether some reader of YAML (1.1 or 1.2) takes the bare word for a number.
fn number_like(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if let Some(rest) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0o")).or_else(|| digits.strip_prefix("0b")) {
        return !rest.is_empty() && rest.chars().all(|c| c.is_ascii_hexdigit() || c == '_');
    }
    if matches!(digits, ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') && digits.replace('_', "").parse::<f64>().is_ok()
}
