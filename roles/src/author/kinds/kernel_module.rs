//! `kernel_module`: its fields, and what they shall be.

use super::read::{Built, must};
use super::types::{Becomes, FieldSpec, KindSpec, ResourceSpec};
use super::values::Values;
use super::vocabulary::{ABSENT, NAME, STEPS};
use crate::resource::{Kind, kernel_module};
use crate::words::{ModuleName, Span};

/// Its table.
pub(in crate::author) const SPEC: KindSpec = KindSpec {
    word: "kernel_module",
    doc: "A kernel module, loaded now and after a reboot.",
    places: STEPS,
    fields: &[FieldSpec::new("name", NAME, "The module.").required().key(), ABSENT],
    rules: &[],
    deadline: Span::seconds(120),
    becomes: Becomes::Resource(ResourceSpec::new(
        Kind::KernelModule,
        |values| Ok(must(values, "name", ModuleName::parse)?.to_string()),
        |values, _| Ok(build(values)?.into()),
    )),
};

fn build(values: &Values) -> Built<kernel_module::Desired> {
    Ok(kernel_module::Desired { name: must(values, "name", ModuleName::parse)?, absent: values.is_true("absent"), at_rest: false })
}
