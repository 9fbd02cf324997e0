//! `download`: its fields, and what they shall be.

use super::read::normal_path;
use super::read::{Built, missing, must, ownership, path};
use super::types::{Becomes, FieldSpec, KindSpec, ResourceSpec, ScalarType, Shape};
use super::values::Values;
use super::vocabulary::{GROUP, MODE, OWNER, PATH, STEPS};
use crate::author::diagnostic::Fault;
use crate::resource::{Kind, download};
use crate::words::{Digest, Mode, Span};

/// Its table.
pub(in crate::author) const SPEC: KindSpec = KindSpec {
    word: "download",
    doc: "A file from the network, by its checksum.",
    places: STEPS,
    fields: &[
        FieldSpec::new("path", PATH, "Where it is put.").required().key(),
        FieldSpec::new("url", Shape::Scalar(ScalarType::Url), "Where it comes from.").required(),
        FieldSpec::new("sha256", Shape::Scalar(ScalarType::Digest), "Its checksum.").required(),
        OWNER,
        GROUP,
        FieldSpec::new("mode", MODE, "Its mode; \"0644\" if not written."),
    ],
    rules: &[],
    deadline: Span::seconds(1800),
    becomes: Becomes::Resource(ResourceSpec {
        normal: normal_path,
        ..ResourceSpec::new(Kind::Download, |values| Ok(path(values, "path")?.to_string()), |values, _| Ok(build(values)?.into()))
    }),
};

fn build(values: &Values) -> Built<download::Desired> {
    let url = values.text("url").ok_or_else(|| missing(values, "url"))?;
    if !url.starts_with("https://") && !url.starts_with("http://") {
        return Err(Box::new(Fault::new(values.span("url"), format!("`{url}` cannot be fetched")).expected("`https://…` or `http://…`")));
    }
    Ok(download::Desired {
        path: path(values, "path")?,
        url,
        sha256: must(values, "sha256", Digest::parse)?,
        ownership: ownership(values, Mode::FILE)?,
    })
}
