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

    /// Finds `range` of the text in the raw token. Where the text stands in it as it is, that is exact; an escape before it is
    /// stepped over; in a folded text, the same occurrence of the same letters is taken.
    fn locate(&self, raw: &str, range: Range<usize>) -> Option<Range<usize>> {
        let wanted = self.text.get(range.clone()).filter(|wanted| !wanted.is_empty())?;
        if self.style == Style::Quoted && raw.len() >= 2 && !raw.contains('\n') {
            return Some(escaped(raw, range.start)?..escaped(raw, range.end)?);
        }
        let before = self.text.get(..range.start)?.matches(wanted).count();
        let (at, _) = raw.match_indices(wanted).nth(before)?;
        Some(at..at + wanted.len())
    }
}

/// Where byte `at` of the text stands in its quoted token of one line; none behind an escape of more than two letters.
fn escaped(raw: &str, at: usize) -> Option<usize> {
    let (quote, inner) = (raw.chars().next()?, raw.get(1..raw.len() - 1)?);
    let (mut text, mut token) = (0, 0);
    let mut letters = inner.chars().peekable();
    while text < at {
        let letter = letters.next()?;
        token += letter.len_utf8();
        text += letter.len_utf8();
        let next = letters.peek().copied();
        if quote == '"' && letter == '\\' {
            // `\N`, `\_`, `\L` and `\P` stand for letters of more than one byte, `\x41` is longer: rare enough to give up.
            next.filter(|next| "0abtnvfre \"/\\".contains(*next))?;
            letters.next();
            token += 1;
        } else if quote == '\'' && letter == '\'' && next == Some('\'') {
            letters.next();
            token += 1;
        }
    }
    Some(token + 1)
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

#[cfg(test)]
mod tests {
    use super::super::{Source, Tree};
    use super::*;
    use crate::author::diagnostic::Faults;
    use crate::author::yaml::read;

    /// The place of `wanted` in the value of `key`.
    fn found(yaml: &str, wanted: &str) -> String {
        let mut faults = Faults::new();
        let root = read(&Source::new(Tree::Site, "a.yaml", yaml), &mut faults).unwrap();
        let node = root.get("key").unwrap();
        let at = node.as_scalar().unwrap().text.rfind(wanted).unwrap();
        let part = node.part(at..at + wanted.len());
        format!("{part} {}", part.text())
    }

    #[test]
    fn a_part_of_a_text_is_found_in_its_file() {
        assert_eq!(found("key: one {{ n }}\n", "n"), "a.yaml:1:13 n");
        assert_eq!(found("key: \"\\n\\n {{ n }}\"\n", "n"), "a.yaml:1:15 n");
        assert_eq!(found("key: 'it''s {{ s }}'\n", "s"), "a.yaml:1:16 s");
        assert_eq!(found("key: \"\\x41 b\"\n", "b"), "a.yaml:1:6 \"\\x41 b\"");
        assert_eq!(found("key: |\n  one\n  two {{ two }}\n", "two"), "a.yaml:3:10 two");
        assert_eq!(found("key: >\n  one\n  two\n", "two"), "a.yaml:3:3 two");
    }

    #[test]
    fn only_what_has_one_form_is_a_number() {
        let bare = |text: &str| Scalar { text: text.to_owned(), style: Style::Plain }.bare();
        assert_eq!(bare("no"), Bare::Text);
        assert_eq!(bare("true"), Bare::Boolean(true));
        assert_eq!(bare("-7"), Bare::Integer(-7));
        for text in ["012", "1.10", "1_000", "0x1f", "0o7", "1e3", "+1", "-0", ".5", ".inf", "99999999999999999999"] {
            assert_eq!(bare(text), Bare::NumberLike, "{text}");
        }
        for text in ["1.2.3", "5m", "10.0.0.1", "0xzz", "_1", "infinity", "nan"] {
            assert_eq!(bare(text), Bare::Text, "{text}");
        }
        assert_eq!(Scalar { text: "5".to_owned(), style: Style::Quoted }.bare(), Bare::Text);
    }
}
