//! `memory` as a check: its fields, and what must hold.

use super::super::read::{Built, missing};
use super::super::types::{Becomes, CheckSpec, FieldSpec, KindSpec};
use super::super::values::Values;
use super::super::vocabulary::{BYTES, CHECKS, PER};
use crate::check::{Check, Memory};
use crate::words::Span;

/// Its table.
pub(in crate::author) const SPEC: KindSpec = KindSpec {
    word: "memory",
    doc: "The machine's memory.",
    places: CHECKS,
    fields: &[FieldSpec::new("total", BYTES, "The least that must be built in.").required(), PER.later()],
    rules: &[],
    deadline: Span::seconds(30),
    becomes: Becomes::Check(CheckSpec::new(|values, _, _| memory(values))),
};

fn memory(values: &Values) -> Built<Check> {
    Ok(Check::Memory(Memory { total: values.bytes("total").ok_or_else(|| missing(values, "total"))? }))
}
