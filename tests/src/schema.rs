//! A JSON Schema as an editor reads it: what is wrong with a value, and which words may stand at a place. As much of draft 2020-12 as ours say.

use serde_json::Value;
use std::collections::BTreeSet;

/// A schema's document.
#[derive(Debug)]
pub struct Schema(Value);

impl Schema {
    /// The document.
    pub fn new(document: Value) -> Self {
        Self(document)
    }

    /// What is wrong with a value, in the words that an editor says.
    pub fn faults(&self, value: &Value) -> Vec<String> {
        self.wrong(&self.0, value)
    }

    /// The keys and words that may stand at a place of a value, which is null there.
    pub fn offered(&self, value: &Value, place: &[&str]) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        self.offer(&self.0, value, place, &mut found);
        found
    }

    fn resolved<'s>(&'s self, schema: &'s Value) -> &'s Value {
        let target = schema["$ref"].as_str().and_then(|target| target.strip_prefix('#'));
        target.map_or(schema, |pointer| self.0.pointer(pointer).unwrap_or_else(|| panic!("`{pointer}` is defined")))
    }

    fn holds(&self, schema: &Value, value: &Value) -> bool {
        self.wrong(schema, value).is_empty()
    }

    fn wrong(&self, schema: &Value, value: &Value) -> Vec<String> {
        let schema = self.resolved(schema);
        if let Value::Bool(holds) = schema {
            return if *holds { Vec::new() } else { vec!["nothing may stand here".to_owned()] };
        }
        let say = |otherwise: String| schema["errorMessage"].as_str().map_or(otherwise, str::to_owned);
        let mut faults = Vec::new();
        let types = list(&schema["type"]);
        if !types.is_empty() && !types.iter().any(|kind| is(value, kind)) {
            return vec![say(format!("{value} is not of type {types:?}"))];
        }
        if schema["enum"].as_array().is_some_and(|words| !words.contains(value))
            || schema.get("const").is_some_and(|wanted| wanted != value)
        {
            faults.push(say(format!("{value} is none of the words")));
        }
        // Of patterns only that of an expression is read; the rest is taken to hold.
        if schema["pattern"] == "\\{\\{" && value.as_str().is_some_and(|text| !text.contains("{{")) {
            faults.push(say(format!("{value} is no expression")));
        }
        faults.extend(self.wrong_parts(schema, value, &say));
        faults.extend(list(&schema["allOf"]).iter().flat_map(|part| self.wrong(part, value)));
        let any = list(&schema["anyOf"]);
        if !any.is_empty() && !any.iter().any(|part| self.holds(part, value)) {
            faults.extend(self.wrong(&any[0], value));
        }
        let one = list(&schema["oneOf"]);
        if !one.is_empty() && one.iter().filter(|part| self.holds(part, value)).count() != 1 {
            faults.push(say("not exactly one of the schemas holds".to_owned()));
        }
        if schema.get("not").is_some_and(|not| self.holds(not, value)) {
            faults.push(say("what may not be is so".to_owned()));
        }
        if let Some(branch) = self.branch(schema, value) {
            faults.extend(self.wrong(branch, value));
        }
        faults
    }

    fn branch<'s>(&self, schema: &'s Value, value: &Value) -> Option<&'s Value> {
        let condition = schema.get("if")?;
        schema.get(if self.holds(condition, value) { "then" } else { "else" })
    }

    fn wrong_parts(&self, schema: &Value, value: &Value, say: &dyn Fn(String) -> String) -> Vec<String> {
        let mut faults = Vec::new();
        if let Value::Array(items) = value
            && let Some(of) = schema.get("items")
        {
            faults.extend(items.iter().flat_map(|item| self.wrong(of, item)));
        }
        let Value::Object(entries) = value else { return faults };
        for name in list(&schema["required"]).iter().filter_map(Value::as_str) {
            if !entries.contains_key(name) {
                faults.push(say(format!("`{name}` is missing")));
            }
        }
        for (key, entry) in entries {
            if schema.get("propertyNames").is_some_and(|names| !self.holds(names, &Value::from(key.as_str()))) {
                faults.push(say(format!("`{key}` may not stand here")));
            }
            match (schema["properties"].get(key), schema.get("additionalProperties")) {
                (Some(Value::Bool(false)), _) | (None, Some(Value::Bool(false))) => faults.push(say(format!("`{key}` may not stand here"))),
                (Some(of), _) | (None, Some(of)) => faults.extend(self.wrong(of, entry)),
                (None, None) => {}
            }
        }
        let count = entries.len() as u64;
        if schema["minProperties"].as_u64().is_some_and(|least| count < least)
            || schema["maxProperties"].as_u64().is_some_and(|most| count > most)
        {
            faults.push(say(format!("{count} entries")));
        }
        faults
    }

    fn offer(&self, schema: &Value, value: &Value, place: &[&str], found: &mut BTreeSet<String>) {
        let schema = self.resolved(schema);
        for part in ["allOf", "anyOf", "oneOf"].iter().flat_map(|word| list(&schema[word])) {
            self.offer(&part, value, place, found);
        }
        if let Some(branch) = self.branch(schema, value) {
            self.offer(branch, value, place, found);
        }
        match place.split_first() {
            Some((key, rest)) => {
                let (inside, of) = match value {
                    Value::Array(items) => (key.parse::<usize>().ok().and_then(|at| items.get(at)), schema.get("items")),
                    _ => (value.get(key), schema["properties"].get(key).or_else(|| schema.get("additionalProperties"))),
                };
                if let Some(of) = of.filter(|of| of.is_object()) {
                    self.offer(of, inside.unwrap_or(&Value::Null), rest, found);
                }
            }
            None => {
                let keys =
                    schema["properties"].as_object().into_iter().flatten().filter(|(key, of)| of.is_object() && value.get(key).is_none());
                found.extend(keys.map(|(key, _)| key.clone()));
                found.extend(list(&schema["enum"]).iter().filter_map(Value::as_str).map(str::to_owned));
            }
        }
    }
}

fn list(value: &Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items.clone(),
        Value::Null => Vec::new(),
        one => vec![one.clone()],
    }
}

fn is(value: &Value, kind: &Value) -> bool {
    match kind.as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("boolean") => value.is_boolean(),
        other => panic!("no type of ours: {other:?}"),
    }
}
