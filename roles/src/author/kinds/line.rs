//! `line`: its fields, and what they shall be.

use super::read::{Built, missing, path};
use super::types::{Becomes, FieldSpec, KindSpec, ResourceSpec};
use super::values::Values;
use super::vocabulary::{ABSENT, PATH, STEPS, TEXT};
use crate::author::diagnostic::Fault;
use crate::resource::{Kind, line};
use crate::words::Span;

/// Its table.
pub(in crate::author) const SPEC: KindSpec = KindSpec {
    word: "line",
    doc: "One line of a file that others write too.",
    places: STEPS,
    fields: &[
        FieldSpec::new("path", PATH, "The file; made when missing.").required().key(),
        FieldSpec::new("line", TEXT, "The line.").required().key(),
        FieldSpec::new("replaces", TEXT, "A line that begins so is replaced; without it the line is added at the end.").key(),
        ABSENT,
    ],
    rules: &[],
    deadline: Span::seconds(60),
    becomes: Becomes::Resource(ResourceSpec::new(Kind::Line, key, |values, _| Ok(build(values)?.into()))),
};

/// The file, and what is replaced in it or added.
fn key(values: &Values) -> Built<String> {
    let line = values.text("replaces").or_else(|| values.text("line")).unwrap_or_default();
    Ok(format!("{} {line}", path(values, "path")?))
}

fn build(values: &Values) -> Built<line::Desired> {
    let text = values.text("line").ok_or_else(|| missing(values, "line"))?;
    if text.is_empty() || text.contains(['\n', '\r']) {
        return Err(Box::new(Fault::new(values.span("line"), "this is not one line").expected("a text without line ends, not empty")));
    }
    let replaces = values.text("replaces");
    if let Some(prefix) = replaces.as_ref().filter(|prefix| !text.starts_with(prefix.as_str())) {
        return Err(Box::new(
            Fault::new(values.span("line"), format!("the line does not begin with what it replaces, `{prefix}`"))
                .also(values.span("replaces"), "what it replaces")
                .hint("`replaces` is how a line begins, as it is written and no pattern; this one would be replaced again at every run"),
        ));
    }
    Ok(line::Desired { path: path(values, "path")?, line: text, replaces, absent: values.is_true("absent") })
}
