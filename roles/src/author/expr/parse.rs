//! Tokens to a tree, by precedence: `if else`, `or`, `and`, `not`, comparison and `is`, `~`, `+ -`, `* // %`, `-`, then `.`, `[ ]` and `|`.

use std::ops::Range;

use super::lex::{Token, tokens};
use super::syntax::{Expr, ExprKind, Operator};
use super::{ExprFault, FILTERS, TESTS};
use crate::author::value::Value;

/// The deepest nesting.
const MAX_DEPTH: usize = 32;
/// Words that are no names.
const KEYWORDS: [&str; 10] = ["and", "or", "not", "in", "is", "if", "else", "true", "false", "none"];

/// Reads one expression.
///
/// # Errors
/// The first thing that cannot be read.
pub fn parse(text: &str) -> Result<Expr, ExprFault> {
    let mut parser = Parser { tokens: tokens(text)?, at: 0, end: text.len(), depth: 0 };
    if parser.tokens.is_empty() {
        return Err(ExprFault::new(&(0..text.len()), "the expression is empty"));
    }
    let expr = parser.expression()?;
    match parser.tokens.get(parser.at) {
        None => Ok(expr),
        Some((token, range)) => {
            Err(ExprFault::new(range, format!("{} does not belong here", shown(token))).expected("an operator or the end"))
        }
    }
}

fn shown(token: &Token) -> String {
    match token {
        Token::Name(name) => format!("`{name}`"),
        Token::Integer(number) => format!("`{number}`"),
        Token::Text(_) => "this text".to_owned(),
        Token::Symbol(symbol) => format!("`{symbol}`"),
    }
}

struct Parser {
    tokens: Vec<(Token, Range<usize>)>,
    at: usize,
    end: usize,
    depth: usize,
}

type Parsed = Result<Expr, ExprFault>;

fn joined(left: &Expr, right: &Expr) -> Range<usize> {
    left.range.start..right.range.end
}

impl Parser {
    fn peek_symbol(&self, symbol: &str) -> bool {
        matches!(self.tokens.get(self.at), Some((Token::Symbol(found), _)) if *found == symbol)
    }

    fn peek_word(&self, word: &str) -> bool {
        matches!(self.tokens.get(self.at), Some((Token::Name(found), _)) if found == word)
    }

    fn take_symbol(&mut self, symbol: &str) -> bool {
        let found = self.peek_symbol(symbol);
        self.at += usize::from(found);
        found
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = self.peek_word(word);
        self.at += usize::from(found);
        found
    }

    /// Where the next token is, or the end.
    fn here(&self) -> Range<usize> {
        self.tokens.get(self.at).map_or(self.end..self.end, |(_, range)| range.clone())
    }

    /// Where the last token ended.
    fn passed(&self) -> usize {
        self.at.checked_sub(1).and_then(|at| self.tokens.get(at)).map_or(0, |(_, range)| range.end)
    }

    fn unexpected(&self, expected: &str) -> ExprFault {
        match self.tokens.get(self.at) {
            Some((token, range)) => ExprFault::new(range, format!("{} does not belong here", shown(token))).expected(expected),
            None => ExprFault::new(&(self.end..self.end), "the expression ends too early").expected(expected),
        }
    }

    fn close(&mut self, symbol: &'static str) -> Result<(), ExprFault> {
        if self.take_symbol(symbol) { Ok(()) } else { Err(self.unexpected(&format!("`{symbol}`"))) }
    }

    /// `A if B else C`, or less.
    fn expression(&mut self) -> Parsed {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(ExprFault::new(&self.here(), "the expression is nested too deep").expected(format!("at most {MAX_DEPTH} levels")));
        }
        let then = self.or()?;
        let expr = if self.take_word("if") {
            let when = self.or()?;
            if !self.take_word("else") {
                return Err(self.unexpected("`else`"));
            }
            let otherwise = self.expression()?;
            let range = joined(&then, &otherwise);
            Expr { kind: ExprKind::Choose { then: Box::new(then), when: Box::new(when), otherwise: Box::new(otherwise) }, range }
        } else {
            then
        };
        self.depth -= 1;
        Ok(expr)
    }

    fn or(&mut self) -> Parsed {
        let mut left = self.and()?;
        while self.take_word("or") {
            let right = self.and()?;
            let range = joined(&left, &right);
            left = Expr { kind: ExprKind::Or(Box::new(left), Box::new(right)), range };
        }
        Ok(left)
    }

    fn and(&mut self) -> Parsed {
        let mut left = self.not()?;
        while self.take_word("and") {
            let right = self.not()?;
            let range = joined(&left, &right);
            left = Expr { kind: ExprKind::And(Box::new(left), Box::new(right)), range };
        }
        Ok(left)
    }

    fn not(&mut self) -> Parsed {
        let mut starts = Vec::new();
        while self.peek_word("not") {
            starts.push(self.here().start);
            self.at += 1;
        }
        let mut inner = self.comparison()?;
        for start in starts.into_iter().rev() {
            let range = start..inner.range.end;
            inner = Expr { kind: ExprKind::Not(Box::new(inner)), range };
        }
        Ok(inner)
    }

    fn comparison(&mut self) -> Parsed {
        let left = self.join()?;
        if self.take_word("is") {
            return self.test(left);
        }
        let operator = if self.take_word("in") {
            Operator::In
        } else if self.peek_word("not") && matches!(self.tokens.get(self.at + 1), Some((Token::Name(word), _)) if word == "in") {
            self.at += 2;
            Operator::NotIn
        } else {
            let symbols = [
                ("==", Operator::Equal),
                ("!=", Operator::Unequal),
                ("<=", Operator::LessEqual),
                (">=", Operator::GreaterEqual),
                ("<", Operator::Less),
                (">", Operator::Greater),
            ];
            match symbols.into_iter().find(|(symbol, _)| self.peek_symbol(symbol)) {
                Some((_, operator)) => {
                    self.at += 1;
                    operator
                }
                None => return Ok(left),
            }
        };
        let right = self.join()?;
        Ok(compute(operator, left, right))
    }

    /// What follows `is`.
    fn test(&mut self, input: Expr) -> Parsed {
        let negated = self.take_word("not");
        let (name, place) = self.name("a test")?;
        let known = TESTS.iter().map(|word| word.name);
        let Some(word) = TESTS.iter().find(|word| word.name == name) else {
            return Err(ExprFault::new(&place, format!("unknown test `{name}`")).near(&name, known));
        };
        let arguments = if self.take_symbol("(") { self.arguments(")")? } else { Vec::new() };
        counted(word.name, word.usage, word.arguments, &arguments, &place)?;
        let range = input.range.start..self.passed();
        Ok(Expr { kind: ExprKind::Test { input: Box::new(input), negated, name, place, arguments }, range })
    }

    fn join(&mut self) -> Parsed {
        let mut left = self.sum()?;
        while self.take_symbol("~") {
            let right = self.sum()?;
            left = compute(Operator::Join, left, right);
        }
        Ok(left)
    }

    fn sum(&mut self) -> Parsed {
        let mut left = self.product()?;
        loop {
            let operator = match () {
                () if self.take_symbol("+") => Operator::Add,
                () if self.take_symbol("-") => Operator::Subtract,
                () => return Ok(left),
            };
            let right = self.product()?;
            left = compute(operator, left, right);
        }
    }

    fn product(&mut self) -> Parsed {
        let mut left = self.negated()?;
        loop {
            let operator = match () {
                () if self.take_symbol("*") => Operator::Multiply,
                () if self.take_symbol("//") => Operator::Divide,
                () if self.take_symbol("%") => Operator::Remainder,
                () => return Ok(left),
            };
            let right = self.negated()?;
            left = compute(operator, left, right);
        }
    }

    fn negated(&mut self) -> Parsed {
        let start = self.here().start;
        if self.take_symbol("-") {
            let inner = self.postfix()?;
            let range = start..inner.range.end;
            return Ok(Expr { kind: ExprKind::Negate(Box::new(inner)), range });
        }
        self.postfix()
    }

    fn postfix(&mut self) -> Parsed {
        let mut expr = self.primary()?;
        loop {
            if self.take_symbol(".") {
                let place = self.here();
                let Some((Token::Name(name), _)) = self.tokens.get(self.at).cloned() else { return Err(self.unexpected("a name")) };
                self.at += 1;
                let range = expr.range.start..place.end;
                expr = Expr { kind: ExprKind::Field { of: Box::new(expr), name, place }, range };
            } else if self.take_symbol("[") {
                let index = self.expression()?;
                self.close("]")?;
                let range = expr.range.start..self.passed();
                expr = Expr { kind: ExprKind::Index { of: Box::new(expr), index: Box::new(index) }, range };
            } else if self.take_symbol("|") {
                expr = self.filter(expr)?;
            } else {
                return Ok(expr);
            }
        }
    }

    fn filter(&mut self, input: Expr) -> Parsed {
        let (name, place) = self.name("a filter")?;
        let Some(word) = FILTERS.iter().find(|word| word.name == name) else {
            let fault = ExprFault::new(&place, format!("unknown filter `{name}`")).near(&name, FILTERS.iter().map(|word| word.name));
            return Err(if name == "default" { fault.hint("a default belongs to the parameter") } else { fault });
        };
        let arguments = if self.take_symbol("(") { self.arguments(")")? } else { Vec::new() };
        counted(word.name, word.usage, word.arguments, &arguments, &place)?;
        let range = input.range.start..self.passed();
        Ok(Expr { kind: ExprKind::Filter { input: Box::new(input), name, place, arguments }, range })
    }

    fn name(&mut self, expected: &str) -> Result<(String, Range<usize>), ExprFault> {
        match self.tokens.get(self.at).cloned() {
            Some((Token::Name(name), range)) => {
                self.at += 1;
                Ok((name, range))
            }
            Some(_) | None => Err(self.unexpected(expected)),
        }
    }

    /// Expressions with commas between, up to `end`.
    fn arguments(&mut self, end: &'static str) -> Result<Vec<Expr>, ExprFault> {
        let mut list = Vec::new();
        loop {
            if self.take_symbol(end) {
                return Ok(list);
            }
            list.push(self.expression()?);
            if !self.take_symbol(",") {
                self.close(end)?;
                return Ok(list);
            }
        }
    }

    fn primary(&mut self) -> Parsed {
        let range = self.here();
        let Some((token, _)) = self.tokens.get(self.at).cloned() else { return Err(self.unexpected("a value")) };
        self.at += 1;
        let kind = match token {
            Token::Integer(number) => ExprKind::Literal(Value::integer(number)),
            Token::Text(text) => ExprKind::Literal(Value::text(text)),
            Token::Name(name) => match name.as_str() {
                "true" => ExprKind::Literal(Value::boolean(true)),
                "false" => ExprKind::Literal(Value::boolean(false)),
                "none" => ExprKind::Literal(Value::none()),
                word if KEYWORDS.contains(&word) => {
                    self.at -= 1;
                    return Err(self.unexpected("a value"));
                }
                _ => ExprKind::Name(name),
            },
            Token::Symbol("(") => {
                let inner = self.expression()?;
                self.close(")")?;
                return Ok(Expr { kind: inner.kind, range: range.start..self.passed() });
            }
            Token::Symbol("[") => ExprKind::List(self.arguments("]")?),
            Token::Symbol("{") => self.map()?,
            Token::Symbol(_) => {
                self.at -= 1;
                return Err(self.unexpected("a value"));
            }
        };
        Ok(Expr { kind, range: range.start..self.passed() })
    }

    /// `{"key": value, ...}`.
    fn map(&mut self) -> Result<ExprKind, ExprFault> {
        let mut entries: Vec<(String, Expr)> = Vec::new();
        loop {
            if self.take_symbol("}") {
                return Ok(ExprKind::Map(entries));
            }
            let place = self.here();
            let Some((Token::Text(key), _)) = self.tokens.get(self.at).cloned() else { return Err(self.unexpected("a key in quotes")) };
            self.at += 1;
            if entries.iter().any(|(first, _)| *first == key) {
                return Err(ExprFault::new(&place, format!("the key `{key}` is written twice")));
            }
            self.close(":")?;
            entries.push((key, self.expression()?));
            if !self.take_symbol(",") {
                self.close("}")?;
                return Ok(ExprKind::Map(entries));
            }
        }
    }
}

fn compute(operator: Operator, left: Expr, right: Expr) -> Expr {
    let range = joined(&left, &right);
    Expr { kind: ExprKind::Compute { operator, left: Box::new(left), right: Box::new(right) }, range }
}

/// Whether a filter or test got as many arguments as it takes.
fn counted(name: &str, usage: &str, (least, most): (usize, usize), found: &[Expr], place: &Range<usize>) -> Result<(), ExprFault> {
    if (least..=most).contains(&found.len()) {
        return Ok(());
    }
    Err(ExprFault::new(place, format!("`{name}` does not take {} arguments", found.len())).expected(format!("`{usage}`")))
}
