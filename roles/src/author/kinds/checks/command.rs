//! `command` as a check: its fields, and what must hold.

use super::super::Place;
use super::super::types::{Becomes, CheckSpec, FieldSpec, KindSpec, ScalarType, Shape};
use super::super::vocabulary::{NAME, PATH, TEXT, TEXTS};
use crate::author::diagnostic::{Fault, Faults};
use crate::author::role::Body;
use crate::check::Check;
use crate::words::Span;

/// Its table.
pub(in crate::author) const SPEC: KindSpec = KindSpec {
    word: "command",
    doc: "A command that must succeed and must not write; it runs as `nobody` unless `as` says whom.",
    places: &[Place::Require, Place::Verify, Place::Smoke],
    fields: &[
        FieldSpec::new("name", NAME, "What it is called.").required().key(),
        FieldSpec::new("run", TEXTS, "The program and its arguments; no shell.").required(),
        FieldSpec::new("as", NAME, "The user that runs it; in `smoke` always the executor's."),
        FieldSpec::new("directory", PATH, "Where it runs; in `smoke` the workspace if not written."),
        FieldSpec::new("environment", Shape::Map(&TEXT), "Variables added to its environment."),
        FieldSpec::new("stdin", TEXT, "What it reads."),
        FieldSpec::new("accept", Shape::List(&Shape::Scalar(ScalarType::Integer)), "Exit codes that are good; [0] if not written."),
    ],
    rules: &[],
    deadline: Span::seconds(60),
    becomes: Becomes::Check(CheckSpec {
        early: probe,
        ..CheckSpec::new(|values, _, building| Ok(Check::Command(Box::new(super::super::command::build(values, building)?))))
    }),
};

/// A probe never runs as root; in `smoke` it is a program of the job, and nothing else of it can be chosen.
fn probe(body: &Body, place: Place, faults: &mut Faults) {
    for field in &body.fields.list {
        let root = field.value.as_scalar().is_some_and(|scalar| scalar.text == "root");
        match field.spec.name {
            "as" if place == Place::Smoke => {
                faults.push(Fault::new(&field.key, "`as` cannot stand in `smoke`").hint("a smoke command runs as the executor's user"));
            }
            "as" if root => {
                faults.push(
                    Fault::new(&field.value.span, "a probe never runs as root").hint("leave `as` out for `nobody`, or name the job user"),
                );
            }
            "name" | "run" => {}
            word if place == Place::Smoke => {
                faults.push(Fault::new(&field.key, format!("`{word}` in a smoke command is not in this release")));
            }
            _ => {}
        }
    }
}
