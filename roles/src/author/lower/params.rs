//! Parameters: their types, bounds and defaults.

use crate::author::diagnostic::{Fault, Faults};
use crate::author::keys;
use crate::author::kinds::ScalarType;
use crate::author::literal::{check_type, check_value, words};
use crate::author::role::{Param, Type};
use crate::author::source::{Entry, Node, Span};

use super::read::{self, Keys, Spelling};

/// The keys of a parameter.
const KEYS: Keys = Keys { what: "a parameter", known: keys::PARAMETER, later: &[] };

/// The deepest nesting of `list(` and `map(`.
const MAX_NESTING: usize = 8;

/// Names that expressions already give a meaning to.
const TAKEN: [&str; 21] = [
    "facts", "node", "nodes", "groups", "site", "secret", "none", "true", "false", "and", "or", "not", "in", "is", "if", "else", "elif",
    "for", "loop", "self", "super",
];

/// The map under `params`, or under `fields` of a record.
pub(super) fn params(node: &Node, faults: &mut Faults) -> Vec<Param> {
    read::map(node, "`NAME: {type: TYPE}`", faults).iter().filter_map(|entry| param(entry, faults)).collect()
}

/// Refuses a name that expressions already give a meaning to.
pub(super) fn taken(name: &str, span: &Span, faults: &mut Faults) {
    if TAKEN.contains(&name) {
        faults.push(Fault::new(span, format!("`{name}` has a meaning in expressions and cannot be a name")));
    }
}

/// One parameter.
fn param(entry: &Entry, faults: &mut Faults) -> Option<Param> {
    let name = read::name(&entry.key, "a parameter's name", Spelling::Underscored, faults)?;
    taken(&name.value, &name.span, faults);
    let keys = KEYS.read(&entry.value, faults);
    let get = |word: &str| keys.iter().find(|key| key.key.value == word).map(|key| &key.value);
    let fields = get("fields").map(|node| params(node, faults));
    let kind = match get("type") {
        Some(node) => kind(node, fields.as_deref(), faults)?,
        None => {
            if entry.value.as_map().is_some() {
                faults.push(Fault::new(&name.span, format!("`{}` has no type", name.value)).expected(types()));
            }
            return None;
        }
    };
    let optional = get("optional").and_then(|node| read::boolean(node, faults)).unwrap_or_default();
    let choices: Vec<Node> = get("choices").map(|node| read::list(node, "values", faults).to_vec()).unwrap_or_default();
    let param = Param {
        name,
        default: get("default").cloned(),
        optional,
        choices,
        at_least: get("at_least").cloned(),
        at_most: get("at_most").cloned(),
        help: get("help").and_then(|node| read::text(node, "a sentence", faults)).map(|text| text.value),
        kind,
    };
    check(&param, faults);
    Some(param)
}

/// Checks default, choices and bounds against the type.
fn check(param: &Param, faults: &mut Faults) {
    if let Some(default) = &param.default {
        read::statements(default, faults);
        check_value(default, param, faults);
        if param.optional {
            faults.push(
                Fault::new(&default.span, format!("`{}` has a default and is optional: it could never be none", param.name.value))
                    .expected("one of them"),
            );
        }
    }
    let element = element(&param.kind);
    for literal in &param.choices {
        check_type(literal, element, faults);
    }
    let ordered = matches!(
        element,
        Type::Scalar(
            ScalarType::Integer | ScalarType::Port | ScalarType::Bytes | ScalarType::Duration | ScalarType::Percent | ScalarType::Version
        )
    );
    for (word, bound) in [("at_least", &param.at_least), ("at_most", &param.at_most)] {
        let Some(bound) = bound else { continue };
        if ordered {
            check_type(bound, element, faults);
        } else {
            faults.push(
                Fault::new(&bound.span, format!("`{word}` wants a type that has an order"))
                    .expected("`integer`, `port`, `bytes`, `duration`, `percent` or `version`"),
            );
        }
    }
}

/// The type that choices and bounds speak of: the elements' for a list or map.
fn element(kind: &Type) -> &Type {
    match kind {
        Type::List(inner) | Type::Map(inner) => element(inner),
        Type::Scalar(_) | Type::Microversions | Type::Record(_) => kind,
    }
}

/// A type's word: `path`, `list(text)`, `record`.
fn kind(node: &Node, fields: Option<&[Param]>, faults: &mut Faults) -> Option<Type> {
    let written = read::text(node, "a type", faults)?;
    let kind = parse(&written.value, node, fields, faults)?;
    if fields.is_some() && !matches!(element(&kind), Type::Record(_)) {
        faults
            .push(Fault::new(&node.span, format!("`fields` stands beside `record`, not beside `{}`", written.value)).expected("`record`"));
    }
    Some(kind)
}

/// Parses a type's word.
fn parse(word: &str, node: &Node, fields: Option<&[Param]>, faults: &mut Faults) -> Option<Type> {
    let (mut inner, mut at, mut wraps) = (word, 0, Vec::new());
    while let Some((outer, wrap, rest)) = [("list(", Type::List as fn(Box<Type>) -> Type), ("map(", Type::Map)]
        .into_iter()
        .find_map(|(outer, wrap)| Some((outer, wrap, inner.strip_prefix(outer)?.strip_suffix(')')?)))
    {
        (inner, at) = (rest, at + outer.len());
        wraps.push(wrap);
        if wraps.len() > MAX_NESTING {
            faults.push(Fault::new(&node.span, "the type is nested too deep").expected(format!("at most {MAX_NESTING} levels")));
            return None;
        }
    }
    let innermost = innermost(inner, node, at, fields, faults)?;
    Some(wraps.into_iter().rev().fold(innermost, |kind, wrap| wrap(Box::new(kind))))
}

/// The type inside all `list(` and `map(`; `at` is where it begins in the scalar.
fn innermost(word: &str, node: &Node, at: usize, fields: Option<&[Param]>, faults: &mut Faults) -> Option<Type> {
    let place = node.part(at..at + word.len());
    match word {
        "microversions" => Some(Type::Microversions),
        "record" => match fields {
            Some(fields) => Some(Type::Record(fields.to_vec())),
            None => {
                faults.push(Fault::new(&place, "a record without `fields`").hint("write `fields: {NAME: {type: TYPE}}` beside it"));
                None
            }
        },
        "list" | "map" => {
            faults.push(Fault::new(&place, format!("`{word}` of what?")).expected(format!("`{word}(TYPE)`")));
            None
        }
        _ => {
            let found = ScalarType::ALL.into_iter().find(|kind| kind.word() == word).map(Type::Scalar);
            if found.is_none() {
                let known = ScalarType::ALL.into_iter().map(ScalarType::word).chain(["microversions", "record", "list", "map"]);
                let usual = match word {
                    "string" | "str" => Some("text"),
                    "int" | "number" => Some("integer"),
                    "bool" => Some("boolean"),
                    "size" => Some("bytes"),
                    "time" => Some("duration"),
                    _ => None,
                };
                let fault = Fault::new(&place, format!("unknown type `{word}`")).expected(types());
                faults.push(match usual {
                    Some(usual) => fault.nearest(usual, [usual]),
                    None => fault.nearest(word, known),
                });
            }
            found
        }
    }
}

/// All types for "expected".
fn types() -> String {
    words(ScalarType::ALL.into_iter().map(ScalarType::word).chain(["microversions", "record", "list(T)", "map(T)"]))
}
