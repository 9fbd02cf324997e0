//! From a value to a value of a wanted type, to text, and the order of two values.

use std::cmp::Ordering;
use std::sync::Arc;

use super::{Data, Value};
use crate::author::role::{Param, Type};
use crate::author::scalar::ScalarType;
use crate::author::source::Tree;
use crate::author::text;
use crate::words::{AbsPath, Bytes, Mode, Percent, Span, Version};

/// Why a value is not of a type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// A value of another type.
    #[error("{found} stands here")]
    Kind {
        /// What it is, with the value unless secret.
        found: String,
        /// What is wanted.
        expected: String,
    },
    /// A text that breaks the type's rule.
    #[error("{why}")]
    Text {
        /// The rule, with the text.
        why: String,
        /// What is wanted.
        expected: String,
    },
    /// A value outside the parameter's limits.
    #[error("{found} is {what}")]
    Limit {
        /// The value.
        found: String,
        /// The limit it breaks.
        what: String,
    },
    /// A field of a record.
    #[error("field `{field}`: {why}")]
    Field {
        /// The field.
        field: String,
        /// What is wrong with it.
        why: Box<Mismatch>,
    },
    /// A field that no record of this type has, or that is missing.
    #[error("{0}")]
    Record(String),
    /// A secret where the type is not `secret`, or the other way round.
    #[error("{0}")]
    Mark(&'static str),
}

impl Mismatch {
    /// Whether no value of that type could stand there.
    pub(crate) fn is_of_type(&self) -> bool {
        match self {
            Self::Kind { .. } | Self::Record(_) | Self::Mark(_) => true,
            Self::Text { .. } | Self::Limit { .. } => false,
            Self::Field { why, .. } => why.is_of_type(),
        }
    }

    /// What may stand there.
    #[must_use]
    pub fn expected(&self) -> Option<&str> {
        match self {
            Self::Kind { expected, .. } | Self::Text { expected, .. } => Some(expected),
            Self::Field { why, .. } => why.expected(),
            Self::Mark(_) | Self::Limit { .. } | Self::Record(_) => None,
        }
    }
}

fn kind(value: &Value, expected: &str) -> Mismatch {
    let found = match &value.data {
        Data::List(_) | Data::Map(_) | Data::None => value.data.noun().to_owned(),
        data => format!("{} `{}`", data.noun(), cut(&value.shown())),
    };
    Mismatch::Kind { found, expected: expected.to_owned() }
}

fn cut(text: &str) -> String {
    let mut short: String = text.chars().take(60).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

/// The value as text, as an expression in a text or template prints it; none for what has no one text.
#[must_use]
pub fn as_text(data: &Data) -> Option<String> {
    Some(match data {
        Data::Boolean(value) => value.to_string(),
        Data::Integer(number) => number.to_string(),
        Data::Text(text) | Data::SitePath(_, text) => text.to_string(),
        Data::Path(path) => path.to_string(),
        Data::Version(version) => version.to_string(),
        Data::Bytes(bytes) => exact(*bytes),
        Data::Duration(span) => span.to_string(),
        Data::Percent(share) => share.to_string(),
        Data::Mode(mode) => mode.to_string(),
        Data::None | Data::List(_) | Data::Map(_) | Data::Node(_) => return None,
    })
}

/// A size in the largest unit that divides it: nothing is rounded.
fn exact(bytes: Bytes) -> String {
    let units = [("TiB", 1u64 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let count = bytes.count();
    let unit = units.into_iter().find(|(_, factor)| count > 0 && count.is_multiple_of(*factor));
    unit.map_or_else(|| format!("{count} B"), |(unit, factor)| format!("{} {unit}", count / factor))
}

/// The value as one of a scalar type. `tree` is where it was written: what a path of the site is relative to.
///
/// # Errors
/// What stands there instead, or the rule that a text breaks.
pub fn to_scalar(value: &Value, wanted: ScalarType, tree: Tree) -> Result<Value, Mismatch> {
    if wanted == ScalarType::Secret && !value.marks.is_secret() {
        return Err(Mismatch::Mark("this value is not a secret"));
    }
    let data = match (wanted, &value.data) {
        (ScalarType::Boolean, Data::Boolean(_)) | (ScalarType::Integer, Data::Integer(_)) | (ScalarType::Node, Data::Node(_)) => {
            value.data.clone()
        }
        (ScalarType::Boolean | ScalarType::Integer, _) => return Err(kind(value, wanted.expected())),
        (ScalarType::Port, Data::Integer(number)) if (1..=65535).contains(number) => value.data.clone(),
        (ScalarType::Port, _) => return Err(kind(value, wanted.expected())),
        (ScalarType::Version, Data::Version(_))
        | (ScalarType::Mode, Data::Mode(_))
        | (ScalarType::Path, Data::Path(_))
        | (ScalarType::SitePath, Data::SitePath(..))
        | (ScalarType::Bytes, Data::Bytes(_))
        | (ScalarType::Duration, Data::Duration(_))
        | (ScalarType::Percent, Data::Percent(_)) => value.data.clone(),
        (ScalarType::Version | ScalarType::Mode, Data::Integer(_)) => return Err(kind(value, wanted.expected())),
        (_, Data::None | Data::List(_) | Data::Map(_) | Data::Node(_)) => return Err(kind(value, wanted.expected())),
        (ScalarType::Text, data) => Data::Text(as_text(data).unwrap_or_default().into()),
        (_, Data::Boolean(_)) => return Err(kind(value, wanted.expected())),
        (_, data) => from_text(value, as_text(data).unwrap_or_default().into(), wanted, tree)?,
    };
    Ok(Value { data, marks: value.marks.clone() })
}

/// A text read as a scalar type.
fn from_text(value: &Value, given: Arc<str>, wanted: ScalarType, tree: Tree) -> Result<Data, Mismatch> {
    let fail = |why: String| {
        let why = if value.marks.is_secret() { "a secret is not of this type".to_owned() } else { why };
        Mismatch::Text { why, expected: wanted.expected().to_owned() }
    };
    text::check(wanted, &given).map_err(|error| fail(error.to_string()))?;
    Ok(match wanted {
        ScalarType::Path => Data::Path(AbsPath::parse(&given).map_err(|error| fail(error.to_string()))?),
        ScalarType::SitePath => Data::SitePath(tree, given),
        ScalarType::Version => Data::Version(Version(given.to_string())),
        ScalarType::Bytes => Data::Bytes(Bytes::parse(&given).map_err(|error| fail(error.to_string()))?),
        ScalarType::Duration => Data::Duration(Span::parse(&given).map_err(|error| fail(error.to_string()))?),
        ScalarType::Percent => Data::Percent(Percent::parse(&given).map_err(|error| fail(error.to_string()))?),
        ScalarType::Mode => Data::Mode(Mode::parse(&given).map_err(|error| fail(error.to_string()))?),
        ScalarType::Text
        | ScalarType::Name
        | ScalarType::Label
        | ScalarType::Host
        | ScalarType::Url
        | ScalarType::Digest
        | ScalarType::PublicKey
        | ScalarType::Secret
        | ScalarType::System
        | ScalarType::Node
        | ScalarType::Master
        | ScalarType::Port
        | ScalarType::Integer
        | ScalarType::Boolean => Data::Text(given),
    })
}

/// The value as one of a parameter: its type, and none where it is optional. Limits are the caller's: their literals need values first.
///
/// # Errors
/// What is wrong with it.
pub fn to_param(value: &Value, param: &Param, tree: Tree) -> Result<Value, Mismatch> {
    admits(value, param)?;
    if value.is_none() && param.optional {
        return Ok(value.clone());
    }
    to_type(value, &param.kind, tree)
}

/// Whether the parameter may hold a secret, if the value holds one.
///
/// # Errors
/// That it may not.
pub(crate) fn admits(value: &Value, param: &Param) -> Result<(), Mismatch> {
    if value.all_marks().is_secret() && !takes_secret(&param.kind) {
        return Err(Mismatch::Mark("a secret may only go into a parameter of type `secret`"));
    }
    Ok(())
}

/// Whether a type is `secret`, or holds one.
fn takes_secret(kind: &Type) -> bool {
    match kind {
        Type::Scalar(scalar) => *scalar == ScalarType::Secret,
        Type::List(element) | Type::Map(element) => takes_secret(element),
        Type::Record(fields) => fields.iter().any(|field| takes_secret(&field.kind)),
        Type::Microversions => false,
    }
}

fn to_type(value: &Value, wanted: &Type, tree: Tree) -> Result<Value, Mismatch> {
    let with = |data: Data| Value { data, marks: value.marks.clone() };
    match wanted {
        Type::Scalar(scalar) => {
            if value.marks.is_secret() && *scalar != ScalarType::Secret {
                return Err(Mismatch::Mark("a secret may only go into a parameter of type `secret`"));
            }
            to_scalar(value, *scalar, tree)
        }
        Type::List(element) => match &value.data {
            Data::List(items) => Ok(with(Data::List(items.iter().map(|item| to_type(item, element, tree)).collect::<Result<_, _>>()?))),
            _ => Err(kind(value, "a list")),
        },
        Type::Map(element) => match &value.data {
            Data::Map(entries) => {
                let read = entries.iter().map(|(key, value)| {
                    let within = |why| Mismatch::Field { field: key.to_string(), why: Box::new(why) };
                    Ok((key.clone(), to_type(value, element, tree).map_err(within)?))
                });
                Ok(with(Data::Map(read.collect::<Result<_, _>>()?)))
            }
            _ => Err(kind(value, "a map")),
        },
        Type::Record(fields) => record(value, fields, tree),
        Type::Microversions => microversions(value),
    }
}

/// A map with the fields of a record. Literal defaults fill in; a field left out without one is none.
fn record(value: &Value, fields: &[Param], tree: Tree) -> Result<Value, Mismatch> {
    let Data::Map(entries) = &value.data else { return Err(kind(value, "a map")) };
    if let Some((unknown, _)) = entries.iter().find(|(key, _)| !fields.iter().any(|field| field.name.value == **key)) {
        return Err(Mismatch::Record(format!("unknown field `{unknown}`")));
    }
    let mut read = Vec::new();
    for field in fields {
        let name: Arc<str> = field.name.value.as_str().into();
        let given = entries.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone());
        let given = match (given, &field.default) {
            (Some(given), _) => given,
            (None, Some(default)) if default.as_scalar().is_some_and(crate::author::source::Scalar::has_expression) => {
                return Err(Mismatch::Record(format!(
                    "the default of the field `{name}` holds an expression: fields have constant defaults"
                )));
            }
            (None, Some(default)) => super::literal(default),
            (None, None) if field.optional => Value::none(),
            (None, None) => return Err(Mismatch::Record(format!("`{name}` is missing"))),
        };
        let within = |why| Mismatch::Field { field: name.to_string(), why: Box::new(why) };
        read.push((name.clone(), to_param(&given, field, tree).and_then(|value| limits(&value, field).map(|()| value)).map_err(within)?));
    }
    Ok(Value { data: Data::Map(read.into()), marks: value.marks.clone() })
}

/// `{min, max}`; `max` may be `latest`.
fn microversions(value: &Value) -> Result<Value, Mismatch> {
    let expected = "a range, `{min: \"2.1\", max: \"2.96\"}`";
    let Data::Map(entries) = &value.data else { return Err(kind(value, expected)) };
    let mut read = Vec::new();
    for (key, value) in entries {
        let latest = &**key == "max" && matches!(&value.data, Data::Text(text) if &**text == "latest");
        match &**key {
            "min" | "max" if latest => read.push((key.clone(), value.clone())),
            "min" | "max" => read.push((key.clone(), to_scalar(value, ScalarType::Version, Tree::Site)?)),
            other => return Err(Mismatch::Record(format!("unknown field `{other}`"))),
        }
    }
    for wanted in ["min", "max"] {
        if !read.iter().any(|(key, _)| &**key == wanted) {
            return Err(Mismatch::Record(format!("`{wanted}` is missing")));
        }
    }
    Ok(Value { data: Data::Map(read.into()), marks: value.marks.clone() })
}

/// `choices`, `at_least` and `at_most` of a parameter, held against its value (against each element of a list or map).
///
/// # Errors
/// The limit that it breaks.
pub(crate) fn limits(value: &Value, param: &Param) -> Result<(), Mismatch> {
    match &value.data {
        Data::None => return Ok(()),
        Data::List(items) => return items.iter().try_for_each(|item| limits(item, param)),
        Data::Map(entries) => return entries.iter().try_for_each(|(_, item)| limits(item, param)),
        _ => {}
    }
    let fail = |what: String| Err(Mismatch::Limit { found: cut(&value.shown()), what });
    let choices: Vec<Value> = param.choices.iter().map(super::literal).collect();
    if !choices.is_empty() && !choices.contains(value) {
        return fail(format!("none of {}", choices.iter().map(|choice| format!("`{}`", choice.shown())).collect::<Vec<_>>().join(", ")));
    }
    if let Some(least) = param.at_least.as_ref().map(super::literal)
        && order(&value.data, &least.data) == Some(Ordering::Less)
    {
        return fail(format!("below {}", least.shown()));
    }
    if let Some(most) = param.at_most.as_ref().map(super::literal)
        && order(&value.data, &most.data) == Some(Ordering::Greater)
    {
        return fail(format!("above {}", most.shown()));
    }
    Ok(())
}

/// The order of two values of one type; a text is read as the other's type. None: they cannot be compared.
pub(crate) fn order(a: &Data, b: &Data) -> Option<Ordering> {
    match (a, b) {
        (Data::Integer(a), Data::Integer(b)) => Some(a.cmp(b)),
        (Data::Version(a), Data::Version(b)) => Some(a.cmp(b)),
        (Data::Bytes(a), Data::Bytes(b)) => Some(a.cmp(b)),
        (Data::Duration(a), Data::Duration(b)) => Some(a.cmp(b)),
        (Data::Percent(a), Data::Percent(b)) => Some(a.cmp(b)),
        (Data::Version(a), Data::Text(b)) => Some(a.cmp(&Version(b.to_string()))),
        (Data::Bytes(a), Data::Text(b)) => Some(a.cmp(&Bytes::parse(b).ok()?)),
        (Data::Duration(a), Data::Text(b)) => Some(a.cmp(&Span::parse(b).ok()?)),
        (Data::Percent(a), Data::Text(b)) => Some(a.cmp(&Percent::parse(b).ok()?)),
        (Data::Mode(a), Data::Text(b)) => Mode::parse(b).ok().filter(|b| a == b).map(|_| Ordering::Equal),
        (Data::Text(_), Data::Version(_) | Data::Bytes(_) | Data::Duration(_) | Data::Percent(_) | Data::Mode(_)) => {
            order(b, a).map(Ordering::reverse)
        }
        (Data::Text(_) | Data::Path(_) | Data::SitePath(..), Data::Text(_) | Data::Path(_) | Data::SitePath(..)) => {
            Some(as_text(a)?.cmp(&as_text(b)?))
        }
        (Data::Node(node), Data::Text(name)) | (Data::Text(name), Data::Node(node)) => {
            (node.name.as_str() == &**name).then_some(Ordering::Equal)
        }
        _ => None,
    }
}
