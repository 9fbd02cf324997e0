//! `package`: its fields, a resource for each name in it, and what those shall be.

use super::read::{Built, must, words};
use super::types::{Becomes, FieldSpec, KindSpec, ResourceSpec, Rule};
use super::values::{Placed, Values, Written};
use super::vocabulary::{NAMES, STEPS, VERSIONS};
use crate::author::diagnostic::Fault;
use crate::author::value::Value;
use crate::check::{self, Check, PackageWant};
use crate::resource::{Desired, Kind, package};
use crate::words::{PackageName, Span};
use std::collections::BTreeMap;

/// Its table.
pub(in crate::author) const SPEC: KindSpec = KindSpec {
    word: "package",
    doc: "Packages of the distribution; each is a resource of its own, `package NAME`. A virtual name stands for the package that provides it, as \
          with apt: there must be one alone, or one that is installed.",
    places: STEPS,
    fields: &[
        FieldSpec::new("install", NAMES, "Packages that must be installed.").key(),
        FieldSpec::new("versions", VERSIONS, "The exact version of a package of `install`."),
        FieldSpec::new("remove", NAMES, "Packages that must not be installed.").key(),
        FieldSpec::new("hold", NAMES, "Packages that no upgrade may touch.").later(),
    ],
    rules: &[Rule::AtLeastOne(&["install", "remove"]), Rule::With("versions", "install")],
    deadline: Span::seconds(1800),
    becomes: Becomes::Resource(ResourceSpec {
        split: each,
        asks: offered,
        ..ResourceSpec::new(
            Kind::Package,
            |values| Ok(must(values, "name", PackageName::parse)?.to_string()),
            |values, _| Ok(build(values)?.into()),
        )
    }),
};

/// `install` and `remove`: one resource a package.
fn each(values: Values) -> Built<Vec<Values>> {
    let mut found: Vec<Values> = Vec::new();
    for (field, state) in [("install", "installed"), ("remove", "removed")] {
        for name in words(&values, field, PackageName::parse)? {
            let mut own = Values { span: values.span.clone(), fields: BTreeMap::new(), triggers: values.triggers.clone() };
            for (part, text) in [("name", name.as_str()), ("state", state)] {
                own.fields.insert(part, Placed { written: Written::Value(Value::text(text)), span: values.span(field).clone() });
            }
            if field == "install"
                && let Some((_, version)) = values.entries("versions").iter().find(|(key, _)| **key == *name.as_str())
            {
                own.fields.insert("version", Placed { written: Written::Value(version.clone()), span: values.span("versions").clone() });
            }
            found.push(own);
        }
    }
    let names = values.texts("install").unwrap_or_default();
    for (key, _) in values.entries("versions") {
        if !names.iter().any(|name| **name == **key) {
            let fault = Fault::new(values.span("versions"), format!("`versions` names `{key}`, which is not in `install`"));
            return Err(Box::new(fault.nearest(key, names.iter().map(String::as_str))));
        }
    }
    Ok(found)
}

fn build(values: &Values) -> Built<package::Desired> {
    let name = must(values, "name", PackageName::parse)?;
    let removed = values.text("state").is_some_and(|state| state == "removed");
    let state = if removed { package::State::Removed } else { package::State::Installed { version: values.version("version") } };
    Ok(package::Desired { name, state })
}

/// That it is installed or can be had.
fn offered(desired: &Desired) -> Option<Check> {
    let Desired::Package(package::Desired { name, state: package::State::Installed { version } }) = desired else { return None };
    Some(Check::Package(check::Package { name: name.clone(), want: PackageWant::Offered, version: version.clone() }))
}
