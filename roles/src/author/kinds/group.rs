//! `group`: its fields, and what they shall be.

use super::read::{Built, must, nothing_beside_absent, number};
use super::types::{Becomes, FieldSpec, KindSpec, ResourceSpec};
use super::values::Values;
use super::vocabulary::{ABSENT, BOOLEAN, INTEGER, NAME, STEPS};
use crate::resource::{Kind, group};
use crate::words::{AccountName, Span};

/// Its table.
pub(in crate::author) const SPEC: KindSpec = KindSpec {
    word: "group",
    doc: "A group of accounts.",
    places: STEPS,
    fields: &[
        FieldSpec::new("name", NAME, "Its name.").required().key(),
        FieldSpec::new("gid", INTEGER, "Its number; the next free one if not written."),
        FieldSpec::new("system", BOOLEAN, "A system group: a low number."),
        ABSENT,
    ],
    rules: &[],
    deadline: Span::seconds(120),
    becomes: Becomes::Resource(ResourceSpec::new(
        Kind::Group,
        |values| Ok(must(values, "name", AccountName::parse)?.to_string()),
        |values, _| Ok(build(values)?.into()),
    )),
};

fn build(values: &Values) -> Built<group::Desired> {
    let name = must(values, "name", AccountName::parse)?;
    if values.is_true("absent") {
        nothing_beside_absent(values, &["name"])?;
        return Ok(group::Desired { name, present: None });
    }
    Ok(group::Desired { name, present: Some(group::Present { gid: number(values, "gid")?, system: values.is_true("system") }) })
}
