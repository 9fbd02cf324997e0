//! `sysctl`: its fields, and what they shall be.

use super::read::{Built, missing, must};
use super::types::{Becomes, FieldSpec, KindSpec, ResourceSpec};
use super::values::{Values, Written};
use super::vocabulary::{STEPS, TEXT};
use crate::author::diagnostic::Fault;
use crate::author::value::Value;
use crate::resource::{Kind, sysctl};
use crate::words::{Span, SysctlName};

/// Its table.
pub(in crate::author) const SPEC: KindSpec = KindSpec {
    word: "sysctl",
    doc: "A kernel parameter, now and after a reboot.",
    places: STEPS,
    fields: &[
        FieldSpec::new(
            "name",
            TEXT,
            "Its name with dots, `net.ipv4.ip_forward`, or with slashes where dots belong to names, `net/ipv4/conf/eth0.1/forwarding`.",
        )
        .required()
        .key(),
        FieldSpec::new("value", TEXT, "Its value.").required(),
    ],
    rules: &[],
    deadline: Span::seconds(60),
    becomes: Becomes::Resource(ResourceSpec {
        split: as_one,
        normal,
        ..ResourceSpec::new(
            Kind::Sysctl,
            |values| Ok(must(values, "name", SysctlName::parse)?.to_string()),
            |values, _| Ok(build(values)?.into()),
        )
    }),
};

/// One name in two spellings is one setting: with dots, and slashes for the dots of a name (sysctl.d(5)).
fn normal(key: &str) -> String {
    if !key.find(['.', '/']).is_some_and(|first| key[first..].starts_with('/')) {
        return key.to_owned();
    }
    let swapped = |letter| match letter {
        '/' => '.',
        '.' => '/',
        other => other,
    };
    key.chars().map(swapped).collect()
}

fn as_one(mut values: Values) -> Built<Vec<Values>> {
    let name = normal(must(&values, "name", SysctlName::parse)?.as_str());
    values.fields.entry("name").and_modify(|placed| placed.written = Written::Value(Value::text(name.as_str())));
    Ok(vec![values])
}

fn build(values: &Values) -> Built<sysctl::Desired> {
    let value = values.text("value").ok_or_else(|| missing(values, "value"))?;
    if value.contains(['\n', '\r']) {
        return Err(Box::new(Fault::new(values.span("value"), "the value has more than one line")));
    }
    Ok(sysctl::Desired { name: must(values, "name", SysctlName::parse)?, value, at_rest: false })
}
