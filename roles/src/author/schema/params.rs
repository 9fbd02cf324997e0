//! Parameters: how a role declares them, and where values are given to those of the roles that are known.

use serde_json::{Map, Value, json};

use super::{described, keyed, list, map, object, reference};
use crate::author::graph::Roles;
use crate::author::keys;
use crate::author::kinds::ScalarType;
use crate::author::literal::words;
use crate::author::role::{Param, Role, Type};
use crate::author::value::{Data, literal};

/// A parameter as a role declares it.
pub(super) fn declared() -> Value {
    let types: Vec<&str> = ScalarType::ALL.into_iter().map(ScalarType::word).chain(["microversions", "record"]).collect();
    let pattern = format!("^(list\\(|map\\()*({})\\)*$", types.join("|"));
    let whole = types.iter().map(|word| (*word).to_owned());
    let of = |outer: &str| types.iter().map(move |word| format!("{outer}({word})")).collect::<Vec<_>>();
    let offered: Vec<String> = whole.chain(of("list")).chain(of("map")).collect();
    // What is offered, and what nests deeper.
    let expected = format!("a type: {}, list(T), map(T)", words(types.iter().copied()));
    let written = json!({
        "anyOf": [{ "enum": offered, "errorMessage": expected }, { "type": "string", "pattern": pattern, "errorMessage": expected }],
    });
    keyed(keys::PARAMETER, &["type"], |key| match key {
        "type" => written.clone(),
        "optional" => json!({ "type": "boolean" }),
        "choices" => json!({ "type": "array" }),
        "fields" => map(&reference("parameter")),
        "help" => json!({ "type": "string" }),
        _ => json!({}),
    })
}

/// The definition of the values for a role's parameters.
fn name(role: &Role) -> String {
    format!("role_{}", role.name.value)
}

/// For each role the values that its parameters take.
pub(super) fn of(roles: &Roles) -> impl Iterator<Item = (String, Value)> {
    roles.iter().map(|role| (name(role), described(values(&role.params), &role.summary.value)))
}

/// `ROLE: {PARAMETER: VALUE}` for the roles that are known; any where none is.
pub(super) fn vars(roles: &Roles) -> Value {
    let known: Map<String, Value> =
        roles.iter().map(|role| (role.name.value.clone(), described(reference(&name(role)), &role.summary.value))).collect();
    if known.is_empty() {
        return map(&map(&json!({})));
    }
    let names = words(known.keys().map(String::as_str));
    let mut schema = object(Value::Object(known), &[]);
    schema["errorMessage"] = json!(format!("no role of this site; its roles are {names}"));
    schema
}

/// One entry of `needs`: one role.
pub(super) fn need(mut vars: Value) -> Value {
    vars["minProperties"] = json!(1);
    vars["maxProperties"] = json!(1);
    vars
}

/// A role's name in a list.
pub(super) fn role_name(roles: &Roles) -> Value {
    let names: Vec<&str> = roles.iter().map(|role| role.name.value.as_str()).collect();
    if names.is_empty() { json!({ "type": "string" }) } else { json!({ "enum": names }) }
}

/// A map of values for these parameters. None is required here: it may be given elsewhere.
fn values(params: &[Param]) -> Value {
    let known: Map<String, Value> = params.iter().map(|param| (param.name.value.clone(), value(param))).collect();
    object(Value::Object(known), &[])
}

/// A value for a parameter.
fn value(param: &Param) -> Value {
    let choices: Vec<Value> = param.choices.iter().filter_map(|choice| plain(&literal(choice).data)).collect();
    let schema = if choices.is_empty() { typed(&param.kind) } else { chosen(&param.kind, &choices) };
    let schema = json!({ "anyOf": [schema, reference("expression")] });
    param.help.as_ref().map_or_else(|| schema.clone(), |help| described(schema.clone(), help))
}

/// A value of a type; of a list or map, its elements are among the choices.
fn chosen(kind: &Type, choices: &[Value]) -> Value {
    match kind {
        Type::List(element) => list(&chosen(element, choices)),
        Type::Map(value) => map(&chosen(value, choices)),
        Type::Scalar(_) | Type::Microversions | Type::Record(_) => json!({ "enum": choices }),
    }
}

/// A value of a type.
fn typed(kind: &Type) -> Value {
    match kind {
        Type::Scalar(scalar) => reference(scalar.word()),
        Type::Microversions => object(json!({ "min": reference("version"), "max": { "type": "string" } }), &[]),
        Type::List(element) => list(&json!({ "anyOf": [typed(element), reference("expression")] })),
        Type::Map(value) => map(&json!({ "anyOf": [typed(value), reference("expression")] })),
        Type::Record(params) => values(params),
    }
}

/// A literal as JSON, if it is a scalar.
fn plain(data: &Data) -> Option<Value> {
    match data {
        Data::Text(text) => Some(json!(&**text)),
        Data::Integer(number) => Some(json!(number)),
        Data::Boolean(value) => Some(json!(value)),
        _ => None,
    }
}
