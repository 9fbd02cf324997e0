//! An expression's text as tokens, each with its place.

use std::ops::Range;

use super::ExprFault;

/// The longest expression read, in bytes.
pub(super) const MAX_BYTES: usize = 4096;
/// The greatest number of tokens: what is longer is a program.
const MAX_TOKENS: usize = 400;

/// A word or symbol.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Token {
    /// A name or keyword.
    Name(String),
    /// A whole number.
    Integer(i64),
    /// A text in quotes.
    Text(String),
    /// A symbol: an operator, a bracket, a comma.
    Symbol(&'static str),
}

/// The symbols, longer ones first.
const SYMBOLS: [&str; 22] =
    ["==", "!=", "<=", ">=", "//", "<", ">", "+", "-", "*", "%", "~", "|", ".", ",", "(", ")", "[", "]", "{", "}", ":"];

/// Splits an expression.
pub(super) fn tokens(text: &str) -> Result<Vec<(Token, Range<usize>)>, ExprFault> {
    if text.len() > MAX_BYTES {
        return Err(ExprFault::new(&(0..text.len()), "the expression is too long").expected(format!("at most {MAX_BYTES} bytes")));
    }
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        let start = at;
        let token = if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        } else if first.is_ascii_alphabetic() || first == '_' {
            let length = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            at += length;
            Token::Name(rest[..length].to_owned())
        } else if first.is_ascii_digit() {
            let length = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '.' && c != '_').unwrap_or(rest.len());
            at += length;
            Token::Integer(integer(&rest[..length], &(start..at))?)
        } else if matches!(first, '"' | '\'') {
            let (value, length) = quoted(rest, first, start)?;
            at += length;
            Token::Text(value)
        } else if let Some(symbol) = SYMBOLS.into_iter().find(|symbol| rest.starts_with(symbol)) {
            at += symbol.len();
            Token::Symbol(symbol)
        } else {
            let range = at..at + first.len_utf8();
            let fault = ExprFault::new(&range, format!("`{first}` has no meaning in an expression"));
            return Err(match first {
                '=' => fault.hint("equality is `==`"),
                '&' => fault.hint("write `and`"),
                '!' => fault.hint("write `not`"),
                '/' => fault.hint("whole numbers are divided by `//`"),
                _ => fault,
            });
        };
        found.push((token, start..at));
        if found.len() > MAX_TOKENS {
            return Err(ExprFault::new(&(0..text.len()), "the expression has too many words").expected(format!("at most {MAX_TOKENS}")));
        }
    }
    Ok(found)
}

fn integer(digits: &str, range: &Range<usize>) -> Result<i64, ExprFault> {
    digits.parse().map_err(|_| {
        let fault = ExprFault::new(range, format!("`{digits}` is not a whole number"));
        if digits.contains('.') { fault.hint(format!("a version is a text: `\"{digits}\"`")) } else { fault }
    })
}

/// A text in quotes and the length of its token.
fn quoted(rest: &str, quote: char, start: usize) -> Result<(String, usize), ExprFault> {
    let mut text = String::new();
    let mut chars = rest.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        if c == quote {
            return Ok((text, at + 1));
        }
        if c != '\\' {
            text.push(c);
            continue;
        }
        match chars.next() {
            Some((_, 'n')) => text.push('\n'),
            Some((_, 't')) => text.push('\t'),
            Some((_, c @ ('\\' | '"' | '\''))) => text.push(c),
            Some((end, c)) => {
                let range = start + at..start + end + c.len_utf8();
                return Err(ExprFault::new(&range, format!("`\\{c}` is not an escape")).expected("`\\n`, `\\t`, `\\\\`, `\\\"`, `\\'`"));
            }
            None => break,
        }
    }
    Err(ExprFault::new(&(start..start + rest.len()), "a text without its closing quote"))
}
