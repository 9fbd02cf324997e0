//! Steps, blocks and checks.

use crate::author::diagnostic::{Fault, Faults};
use crate::author::keys;
use crate::author::kinds::{self, Becomes, LATER, Place, ScalarType, absent, called_here};
use crate::author::literal::{check_scalar, words};
use crate::author::role::{Action, Body, Each, Expression, Step};
use crate::author::source::{Entry, Node, Spanned};

use super::fields;
use super::read::{self, Spelling};

/// The words that stand beside a kind, those of a later release too.
fn step_words() -> impl Iterator<Item = &'static str> + Clone {
    keys::names(keys::STEP).chain(LATER.step.iter().copied())
}

/// Whether it stands in place of a kind.
fn is_block(word: &str) -> bool {
    keys::names(keys::BLOCKS).any(|block| block == word)
}

/// The list under `steps`, `require`, `verify` or `smoke`.
pub(super) fn list(node: &Node, place: Place, faults: &mut Faults) -> Vec<Step> {
    let what = if place == Place::Steps { "steps" } else { "checks" };
    read::list(node, what, faults).iter().filter_map(|item| step(item, place, faults)).collect()
}

/// One step.
fn step(node: &Node, place: Place, faults: &mut Faults) -> Option<Step> {
    let (words_of_step, actions): (Vec<&Entry>, Vec<&Entry>) =
        read::map(node, "`KIND: {…}`", faults).iter().partition(|entry| step_words().any(|word| word == entry.key.value));
    let mut actions = actions;
    if let (Some(at), true) = (actions.iter().position(|entry| entry.key.value == "name"), actions.len() > 1) {
        let name = actions.remove(at);
        faults.push(Fault::new(&name.key.span, "a step has no `name`").hint("its kind and key are its name; say why in a comment"));
    }
    let action = match actions[..] {
        [only] => action(only, place, faults),
        [] => {
            if node.as_map().is_some() {
                faults.push(Fault::new(&node.span, "a step without a kind").expected(kinds_at(place)));
            }
            None
        }
        [first, second, ..] => {
            two_kinds(first, second, place, faults);
            None
        }
    };
    let mut step = Step {
        span: node.span.clone(),
        action: action.unwrap_or_else(|| Action::Steps(Vec::new())),
        when: None,
        each: None,
        within: None,
        while_busy: false,
        live: false,
    };
    let mut loops = false;
    for entry in words_of_step {
        loops |= entry.key.value == "each";
        step_word(&mut step, entry, place, faults);
    }
    // Without its loop's name nothing more can be said of it.
    Some(step).filter(|step| !loops || step.each.is_some())
}

/// Two keys where one kind is wanted: a misspelt step word, a body written one level too high, or two kinds.
fn two_kinds(first: &Entry, second: &Entry, place: Place, faults: &mut Faults) {
    let known = |entry: &Entry| kinds::named(&entry.key.value, place).is_some() || is_block(&entry.key.value);
    let (odd, kind) = if known(second) && !known(first) { (first, second) } else { (second, first) };
    let key = &odd.key.value;
    let fault = if known(odd) {
        Fault::new(&odd.key.span, format!("a second kind in one step: `{key}`"))
            .expected("one kind a step")
            .also(&kind.key.span, "the first")
    } else {
        Fault::new(&odd.key.span, format!("unknown step word `{key}`"))
            .expected(words(keys::names(keys::STEP)))
            .nearest(key, keys::names(keys::STEP))
    };
    let field = kinds::named(&kind.key.value, place).and_then(|kind| kind.field(key));
    faults.push(match (field, absent(key)) {
        (Some(_), _) => fault.hint(format!("`{key}` is a field of `{}`: write it inside its braces", kind.key.value)),
        (None, Some(instead)) => fault.hint(instead),
        (None, None) => fault,
    });
}

/// The kind or block of a step.
fn action(entry: &Entry, place: Place, faults: &mut Faults) -> Option<Action> {
    let word = entry.key.value.as_str();
    if is_block(word) && place != Place::Smoke {
        let steps = list(&entry.value, place, faults);
        return Some(if word == "steps" { Action::Steps(steps) } else { Action::Together(steps) });
    }
    let Some(kind) = kinds::named(word, place) else {
        faults.push(unknown_kind(entry, place));
        return None;
    };
    for misplaced in step_words() {
        if kind.field(misplaced).is_none()
            && let Some(inside) = entry.value.as_map().and_then(|map| map.iter().find(|inside| inside.key.value == misplaced))
        {
            faults.push(
                Fault::new(&inside.key.span, format!("`{misplaced}` stands beside `{word}`, not in it"))
                    .hint(format!("move it out of the braces, to the column of `{word}`")),
            );
            return None;
        }
    }
    let body = fields::lower(&entry.value, &format!("`{word}`"), kind.fields, kind.rules, faults);
    let body = Body { kind, kind_span: entry.key.span.clone(), fields: body };
    if let Becomes::Check(check) = &kind.becomes {
        (check.early)(&body, place, faults);
    }
    Some(Action::Resource(body))
}

/// Why a word is no kind here.
fn unknown_kind(entry: &Entry, place: Place) -> Fault {
    let word = entry.key.value.as_str();
    let fault = |message: String| Fault::new(&entry.key.span, message);
    if LATER.kinds.contains(&word) {
        let later = fault(format!("`{word}` is not in this release"));
        return match called_here(word) {
            Some(instead) => later.hint(format!("in this release: {instead}")),
            None => later,
        };
    }
    if place == Place::Smoke && kinds::all().any(|kind| kind.word == word) {
        return fault(format!("`{word}` cannot stand in `smoke`")).expected("`command`").hint("what needs no job stands in `verify`");
    }
    if let Some(kind) = kinds::all().find(|kind| kind.word == word) {
        let (is, belongs) = if kind.is_check() { ("a check", "`require` or `verify`") } else { ("a step", "`steps`") };
        return fault(format!("`{word}` is {is} and cannot stand in `{}`", place.word())).hint(format!("move it to {belongs}"));
    }
    if let Some(instead) = absent(word) {
        return fault(format!("there is no `{word}`")).hint(instead);
    }
    let unknown = fault(format!("unknown kind `{word}`"));
    match called_here(word).filter(|_| place == Place::Steps) {
        Some(instead) => unknown.hint(format!("in its place: {instead}")),
        None => unknown.expected(kinds_at(place)).nearest(word, here(place).chain(keys::names(keys::BLOCKS))),
    }
}

/// The kinds that may stand at a place.
fn here(place: Place) -> impl Iterator<Item = &'static str> {
    kinds::at(place).map(|kind| kind.word)
}

/// The same for "expected".
fn kinds_at(place: Place) -> String {
    words(here(place))
}

/// One of `when`, `each`, `within`, `while_busy`, `live`.
fn step_word(step: &mut Step, entry: &Entry, place: Place, faults: &mut Faults) {
    let Entry { key, value } = entry;
    match key.value.as_str() {
        "when" => step.when = fields::expression(value, "`when`", faults),
        "each" => step.each = each(value, faults),
        "within" => {
            check_scalar(value, ScalarType::Duration, faults);
            step.within = Some(value.clone());
        }
        word if place != Place::Steps => {
            faults.push(Fault::new(&key.span, format!("`{word}` stands only in `steps`")).hint("a check changes nothing"));
        }
        "while_busy" => {
            step.while_busy = read::boolean(value, faults).unwrap_or_default();
            faults.push(
                Fault::new(&key.span, "`while_busy` is not in this release").hint("leave it out: every change waits for running jobs"),
            );
        }
        _ => step.live = read::boolean(value, faults).unwrap_or_default(),
    }
}

/// `NAME in EXPR`.
fn each(node: &Node, faults: &mut Faults) -> Option<Each> {
    let Expression { text, node, .. } = fields::expression(node, "`each`", faults)?;
    let Some((left, right)) = text.split_once(" in ") else {
        faults.push(Fault::new(&node.span, "`each` wants a name and a list").expected("`each: NAME in EXPRESSION`"));
        return None;
    };
    let offset = left.len() + " in ".len();
    let written = Spanned::new(left.trim().to_owned(), node.part(0..left.trim_end().len()));
    let name = read::name(&written, "a loop's name", Spelling::Underscored, faults)?;
    Some(Each { name, over: Expression { text: right.to_owned(), offset, node } })
}
