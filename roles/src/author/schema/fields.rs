//! Maps with the fields of a table, and values by their types.

use serde_json::{Map, Value, json};

use super::{described, list, map, object, reference};
use crate::author::kinds::{FieldSpec, Rule, ScalarType, Shape};
use crate::author::literal::words;

/// A map by its table.
pub(super) fn fields(specs: &[FieldSpec], rules: &[Rule]) -> Value {
    let mut properties = Map::new();
    for spec in specs.iter().filter(|spec| !spec.later) {
        properties.insert(spec.name.to_owned(), described(shape(&spec.shape), spec.doc));
    }
    let required: Vec<&str> = specs.iter().filter(|spec| spec.required).map(|spec| spec.name).collect();
    let mut schema = object(Value::Object(properties), &required);
    let relations: Vec<Value> = rules.iter().flat_map(relation).collect();
    if !relations.is_empty() {
        schema["allOf"] = json!(relations);
    }
    schema
}

/// A relation between fields, one statement for each way to break it: an editor says of each what is wrong.
fn relation(rule: &Rule) -> Vec<Value> {
    let listed = |names: &[&str]| words(names.iter().copied());
    match rule {
        Rule::ExactlyOne(names) => {
            let wanted = wanted(names, &names[..1], format!("one of {} is wanted", listed(names)));
            [vec![wanted], one_at_most(names)].concat()
        }
        Rule::ExactlyOneUnlessAbsent(names) => {
            let all = [*names, &["absent"]].concat();
            let wanted = wanted(&all, &names[..1], format!("one of {} is wanted, or `absent`", listed(names)));
            let gone = json!({ "properties": { "absent": { "const": true } }, "required": ["absent"] });
            let absent = names.iter().map(|name| excluded(gone.clone(), "absent", name));
            [vec![wanted], one_at_most(names), absent.collect()].concat()
        }
        Rule::AtLeastOne(names) => vec![wanted(names, &names[..1], format!("at least one of {} is wanted", listed(names)))],
        Rule::AtMostOne(names) => one_at_most(names),
        Rule::With(name, other) => {
            let message = format!("`{name}` stands only beside `{other}`");
            vec![json!({ "if": { "required": [name] }, "then": { "required": [other], "errorMessage": message } })]
        }
    }
}

/// Where none of these is written, that one is missing.
fn wanted(names: &[&str], missing: &[&str], message: String) -> Value {
    let none: Vec<Value> = names.iter().map(|name| json!({ "not": { "required": [name] } })).collect();
    json!({ "if": { "allOf": none }, "then": { "required": missing, "errorMessage": message } })
}

/// Each two of these exclude each other.
fn one_at_most(names: &[&str]) -> Vec<Value> {
    let pairs = names.iter().enumerate().flat_map(|(at, first)| names[at + 1..].iter().map(move |second| (first, second)));
    pairs.map(|(first, second)| excluded(json!({ "required": [first] }), first, second)).collect()
}

/// Beside the first, where it is so, the second may not stand.
fn excluded(so: Value, first: &str, second: &str) -> Value {
    json!({ "if": so, "then": { "properties": { second: false }, "errorMessage": format!("`{first}` and `{second}` exclude each other") } })
}

/// A field's shape; an expression may stand for the whole of it.
pub(super) fn shape(wanted: &Shape) -> Value {
    let literal = match wanted {
        Shape::Scalar(kind) => return reference(kind.word()),
        Shape::Expression => return json!({ "type": ["string", "boolean"] }),
        Shape::Choice(words) => json!({ "enum": words }),
        Shape::List(element) => list(&shape(element)),
        Shape::Map(value) => map(&shape(value)),
        Shape::Record(specs) => fields(specs, &[]),
        Shape::Triggers(_) => list(&json!({ "type": "string", "pattern": "^[a-z_]+ .|\\{\\{" })),
    };
    json!({ "anyOf": [literal, reference("expression")] })
}

/// A type of one value.
pub(super) fn scalar(kind: ScalarType) -> Value {
    let pattern = |pattern: &str| json!({ "type": "string", "pattern": format!("{pattern}|\\{{\\{{") });
    let number = |bounds: Value| json!({ "anyOf": [bounds, { "$ref": "#/$defs/expression" }] });
    let schema = match kind {
        ScalarType::Integer => number(json!({ "type": "integer" })),
        ScalarType::Port => number(json!({ "type": "integer", "minimum": 1, "maximum": 65535 })),
        ScalarType::Boolean => number(json!({ "type": "boolean" })),
        ScalarType::Path => pattern("^/"),
        ScalarType::SitePath => pattern("^[^/]"),
        ScalarType::Url => pattern("^[A-Za-z][A-Za-z0-9+.-]*://"),
        ScalarType::Percent => pattern("^[0-9]{1,3}%$"),
        ScalarType::Bytes => pattern("^[0-9]+ ?(B|KiB|MiB|GiB|TiB)$"),
        ScalarType::Duration => pattern("^[0-9]+[smhd]$"),
        ScalarType::Mode => pattern("^[0-7]{3,4}$"),
        ScalarType::Digest => pattern("^[0-9a-fA-F]{64}$"),
        ScalarType::Secret => pattern("^\\{\\{"),
        ScalarType::Version | ScalarType::PublicKey | ScalarType::System | ScalarType::Node | ScalarType::Master => {
            json!({ "type": "string" })
        }
        ScalarType::Text | ScalarType::Name | ScalarType::Label | ScalarType::Host => json!({ "type": ["string", "integer"] }),
    };
    let text = kind.expected();
    described(schema, &format!("{}{}", text[..1].to_uppercase(), &text[1..]))
}
