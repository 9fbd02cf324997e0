//! Literals against types: our scalar rule, and what each type of text may hold. Values with expressions pass until they have values.

use super::diagnostic::{Fault, Faults};
use super::kinds::{self, FieldSpec, LATER, Place, Rule, ScalarType, Shape};
use super::lower::fields;
use super::role::{Param, Type};
use super::source::{Bare, Node, NodeKind, Scalar, Span, Style};

/// Checks a node against a parameter's type.
pub fn check_type(node: &Node, wanted: &Type, faults: &mut Faults) {
    if is_expression(node) {
        return;
    }
    match wanted {
        Type::Scalar(scalar) => check_scalar(node, *scalar, faults),
        Type::List(element) => each_element(node, faults, elements, |node, faults| check_type(node, element, faults)),
        Type::Map(value) => each_value(node, faults, |node, faults| check_type(node, value, faults)),
        Type::Record(params) => check_record(node, params, faults),
        Type::Microversions => check_microversions(node, faults),
    }
}

/// Checks a value that someone gives to a parameter: its type and its choices.
pub fn check_value(node: &Node, param: &Param, faults: &mut Faults) {
    check_type(node, &param.kind, faults);
    check_choices(node, param, faults);
}

/// Literals that are none of the choices; in a list or map, each element.
fn check_choices(node: &Node, param: &Param, faults: &mut Faults) {
    let valid: Vec<&str> = param.choices.iter().filter_map(|choice| choice.as_scalar().map(|scalar| scalar.text.as_str())).collect();
    if valid.is_empty() {
        return;
    }
    match &node.kind {
        NodeKind::List(items) => items.iter().for_each(|item| check_choices(item, param, faults)),
        NodeKind::Map(entries) => entries.iter().for_each(|entry| check_choices(&entry.value, param, faults)),
        NodeKind::Scalar(scalar) if scalar.has_expression() || valid.contains(&scalar.text.as_str()) => {}
        NodeKind::Scalar(scalar) => faults.push(
            Fault::new(&node.span, format!("`{}` is not one of the choices", scalar.text))
                .expected(words(valid.iter().copied()))
                .nearest(&scalar.text, valid.iter().copied()),
        ),
    }
}

/// Checks a node against a field's shape.
pub fn check_shape(node: &Node, wanted: &'static Shape, faults: &mut Faults) {
    if is_expression(node) && !matches!(wanted, Shape::Expression) {
        return;
    }
    match wanted {
        Shape::Scalar(scalar) => check_scalar(node, *scalar, faults),
        Shape::Choice(words) => check_choice(node, words, faults),
        Shape::List(element) => each_element(node, faults, elements, |node, faults| check_shape(node, element, faults)),
        Shape::Map(value) => each_value(node, faults, |node, faults| check_shape(node, value, faults)),
        Shape::Record(specs) => {
            fields::lower(node, "this map", specs, &[] as &[Rule], faults);
        }
        Shape::Triggers(_) => each_element(node, faults, one_element, check_trigger),
        Shape::Expression => {
            fields::expression(node, "this field", faults);
        }
    }
}

/// Whether the node is nothing but one `{{ … }}`, which may be of any type.
#[must_use]
pub fn is_expression(node: &Node) -> bool {
    node.as_scalar().is_some_and(|scalar| {
        let text = scalar.text.trim();
        text.strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}")).is_some_and(|inner| !inner.contains("{{"))
    })
}

/// How a text would be written as a list of one element.
fn one_element(node: &Node) -> String {
    format!("write `[{}]`", node.span.text().trim())
}

/// How a text would be written as a list. Plain words with blanks or commas between them were meant as elements; what a shell reads is
/// for a shell.
fn elements(node: &Node) -> String {
    let text = node.as_scalar().map_or("", |scalar| scalar.text.trim());
    let words: Vec<&str> = text.split([' ', ',']).filter(|word| !word.is_empty()).collect();
    let plain = |word: &&str| word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._+@%=-".contains(&byte));
    let shell = ["&&", "||", "|", ";", ">", ">>", "<"];
    match words.as_slice() {
        [] | [_] => one_element(node),
        many if many.iter().all(plain) => format!("write each by itself: `[{}]`", many.join(", ")),
        // In single quotes YAML reads everything as it stands, but a quote (two of them) and the end of a line.
        many if many.iter().any(|word| shell.contains(word)) && !text.contains(char::is_control) => {
            format!("a shell is a program too: `[sh, -c, '{}']`", text.replace('\'', "''"))
        }
        _ => one_element(node),
    }
}

/// Runs `check` on each element of a list.
fn each_element(node: &Node, faults: &mut Faults, as_list: fn(&Node) -> String, check: impl Fn(&Node, &mut Faults)) {
    match &node.kind {
        NodeKind::List(items) => items.iter().for_each(|item| check(item, faults)),
        NodeKind::Map(_) | NodeKind::Scalar(_) => {
            let mut fault = mismatch(node, "a list");
            if node.as_scalar().is_some() {
                fault = fault.hint(as_list(node));
            }
            faults.push(fault);
        }
    }
}

/// Runs `check` on each value of a map.
fn each_value(node: &Node, faults: &mut Faults, check: impl Fn(&Node, &mut Faults)) {
    match &node.kind {
        NodeKind::Map(entries) => entries.iter().for_each(|entry| check(&entry.value, faults)),
        NodeKind::List(items) => faults.push(match assignments(items) {
            Some(map) => mismatch(node, "a map").hint(format!("write `{map}`")),
            None => mismatch(node, "a map"),
        }),
        NodeKind::Scalar(_) => faults.push(mismatch(node, "a map")),
    }
}

/// `["X=1", "Y=2"]` as a map: `{X: "1", Y: "2"}`.
fn assignments(items: &[Node]) -> Option<String> {
    let one = |item: &Node| {
        let (name, value) = item.as_scalar()?.text.split_once('=')?;
        Some(format!("{name}: {value:?}"))
    };
    let all: Option<Vec<String>> = items.iter().map(one).collect();
    all.filter(|all| !all.is_empty()).map(|all| format!("{{{}}}", all.join(", ")))
}

/// A map with the fields of a record.
fn check_record(node: &Node, params: &[Param], faults: &mut Faults) {
    let Some(entries) = node.as_map() else {
        faults.push(mismatch(node, "a map"));
        return;
    };
    for entry in entries {
        match params.iter().find(|param| param.name.value == entry.key.value) {
            Some(param) => check_value(&entry.value, param, faults),
            None => faults.push(
                Fault::new(&entry.key.span, format!("unknown field `{}`", entry.key.value))
                    .expected(words(params.iter().map(|param| param.name.value.as_str())))
                    .nearest(&entry.key.value, params.iter().map(|param| param.name.value.as_str())),
            ),
        }
    }
    for param in params {
        if param.default.is_none() && !param.optional && node.get(&param.name.value).is_none() {
            faults.push(Fault::new(&node.span, format!("`{}` is missing", param.name.value)).also(&param.name.span, "declared here"));
        }
    }
}

/// `{min: "2.1", max: latest}`.
fn check_microversions(node: &Node, faults: &mut Faults) {
    let Some(entries) = node.as_map() else {
        faults.push(mismatch(node, "a range, `{min: \"2.1\", max: \"2.96\"}`"));
        return;
    };
    for entry in entries {
        match entry.key.value.as_str() {
            "max" if entry.value.as_scalar().is_some_and(|scalar| scalar.text == "latest") => {}
            "min" | "max" => check_scalar(&entry.value, ScalarType::Version, faults),
            other => faults.push(
                Fault::new(&entry.key.span, format!("unknown field `{other}`")).expected("`min`, `max`").nearest(other, ["min", "max"]),
            ),
        }
    }
}

/// One of a set of words.
fn check_choice(node: &Node, valid: &'static [&'static str], faults: &mut Faults) {
    match node.as_scalar() {
        Some(scalar) if scalar.has_expression() || valid.contains(&scalar.text.as_str()) => {}
        Some(scalar) => {
            let fault = Fault::new(&node.span, format!("`{}` is not one of the words that may stand here", scalar.text))
                .expected(words(valid.iter().copied()));
            faults.push(match kinds::value_called_here(&scalar.text).filter(|_| valid.contains(&"running")) {
                Some(instead) => fault.hint(instead),
                None => fault.nearest(&scalar.text, valid.iter().copied()),
            });
        }
        None => faults.push(mismatch(node, &words(valid.iter().copied()))),
    }
}

/// A resource's name, `KIND KEY`.
fn check_trigger(node: &Node, faults: &mut Faults) {
    let Some(scalar) = node.as_scalar() else {
        faults.push(mismatch(node, "a resource's name, `KIND KEY`"));
        return;
    };
    let (kind, key) = scalar.text.split_once(' ').unwrap_or((&scalar.text, ""));
    if kind.contains("{{") || is_expression(node) {
        return;
    }
    let place = node.part(0..kind.len());
    if LATER.kinds.contains(&kind) {
        faults.push(Fault::new(&place, format!("`{kind}` is not in this release")));
    } else if kinds::named(kind, Place::Steps).is_none() {
        let known = || kinds::at(Place::Steps).map(|kind| kind.word);
        faults.push(Fault::new(&place, format!("unknown kind `{kind}`")).expected("a resource's name, `KIND KEY`").nearest(kind, known()));
    } else if key.trim().is_empty() {
        faults.push(Fault::new(&node.span, format!("`{kind}` alone names no resource")).expected(format!("`{kind} KEY`")));
    }
}

/// Permission bits that are common, as whole numbers: 0600 0640 0644 0660 0664 0700 0750 0755 0770 0775 0777.
const COMMON_MODES: [u32; 11] = [0o600, 0o640, 0o644, 0o660, 0o664, 0o700, 0o750, 0o755, 0o770, 0o775, 0o777];

/// Checks one value against a type by our scalar rule.
pub fn check_scalar(node: &Node, wanted: ScalarType, faults: &mut Faults) {
    let Some(scalar) = node.as_scalar() else {
        faults.push(mismatch(node, wanted.expected()));
        return;
    };
    if scalar.has_expression() {
        return;
    }
    if let Some(fault) = scalar_fault(node, scalar, wanted) {
        faults.push(fault);
    }
}

/// The scalar rule: quoted is text, bare may be a boolean or a number.
fn scalar_fault(node: &Node, scalar: &Scalar, wanted: ScalarType) -> Option<Fault> {
    let text = scalar.text.as_str();
    let fault = || mismatch(node, wanted.expected());
    match (wanted, scalar.bare()) {
        (ScalarType::Boolean, Bare::Boolean(_)) | (ScalarType::Integer, Bare::Integer(_)) => None,
        (ScalarType::Boolean, _) => Some(match text.to_ascii_lowercase().as_str() {
            "yes" | "on" | "true" => fault().hint("write `true`"),
            "no" | "off" | "false" => fault().hint("write `false`"),
            _ => fault(),
        }),
        (ScalarType::Port, Bare::Integer(1..=65535)) => None,
        (ScalarType::Port, Bare::Integer(number)) => {
            Some(Fault::new(&node.span, format!("{number} is not a port")).expected(wanted.expected()))
        }
        (ScalarType::Integer | ScalarType::Port, _) => {
            let quoted = scalar.style == Style::Quoted && text.parse::<i64>().is_ok();
            Some(if quoted { fault().hint(format!("take the quotes off: `{text}`")) } else { fault() })
        }
        (ScalarType::Version | ScalarType::Mode, Bare::Integer(_) | Bare::NumberLike) => {
            let what = if wanted == ScalarType::Mode { "a mode" } else { "a version" };
            let message = format!("{what} is written in quotes: bare, `{text}` is a number");
            // Other tools read 0644 as the number 420, and write it so.
            let octal = text.parse::<u32>().ok().filter(|bits| wanted == ScalarType::Mode && COMMON_MODES.contains(bits));
            let hint = octal.map_or_else(|| format!("write `\"{text}\"`"), |bits| format!("{bits} is 0{bits:o}: write `\"0{bits:o}\"`"));
            Some(Fault::new(&node.span, message).hint(hint))
        }
        (ScalarType::Bytes | ScalarType::Duration | ScalarType::Percent, Bare::Integer(_) | Bare::NumberLike) => {
            Some(Fault::new(&node.span, format!("`{text}` has no unit")).expected(wanted.expected()))
        }
        (ScalarType::Secret, _) => Some(
            Fault::new(&node.span, "a secret is written in clear")
                .expected(wanted.expected())
                .hint("store it with `ostler secret set NAME` and name it here"),
        ),
        (_, Bare::Boolean(_)) => Some(fault().hint(format!("for the text, write `\"{text}\"`"))),
        (_, Bare::NumberLike) => Some(
            Fault::new(&node.span, format!("bare, `{text}` is a number that YAML readers disagree about"))
                .expected(wanted.expected())
                .hint(format!("write `\"{text}\"`")),
        ),
        (_, Bare::Integer(_) | Bare::Text) => match super::text::check(wanted, text) {
            Err(error) => Some(Fault::new(&node.span, error.to_string()).expected(wanted.expected())),
            Ok(()) if wanted == ScalarType::System => system_slip(&node.span, text),
            Ok(()) => None,
        },
    }
}

/// A system's name that is one letter beside one that exists.
pub(super) fn system_slip(span: &Span, text: &str) -> Option<Fault> {
    let meant = super::text::meant(text)?;
    Some(Fault::new(span, format!("`{text}` is not a system that anybody knows")).nearest(meant, [meant]))
}

/// "X where Y is wanted".
#[must_use]
pub fn mismatch(node: &Node, expected: &str) -> Fault {
    let written = match node.as_scalar() {
        Some(scalar) if scalar.text.chars().count() <= 40 && !scalar.text.contains('\n') => format!("{} `{}`", node.noun(), scalar.text),
        _ => node.noun().to_owned(),
    };
    Fault::new(&node.span, format!("{written} stands here")).expected(expected)
}

/// The most words that a message lists.
const MAX_WORDS: usize = 60;

/// "`a`, `b`, `c`".
#[must_use]
pub fn words<'a>(list: impl IntoIterator<Item = &'a str>) -> String {
    let mut list = list.into_iter();
    let shown = list.by_ref().take(MAX_WORDS).map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    match list.count() {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// The names of the fields that may be written in this release.
#[must_use]
pub fn field_names(specs: &'static [FieldSpec]) -> Vec<&'static str> {
    specs.iter().filter(|spec| !spec.later).map(|spec| spec.name).collect()
}
