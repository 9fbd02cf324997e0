//! A role's file.

use std::sync::Arc;

use crate::author::diagnostic::{Fault, Faults};
use crate::author::keys;
use crate::author::kinds::{EXECUTOR, LATER, Place, ScalarType};
use crate::author::literal::{check_scalar, mismatch};
use crate::author::role::{Executor, Name, Need, Role, SystemWord};
use crate::author::source::{Entry, Node, NodeKind, Source, Span, Spanned, Tree};
use crate::author::yaml;

use super::read::{self, Keys, Spelling};
use super::{fields, params, steps};

/// The keys of a role.
const KEYS: Keys = Keys { what: "a role", known: keys::ROLE, later: LATER.role };

/// Reads `roles/NAME.yaml`. Given even with faults, as far as it can be told, so that the graph of roles is checked in
/// the same go; none when the file has no name or is no map.
pub fn role(source: &Arc<Source>, faults: &mut Faults) -> Option<Role> {
    let begin = faults.len();
    let root = yaml::read(source, faults)?;
    if root.as_list().is_some() {
        let stem = source.name().rsplit('/').next().and_then(|file| file.strip_suffix(".yaml")).unwrap_or_default();
        let fault = Fault::new(&source.span(0..0), "a list of tasks is not a role").expected("a map: a role");
        faults.push(fault.hint(format!("begin the file with `role: {stem}` and `summary: …`, and put the list under `steps:`")));
        return None;
    }
    let keys = KEYS.read(&root, faults);
    root.as_map()?;
    let get = |word: &str| keys.iter().find(|entry| entry.key.value == word).copied();
    let start = source.span(0..0);
    let name = name(get("role"), source, &start, faults)?;
    let summary = get("summary").and_then(|entry| read::text(&entry.value, "one sentence", faults));
    if get("summary").is_none() {
        faults.push(Fault::new(&name.span, "the role has no `summary`").hint("one sentence that says what a node is that has it"));
    }
    let section =
        |word: &str, place: Place, faults: &mut Faults| get(word).map(|entry| steps::list(&entry.value, place, faults)).unwrap_or_default();
    let before = faults.len();
    let (need, param, word) = (
        get("needs").map(|entry| needs(&entry.value, faults)).unwrap_or_default(),
        get("params").map(|entry| params::params(&entry.value, faults)).unwrap_or_default(),
        get("by_system").map(|entry| by_system(&entry.value, faults)).unwrap_or_default(),
    );
    let mut role = Role {
        whole: true,
        names_read: faults.len() == before,
        tree: source.tree(),
        replaces_library: get("replaces").and_then(|entry| replaces(entry, source, faults)),
        summary: summary.unwrap_or_else(|| Spanned::new(String::new(), name.span.clone())),
        needs: need,
        params: param,
        by_system: word,
        require: section("require", Place::Require, faults),
        steps: section("steps", Place::Steps, faults),
        executors: get("executors").map(|entry| executors(&entry.value, faults)).unwrap_or_default(),
        labels: get("labels").map(|entry| labels(&entry.value, faults)).unwrap_or_default(),
        verify: section("verify", Place::Verify, faults),
        smoke: section("smoke", Place::Smoke, faults),
        name,
    };
    names(&role, faults);
    role.whole = faults.len() == begin;
    Some(role)
}

/// `role: NAME`, the same as the file's.
fn name(entry: Option<&Entry>, source: &Source, start: &Span, faults: &mut Faults) -> Option<Name> {
    let stem = source.name().rsplit('/').next().and_then(|file| file.strip_suffix(".yaml")).unwrap_or_default();
    let Some(entry) = entry else {
        faults.push(Fault::new(start, "the file has no `role`").hint(format!("begin it with `role: {stem}`")));
        return None;
    };
    let written = read::text(&entry.value, "the role's name", faults)?;
    let name = read::name(&written, "a role's name", Spelling::Role, faults)?;
    if name.value != stem {
        faults.push(
            Fault::new(&name.span, format!("the file's name says `{stem}`, the role says `{}`", name.value))
                .hint(format!("rename the file to `{}.yaml`, or write `role: {stem}`", name.value)),
        );
    }
    Some(name)
}

/// `replaces: library`.
fn replaces(entry: &Entry, source: &Source, faults: &mut Faults) -> Option<Span> {
    let written = read::text(&entry.value, "`library`", faults)?;
    if written.value != "library" {
        faults.push(mismatch(&entry.value, "`library`"));
        return None;
    }
    if source.tree() == Tree::Library {
        faults.push(Fault::new(&written.span, "a library role replaces nothing"));
        return None;
    }
    Some(entry.key.span.clone())
}

/// `needs`: a list of `ROLE: {PARAMETER: VALUE}`.
fn needs(node: &Node, faults: &mut Faults) -> Vec<Need> {
    let mut found: Vec<Need> = Vec::new();
    for item in read::list(node, "`ROLE: {PARAMETER: VALUE}`", faults) {
        let Some([entry]) = item.as_map() else {
            faults.push(match &item.kind {
                NodeKind::Scalar(scalar) => mismatch(item, "`ROLE: {PARAMETER: VALUE}`").hint(format!("write `{}: {{}}`", scalar.text)),
                NodeKind::Map(entries) => {
                    let fault = Fault::new(&item.span, "one element names one role").expected("`ROLE: {PARAMETER: VALUE}`");
                    match entries.iter().find(|entry| entry.key.value == "when") {
                        Some(_) => fault.hint("there is no `when` here: the graph of roles never depends on a node"),
                        None => fault,
                    }
                }
                NodeKind::List(_) => mismatch(item, "`ROLE: {PARAMETER: VALUE}`"),
            });
            continue;
        };
        let Some(role) = read::name(&entry.key, "a role's name", Spelling::Role, faults) else { continue };
        if let Some(first) = found.iter().find(|need| need.role.value == role.value) {
            faults.push(Fault::new(&role.span, format!("`{}` is needed twice", role.value)).also(&first.role.span, "first needed here"));
            continue;
        }
        found.push(Need { role, values: read::settings(&entry.value, "`PARAMETER: VALUE`", faults) });
    }
    found
}

/// `by_system`: `WORD: {SYSTEM: VALUE}`, constants.
fn by_system(node: &Node, faults: &mut Faults) -> Vec<SystemWord> {
    let mut found = Vec::new();
    for entry in read::map(node, "`WORD: {SYSTEM: VALUE}`", faults) {
        let name = read::name(&entry.key, "a word's name", Spelling::Underscored, faults);
        let mut entries = Vec::new();
        for system in read::map(&entry.value, "`SYSTEM: VALUE`", faults) {
            let key = &system.key.value;
            if !crate::author::text::is_system(key) {
                faults.push(
                    Fault::new(&system.key.span, format!("`{key}` is not a system"))
                        .expected("`ID-VERSION`, `ID` or a family: `debian-12`, `debian`, `redhat`"),
                );
            } else {
                faults.extend(crate::author::literal::system_slip(&system.key.span, key));
            }
            constant(&system.value, faults);
            entries.push((system.key.clone(), system.value.clone()));
        }
        if let Some(name) = name {
            params::taken(&name.value, &name.span, faults);
            found.push(SystemWord { name, entries });
        }
    }
    found
}

/// A text or a list of texts, without expressions.
fn constant(node: &Node, faults: &mut Faults) {
    match &node.kind {
        NodeKind::Scalar(scalar) if scalar.has_expression() => {
            faults.push(Fault::new(&node.span, "`by_system` holds constants").expected("a text or a list of texts, without expressions"));
        }
        NodeKind::Scalar(_) => check_scalar(node, ScalarType::Text, faults),
        NodeKind::List(items) => {
            for item in items {
                match item.as_list() {
                    Some(_) => faults.push(mismatch(item, "a text")),
                    None => constant(item, faults),
                }
            }
        }
        NodeKind::Map(_) => faults.push(mismatch(node, "a text or a list of texts")),
    }
}

/// `executors`.
fn executors(node: &Node, faults: &mut Faults) -> Vec<Executor> {
    read::list(node, "executors", faults)
        .iter()
        .map(|item| {
            let executor = Executor { fields: fields::lower(item, "this executor", EXECUTOR, &[], faults) };
            alone(&executor, faults);
            executor
        })
        .collect()
}

/// `alone: true` with a written count above 1.
fn alone(executor: &Executor, faults: &mut Faults) {
    let word = |name: &str| executor.fields.get(name).and_then(|node| node.as_scalar().map(|scalar| (node, scalar.text.as_str())));
    if let (Some((alone, "true")), Some((count, number))) = (word("alone"), word("count"))
        && number.parse::<i64>().is_ok_and(|number| number != 1)
    {
        faults.push(
            Fault::new(&count.span, format!("an executor that is `alone` has a count of 1, not {number}")).also(&alone.span, "alone"),
        );
    }
}

/// `labels`.
fn labels(node: &Node, faults: &mut Faults) -> Vec<Node> {
    let list = read::list(node, "labels", faults);
    for label in list {
        read::statements(label, faults);
        check_scalar(label, ScalarType::Label, faults);
    }
    list.to_vec()
}

/// A name may not hide another: parameters, words, and the roles needed directly.
fn names(role: &Role, faults: &mut Faults) {
    let mut known: Vec<(String, &Span, &'static str)> = Vec::new();
    let needs = role.needs.iter().map(|need| (need.role.value.replace('-', "_"), &need.role.span, "a role it needs"));
    let params = role.params.iter().map(|param| (param.name.value.clone(), &param.name.span, "a parameter"));
    let words = role.by_system.iter().map(|word| (word.name.value.clone(), &word.name.span, "a word of `by_system`"));
    for (name, span, what) in needs.chain(params).chain(words) {
        match known.iter().find(|(other, ..)| *other == name) {
            Some((_, first, other)) => {
                faults.push(Fault::new(span, format!("`{name}` is {what} and {other} at once")).also(first, format!("{other} here")));
            }
            None => known.push((name, span, what)),
        }
    }
    for step in role.require.iter().chain(&role.steps).chain(&role.verify).chain(&role.smoke) {
        loop_names(step, &mut known, faults);
    }
}

/// Loop names hide nothing, nor one another in nesting.
fn loop_names<'a>(step: &'a crate::author::role::Step, known: &mut Vec<(String, &'a Span, &'static str)>, faults: &mut Faults) {
    use crate::author::role::Action;
    let depth = known.len();
    if let Some(each) = &step.each {
        let name = &each.name;
        params::taken(&name.value, &name.span, faults);
        if let Some((_, first, other)) = known.iter().find(|(other, ..)| *other == name.value) {
            faults.push(Fault::new(&name.span, format!("`{}` hides {other}", name.value)).also(first, format!("{other} here")));
        }
        known.push((name.value.clone(), &name.span, "a loop's name"));
    }
    if let Action::Steps(inner) | Action::Together(inner) = &step.action {
        for step in inner {
            loop_names(step, known, faults);
        }
    }
    known.truncate(depth);
}
