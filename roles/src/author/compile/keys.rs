//! What a body's resources are called, and the keys of an account that is closed to others.

use std::collections::{BTreeMap, BTreeSet};

use super::contents::{must, word, words};
use super::drafts::{Draft, resource_kind};
use super::fields::{Placed, Values, Written};
use crate::author::diagnostic::Fault;
use crate::author::kinds::Kind as Word;
use crate::author::value::Value;
use crate::resource::authorized_key::KeyBlob;
use crate::resource::{Kind, ResourceId};
use crate::words::{AccountName, ModuleName, PackageName, SysctlName, UnitName};

type Declared = Result<Vec<(ResourceId, Values)>, Box<Fault>>;

/// The resources that a body declares, each with its own fields.
pub(super) fn declared(kind: Word, mut values: Values) -> Declared {
    let Some(resource) = resource_kind(kind) else {
        return Err(Box::new(Fault::new(&values.span, format!("`{}` is a check", kind.word()))));
    };
    let key = match resource {
        Kind::Package => return packages(&values),
        Kind::AuthorizedKey => return authorized_keys(&values),
        Kind::File | Kind::Directory | Kind::Link | Kind::Download => values.text("path"),
        Kind::GitCache => values.text("root"),
        Kind::User | Kind::Group => Some(must(&values, "name", AccountName::parse)?.to_string()),
        Kind::Service => {
            let key = service_key(&must(&values, "name", UnitName::parse_service)?);
            // `nginx` and `nginx.service` are one name.
            let name = Written::Value(Value::text(key.as_str()));
            values.fields.entry("name").and_modify(|placed| placed.written = name);
            Some(key)
        }
        Kind::Sysctl => Some(must(&values, "name", SysctlName::parse)?.to_string()),
        Kind::KernelModule => Some(must(&values, "name", ModuleName::parse)?.to_string()),
        Kind::Command => values.text("name"),
        Kind::Line => values.text("path").map(|path| {
            let line = values.text("replaces").or_else(|| values.text("line")).unwrap_or_default();
            format!("{path} {line}")
        }),
    };
    let key = key.ok_or_else(|| Box::new(Fault::new(&values.span, "the resource has no name")))?;
    Ok(vec![(ResourceId { kind: resource, key }, values)])
}

/// A unit's name as roles write it.
fn service_key(name: &UnitName) -> String {
    name.as_str().strip_suffix(".service").unwrap_or(name.as_str()).to_owned()
}

/// `install` and `remove`: one resource a package.
fn packages(values: &Values) -> Declared {
    let mut found: Vec<(ResourceId, Values)> = Vec::new();
    for (field, state) in [("install", "installed"), ("remove", "removed")] {
        for name in words(values, field, PackageName::parse)? {
            let mut own = Values { span: values.span.clone(), fields: BTreeMap::new(), triggers: values.triggers.clone() };
            own.fields.insert("state", Placed { written: Written::Value(Value::text(state)), span: values.span(field).clone() });
            if let Some((_, version)) = values.entries("versions").iter().find(|(key, _)| **key == *name.as_str()) {
                own.fields.insert("version", Placed { written: Written::Value(version.clone()), span: values.span("versions").clone() });
            }
            found.push((ResourceId { kind: Kind::Package, key: name.to_string() }, own));
        }
    }
    for (key, _) in values.entries("versions") {
        if !found.iter().any(|(id, _)| id.key == **key) {
            let installed = found.iter().map(|(id, _)| id.key.as_str());
            return Err(Box::new(Fault::new(values.span("versions"), format!("`{key}` is not in `install`")).nearest(key, installed)));
        }
    }
    Ok(found)
}

/// `key` and `keys`: one resource a key.
fn authorized_keys(values: &Values) -> Declared {
    let user = must(values, "user", AccountName::parse)?;
    let field = if values.value("key").is_some() { "key" } else { "keys" };
    let lines = match values.text("key") {
        Some(line) => vec![line],
        None => values.texts("keys").unwrap_or_default(),
    };
    if lines.is_empty() && values.is_true("exclusive") {
        return Err(Box::new(
            Fault::new(values.span("keys"), "`exclusive` beside no key at all would lock everyone out or do nothing")
                .hint("give at least one key, or guard the step: `when: keys is not empty`"),
        ));
    }
    let mut found = Vec::new();
    for line in lines {
        let mut parts = line.trim().splitn(3, char::is_whitespace);
        let (Some(algorithm), Some(blob)) = (parts.next(), parts.next()) else {
            return Err(Box::new(Fault::new(values.span(field), "this is no public key").expected("`ssh-ed25519 AAAA…`")));
        };
        let key = KeyBlob { algorithm: algorithm.to_owned(), blob: blob.to_owned() };
        let id = ResourceId { kind: Kind::AuthorizedKey, key: format!("{user}/{}", key.short()) };
        let mut own = values.clone();
        own.fields.remove("keys");
        own.fields.insert("key", Placed { written: Written::Value(Value::text(line.trim())), span: values.span(field).clone() });
        found.push((id, own));
    }
    Ok(found)
}

/// A declared key's parts: algorithm and blob, comment.
pub(super) fn key_parts(values: &Values) -> Result<(KeyBlob, String), Box<Fault>> {
    let line = values.text("key").unwrap_or_default();
    let mut parts = line.splitn(3, char::is_whitespace);
    match (parts.next(), parts.next()) {
        (Some(algorithm), Some(blob)) => {
            let comment = parts.next().unwrap_or_default().trim().to_owned();
            Ok((KeyBlob { algorithm: algorithm.to_owned(), blob: blob.to_owned() }, comment))
        }
        _ => Err(Box::new(Fault::new(values.span("key"), "this is no public key"))),
    }
}

/// Accounts with `exclusive: true`, and every key that any role lets in.
pub(super) fn exclusive_keys(drafts: &[Draft<'_>]) -> BTreeMap<String, BTreeSet<KeyBlob>> {
    let keys = || drafts.iter().filter(|draft| draft.id.kind == Kind::AuthorizedKey);
    let closed: BTreeSet<String> =
        keys().filter(|draft| draft.values.is_true("exclusive")).filter_map(|draft| draft.values.text("user")).collect();
    let mut all: BTreeMap<String, BTreeSet<KeyBlob>> = closed.into_iter().map(|user| (user, BTreeSet::new())).collect();
    for draft in keys().filter(|draft| !draft.values.is_true("absent")) {
        if let (Some(user), Ok((key, _))) = (draft.values.text("user"), key_parts(&draft.values))
            && let Some(set) = all.get_mut(&user)
        {
            set.insert(key);
        }
    }
    all
}

/// A trigger's key in the form that resources have theirs.
pub(super) fn normal(kind: Kind, key: &str) -> String {
    match kind {
        Kind::Service => UnitName::parse_service(key).map_or_else(|_| key.to_owned(), |name| service_key(&name)),
        Kind::File | Kind::Directory | Kind::Link | Kind::Download | Kind::GitCache => {
            crate::words::AbsPath::parse(key).map_or_else(|_| key.to_owned(), |path| path.to_string())
        }
        Kind::Package | Kind::User | Kind::Group | Kind::AuthorizedKey | Kind::Line | Kind::Sysctl | Kind::KernelModule | Kind::Command => {
            key.to_owned()
        }
    }
}

/// An account's name in a field, `root` where it is not written.
pub(super) fn owner(values: &Values, field: &str) -> Result<AccountName, Box<Fault>> {
    match word(values, field, AccountName::parse)? {
        Some(name) => Ok(name),
        None => Ok(crate::resource::Ownership::root(crate::words::Mode::FILE).owner),
    }
}
