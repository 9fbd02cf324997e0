//! `swap` as a check: its fields, and what must hold.

use super::super::read::{Built, missing};
use super::super::types::{Becomes, CheckSpec, FieldSpec, KindSpec};
use super::super::values::Values;
use super::super::vocabulary::{BYTES, CHECKS, PER};
use crate::check::{Check, Swap};
use crate::words::Span;

/// Its table.
pub(in crate::author) const SPEC: KindSpec = KindSpec {
    word: "swap",
    doc: "The machine's swap.",
    places: CHECKS,
    fields: &[FieldSpec::new("total", BYTES, "The least that must be built in.").required(), PER.later()],
    rules: &[],
    deadline: Span::seconds(30),
    becomes: Becomes::Check(CheckSpec::new(|values, _, _| swap(values))),
};

fn swap(values: &Values) -> Built<Check> {
    Ok(Check::Swap(Swap { total: values.bytes("total").ok_or_else(|| missing(values, "total"))? }))
}
