//! The reference as Markdown, from the tables: pages of `docs/reference/` are these texts.

mod role;

pub use role::{library, role};

use std::fmt::Write as _;

use super::compile::recorded;
use super::image::SUITES;
use super::keys;
use super::kinds::image::{BASE, BASE_RULES, CHECKPOINT, CHECKPOINT_RULES, LIKE, LIKE_RULES, SEAL};
use super::kinds::{self, BUILDBOT, EXECUTOR, FieldSpec, JENKINS, KindSpec, LAB, Rule, SSH, ScalarType, Shape};
use super::literal::words;
use super::value::{Data, Marks, Value, facts_value};
use crate::check::Check;
use crate::resource::Kind;

/// The page of `ostler.yaml` and `nodes.yaml`.
#[must_use]
pub fn site() -> String {
    let mut page = String::from("# `ostler.yaml` and `nodes.yaml`\n\nWritten by the program from its own tables; a test keeps it fresh.\n");
    for (title, of) in
        [("`ostler.yaml`", vec![("", keys::SITE)]), ("`nodes.yaml`", vec![("groups.NAME.", keys::GROUP), ("nodes.NAME.", keys::NODE)])]
    {
        let _ = writeln!(page, "\n## {title}\n\n| key | holds | |\n|---|---|---|");
        for (above, keys) in of {
            keys.iter().for_each(|key| row(&mut page, &[&format!("`{above}{}`", key.name), key.holds, key.doc]));
        }
    }
    for (title, fields) in [
        ("`ssh`, of the site, a group or a node", SSH),
        ("`buildbot`, a master", BUILDBOT),
        ("`jenkins`, a master", JENKINS),
        ("`lab` of the site", LAB),
    ] {
        let _ = writeln!(page, "\n## {title}\n");
        table(&mut page, fields);
        fields_in(&mut page, fields);
    }
    page
}

/// The page of `images/NAME.yaml`.
#[must_use]
pub fn images() -> String {
    let mut page = String::from(
        "# `images/NAME.yaml`\n\nWritten by the program from its own tables; a test keeps it fresh.\n\n\
         An image is a machine that is made once: the roles of a group or of a node, baked. No expression stands in it but in `vars`.\n\n\
         | key | holds | |\n|---|---|---|\n",
    );
    keys::IMAGE.iter().for_each(|key| row(&mut page, &[&format!("`{}`", key.name), key.holds, key.doc]));
    for (title, fields, rules) in [
        ("base", BASE, BASE_RULES),
        ("like", LIKE, LIKE_RULES),
        ("seal", SEAL, &[] as &[Rule]),
        ("checkpoint", CHECKPOINT, CHECKPOINT_RULES),
    ] {
        let _ = writeln!(page, "\n## `{title}`\n");
        table(&mut page, fields);
        fields_in(&mut page, fields);
        let rules: Vec<String> = rules.iter().map(sentence).collect();
        if !rules.is_empty() {
            let _ = writeln!(page, "\n{}", rules.join(" "));
        }
    }
    page.push_str("\nThe suites of `debootstrap`, and their systems:\n\n| suite | system |\n|---|---|\n");
    SUITES.iter().for_each(|(suite, system)| row(&mut page, &[&format!("`{suite}`"), &format!("`{system}`")]));
    left_out(&mut page);
    page
}

/// What no image has, with the facts as their marks say.
fn left_out(page: &mut String) {
    fn leaves(name: &str, value: &Value, found: &mut Vec<(String, Marks)>) {
        match &value.data {
            Data::Map(entries) => entries.iter().for_each(|(key, value)| leaves(&format!("{name}.{key}"), value, found)),
            _ => found.push((name.to_owned(), value.all_marks())),
        }
    }
    let mut facts = Vec::new();
    recorded().values().take(1).for_each(|one| leaves("facts", &facts_value(one), &mut facts));
    let such = |bears: fn(&Marks) -> bool| words(facts.iter().filter(|(_, marks)| bears(marks)).map(|(name, _)| name.as_str()));
    let (own, machine, trees) = (such(|marks| marks.own), such(|marks| marks.machine), such(|marks| !marks.own && !marks.machine));
    page.push_str("\n## What is left out, and listed\n\n| what | why |\n|---|---|\n");
    for (what, why) in [
        (format!("steps and checks that read `node.name`, `node.host`, {own}"), "It is one node's own."),
        (format!("steps and checks that read {machine}"), "While an image is built they are the builder's."),
        ("steps with `live: true`".to_owned(), "Each machine gets them by its first apply."),
        ("executors".to_owned(), "A master brings them."),
    ] {
        row(page, &[&what, why]);
    }
    let _ = writeln!(
        page,
        "\nWhatever way such a value took counts: `vars`, a default, a template, a `when`, the list of an `each`. A resource that several roles \
         declare is left out where one of the declarations is. What watches something left out stays, and does not act for it. {trees} are \
         the tree's: what reads them is baked."
    );
}

/// The fields of maps inside a field; `how` the field holds them: `In` it, or `Each of` it.
fn nested(page: &mut String, how: &str, name: &str, shape: &Shape) {
    match shape {
        Shape::List(inner) | Shape::Map(inner) => nested(page, "Each of", name, inner),
        Shape::Record(fields) => {
            let _ = writeln!(page, "\n{how} `{name}`:\n");
            table(page, fields);
            fields_in(page, fields);
        }
        Shape::Scalar(_) | Shape::Choice(_) | Shape::Triggers(_) | Shape::Expression => {}
    }
}

/// The fields of maps inside the fields of this release.
fn fields_in(page: &mut String, fields: &[FieldSpec]) {
    for field in fields.iter().filter(|field| !field.later) {
        nested(page, "In", field.name, &field.shape);
    }
}

/// The page of kinds, executors and types.
#[must_use]
pub fn kinds() -> String {
    let mut page = String::from(
        "# Kinds, fields and types\n\n\
         Written by the program from its own tables; a test keeps it fresh.\n\n\
         **must**: has to be written. **name**: part of the resource's name, so no secret may stand there. **secret**: may hold one.\n",
    );
    page.push_str("\n## Resources: what stands in `steps`\n");
    for kind in kinds::all().filter(|kind| !kind.is_check()) {
        section(&mut page, kind);
    }
    page.push_str("\n## Checks: what stands in `require`, `verify`, `smoke`\n");
    for kind in kinds::all().filter(|kind| kind.is_check()) {
        section(&mut page, kind);
    }
    at_rest(&mut page);
    page.push_str("\n## An element of `executors`\n\n");
    table(&mut page, EXECUTOR);
    page.push_str("\n## Types of parameters\n\n| type | what may be written |\n|---|---|\n");
    for kind in ScalarType::ALL {
        row(&mut page, &[&format!("`{}`", kind.word()), kind.expected()]);
    }
    for (word, text) in [
        ("list(T)", "a list of such"),
        ("map(T)", "a map from texts to such"),
        ("record", "a map with the fields named in `fields`"),
        ("microversions", "a range, `{min: \"2.1\", max: latest}`"),
    ] {
        row(&mut page, &[&format!("`{word}`"), text]);
    }
    page
}

/// What each kind is in an image while that is built.
fn at_rest(page: &mut String) {
    page.push_str(
        "\n## At rest: what is made so in an image\n\n\
         An image is built by the same catalog in a tree of files on which nothing runs. What a change restarts or reloads does nothing there; \
         a command that a change runs does run. What `verify` says is asked of the machine that is booted from it.\n\n\
         | kind | in an image |\n|---|---|\n",
    );
    for kind in Kind::ALL {
        row(page, &[&format!("`{}`", kind.word()), kind.at_rest()]);
    }
    page.push_str("\n| check of `require` | in an image |\n|---|---|\n");
    for (word, running) in Check::ALL {
        row(page, &[&format!("`{word}`"), &running.map_or_else(|| "Asked.".to_owned(), |why| format!("Left out: {why}."))]);
    }
}

/// One kind.
fn section(page: &mut String, spec: &KindSpec) {
    let places = words(spec.places.iter().map(|place| place.word()));
    let _ = writeln!(page, "\n### `{}`\n\n{} Stands in {places}.\n", spec.word, spec.doc);
    table(page, spec.fields);
    fields_in(page, spec.fields);
    let rules: Vec<String> = spec.rules.iter().map(sentence).collect();
    if !rules.is_empty() {
        let _ = writeln!(page, "\n{}", rules.join(" "));
    }
}

/// The fields of this release.
fn table(page: &mut String, fields: &[FieldSpec]) {
    page.push_str("| field | holds | | |\n|---|---|---|---|\n");
    for field in fields.iter().filter(|field| !field.later) {
        let marks = [(field.required, "must"), (field.key, "name"), (field.secret, "secret")];
        let marks: Vec<&str> = marks.into_iter().filter_map(|(holds, word)| holds.then_some(word)).collect();
        row(page, &[&format!("`{}`", field.name), &shape(&field.shape), &marks.join(", "), field.doc]);
    }
}

/// A row of a table.
fn row(page: &mut String, cells: &[&str]) {
    let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
    let _ = writeln!(page, "| {} |", cells.join(" | "));
}

/// A field's shape in words.
fn shape(shape: &Shape) -> String {
    match shape {
        Shape::Scalar(kind) => kind.word().to_owned(),
        Shape::Choice(choices) => words(choices.iter().copied()),
        Shape::List(element) => format!("list of {}", self::shape(element)),
        Shape::Map(value) => format!("map of {}", self::shape(value)),
        Shape::Record(fields) => format!("map with {}", words(fields.iter().map(|field| field.name))),
        Shape::Triggers(_) => "list of resource names, `KIND KEY`".to_owned(),
        Shape::Expression => "bare expression".to_owned(),
    }
}

/// A relation in words.
fn sentence(rule: &Rule) -> String {
    match rule {
        Rule::ExactlyOne(names) => format!("Exactly one of {}.", words(names.iter().copied())),
        Rule::AtLeastOne(names) => format!("At least one of {}.", words(names.iter().copied())),
        Rule::AtMostOne(names) => format!("At most one of {}.", words(names.iter().copied())),
        Rule::With(name, other) => format!("`{name}` only beside `{other}`."),
        Rule::ExactlyOneUnlessAbsent([one]) => format!("`{one}` unless `absent`."),
        Rule::ExactlyOneUnlessAbsent(names) => format!("Exactly one of {}, unless `absent`.", words(names.iter().copied())),
    }
}
