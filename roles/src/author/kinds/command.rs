//! `command`: its fields, and what they shall be.

use super::read::{Built, argv, missing, word};
use super::types::Building;
use super::types::{Becomes, FieldSpec, KindSpec, ResourceSpec, Rule, Shape};
use super::values::Values;
use super::vocabulary::{INTEGER, NAME, PATH, STEPS, TEXT, TEXTS};
use crate::author::diagnostic::Fault;
use crate::author::value::as_text;
use crate::catalog::Action;
use crate::resource::{Kind, command};
use crate::words::{AccountName, Span};

/// Its table.
pub(in crate::author) const SPEC: KindSpec = KindSpec {
    word: "command",
    doc: "A program to run, with a reason to stop.",
    places: STEPS,
    fields: &[
        FieldSpec::new("name", NAME, "What it is called; two commands of one name are one.").required().key(),
        FieldSpec::new("run", TEXTS, "The program and its arguments; no shell.").required(),
        FieldSpec::new("creates", PATH, "Runs only while this is not there; it must be there afterwards."),
        FieldSpec::new("unless", TEXTS, "Runs only while this command fails; it must succeed afterwards."),
        FieldSpec::new("run_on", Shape::Triggers(Action::Run), "Runs when one of these changed."),
        FieldSpec::new("as", NAME, "The user that runs it; root if not written."),
        FieldSpec::new("directory", PATH, "Where it runs."),
        FieldSpec::new("environment", Shape::Map(&TEXT), "Variables added to its environment.").secret(),
        FieldSpec::new("stdin", TEXT, "What it reads.").secret(),
        FieldSpec::new("accept", Shape::List(&INTEGER), "Exit codes that are good; [0] if not written."),
        FieldSpec::new("stdout_to", PATH, "The file that takes its output."),
    ],
    rules: &[Rule::AtLeastOne(&["creates", "unless", "run_on"])],
    deadline: Span::seconds(600),
    becomes: Becomes::Resource(ResourceSpec::new(Kind::Command, named, |values, building| Ok(build(values, building)?.into()))),
};

fn named(values: &Values) -> Built<String> {
    values.text("name").ok_or_else(|| missing(values, "name"))
}

/// What the fields of a command say, here and in checks.
pub(super) fn build(values: &Values, building: &dyn Building) -> Built<command::Desired> {
    let accept = values.list("accept").unwrap_or_default().iter().filter_map(|code| as_text(&code.data));
    let accept = accept.map(|code| code.parse::<i32>().ok().filter(|code| (0..=255).contains(code)));
    let variables = values.entries("environment").iter();
    Ok(command::Desired {
        name: named(values)?,
        run: argv(values, "run")?.ok_or_else(|| missing(values, "run"))?,
        creates: values.path("creates"),
        unless: argv(values, "unless")?,
        environment: variables.map(|(name, value)| (name.to_string(), building.sensitive(value))).collect(),
        run_as: word(values, "as", AccountName::parse)?,
        directory: values.path("directory"),
        stdin: values.value("stdin").map(|value| building.sensitive(value)),
        accept: accept
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| Box::new(Fault::new(values.span("accept"), "an exit code is out of range").expected("0 to 255")))?,
        stdout_to: values.path("stdout_to"),
    })
}
