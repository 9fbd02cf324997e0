//! An expression as a tree.

use std::ops::Range;

use crate::author::value::{Data, Value};

/// A part of an expression and its place.
#[derive(Clone, Debug)]
pub struct Expr {
    /// What it is.
    pub(super) kind: ExprKind,
    /// Bytes of the expression's text.
    pub(super) range: Range<usize>,
}

impl Expr {
    /// Its place in the expression's text.
    pub(crate) fn range(&self) -> &Range<usize> {
        &self.range
    }
}

#[derive(Clone, Debug)]
pub(super) enum ExprKind {
    Literal(Value),
    Name(String),
    List(Vec<Expr>),
    Map(Vec<(String, Expr)>),
    Field { of: Box<Expr>, name: String, place: Range<usize> },
    Index { of: Box<Expr>, index: Box<Expr> },
    Not(Box<Expr>),
    Negate(Box<Expr>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Compute { operator: Operator, left: Box<Expr>, right: Box<Expr> },
    Choose { then: Box<Expr>, when: Box<Expr>, otherwise: Box<Expr> },
    Filter { input: Box<Expr>, name: String, place: Range<usize>, arguments: Vec<Expr> },
    Test { input: Box<Expr>, negated: bool, name: String, place: Range<usize>, arguments: Vec<Expr> },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Operator {
    Equal,
    Unequal,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    In,
    NotIn,
    Join,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

/// Every name that an expression reads from its scope: the name, the field asked of it, and where.
#[must_use]
pub fn roots(expr: &Expr) -> Vec<(String, Option<String>, Range<usize>)> {
    let mut found = Vec::new();
    collect(expr, &mut found);
    found
}

fn collect(expr: &Expr, found: &mut Vec<(String, Option<String>, Range<usize>)>) {
    match &expr.kind {
        ExprKind::Literal(_) => {}
        ExprKind::Name(name) => found.push((name.clone(), None, expr.range.clone())),
        ExprKind::Field { of, name, .. } => match &of.kind {
            ExprKind::Name(root) => found.push((root.clone(), Some(name.clone()), expr.range.clone())),
            _ => collect(of, found),
        },
        ExprKind::List(items) => items.iter().for_each(|item| collect(item, found)),
        ExprKind::Map(entries) => entries.iter().for_each(|(_, value)| collect(value, found)),
        ExprKind::Index { of, index } => {
            if let (ExprKind::Name(root), ExprKind::Literal(Value { data: Data::Text(name), .. })) = (&of.kind, &index.kind) {
                return found.push((root.clone(), Some(name.to_string()), expr.range.clone()));
            }
            collect(of, found);
            collect(index, found);
        }
        ExprKind::Not(inner) | ExprKind::Negate(inner) => collect(inner, found),
        ExprKind::And(left, right) | ExprKind::Or(left, right) | ExprKind::Compute { left, right, .. } => {
            collect(left, found);
            collect(right, found);
        }
        ExprKind::Choose { then, when, otherwise } => [then, when, otherwise].into_iter().for_each(|part| collect(part, found)),
        ExprKind::Filter { input, arguments, .. } | ExprKind::Test { input, arguments, .. } => {
            collect(input, found);
            arguments.iter().for_each(|argument| collect(argument, found));
        }
    }
}
