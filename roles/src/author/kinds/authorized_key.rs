//! `authorized_key`: its fields, a resource for each key in it, and what those shall be.

use super::read::{Built, missing, must, nothing_beside_absent};
use super::types::{Becomes, FieldSpec, KindSpec, ResourceSpec, Rule, Shape};
use super::values::{Placed, Values, Written};
use super::vocabulary::{ABSENT, BOOLEAN, NAME, PUBLIC_KEY, STEPS, TEXTS};
use crate::author::diagnostic::Fault;
use crate::author::value::Value;
use crate::resource::authorized_key::{self, KeyBlob, ObservedKey};
use crate::resource::{Desired, Kind};
use crate::words::{AccountName, Span};
use std::collections::{BTreeMap, BTreeSet};

/// Its table.
pub(in crate::author) const SPEC: KindSpec = KindSpec {
    word: "authorized_key",
    doc: "Keys that may log in to an account; each is a resource of its own.",
    places: STEPS,
    fields: &[
        FieldSpec::new("user", NAME, "The account.").required().key(),
        FieldSpec::new("key", PUBLIC_KEY, "One public key.").key(),
        FieldSpec::new("keys", Shape::List(&PUBLIC_KEY), "Several public keys.").key(),
        FieldSpec::new("options", TEXTS, "Restrictions written before each key."),
        FieldSpec::new(
            "exclusive",
            BOOLEAN,
            "Removes every key that no role of the node declares, also from `authorized_keys2`, which sshd reads too; beside `keys: []` all that no other step declares.",
        ),
        ABSENT,
    ],
    rules: &[Rule::ExactlyOne(&["key", "keys"]), Rule::AtMostOne(&["exclusive", "absent"])],
    deadline: Span::seconds(60),
    becomes: Becomes::Resource(ResourceSpec {
        split: each,
        joint: close_accounts,
        ..ResourceSpec::new(Kind::AuthorizedKey, key, |values, _| Ok(build(values)?.into()))
    }),
};

/// `key` and `keys`: one resource a key.
fn each(values: Values) -> Built<Vec<Values>> {
    let field = if values.value("key").is_some() { "key" } else { "keys" };
    let lines = match values.text("key") {
        Some(line) => vec![line],
        None => values.texts("keys").unwrap_or_default(),
    };
    // An empty list says that nobody is let in but by other steps; a list that is not there says nothing.
    if lines.is_empty() && values.is_true("exclusive") {
        if values.value("keys").is_none() {
            let hint = "`keys: []` lets nobody in; where nothing is to be said of keys, guard the step: `when: keys is not none`";
            return Err(Box::new(missing(&values, "keys").hint(hint)));
        }
        return Ok(vec![values]);
    }
    let mut found = Vec::new();
    for line in lines {
        let mut own = values.clone();
        own.fields.remove("keys");
        own.fields.insert("key", Placed { written: Written::Value(Value::text(line.trim())), span: values.span(field).clone() });
        found.push(own);
    }
    Ok(found)
}

fn key(values: &Values) -> Built<String> {
    let declared = declared(values)?;
    Ok(authorized_key::name(&must(values, "user", AccountName::parse)?, declared.as_ref().map(|read| &read.key)))
}

/// A declared key, read as a node reads it; none where `exclusive` stands beside no key.
fn declared(values: &Values) -> Built<Option<ObservedKey>> {
    let Some(line) = values.text("key") else { return Ok(None) };
    let read = ObservedKey::parse(&line, None).filter(|read| read.options.is_empty());
    let fault = || Box::new(Fault::new(values.span("key"), "this is not a public key").expected("`ssh-ed25519 AAAA…`"));
    read.ok_or_else(fault).map(Some)
}

/// The options, each of which sshd takes: for one that it does not know it leaves the whole key out.
fn options(values: &Values) -> Built<String> {
    let options = values.texts("options").unwrap_or_default();
    let wrong = |message: String| Fault::new(values.span("options"), message);
    for option in &options {
        if option.contains(['\n', '\r']) {
            return Err(Box::new(wrong("an option has more than one line".to_owned())));
        }
        if let Some(other) = authorized_key::wrong_option(option) {
            let fault = wrong(format!("`{other}` is not an option of a key: sshd would ignore the key"));
            let hint =
                "without a value or with one in double quotes, as in `from=\"10.0.0.0/8\"`; see sshd(8), AUTHORIZED_KEYS FILE FORMAT";
            return Err(Box::new(fault.nearest(other, authorized_key::option_names()).hint(hint)));
        }
    }
    Ok(options.join(","))
}

fn build(values: &Values) -> Built<authorized_key::Desired> {
    let user = must(values, "user", AccountName::parse)?;
    if values.is_true("absent") {
        nothing_beside_absent(values, &["user", "key", "keys"])?;
    }
    let options = options(values)?;
    let (key, comment) = declared(values)?.map(|read| (read.key, read.comment)).unzip();
    let absent = key.is_none() || values.is_true("absent");
    Ok(authorized_key::Desired { user, key, comment: comment.unwrap_or_default(), options, absent, only: None })
}

/// Each key of an account with `exclusive: true` knows every key that any role lets in there.
fn close_accounts(all: &mut [(&Values, &mut Desired)]) {
    let closed = all.iter().filter(|(values, _)| values.is_true("exclusive")).filter_map(|(values, _)| values.text("user"));
    let mut open: BTreeMap<String, BTreeSet<KeyBlob>> = closed.map(|user| (user, BTreeSet::new())).collect();
    for (_, desired) in all.iter() {
        if let Desired::AuthorizedKey(key) = desired
            && let Some(keys) = open.get_mut(key.user.as_str()).filter(|_| !key.absent)
        {
            keys.extend(key.key.clone());
        }
    }
    for (_, desired) in all {
        if let Desired::AuthorizedKey(key) = desired {
            key.only = open.get(key.user.as_str()).cloned();
        }
    }
}
