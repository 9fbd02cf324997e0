//! The value of an expression in a scope.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use super::syntax::{Expr, ExprKind};
use super::{ExprFault, FILTERS, Stop, TESTS, Unknown, operators};
use crate::author::diagnostic::nearest;
use crate::author::value::{Data, Marks, Value, facts_of_another, facts_value};
use crate::words::Bytes;

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

    /// Counts the bytes of a value that was made: what all of them cost together has a limit.
    ///
    /// # Errors
    /// Beyond the limit.
    fn spend(&self, bytes: usize) -> Result<(), Unknown> {
        let _ = bytes;
        Ok(())
    }
}

/// The largest value, in bytes: a text, or all texts of a list or map.
pub(crate) const MAX_VALUE: usize = 1 << 20;

/// What is said of a larger one.
pub(crate) fn too_large() -> String {
    format!("the value becomes larger than {}", Bytes(MAX_VALUE as u64))
}

/// A value that was made, if it is not too large and not one too many.
fn made(value: Value, range: &Range<usize>, scope: &dyn Scope) -> Result<Value, Stop> {
    let size = value.size();
    if size > MAX_VALUE {
        return Err(ExprFault::new(range, too_large()).into());
    }
    scope.spend(size).map_err(|unknown| unknown.at(range))?;
    Ok(value)
}

/// Counts what is read of values without making one as large.
fn looked(size: usize, range: &Range<usize>, scope: &dyn Scope) -> Result<(), Stop> {
    scope.spend(size / 16).map_err(|unknown| unknown.at(range))
}

/// Evaluates an expression.
///
/// # Errors
/// What is wrong, or why a name has no value.
pub fn eval(expr: &Expr, scope: &dyn Scope) -> Result<Value, Stop> {
    match &expr.kind {
        ExprKind::Literal(value) => Ok(value.clone()),
        ExprKind::Name(name) => scope.get(name).map_err(|unknown| unknown.at(&expr.range)),
        ExprKind::List(items) => made(Value::list(all(items, scope)?), &expr.range, scope),
        ExprKind::Map(entries) => {
            let read = entries.iter().map(|(key, value)| Ok((Arc::from(key.as_str()), eval(value, scope)?)));
            made(Data::Map(read.collect::<Result<_, Stop>>()?).into(), &expr.range, scope)
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
                _ => {
                    let of = eval(of, scope)?;
                    operators::index(&of, &at).map_err(|message| ExprFault::new(&index.range, hidden(message, &of.marks)).into())
                }
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
            looked(left.size() + right.size(), &expr.range, scope)?;
            let marks = both(&left, std::slice::from_ref(&right));
            let result =
                operators::compute(*operator, &left, &right).map_err(|message| ExprFault::new(&expr.range, hidden(message, &marks)))?;
            // The marks of a list's elements stay on the elements; how many there are is as both lists were.
            let marks = if matches!(result.data, Data::List(_)) { beside(&left, &right) } else { marks };
            made(result.marked(&marks), &expr.range, scope)
        }
        ExprKind::Choose { then, when, otherwise } => {
            let (value, marks) = boolean(when, scope)?;
            Ok(eval(if value { then } else { otherwise }, scope)?.marked(&marks.choosing()))
        }
        ExprKind::Filter { input, name, place, arguments } => {
            let (input, arguments) = (eval(input, scope)?, all(arguments, scope)?);
            let Some(word) = FILTERS.iter().find(|word| word.name == name) else { return Err(Stop::Reported) };
            // How many elements there are is known without a look at them; how many characters is not.
            let is_known = word.name == "length" && matches!(input.data, Data::List(_) | Data::Map(_));
            looked(if is_known { 0 } else { input.size() }, place, scope)?;
            let result = (word.run)(&input, &arguments).map_err(|message| refused(message, &input, &arguments, place, word.usage))?;
            made(filtered(word.name, result, &input, &arguments), &expr.range, scope)
        }
        ExprKind::Test { input, negated, name, place, arguments } => {
            let (input, arguments) = (eval(input, scope)?, all(arguments, scope)?);
            let Some(word) = TESTS.iter().find(|word| word.name == name) else { return Err(Stop::Reported) };
            looked(input.size() + arguments.iter().map(Value::size).sum::<usize>(), place, scope)?;
            let holds = (word.run)(&input, &arguments).map_err(|message| refused(message, &input, &arguments, place, word.usage))?;
            // Whether something was given at all is no secret, unless a secret decided it; whose it is counts all the same.
            let open = word.name == "none" && !input.marks.chosen;
            let marks = if open { Marks { secrets: BTreeSet::new(), ..input.marks.clone() } } else { both(&input, &arguments) };
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

/// The marks of two lists themselves, not of what is in them.
fn beside(left: &Value, right: &Value) -> Marks {
    let mut marks = left.marks.clone();
    marks.join(&right.marks);
    marks
}

/// A filter's result with its marks. Of a list or map that holds a secret, length, order and choice are secret too.
fn filtered(filter: &str, result: Value, input: &Value, arguments: &[Value]) -> Value {
    match filter {
        "public_half" => result,
        // A secret decides how many parts it has, which element comes first, which are the same.
        "split" | "sort" | "unique" | "min" | "max" => result.marked(&both(input, arguments).choosing()),
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
            None if value.marks.is_secret() => Err(fault("this cannot be done with a secret".to_owned(), &[])),
            None => Err(fault(format!("there is no `{name}` here"), &entries.iter().map(|(key, _)| &**key).collect::<Vec<_>>())),
        },
        Data::Node(node) => match name {
            "name" => Ok(Value::text(node.name.as_str()).marked(&value.marks)),
            "host" => Ok(Value::text(node.host.as_str()).marked(&value.marks)),
            "facts" => {
                let known = node.facts.as_deref().map(if value.marks.own { facts_value } else { facts_of_another });
                known.map(|facts| facts.marked(&value.marks)).ok_or_else(|| {
                    ExprFault::new(place, format!("the facts of {} are not known yet", node.name))
                        .hint(format!("read them first: ostler check --limit {}", node.name))
                        .into()
                })
            }
            "gives" => Err(ExprFault::new(place, "values that a node gives are not in this release").into()),
            _ => Err(fault(format!("a node has no `{name}`"), &["name", "host", "facts"])),
        },
        other => Err(fault(format!("{} has no fields", other.noun()), &[])),
    }
}
