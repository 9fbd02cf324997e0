//! JSON Schema of the three kinds of files, from the same tables that lowering reads: editors complete and mark by it.
//!
//! A schema says less than `lint`: it knows shapes and words, and the names of the roles that it is given. A value may always be an
//! expression. `errorMessage` is no word of JSON Schema: editors say it where they have it, and others pass over it.

mod fields;
mod params;
mod step;

use serde_json::{Map, Value, json};

use super::graph::Roles;
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
}

/// The schema of a file. `roles` are those whose names and parameters it knows.
#[must_use]
pub fn of(file: File, roles: &Roles) -> Value {
    let (title, mut schema) = match file {
        File::Role => ("ostler role", role()),
        File::Nodes => ("ostler nodes.yaml", nodes()),
        File::Site => ("ostler.yaml", site()),
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

/// A role.
fn role() -> Value {
    let steps = |place: Place| list(&reference(&format!("step_{}", place.word())));
    object(
        json!({
            "role": described(json!({ "type": "string", "pattern": "^[a-z][a-z0-9-]*$" }), "The role's name: the file's."),
            "replaces": described(json!({ "const": "library" }), "Hides the library role of this name."),
            "summary": described(json!({ "type": "string" }), "One sentence."),
            "needs": described(list(&reference("need")), "Roles that come first: a list of ROLE: {PARAMETER: VALUE}."),
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
    let group = object(json!({ "roles": list(&reference("role")), "vars": reference("vars"), "ssh": reference("ssh") }), &[]);
    let node = object(
        json!({ "host": reference("host"), "groups": reference("names"), "roles": list(&reference("role")), "vars": reference("vars"), "ssh": reference("ssh") }),
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
        File::Nodes | File::Site => {
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
        for file in [File::Role, File::Nodes, File::Site] {
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
