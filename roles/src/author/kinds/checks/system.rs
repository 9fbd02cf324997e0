//! `system` as a check: its fields, and what must hold.

use super::super::types::Building;
use super::super::types::{Becomes, CheckSpec, FieldSpec, KindSpec};
use super::super::values::Values;
use super::super::vocabulary::{CHECKS, SYSTEMS};
use crate::check::{Assert, Check};
use crate::words::Span;

/// Its table.
pub(in crate::author) const SPEC: KindSpec = KindSpec {
    word: "system",
    doc: "The distribution.",
    places: CHECKS,
    fields: &[FieldSpec::new("any_of", SYSTEMS, "`ID-VERSION`, `ID` or family; it must be one of these.").required()],
    rules: &[],
    deadline: Span::seconds(30),
    becomes: Becomes::Check(CheckSpec::new(|values, _, building| Ok(system(values, building)))),
};

/// The distribution is known already: the answer is decided here.
fn system(values: &Values, building: &dyn Building) -> Check {
    let any_of = values.texts("any_of").unwrap_or_default();
    let facts = building.facts();
    let holds = facts.is_some_and(|facts| {
        let system = &facts.system;
        let full = format!("{}-{}", system.id, system.version);
        any_of.iter().any(|wanted| [&full, &system.id, &system.family].contains(&wanted))
    });
    let found = facts.map(|facts| format!("{} {}", facts.system.id, facts.system.version)).unwrap_or_default();
    Check::Assert(Assert { holds, say: format!("the system is {}", found.trim()), that: format!("system is one of {}", any_of.join(", ")) })
}
