//! What the operators do, by type.

use std::cmp::Ordering;

use super::eval::{MAX_VALUE, too_large};
use super::syntax::Operator;
use crate::author::value::{Data, Value, as_text, order};
use crate::words::{Bytes, Span};

/// The result of an operator; its marks are the caller's.
pub(super) fn compute(operator: Operator, left: &Value, right: &Value) -> Result<Value, String> {
    let compared = |wanted: fn(Ordering) -> bool| {
        order(&left.data, &right.data)
            .map(|order| Value::boolean(wanted(order)))
            .ok_or_else(|| format!("{} and {} have no order", left.data.noun(), right.data.noun()))
    };
    match operator {
        Operator::Equal => equal(left, right).map(Value::boolean),
        Operator::Unequal => equal(left, right).map(|same| Value::boolean(!same)),
        Operator::Less => compared(Ordering::is_lt),
        Operator::LessEqual => compared(Ordering::is_le),
        Operator::Greater => compared(Ordering::is_gt),
        Operator::GreaterEqual => compared(Ordering::is_ge),
        Operator::In => within(left, right).map(Value::boolean),
        Operator::NotIn => within(left, right).map(|found| Value::boolean(!found)),
        Operator::Join => match (as_text(&left.data), as_text(&right.data)) {
            (Some(a), Some(b)) if a.len() + b.len() > MAX_VALUE => Err(too_large()),
            (Some(a), Some(b)) => Ok(Value::text(a + &b)),
            (None, _) => Err(format!("{} has no text", left.data.noun())),
            (_, None) => Err(format!("{} has no text", right.data.noun())),
        },
        Operator::Add => add(&left.data, &right.data),
        Operator::Subtract => numbers("-", &left.data, &right.data, i64::checked_sub, u64::checked_sub),
        Operator::Multiply => multiply(&left.data, &right.data),
        Operator::Divide => divide(&left.data, &right.data),
        Operator::Remainder => match (&left.data, &right.data) {
            (Data::Integer(a), Data::Integer(b)) => a.checked_rem_euclid(*b).map(Value::integer).ok_or_else(zero),
            (a, b) => Err(no_way("%", a, b)),
        },
    }
}

fn zero() -> String {
    "division by zero".to_owned()
}

fn large() -> String {
    "the result is too large".to_owned()
}

fn no_way(operator: &str, a: &Data, b: &Data) -> String {
    format!("`{operator}` has no meaning between {} and {}", a.noun(), b.noun())
}

/// Equality; what can never be equal is a mistake and says so.
fn equal(left: &Value, right: &Value) -> Result<bool, String> {
    use Data::{Boolean, List, Map, Mode, Node, None, SitePath};
    let comparable = match (&left.data, &right.data) {
        (None, _)
        | (_, None)
        | (List(_), List(_))
        | (Map(_), Map(_))
        | (Boolean(_), Boolean(_))
        | (Node(_), Node(_) | Data::Text(_))
        | (Data::Text(_), Node(_))
        | (SitePath(..), SitePath(..))
        | (Mode(_), Mode(_) | Data::Text(_))
        | (Data::Text(_), Mode(_)) => true,
        (a, b) => order(a, b).is_some(),
    };
    if comparable { Ok(left == right) } else { Err(format!("{} never equals {}", left.data.noun(), right.data.noun())) }
}

fn within(left: &Value, right: &Value) -> Result<bool, String> {
    match (&left.data, &right.data) {
        (_, Data::List(items)) => Ok(items.contains(left)),
        (Data::Text(part), Data::Text(whole)) => Ok(whole.contains(&**part)),
        (Data::Text(key), Data::Map(entries)) => Ok(entries.iter().any(|(name, _)| name == key)),
        (a, b) => Err(format!("{} is never in {}", a.noun(), b.noun())),
    }
}

fn numbers(
    operator: &str,
    a: &Data,
    b: &Data,
    integers: fn(i64, i64) -> Option<i64>,
    sizes: fn(u64, u64) -> Option<u64>,
) -> Result<Value, String> {
    match (a, b) {
        (Data::Integer(a), Data::Integer(b)) => integers(*a, *b).map(Value::integer).ok_or_else(large),
        (Data::Bytes(a), Data::Bytes(b)) => sizes(a.count(), b.count())
            .map(|count| Data::Bytes(Bytes(count)).into())
            .ok_or_else(|| "the size would be below zero or too large".to_owned()),
        (Data::Duration(a), Data::Duration(b)) => sizes(millis(*a), millis(*b))
            .map(|count| Data::Duration(Span::millis(count)).into())
            .ok_or_else(|| "the time would be below zero or too large".to_owned()),
        (a, b) => Err(no_way(operator, a, b)),
    }
}

fn millis(span: Span) -> u64 {
    u64::try_from(span.duration().as_millis()).unwrap_or(u64::MAX)
}

fn add(a: &Data, b: &Data) -> Result<Value, String> {
    match (a, b) {
        (Data::List(a), Data::List(b)) => Ok(Value::list(a.iter().chain(b).cloned().collect())),
        (Data::Text(_), _) | (_, Data::Text(_)) => Err(format!("{}: texts are joined by `~`", no_way("+", a, b))),
        (a, b) => numbers("+", a, b, i64::checked_add, u64::checked_add),
    }
}

fn multiply(a: &Data, b: &Data) -> Result<Value, String> {
    let times = |count: u64, factor: i64| u64::try_from(factor).ok().and_then(|factor| count.checked_mul(factor)).ok_or_else(large);
    match (a, b) {
        (Data::Integer(a), Data::Integer(b)) => a.checked_mul(*b).map(Value::integer).ok_or_else(large),
        (Data::Bytes(size), Data::Integer(factor)) | (Data::Integer(factor), Data::Bytes(size)) => {
            Ok(Data::Bytes(Bytes(times(size.count(), *factor)?)).into())
        }
        (Data::Duration(span), Data::Integer(factor)) | (Data::Integer(factor), Data::Duration(span)) => {
            Ok(Data::Duration(Span::millis(times(millis(*span), *factor)?)).into())
        }
        (a, b) => Err(no_way("*", a, b)),
    }
}

fn divide(a: &Data, b: &Data) -> Result<Value, String> {
    let by = |count: u64, divisor: i64| u64::try_from(divisor).ok().and_then(|divisor| count.checked_div(divisor)).ok_or_else(zero);
    match (a, b) {
        (Data::Integer(a), Data::Integer(b)) => a.checked_div_euclid(*b).map(Value::integer).ok_or_else(zero),
        (Data::Bytes(size), Data::Integer(divisor)) => Ok(Data::Bytes(Bytes(by(size.count(), *divisor)?)).into()),
        (Data::Duration(span), Data::Integer(divisor)) => Ok(Data::Duration(Span::millis(by(millis(*span), *divisor)?)).into()),
        (Data::Bytes(a), Data::Bytes(b)) => whole(a.count(), b.count()),
        (Data::Duration(a), Data::Duration(b)) => whole(millis(*a), millis(*b)),
        (a, b) => Err(no_way("//", a, b)),
    }
}

fn whole(a: u64, b: u64) -> Result<Value, String> {
    a.checked_div(b).ok_or_else(zero).and_then(|count| i64::try_from(count).map(Value::integer).map_err(|_| large()))
}

/// `-x`.
pub(super) fn negate(value: &Value) -> Result<Value, String> {
    match &value.data {
        Data::Integer(number) => number.checked_neg().map(|number| Value::integer(number).marked(&value.marks)).ok_or_else(large),
        other => Err(format!("`-` has no meaning before {}", other.noun())),
    }
}

/// `LIST[NUMBER]`, `MAP[KEY]`.
pub(super) fn index(of: &Value, at: &Value) -> Result<Value, String> {
    let mut marks = of.marks.clone();
    marks.join(&at.marks);
    match (&of.data, &at.data) {
        (Data::List(items), Data::Integer(number)) => {
            let length = items.len();
            let place = if *number < 0 {
                length.checked_sub(usize::try_from(number.unsigned_abs()).unwrap_or(usize::MAX))
            } else {
                usize::try_from(*number).ok()
            };
            let found = place.and_then(|place| items.get(place)).ok_or_else(|| format!("the list has {length} elements"))?;
            Ok(found.clone().marked(&marks))
        }
        (Data::Map(entries), Data::Text(key)) => {
            let found = entries.iter().find(|(name, _)| name == key).ok_or_else(|| format!("there is no `{key}` here"))?;
            Ok(found.1.clone().marked(&marks))
        }
        (a, b) => Err(format!("{} has no element at {}", a.noun(), b.noun())),
    }
}
