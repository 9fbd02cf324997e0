//! JSON Schema of the three kinds of files, from the same tables that lowering reads: editors complete and mark by it.
//!
//! A schema says less than `lint`: it knows shapes and words, no names and no relations. A value may always be an expression.

use serde_json::{Map, Value, json};

use super::kinds::{self, BUILDBOT, EXECUTOR, FieldSpec, JENKINS, LAB, Place, Rule, SSH, ScalarType, Shape};

/// The files that have a schema.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum File {
    /// `roles/NAME.yaml`.
    Role,
    /// `nodes.yaml`.
    Nodes,
    /// `ostler.yaml`.
    Site,
}

/// The schema of a file.
#[must_use]
pub fn of(file: File) -> Value {
    let (title, mut schema) = match file {
        File::Role => ("ostler role", role()),
        File::Nodes => ("ostler nodes.yaml", nodes()),
        File::Site => ("ostler.yaml", site()),
    };
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!(title);
    schema["$defs"] = definitions(file);
    schema
}

/// A map with these keys and no others.
fn object(properties: Value, required: &[&str]) -> Value {
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

/// A reference to a definition.
fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{name}") })
}

/// A list of such.
fn list(items: &Value) -> Value {
    json!({ "type": "array", "items": items })
}

/// A map from any name to such.
fn map(values: &Value) -> Value {
    json!({ "type": "object", "additionalProperties": values })
}

/// The same with a sentence.
fn described(mut schema: Value, text: &str) -> Value {
    schema["description"] = json!(text);
    schema
}

/// A role.
fn role() -> Value {
    let steps = |place: Place| list(&reference(&format!("step_{}", place.word())));
    object(
        json!({
            "role": described(json!({ "type": "string", "pattern": "^[a-z][a-z0-9-]*$" }), "The role's name: the file's."),
            "replaces": described(json!({ "const": "library" }), "Hides the library role of this name."),
            "summary": described(json!({ "type": "string" }), "One sentence."),
            "needs": described(list(&map(&map(&json!({})))), "Roles that come first: a list of ROLE: {PARAMETER: VALUE}."),
            "params": described(map(&reference("parameter")), "Typed inputs."),
            "by_system": described(map(&map(&reference("texts"))), "Words that differ by distribution."),
            "require": described(steps(Place::Require), "Checks before anything is changed."),
            "steps": described(steps(Place::Steps), "Resources, in order."),
            "executors": described(list(&reference("executor")), "What the master may run here."),
            "labels": described(list(&reference("label")), "Labels for every executor of the node."),
            "verify": described(steps(Place::Verify), "Checks after the steps."),
            "smoke": described(steps(Place::Smoke), "Commands run as a job before the label is attached."),
        }),
        &["role", "summary"],
    )
}

/// `nodes.yaml`.
fn nodes() -> Value {
    let group = object(json!({ "roles": reference("names"), "vars": reference("vars"), "ssh": reference("ssh") }), &[]);
    let node = object(
        json!({ "host": reference("host"), "groups": reference("names"), "roles": reference("names"), "vars": reference("vars"), "ssh": reference("ssh") }),
        &[],
    );
    object(
        json!({
            "groups": described(map(&group), "Nodes that have the same roles."),
            "nodes": described(map(&node), "The machines."),
        }),
        &[],
    )
}

/// `ostler.yaml`.
fn site() -> Value {
    let master = json!({ "oneOf": [
        object(json!({ "buildbot": reference("buildbot") }), &["buildbot"]),
        object(json!({ "jenkins": reference("jenkins") }), &["jenkins"]),
    ] });
    let recipients = object(json!({ "recipients": list(&json!({ "type": "string" })) }), &[]);
    object(
        json!({
            "edition": described(json!({ "const": 1 }), "The edition of the language."),
            "id": described(json!({ "type": "string" }), "What the site is called in its marks on masters."),
            "site": described(map(&json!({})), "Plain constants, seen by variables and masters."),
            "ssh": described(reference("ssh"), "How every node is reached."),
            "secrets": described(recipients, "Who can open the secrets."),
            "masters": described(map(&master), "The CI masters."),
            "vars": described(reference("vars"), "Values for parameters of any role."),
            "lab": described(fields(LAB, &[]), "The lab that this site describes."),
        }),
        &["edition"],
    )
}

/// What the schema of a file refers to.
fn definitions(file: File) -> Value {
    let mut all = Map::new();
    for kind in ScalarType::ALL {
        all.insert(kind.word().to_owned(), scalar(kind));
    }
    all.insert(
        "texts".to_owned(),
        json!({ "anyOf": [{ "type": ["string", "integer"] }, { "type": "array", "items": { "type": ["string", "integer"] } }] }),
    );
    all.insert("expression".to_owned(), json!({ "type": "string", "pattern": "\\{\\{" }));
    match file {
        File::Role => {
            all.insert("parameter".to_owned(), parameter());
            all.insert("executor".to_owned(), fields(EXECUTOR, &[]));
            for place in [Place::Require, Place::Steps, Place::Verify, Place::Smoke] {
                all.insert(format!("step_{}", place.word()), step(place));
            }
        }
        File::Nodes | File::Site => {
            all.insert("names".to_owned(), list(&json!({ "type": "string" })));
            all.insert("vars".to_owned(), map(&map(&json!({}))));
            all.insert("ssh".to_owned(), fields(SSH, &[]));
            all.insert("buildbot".to_owned(), fields(BUILDBOT, &[]));
            all.insert("jenkins".to_owned(), fields(JENKINS, &[]));
        }
    }
    Value::Object(all)
}

/// A parameter of a role.
fn parameter() -> Value {
    let types: Vec<&str> = ScalarType::ALL.into_iter().map(ScalarType::word).chain(["microversions", "record"]).collect();
    let pattern = format!("^(list\\(|map\\()*({})\\)*$", types.join("|"));
    object(
        json!({
            "type": described(json!({ "type": "string", "pattern": pattern }), "Its type: a word, list(T), map(T) or record."),
            "default": described(json!({}), "The value when nobody sets it."),
            "optional": described(json!({ "type": "boolean" }), "It may be none."),
            "choices": described(json!({ "type": "array" }), "The only values allowed."),
            "at_least": described(json!({}), "The least value allowed."),
            "at_most": described(json!({}), "The greatest value allowed."),
            "fields": described(map(&reference("parameter")), "The fields of a record."),
            "help": described(json!({ "type": "string" }), "What it is for."),
        }),
        &["type"],
    )
}

/// A step or check: exactly one kind or block, and step words.
fn step(place: Place) -> Value {
    let mut properties = Map::new();
    let mut kinds: Vec<&str> = Vec::new();
    for spec in kinds::at(place) {
        kinds.push(spec.word);
        properties.insert(spec.word.to_owned(), described(fields(spec.fields, spec.rules), spec.doc));
    }
    if place != Place::Smoke {
        for (block, text) in [("steps", "Steps that share the words beside them."), ("together", "Steps that may run at once.")] {
            kinds.push(block);
            properties.insert(block.to_owned(), described(list(&reference(&format!("step_{}", place.word()))), text));
        }
    }
    let bare = |text: &str| described(json!({ "type": ["string", "boolean"] }), text);
    properties.insert("when".to_owned(), bare("Left out unless this bare expression is true."));
    properties.insert(
        "each".to_owned(),
        described(json!({ "type": "string", "pattern": "^[a-z][a-z0-9_]* in " }), "NAME in EXPRESSION: once for each element."),
    );
    properties.insert("within".to_owned(), described(reference("duration"), "Its deadline."));
    if place == Place::Steps {
        properties.insert("live".to_owned(), described(json!({ "type": "boolean" }), "Never baked into an image."));
    }
    let mut schema = object(Value::Object(properties), &[]);
    schema["oneOf"] = kinds.iter().map(|kind| json!({ "required": [kind] })).collect();
    schema
}

/// A map by its table.
fn fields(specs: &[FieldSpec], rules: &[Rule]) -> Value {
    let mut properties = Map::new();
    for spec in specs.iter().filter(|spec| !spec.later) {
        properties.insert(spec.name.to_owned(), described(shape(&spec.shape), spec.doc));
    }
    let required: Vec<&str> = specs.iter().filter(|spec| spec.required).map(|spec| spec.name).collect();
    let mut schema = object(Value::Object(properties), &required);
    let relations: Vec<Value> = rules.iter().map(relation).collect();
    if !relations.is_empty() {
        schema["allOf"] = json!(relations);
    }
    schema
}

/// A relation between fields.
fn relation(rule: &Rule) -> Value {
    let each = |names: &[&str]| -> Vec<Value> { names.iter().map(|name| json!({ "required": [name] })).collect() };
    match rule {
        Rule::ExactlyOne(names) => json!({ "oneOf": each(names) }),
        Rule::ExactlyOneUnlessAbsent(names) => json!({ "oneOf": ([each(names), each(&["absent"])].concat()) }),
        Rule::AtLeastOne(names) => json!({ "anyOf": each(names) }),
        Rule::AtMostOne(names) => json!({ "oneOf": ([each(names), vec![json!({ "not": { "anyOf": each(names) } })]].concat()) }),
        Rule::With(name, other) => json!({ "dependentRequired": { *name: [other] } }),
    }
}

/// A field's shape; an expression may stand for the whole of it.
fn shape(wanted: &Shape) -> Value {
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
fn scalar(kind: ScalarType) -> Value {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Every reference in a schema.
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                if let Some(Value::String(target)) = map.get("$ref") {
                    found.push(target.clone());
                }
                map.values().for_each(|value| references(value, found));
            }
            Value::Array(list) => list.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_has_its_definition() {
        for file in [File::Role, File::Nodes, File::Site] {
            let schema = of(file);
            let mut found = Vec::new();
            references(&schema, &mut found);
            assert!(!found.is_empty());
            for target in found {
                let name = target.strip_prefix("#/$defs/").unwrap();
                assert!(schema["$defs"].get(name).is_some(), "{file:?}: {target}");
            }
        }
    }

    #[test]
    fn every_kind_and_field_of_this_release_is_in_the_schema_of_a_role() {
        let schema = of(File::Role);
        for kind in kinds::all() {
            for place in kind.places {
                let body = &schema["$defs"][format!("step_{}", place.word())]["properties"][kind.word];
                for field in kind.fields {
                    assert_eq!(body["properties"].get(field.name).is_some(), !field.later, "{} {}", kind.word, field.name);
                }
            }
        }
    }
}
