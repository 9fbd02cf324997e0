//! The value of an expression in a scope.

use std::ops::Range;
use std::sync::Arc;

use super::syntax::{Expr, ExprKind};
use super::{ExprFault, FILTERS, Stop, TESTS, Unknown, operators};
use crate::author::diagnostic::nearest;
use crate::author::value::{Data, Marks, Value};

/// The names that an expression may read.
pub trait Scope {
    /// The value of a name.
    ///
    /// # Errors
    /// Why it has none.
    fn get(&self, name: &str) -> Result<Value, Unknown>;

    /// The value of `NAME.FIELD`, where that need not read all of `NAME`; none where it is like any other field.
    ///
    /// # Errors
    /// Why it has none.
    fn field(&self, name: &str, field: &str) -> Result<Option<Value>, Unknown> {
        let _ = (name, field);
        Ok(None)
    }
}

/// Evaluates an expression.
///
/// # Errors
/// What is wrong, or why a name has no value.
pub fn eval(expr: &Expr, scope: &dyn Scope) -> Result<Value, Stop> {
    match &expr.kind {
        ExprKind::Literal(value) => Ok(value.clone()),
        ExprKind::Name(name) => scope.get(name).map_err(|unknown| unknown.at(&expr.range)),
        ExprKind::List(items) => Ok(Value::list(items.iter().map(|item| eval(item, scope)).collect::<Result<_, _>>()?)),
        ExprKind::Map(entries) => {
            let read = entries.iter().map(|(key, value)| Ok((Arc::from(key.as_str()), eval(value, scope)?)));
            Ok(Data::Map(read.collect::<Result<_, Stop>>()?).into())
        }
        ExprKind::Field { of, name, place } => field(of, name, place, scope),
        ExprKind::Index { of, index } => {
            let at = eval(index, scope)?;
            match (&of.kind, &at.data) {
                _ if at.marks.is_secret() => Err(ExprFault::new(&index.range, "a secret may not choose an element").into()),
                (ExprKind::Name(_), Data::Text(name)) => {
                    let found = field(of, name, &index.range, scope)?;
                    Ok(found.marked(&at.marks))
                }
                _ => operators::index(&eval(of, scope)?, &at).map_err(|message| ExprFault::new(&index.range, message).into()),
            }
        }
        ExprKind::Not(inner) => {
            let (value, marks) = boolean(inner, scope)?;
            Ok(Value::boolean(!value).marked(&marks))
        }
        ExprKind::Negate(inner) => {
            let value = eval(inner, scope)?;
            operators::negate(&value).map_err(|message| ExprFault::new(&expr.range, message).into())
        }
        ExprKind::And(left, right) => logical(left, right, false, scope),
        ExprKind::Or(left, right) => logical(left, right, true, scope),
        ExprKind::Compute { operator, left, right } => {
            let (left, right) = (eval(left, scope)?, eval(right, scope)?);
            let mut marks = left.all_marks();
            marks.join(&right.all_marks());
            let result =
                operators::compute(*operator, &left, &right).map_err(|message| ExprFault::new(&expr.range, hidden(message, &marks)))?;
            Ok(if matches!(result.data, Data::List(_)) { result } else { result.marked(&marks) })
        }
        ExprKind::Choose { then, when, otherwise } => {
            let (value, marks) = boolean(when, scope)?;
            Ok(eval(if value { then } else { otherwise }, scope)?.marked(&marks))
        }
        ExprKind::Filter { input, name, place, arguments } => {
            let (input, arguments) = (eval(input, scope)?, all(arguments, scope)?);
            let Some(word) = FILTERS.iter().find(|word| word.name == name) else { return Err(Stop::Reported) };
            let result = (word.run)(&input, &arguments).map_err(|message| refused(message, &input, &arguments, place, word.usage))?;
            Ok(if word.name == "public_half" { result } else { filtered(result, &input, &arguments) })
        }
        ExprKind::Test { input, negated, name, place, arguments } => {
            let (input, arguments) = (eval(input, scope)?, all(arguments, scope)?);
            let Some(word) = TESTS.iter().find(|word| word.name == name) else { return Err(Stop::Reported) };
            let holds = (word.run)(&input, &arguments).map_err(|message| refused(message, &input, &arguments, place, word.usage))?;
            // Whether something was given at all is no secret.
            let marks = if word.name == "none" { Marks::default() } else { both(&input, &arguments) };
            Ok(Value::boolean(holds != *negated).marked(&marks))
        }
    }
}

/// A message about values: one about a secret says nothing of it.
fn hidden(message: String, marks: &Marks) -> String {
    if marks.is_secret() { "this cannot be done with a secret".to_owned() } else { message }
}

/// A filter or test that refused its values.
fn refused(message: String, input: &Value, arguments: &[Value], place: &Range<usize>, usage: &str) -> ExprFault {
    // These messages are fixed words.
    let fixed = usage.ends_with("public_half");
    let message = if fixed { message } else { hidden(message, &both(input, arguments)) };
    ExprFault::new(place, message).expected(format!("`{usage}`"))
}

fn all(list: &[Expr], scope: &dyn Scope) -> Result<Vec<Value>, Stop> {
    list.iter().map(|one| eval(one, scope)).collect()
}

/// The marks of all that a filter or test read.
fn both(input: &Value, arguments: &[Value]) -> Marks {
    let mut marks = input.all_marks();
    arguments.iter().for_each(|argument| marks.join(&argument.all_marks()));
    marks
}

/// A filter's result with its marks: those of a list's elements stay on the elements.
fn filtered(result: Value, input: &Value, arguments: &[Value]) -> Value {
    let mut marks = input.marks.clone();
    arguments.iter().for_each(|argument| marks.join(&argument.all_marks()));
    match (&result.data, &input.data) {
        (Data::List(_), _) | (Data::Integer(_), Data::List(_) | Data::Map(_)) => result.marked(&marks),
        _ => result.marked(&both(input, arguments)),
    }
}

fn boolean(expr: &Expr, scope: &dyn Scope) -> Result<(bool, Marks), Stop> {
    let value = eval(expr, scope)?;
    match value.data {
        Data::Boolean(found) => Ok((found, value.marks)),
        ref other => Err(ExprFault::new(&expr.range, format!("{} stands where true or false is wanted", other.noun()))
            .expected("a boolean")
            .hint("nothing counts as true by itself: compare it, `x is not none`, `x != \"\"`, `x | length > 0`")
            .into()),
    }
}

/// `and`, `or`: the right side is read only if the left does not decide.
fn logical(left: &Expr, right: &Expr, decides: bool, scope: &dyn Scope) -> Result<Value, Stop> {
    let (value, mut marks) = boolean(left, scope)?;
    if value == decides {
        return Ok(Value::boolean(value).marked(&marks));
    }
    let (value, others) = boolean(right, scope)?;
    marks.join(&others);
    Ok(Value::boolean(value).marked(&marks))
}

/// `OF.NAME`.
fn field(of: &Expr, name: &str, place: &Range<usize>, scope: &dyn Scope) -> Result<Value, Stop> {
    if let ExprKind::Name(root) = &of.kind
        && let Some(value) = scope.field(root, name).map_err(|unknown| unknown.at(&(of.range.start..place.end)))?
    {
        return Ok(value);
    }
    let value = eval(of, scope)?;
    let fault = |message: String, valid: &[&str]| {
        let mut fault = ExprFault::new(place, message);
        fault.nearest = nearest(name, valid.iter().copied()).map(str::to_owned);
        if fault.nearest.is_none() && !valid.is_empty() && valid.len() <= 12 {
            fault.expected = Some(valid.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "));
        }
        Stop::from(fault)
    };
    match &value.data {
        Data::Map(entries) => match entries.iter().find(|(key, _)| &**key == name) {
            Some((_, found)) => Ok(found.clone().marked(&value.marks)),
            None => Err(fault(format!("there is no `{name}` here"), &entries.iter().map(|(key, _)| &**key).collect::<Vec<_>>())),
        },
        Data::Node(node) => match name {
            "name" => Ok(Value::text(node.name.as_str())),
            "host" => Ok(Value::text(node.host.as_str())),
            "facts" => node.facts.clone().ok_or_else(|| {
                ExprFault::new(place, format!("the facts of {} are not known yet", node.name))
                    .hint(format!("read them first: ostler check --limit {}", node.name))
                    .into()
            }),
            "gives" => Err(ExprFault::new(place, "values that a node gives are not in this release").into()),
            _ => Err(fault(format!("a node has no `{name}`"), &["name", "host", "facts"])),
        },
        other => Err(fault(format!("{} has no fields", other.noun()), &[])),
    }
}
