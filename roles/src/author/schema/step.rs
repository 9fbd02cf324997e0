//! Steps and checks: one kind or block each, and the words that stand beside it.

use serde_json::{Map, Value, json};

use super::fields::fields;
use super::{described, list, object, reference};
use crate::author::keys;
use crate::author::kinds::{self, KindSpec, Place};
use crate::author::literal::words;

/// The definition of a kind's body.
pub(super) fn body(kind: &KindSpec) -> String {
    format!("{}_{}", if kind.is_check() { "check" } else { "resource" }, kind.word)
}

/// The bodies of all kinds.
pub(super) fn bodies() -> impl Iterator<Item = (String, Value)> {
    kinds::all().map(|kind| (body(kind), described(fields(kind.fields, kind.rules), kind.doc)))
}

/// A step or check. Where it has a kind, only that and the words beside it may stand; where it has none yet, any kind may.
pub(super) fn of(place: Place) -> Value {
    let mut kinds: Vec<(&str, Value)> = kinds::at(place).map(|kind| (kind.word, described(reference(&body(kind)), kind.doc))).collect();
    if place != Place::Smoke {
        let steps = list(&reference(&format!("step_{}", place.word())));
        kinds.extend(keys::BLOCKS.iter().map(|block| (block.name, described(steps.clone(), block.doc))));
    }
    let beside = beside(place);
    let beside_words = words(beside.keys().map(String::as_str));
    let only = |allowed: Map<String, Value>, message: String| {
        let mut schema = object(Value::Object(allowed), &[]);
        schema["errorMessage"] = json!(message);
        schema
    };
    let all: Map<String, Value> =
        beside.clone().into_iter().chain(kinds.iter().map(|(word, body)| ((*word).to_owned(), body.clone()))).collect();
    let expected = words(kinds.iter().map(|(word, _)| *word));
    let mut none = only(all, format!("no kind that may stand here; one of {expected}"));
    // What is no word at all is told already.
    let bare = json!({ "propertyNames": { "enum": beside.keys().collect::<Vec<_>>() } });
    let missing = json!({ "required": [kinds[0].0], "errorMessage": format!("a step without a kind; one of {expected}") });
    none["allOf"] = json!([{ "if": bare, "then": missing }]);
    let one = |(word, body): &(&str, Value)| {
        let mut allowed = beside.clone();
        allowed.insert((*word).to_owned(), body.clone());
        only(allowed, format!("beside `{word}` stand only {beside_words}"))
    };
    let chain = kinds
        .iter()
        .rev()
        .fold(none, |rest, kind| json!({ "if": { "type": "object", "required": [kind.0] }, "then": one(kind), "else": rest }));
    let mut schema = json!({ "type": "object" });
    if let (Value::Object(schema), Value::Object(chain)) = (&mut schema, chain) {
        schema.extend(chain);
    }
    schema
}

/// The words that stand beside a kind; a check is never in an image.
fn beside(place: Place) -> Map<String, Value> {
    let holds = |word: &str| match word {
        "when" => json!({ "type": ["string", "boolean"] }),
        "each" => json!({ "type": "string", "pattern": "^[a-z][a-z0-9_]* in " }),
        "within" => reference("duration"),
        "live" => json!({ "type": "boolean" }),
        _ => json!({}),
    };
    let words = keys::STEP.iter().filter(|word| place == Place::Steps || word.name != "live");
    words.map(|word| (word.name.to_owned(), described(holds(word.name), word.doc))).collect()
}
