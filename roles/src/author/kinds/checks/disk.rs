//! `disk` as a check: its fields, and what must hold.

use super::super::read::{Built, path};
use super::super::types::{Becomes, CheckSpec, FieldSpec, KindSpec, Rule};
use super::super::values::Values;
use super::super::vocabulary::{BYTES, CHECKS, PATH, PER};
use crate::author::diagnostic::Fault;
use crate::check::{Check, Disk};
use crate::words::{Bytes, Span};

/// Its table.
pub(in crate::author) const SPEC: KindSpec = KindSpec {
    word: "disk",
    doc: "Room on the file system that holds a path.",
    places: CHECKS,
    fields: &[
        FieldSpec::new("path", PATH, "The path; one that is not there is judged by its nearest parent.").required().key(),
        FieldSpec::new("size", BYTES, "The least size of the file system."),
        FieldSpec::new(
            "free_after",
            BYTES,
            "What must remain after this plan has written what is missing; on one file system the needs of all roles add up.",
        ),
        PER,
    ],
    rules: &[Rule::ExactlyOne(&["size", "free_after"])],
    deadline: Span::seconds(30),
    becomes: Becomes::Check(CheckSpec::new(|values, _, building| Ok(Check::Disk(disk(values, building.executors())?)))),
};

fn disk(values: &Values, executors: u32) -> Built<Disk> {
    let per = values.text("per").is_some();
    if per && values.value("free_after").is_none() {
        return Err(Box::new(Fault::new(values.span("per"), "`per` has no meaning beside `size`").expected("`free_after`")));
    }
    if per && executors == 0 {
        return Err(Box::new(
            Fault::new(values.span("per"), "this node has no executor to multiply by")
                .hint("a role with `executors` is wanted on the node"),
        ));
    }
    let free_after = match values.bytes("free_after") {
        Some(bytes) if per => {
            let total = bytes.count().checked_mul(u64::from(executors)).map(Bytes);
            Some(total.ok_or_else(|| Box::new(Fault::new(values.span("free_after"), "the sum over all executors is too large")))?)
        }
        other => other,
    };
    Ok(Disk { path: path(values, "path")?, size: values.bytes("size"), free_after, executors: per.then_some(executors) })
}
