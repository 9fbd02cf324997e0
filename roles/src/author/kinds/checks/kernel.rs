//! `kernel` as a check: its fields, and what must hold.

use super::super::read::{Built, words};
use super::super::types::{Becomes, CheckSpec, FieldSpec, KindSpec, Rule, ScalarType, Shape};
use super::super::values::Values;
use super::super::vocabulary::{CHECKS, NAMES, VERSION};
use crate::check::{Check, Kernel};
use crate::words::{ModuleName, Span};

/// Its table.
pub(in crate::author) const SPEC: KindSpec = KindSpec {
    word: "kernel",
    doc: "The running kernel.",
    places: CHECKS,
    fields: &[
        FieldSpec::new("at_least", VERSION, "The oldest version that will do."),
        FieldSpec::new("below", VERSION, "The first version that will not do."),
        FieldSpec::new("not", Shape::List(&VERSION), "Versions that will not do."),
        FieldSpec::new("modules", NAMES, "Modules that must be loaded, built in or loadable."),
        FieldSpec::new("shared", Shape::Scalar(ScalarType::Boolean), "Whether the kernel is shared with other machines (a container)."),
    ],
    rules: &[Rule::AtLeastOne(&["at_least", "below", "not", "modules", "shared"])],
    deadline: Span::seconds(30),
    becomes: Becomes::Check(CheckSpec::new(|values, _, _| kernel(values))),
};

fn kernel(values: &Values) -> Built<Check> {
    Ok(Check::Kernel(Kernel {
        at_least: values.version("at_least"),
        below: values.version("below"),
        not: values.texts("not").unwrap_or_default(),
        modules: words(values, "modules", ModuleName::parse)?,
        shared: values.boolean("shared"),
    }))
}
