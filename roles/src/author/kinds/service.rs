//! `service`: its fields, and what they shall be.

use super::read::{Built, is_decided, meaningless, must};
use super::types::{Becomes, FieldSpec, KindSpec, ResourceSpec, Rule, Shape, Ways};
use super::values::{Values, Written};
use super::vocabulary::{BOOLEAN, NAME, SITE_PATH, STEPS, TEXT, TEXTS};
use crate::author::diagnostic::Fault;
use crate::author::value::Value;
use crate::catalog::Action;
use crate::resource::{Kind, service};
use crate::words::{Content, Span, UnitName};

/// Its table.
pub(in crate::author) const SPEC: KindSpec = KindSpec {
    word: "service",
    doc: "A systemd unit: its file, whether it runs and whether it starts with the machine.",
    places: STEPS,
    fields: &[
        FieldSpec::new("name", NAME, "The unit; `.service` if it has no suffix.").required().key(),
        FieldSpec::new("state", Shape::Choice(&["running", "stopped"]), "Whether it runs now."),
        FieldSpec::new("enabled", BOOLEAN, "Whether it starts with the machine."),
        FieldSpec::new("restart_on", Shape::Triggers(Action::Restart), "A change to one of these restarts it."),
        FieldSpec::new("reload_on", Shape::Triggers(Action::Reload), "A change to one of these reloads it."),
        FieldSpec::new("check", TEXTS, "A command that must succeed before each restart or reload."),
        FieldSpec::new("unit_content", TEXT, "The unit file, with expressions."),
        FieldSpec::new("unit_from", SITE_PATH, "The unit file from `files/`, byte by byte."),
        FieldSpec::new("unit_template", SITE_PATH, "The unit file from `templates/`, rendered."),
    ],
    rules: &[Rule::AtMostOne(&["unit_content", "unit_from", "unit_template"])],
    deadline: Span::seconds(300),
    becomes: Becomes::Resource(ResourceSpec {
        ways: &[Ways { inline: "unit_content", from: "unit_from", template: "unit_template", becomes: "unit" }],
        split: as_one,
        normal,
        ..ResourceSpec::new(
            Kind::Service,
            |values| Ok(key(&must(values, "name", UnitName::parse_service)?)),
            |values, _| Ok(build(values)?.into()),
        )
    }),
};

/// A unit's name as roles write it.
fn key(name: &UnitName) -> String {
    name.as_str().strip_suffix(".service").unwrap_or(name.as_str()).to_owned()
}

/// `nginx` and `nginx.service` are one name.
fn as_one(mut values: Values) -> Built<Vec<Values>> {
    if values.text("state").is_some_and(|state| state == "stopped") && !is_decided(&values, "state") {
        nothing_for_what_is_stopped(&values)?;
    }
    let name = key(&must(&values, "name", UnitName::parse_service)?);
    values.fields.entry("name").and_modify(|placed| placed.written = Written::Value(Value::text(name.as_str())));
    Ok(vec![values])
}

fn normal(key: &str) -> String {
    UnitName::parse_service(key).map_or_else(|_| key.to_owned(), |name| self::key(&name))
}

/// What shall be stopped is neither restarted nor reloaded.
fn nothing_for_what_is_stopped(values: &Values) -> Built<()> {
    for (field, action) in [("restart_on", Action::Restart), ("reload_on", Action::Reload)] {
        if let Some((_, span)) = values.triggers.get(&action).and_then(|watched| watched.first()) {
            let fault = Fault::new(span, format!("`{field}` means nothing for what shall be stopped"));
            return Err(Box::new(fault.also(values.span("state"), "state").hint(format!("leave `{field}` out"))));
        }
    }
    match values.fields.contains_key("check") {
        true => Err(meaningless(values, "check", "for what shall be stopped: it is asked before a restart or reload", Some("state"))),
        false => Ok(()),
    }
}

fn build(values: &Values) -> Built<service::Desired> {
    let unit = values.content("unit").cloned();
    if matches!(unit, Some(Content::Secret(_))) {
        return Err(Box::new(
            Fault::new(values.span("unit"), "a secret may not stand in a unit's file: every account can read it")
                .hint("put it into a file of its own and name that by `LoadCredential=` or `EnvironmentFile=`"),
        ));
    }
    let state = values.text("state").map(|state| if state == "stopped" { service::State::Stopped } else { service::State::Running });
    Ok(service::Desired {
        name: must(values, "name", UnitName::parse_service)?,
        unit,
        state,
        enabled: values.boolean("enabled"),
        check: values.texts("check"),
        at_rest: false,
    })
}
