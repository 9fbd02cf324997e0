//! What was written without expressions, as a value.

use super::{Data, Value};
use crate::author::source::{Bare, Node, NodeKind};

/// The value of a literal by our scalar rule: quoted is text, bare may be a boolean or a whole number. Types read texts further.
#[must_use]
pub fn literal(node: &Node) -> Value {
    match &node.kind {
        NodeKind::List(items) => Value::list(items.iter().map(literal).collect()),
        NodeKind::Map(entries) => Value::map(entries.iter().map(|entry| (entry.key.value.as_str(), literal(&entry.value)))),
        NodeKind::Scalar(scalar) => match scalar.bare() {
            Bare::Boolean(value) => Value::boolean(value),
            Bare::Integer(number) => Data::Integer(number).into(),
            Bare::NumberLike | Bare::Text => Value::text(scalar.text.as_str()),
        },
    }
}
