//! `mount_point`: its fields, and what they shall be.

use super::read::{Built, normal_path, path};
use super::types::{Becomes, FieldSpec, KindSpec, ResourceSpec};
use super::values::Values;
use super::vocabulary::{ABSENT, PATH, STEPS};
use crate::resource::{Kind, mount_point};
use crate::words::Span;

/// Its table.
pub(in crate::author) const SPEC: KindSpec = KindSpec {
    word: "mount_point",
    doc: "An empty directory that something is mounted on.",
    places: STEPS,
    fields: &[FieldSpec::new("path", PATH, "Where it is.").required().key(), ABSENT],
    rules: &[],
    deadline: Span::seconds(60),
    becomes: Becomes::Resource(ResourceSpec {
        normal: normal_path,
        ..ResourceSpec::new(Kind::MountPoint, |values| Ok(path(values, "path")?.to_string()), |values, _| Ok(build(values)?.into()))
    }),
};

fn build(values: &Values) -> Built<mount_point::Desired> {
    Ok(mount_point::Desired { path: path(values, "path")?, absent: values.is_true("absent") })
}
