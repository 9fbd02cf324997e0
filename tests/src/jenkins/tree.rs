//! The `tree=` parameter: which fields of a JSON answer are wanted.

use serde_json::{Map, Value};

/// A parsed `tree=`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree(Vec<(String, Option<Tree>)>);

impl Tree {
    /// Parses `a,b[c,d[*]]`.
    pub fn parse(text: &str) -> Self {
        let mut characters = text.chars().peekable();
        Self::list(&mut characters)
    }

    fn list(characters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Self {
        let (mut fields, mut name) = (Vec::new(), String::new());
        while let Some(character) = characters.next() {
            match character {
                ',' => push(&mut fields, &mut name),
                '[' => fields.push((std::mem::take(&mut name), Some(Self::list(characters)))),
                ']' => break,
                other => name.push(other),
            }
        }
        push(&mut fields, &mut name);
        Self(fields)
    }

    /// The fields that are asked for; `_class` always stays.
    pub fn pick(&self, value: &Value) -> Value {
        match value {
            Value::Array(items) => Value::Array(items.iter().map(|item| self.pick(item)).collect()),
            Value::Object(object) => {
                let mut out: Map<String, Value> = object.get_key_value("_class").map(|(k, v)| (k.clone(), v.clone())).into_iter().collect();
                for (name, inner) in &self.0 {
                    if name == "*" {
                        out.extend(object.iter().map(|(key, value)| (key.clone(), bare(value))));
                    } else if let Some(found) = object.get(name) {
                        out.insert(name.clone(), inner.as_ref().map_or_else(|| bare(found), |tree| tree.pick(found)));
                    }
                }
                Value::Object(out)
            }
            other => other.clone(),
        }
    }
}

fn push(fields: &mut Vec<(String, Option<Tree>)>, name: &mut String) {
    if !name.is_empty() {
        fields.push((std::mem::take(name), None));
    }
}

/// An object that nobody asked into shows its class alone.
pub fn bare(value: &Value) -> Value {
    match value {
        Value::Object(_) => Tree(Vec::new()).pick(value),
        Value::Array(items) => Value::Array(items.iter().map(bare).collect()),
        other => other.clone(),
    }
}
