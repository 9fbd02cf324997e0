//! `package` as a check: its fields, and what must hold.

use super::super::read::{Built, must};
use super::super::types::{Becomes, CheckSpec, FieldSpec, KindSpec, ScalarType, Shape};
use super::super::values::Values;
use super::super::vocabulary::{CHECKS, NAME, VERSION};
use crate::check::{Check, Package, PackageWant};
use crate::words::{PackageName, Span};

/// Its table.
pub(in crate::author) const SPEC: KindSpec = KindSpec {
    word: "package",
    doc: "A package that must be there already; a package that the role can install is a step.",
    places: CHECKS,
    fields: &[
        FieldSpec::new("name", NAME, "The package.").required().key(),
        FieldSpec::new("version", VERSION, "The version asked for."),
        FieldSpec::new("offered", Shape::Scalar(ScalarType::Boolean), "It is enough that the package sources offer it."),
    ],
    rules: &[],
    deadline: Span::seconds(30),
    becomes: Becomes::Check(CheckSpec::new(|values, _, _| package(values))),
};

fn package(values: &Values) -> Built<Check> {
    Ok(Check::Package(Package {
        name: must(values, "name", PackageName::parse)?,
        want: if values.is_true("offered") { PackageWant::Offered } else { PackageWant::Installed },
        version: values.version("version"),
    }))
}
