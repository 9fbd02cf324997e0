//! `link`: its fields, and what they shall be.

use super::read::normal_path;
use super::read::{Built, missing, nothing_beside_absent, path};
use super::types::{Becomes, FieldSpec, KindSpec, ResourceSpec, Rule};
use super::values::Values;
use super::vocabulary::{ABSENT, PATH, STEPS, TEXT};
use crate::resource::{Kind, link};
use crate::words::Span;

/// Its table.
pub(in crate::author) const SPEC: KindSpec = KindSpec {
    word: "link",
    doc: "A symbolic link.",
    places: STEPS,
    fields: &[
        FieldSpec::new("path", PATH, "Where it is.").required().key(),
        FieldSpec::new("to", TEXT, "What it points to, as it is stored."),
        ABSENT,
    ],
    rules: &[Rule::ExactlyOneUnlessAbsent(&["to"])],
    deadline: Span::seconds(60),
    becomes: Becomes::Resource(ResourceSpec {
        normal: normal_path,
        ..ResourceSpec::new(Kind::Link, |values| Ok(path(values, "path")?.to_string()), |values, _| Ok(build(values)?.into()))
    }),
};

fn build(values: &Values) -> Built<link::Desired> {
    let path = path(values, "path")?;
    if values.is_true("absent") {
        nothing_beside_absent(values, &["path"])?;
        return Ok(link::Desired { path, to: None });
    }
    let to = values.text("to").filter(|to| !to.is_empty()).ok_or_else(|| missing(values, "to"))?;
    Ok(link::Desired { path, to: Some(to) })
}
