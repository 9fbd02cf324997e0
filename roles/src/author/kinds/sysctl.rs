//! `sysctl`: its fields, and what they shall be.

use super::read::{Built, missing, must};
use super::types::{Becomes, FieldSpec, KindSpec, ResourceSpec};
use super::values::Values;
use super::vocabulary::{NAME, STEPS, TEXT};
use crate::author::diagnostic::Fault;
use crate::resource::{Kind, sysctl};
use crate::words::{Span, SysctlName};

/// Its table.
pub(in crate::author) const SPEC: KindSpec = KindSpec {
    word: "sysctl",
    doc: "A kernel parameter, now and after a reboot.",
    places: STEPS,
    fields: &[
        FieldSpec::new("name", NAME, "Its name with dots: `net.ipv4.ip_forward`.").required().key(),
        FieldSpec::new("value", TEXT, "Its value.").required(),
    ],
    rules: &[],
    deadline: Span::seconds(60),
    becomes: Becomes::Resource(ResourceSpec::new(
        Kind::Sysctl,
        |values| Ok(must(values, "name", SysctlName::parse)?.to_string()),
        |values, _| Ok(build(values)?.into()),
    )),
};

fn build(values: &Values) -> Built<sysctl::Desired> {
    let value = values.text("value").ok_or_else(|| missing(values, "value"))?;
    if value.contains(['\n', '\r']) {
        return Err(Box::new(Fault::new(values.span("value"), "the value has more than one line")));
    }
    Ok(sysctl::Desired { name: must(values, "name", SysctlName::parse)?, value })
}
