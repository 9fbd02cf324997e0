//! `virtualization` as a check: its fields, and what must hold.

use super::super::types::{Becomes, CheckSpec, FieldSpec, KindSpec, Rule};
use super::super::values::Values;
use super::super::vocabulary::{CHECKS, NAMES};
use crate::check::{Check, Virtualization};
use crate::words::Span;

/// Its table.
pub(in crate::author) const SPEC: KindSpec = KindSpec {
    word: "virtualization",
    doc: "What the machine runs on, as systemd-detect-virt names it (`kvm`, `lxc`, `none`).",
    places: CHECKS,
    fields: &[FieldSpec::new("any_of", NAMES, "It must be one of these."), FieldSpec::new("none_of", NAMES, "It must be none of these.")],
    rules: &[Rule::ExactlyOne(&["any_of", "none_of"])],
    deadline: Span::seconds(30),
    becomes: Becomes::Check(CheckSpec::new(|values, _, _| Ok(virtualization(values)))),
};

fn virtualization(values: &Values) -> Check {
    Check::Virtualization(Virtualization {
        any_of: values.texts("any_of").unwrap_or_default(),
        none_of: values.texts("none_of").unwrap_or_default(),
    })
}
