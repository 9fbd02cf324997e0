//! `assert` as a check: its fields, and what must hold.

use super::super::types::{Becomes, CheckSpec, FieldSpec, KindSpec, Shape};
use super::super::values::Values;
use super::super::vocabulary::{CHECKS, TEXT};
use crate::author::role::Fields;
use crate::check::{Assert, Check};
use crate::words::Span;

/// Its table.
pub(in crate::author) const SPEC: KindSpec = KindSpec {
    word: "assert",
    doc: "A relation between parameters and facts.",
    places: CHECKS,
    fields: &[
        FieldSpec::new("that", Shape::Expression, "A bare expression that must be true.").required(),
        FieldSpec::new("say", TEXT, "What is said when it is not.").required(),
    ],
    rules: &[],
    deadline: Span::seconds(30),
    becomes: Becomes::Check(CheckSpec::new(|values, body, _| Ok(assert(values, body)))),
};

fn assert(values: &Values, body: &Fields) -> Check {
    let that = body.get("that").and_then(|node| node.as_scalar()).map(|scalar| scalar.text.clone());
    Check::Assert(Assert { holds: values.is_true("that"), say: values.text("say").unwrap_or_default(), that: that.unwrap_or_default() })
}
