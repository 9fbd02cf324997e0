//! `directory`: its fields, and what they shall be.

use super::read::normal_path;
use super::read::{Built, nothing_beside_absent, ownership, path};
use super::types::{Becomes, FieldSpec, KindSpec, ResourceSpec};
use super::values::Values;
use super::vocabulary::{ABSENT, BOOLEAN, GROUP, MODE, OWNER, PATH, SITE_PATH, STEPS};
use crate::resource::{Kind, directory};
use crate::words::{Mode, Span};

/// Its table.
pub(in crate::author) const SPEC: KindSpec = KindSpec {
    word: "directory",
    doc: "A directory.",
    places: STEPS,
    fields: &[
        FieldSpec::new("path", PATH, "Where it is.").required().key(),
        OWNER,
        GROUP,
        FieldSpec::new("mode", MODE, "Its mode; \"0755\" if not written."),
        FieldSpec::new("from", SITE_PATH, "A directory of `files/`, taken whole.").later(),
        FieldSpec::new("purge", BOOLEAN, "Removes entries that no role of the node declares.").later(),
        ABSENT,
    ],
    rules: &[],
    deadline: Span::seconds(60),
    becomes: Becomes::Resource(ResourceSpec {
        normal: normal_path,
        ..ResourceSpec::new(Kind::Directory, |values| Ok(path(values, "path")?.to_string()), |values, _| Ok(build(values)?.into()))
    }),
};

fn build(values: &Values) -> Built<directory::Desired> {
    let path = path(values, "path")?;
    if values.is_true("absent") {
        nothing_beside_absent(values, &["path"])?;
        return Ok(directory::Desired { path, present: None });
    }
    Ok(directory::Desired { path, present: Some(ownership(values, Mode::DIRECTORY)?) })
}
