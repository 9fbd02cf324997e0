//! A map against its table: unknown, missing and refused fields, relations between them, bare expressions.

use crate::author::diagnostic::{Fault, Faults, nearest};
use crate::author::kinds::{FieldSpec, Rule, SSH, absent};
use crate::author::literal::{check_shape, field_names, mismatch, words};
use crate::author::role::{Expression, Field, Fields};
use crate::author::source::{Node, Scalar};

use super::read;

/// Reads a map by its table. `what` is how messages call it: `` `package` ``, `this executor`.
pub(in crate::author) fn lower(node: &Node, what: &str, specs: &'static [FieldSpec], rules: &[Rule], faults: &mut Faults) -> Fields {
    let mut fields = Fields { span: node.span.clone(), list: Vec::new() };
    let Some(entries) = node.as_map() else {
        faults.push(mismatch(node, &format!("a map with {}", words(field_names(specs)))));
        return fields;
    };
    let mut misspelt = Vec::new();
    for entry in entries {
        let key = entry.key.value.as_str();
        let Some(spec) = specs.iter().find(|spec| spec.name == key) else {
            let known = field_names(specs);
            misspelt.extend(nearest(key, known.iter().copied()));
            let fault = Fault::new(&entry.key.span, format!("unknown field `{key}` in {what}"))
                .expected(words(known.iter().copied()))
                .nearest(key, known.iter().copied());
            faults.push(match absent(key) {
                Some(instead) => fault.hint(instead),
                None => fault,
            });
            continue;
        };
        if spec.later {
            faults.push(Fault::new(&entry.key.span, format!("`{key}` in {what} is not in this release")));
            continue;
        }
        read::statements(&entry.value, faults);
        check_shape(&entry.value, &spec.shape, faults);
        fields.list.push(Field { spec, key: entry.key.span.clone(), value: entry.value.clone() });
    }
    // What was misspelt is not missing as well.
    for spec in specs.iter().filter(|spec| spec.required && node.get(spec.name).is_none() && !misspelt.contains(&spec.name)) {
        faults.push(Fault::new(&node.span, format!("{what} wants `{}`", spec.name)).hint(format!(
            "`{}`: {}",
            spec.name,
            fragment(spec.doc)
        )));
    }
    for rule in rules {
        check(node, what, *rule, &misspelt, faults);
    }
    fields
}

/// A sentence of the table inside another.
fn fragment(doc: &str) -> String {
    let mut letters = doc.trim_end_matches('.').chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

/// Checks one relation.
fn check(node: &Node, what: &str, rule: Rule, misspelt: &[&str], faults: &mut Faults) {
    // Where an expression decides, either may hold: what is wanted of what is there is written, and counts for nothing where it is not.
    let absent = node.get("absent").and_then(Node::as_scalar).is_some_and(|scalar| scalar.text != "false" && !scalar.has_expression());
    let written =
        |names: &'static [&'static str]| -> Vec<&'static str> { names.iter().copied().filter(|name| node.get(name).is_some()).collect() };
    match rule {
        Rule::ExactlyOneUnlessAbsent(names) if absent => {
            if let [first, ..] = written(names)[..] {
                two(node, "absent", first, format!("`absent` and `{first}` contradict each other"), faults);
            }
        }
        Rule::ExactlyOne(names) | Rule::ExactlyOneUnlessAbsent(names) => match written(names)[..] {
            [] if names.iter().any(|name| misspelt.contains(name)) => {}
            [] => {
                let which = if names.len() == 1 { "" } else { "one of " };
                faults.push(Fault::new(&node.span, format!("{what} wants {which}{}", words(names.iter().copied()))));
            }
            [_] => {}
            [first, second, ..] => two(node, first, second, format!("{what} has both `{first}` and `{second}`"), faults),
        },
        Rule::AtMostOne(names) => {
            if let [first, second, ..] = written(names)[..] {
                two(node, first, second, format!("{what} has both `{first}` and `{second}`"), faults);
            }
        }
        Rule::AtLeastOne(names) => {
            // An empty list of triggers never acts.
            let guards =
                written(names).into_iter().filter(|name| node.get(name).and_then(Node::as_list).is_none_or(|list| !list.is_empty()));
            if guards.count() == 0 && !names.iter().any(|name| misspelt.contains(name)) {
                let fault = Fault::new(&node.span, format!("{what} wants at least one of {}", words(names.iter().copied())));
                let guard = names.contains(&"creates");
                faults.push(if guard { fault.hint("without a guard the command would run in every run") } else { fault });
            }
        }
        Rule::With(name, other) => {
            if let (Some(_), None) = (node.get(name), node.get(other)) {
                faults.push(Fault::new(&key_span(node, name), format!("`{name}` stands only beside `{other}`")));
            }
        }
    }
}

/// A fault with two places in one map.
fn two(node: &Node, first: &str, second: &str, message: String, faults: &mut Faults) {
    faults.push(Fault::new(&key_span(node, second), message).expected("one of them").also(&key_span(node, first), "the other"));
}

/// Where a key of the map was written.
fn key_span(node: &Node, name: &str) -> crate::author::source::Span {
    node.as_map()
        .and_then(|entries| entries.iter().find(|entry| entry.key.value == name))
        .map_or_else(|| node.span.clone(), |entry| entry.key.span.clone())
}

/// A bare expression: a text, not in braces.
pub(in crate::author) fn expression(node: &Node, word: &str, faults: &mut Faults) -> Option<Expression> {
    let Some(scalar) = node.as_scalar() else {
        faults.push(mismatch(node, "a bare expression"));
        return None;
    };
    if scalar.has_expression() || scalar.text.contains("{%") {
        let bare = scalar.text.replace("{{ ", "").replace(" }}", "").replace("{{", "").replace("}}", "");
        let fault = Fault::new(&node.span, format!("{word} holds a bare expression, without braces"));
        faults.push(if bare.contains("{%") { fault } else { fault.hint(format!("write `{}`", bare.trim())) });
        return None;
    }
    if scalar.text.trim().is_empty() {
        faults.push(Fault::new(&node.span, "an empty expression"));
        return None;
    }
    Some(Expression { text: scalar.text.clone(), offset: 0, node: node.clone() })
}

/// Reads `ssh`: how a node is reached is known before anything is computed, so no expression may stand there.
pub(super) fn ssh(node: &Node, faults: &mut Faults) -> Fields {
    constants(node, "`ssh`", faults);
    lower(node, "`ssh`", SSH, &[], faults)
}

/// Refuses expressions anywhere in a map.
pub(super) fn constants(node: &Node, what: &str, faults: &mut Faults) {
    node.as_list().unwrap_or_default().iter().for_each(|item| constants(item, what, faults));
    node.as_map().unwrap_or_default().iter().for_each(|entry| constants(&entry.value, what, faults));
    if node.as_scalar().is_some_and(Scalar::has_expression) {
        faults.push(Fault::new(&node.span, format!("no expression may stand in {what}")));
    }
}
