//! JSON Schema of the four kinds of files, from the same tables that lowering reads: editors complete and mark by it.
//!
//! A schema says less than `lint`: it knows shapes and words, and the names of the roles that it is given. A value may always be an
//! expression. `errorMessage` is no word of JSON Schema: editors say it where they have it, and others pass over it.

mod fields;
mod image;
mod params;
mod step;

use serde_json::{Map, Value, json};

use super::graph::Roles;
use super::keys::{self, KeySpec};
use super::kinds::{BUILDBOT, EXECUTOR, JENKINS, LAB, Place, SSH, ScalarType};
use fields::{fields, scalar};

/// The files that have a schema.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum File {
    /// `roles/NAME.yaml`.
    Role,
    /// `nodes.yaml`.
    Nodes,
    /// `ostler.yaml`.
    Site,
    /// `images/NAME.yaml`.
    Image,
}

/// The schema of a file. `roles` are those whose names and parameters it knows.
#[must_use]
pub fn of(file: File, roles: &Roles) -> Value {
    let (title, mut schema) = match file {
        File::Role => ("ostler role", role()),
        File::Nodes => ("ostler nodes.yaml", nodes()),
        File::Site => ("ostler.yaml", site()),
        File::Image => ("ostler image", image::image()),
    };
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!(title);
    schema["$defs"] = definitions(file, roles);
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

/// A map with the keys of a table; `holds` says what stands under each.
fn keyed(keys: &[KeySpec], required: &[&str], holds: impl Fn(&str) -> Value) -> Value {
    let properties: Map<String, Value> = keys.iter().map(|key| (key.name.to_owned(), described(holds(key.name), key.doc))).collect();
    object(Value::Object(properties), required)
}

/// A role.
fn role() -> Value {
    let steps = |place: Place| list(&reference(&format!("step_{}", place.word())));
    keyed(keys::ROLE, &["role", "summary"], |key| match key {
        "role" => json!({ "type": "string", "pattern": "^[a-z][a-z0-9-]*$" }),
        "replaces" => json!({ "const": "library" }),
        "summary" => json!({ "type": "string" }),
        "needs" => list(&reference("need")),
        "params" => map(&reference("parameter")),
        "by_system" => map(&map(&reference("texts"))),
        "require" => steps(Place::Require),
        "steps" => steps(Place::Steps),
        "executors" => list(&reference("executor")),
        "labels" => list(&reference("label")),
        "verify" => steps(Place::Verify),
        "smoke" => steps(Place::Smoke),
        _ => json!({}),
    })
}

/// `nodes.yaml`.
fn nodes() -> Value {
    let of_machines = |key: &str| match key {
        "host" => reference("host"),
        "groups" => reference("names"),
        "roles" => list(&reference("role")),
        "vars" => reference("vars"),
        "ssh" => reference("ssh"),
        _ => json!({}),
    };
    let (group, node) = (keyed(keys::GROUP, &[], of_machines), keyed(keys::NODE, &[], of_machines));
    keyed(keys::NODES, &[], |key| map(if key == "groups" { &group } else { &node }))
}

/// `ostler.yaml`.
fn site() -> Value {
    let master = json!({ "oneOf": [
        object(json!({ "buildbot": reference("buildbot") }), &["buildbot"]),
        object(json!({ "jenkins": reference("jenkins") }), &["jenkins"]),
    ] });
    keyed(keys::SITE, &["edition"], |key| match key {
        "edition" => json!({ "const": 1 }),
        "id" => json!({ "type": "string" }),
        "site" => map(&json!({})),
        "ssh" => reference("ssh"),
        "secrets" => keyed(keys::SECRETS, &[], |_| list(&json!({ "type": "string" }))),
        "masters" => map(&master),
        "vars" => reference("vars"),
        "lab" => fields(LAB, &[]),
        _ => json!({}),
    })
}

/// What the schema of a file refers to.
fn definitions(file: File, roles: &Roles) -> Value {
    let mut all = Map::new();
    for kind in ScalarType::ALL {
        all.insert(kind.word().to_owned(), scalar(kind));
    }
    all.insert(
        "texts".to_owned(),
        json!({ "anyOf": [{ "type": ["string", "integer"] }, { "type": "array", "items": { "type": ["string", "integer"] } }] }),
    );
    all.insert("expression".to_owned(), json!({ "type": "string", "pattern": "\\{\\{" }));
    let vars = params::vars(roles);
    all.extend(params::of(roles));
    match file {
        File::Role => {
            all.insert("parameter".to_owned(), params::declared());
            all.insert("need".to_owned(), params::need(vars));
            all.insert("executor".to_owned(), fields(EXECUTOR, &[]));
            all.extend(step::bodies());
            for place in [Place::Require, Place::Steps, Place::Verify, Place::Smoke] {
                all.insert(format!("step_{}", place.word()), step::of(place));
            }
        }
        File::Nodes | File::Site | File::Image => {
            all.insert("names".to_owned(), list(&json!({ "type": "string" })));
            all.insert("vars".to_owned(), vars);
            all.insert("role".to_owned(), params::role_name(roles));
            all.insert("ssh".to_owned(), fields(SSH, &[]));
            all.insert("buildbot".to_owned(), fields(BUILDBOT, &[]));
            all.insert("jenkins".to_owned(), fields(JENKINS, &[]));
        }
    }
    Value::Object(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::author::kinds;

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
        for file in [File::Role, File::Nodes, File::Site, File::Image] {
            let schema = of(file, &Roles::default());
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
        let schema = of(File::Role, &Roles::default());
        for kind in kinds::all() {
            for place in kind.places {
                let body = &schema["$defs"][step::body(kind)];
                let offered = step::of(*place);
                assert!(
                    offered.to_string().contains(&format!("{:?}", reference(&step::body(kind))["$ref"].as_str().unwrap())),
                    "{}",
                    kind.word
                );
                for field in kind.fields {
                    assert_eq!(body["properties"].get(field.name).is_some(), !field.later, "{} {}", kind.word, field.name);
                }
            }
        }
    }
}
