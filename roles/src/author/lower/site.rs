//! `ostler.yaml`.

use std::sync::Arc;

use crate::author::diagnostic::{Fault, Faults};
use crate::author::keys;
use crate::author::kinds::{BUILDBOT, JENKINS, LAB, LATER};
use crate::author::literal::{mismatch, words};
use crate::author::role::Setting;
use crate::author::site::{Master, MasterKind, SiteFile};
use crate::author::source::{Bare, Entry, Node, NodeKind, Scalar, Source, Spanned};
use crate::author::yaml;
use crate::master::jenkins;

use super::fields;
use super::read::{self, Keys, Spelling};

/// The keys of `ostler.yaml`.
const KEYS: Keys = Keys { what: "`ostler.yaml`", known: keys::SITE, later: LATER.site };
/// The keys of `secrets`.
const SECRETS: Keys = Keys { what: "`secrets`", known: keys::SECRETS, later: &[] };
/// The masters of this release.
const MASTERS: [&str; 2] = ["buildbot", "jenkins"];

/// Reads `ostler.yaml`; given even with faults, none when it is no map.
pub fn site_file(source: &Arc<Source>, faults: &mut Faults) -> Option<SiteFile> {
    let root = yaml::read(source, faults)?;
    let mut site = SiteFile::default();
    for entry in KEYS.read(&root, faults) {
        let node = &entry.value;
        match entry.key.value.as_str() {
            "edition" => site.edition = edition(node, faults),
            "id" => site.id = id(node, faults),
            "site" => site.constants = constants(node, faults),
            "ssh" => site.ssh = Some(fields::ssh(node, faults)),
            "secrets" => site.recipients = recipients(node, faults),
            "masters" => site.masters = masters(node, faults),
            "vars" => site.vars = read::vars(node, faults),
            _ => {
                fields::constants(node, "`lab`", faults);
                fields::lower(node, "`lab`", LAB, &[], faults);
                site.lab = Some(node.clone());
            }
        }
    }
    root.as_map()?;
    if root.get("edition").is_none() {
        faults.push(Fault::new(&source.span(0..0), "the site has no `edition`").hint("begin it with `edition: 1`"));
    }
    Some(site)
}

/// `edition: 1`.
fn edition(node: &Node, faults: &mut Faults) -> Option<Spanned<u32>> {
    match node.as_scalar().map(Scalar::bare) {
        Some(Bare::Integer(1)) => Some(Spanned::new(1, node.span.clone())),
        Some(Bare::Integer(other)) => {
            faults.push(Fault::new(&node.span, format!("edition {other} is not known to this release")).expected("1"));
            None
        }
        _ => {
            faults.push(mismatch(node, "1"));
            None
        }
    }
}

/// `id: NAME`.
fn id(node: &Node, faults: &mut Faults) -> Option<Spanned<jenkins::Site>> {
    let text = read::text(node, "a name for the site", faults)?;
    match jenkins::Site::parse(&text.value) {
        Ok(id) => Some(Spanned::new(id, text.span)),
        Err(error) => {
            faults.push(Fault::new(&node.span, format!("`id` cannot stand in a mark: {}", error.why)));
            None
        }
    }
}

/// `site`: plain constants.
fn constants(node: &Node, faults: &mut Faults) -> Vec<Setting> {
    let found = read::settings(node, "`NAME: VALUE`", faults);
    for setting in &found {
        plain(&setting.value, faults);
    }
    found
}

/// Refuses expressions in a constant.
fn plain(node: &Node, faults: &mut Faults) {
    match &node.kind {
        NodeKind::Scalar(scalar) if scalar.has_expression() => {
            faults.push(Fault::new(&node.span, "`site` holds plain constants").hint("expressions stand in `vars` and `masters`"));
        }
        NodeKind::Scalar(_) => {}
        NodeKind::List(items) => items.iter().for_each(|item| plain(item, faults)),
        NodeKind::Map(entries) => entries.iter().for_each(|entry| plain(&entry.value, faults)),
    }
}

/// What a recipient looks like (age(1), X25519 recipients): 32 bytes and a checksum in Bech32 (BIP 173).
const RECIPIENT: &str = "an age public key, `age1…` and 58 letters and digits";
const OWN_RECIPIENT: &str = "take it out; then `ostler secret show-recipients` shows your own";

/// By its letters; its checksum is proved by whoever encrypts to it.
fn is_recipient(text: &str) -> bool {
    let in_alphabet = |letter: u8| b"qpzry9x8gf2tvdw0s3jn54khce6mua7l".contains(&letter);
    text.strip_prefix("age1").is_some_and(|rest| rest.len() == 58 && rest.bytes().all(in_alphabet))
}

/// `secrets: {recipients: [KEY]}`.
fn recipients(node: &Node, faults: &mut Faults) -> Vec<Spanned<String>> {
    let mut found = Vec::new();
    for entry in SECRETS.read(node, faults) {
        for item in read::list(&entry.value, "public keys", faults) {
            let Some(key) = read::text(item, RECIPIENT, faults) else { continue };
            if key.value.starts_with("AGE-SECRET-KEY-") {
                faults.push(
                    Fault::new(&key.span, "a private key stands among the recipients")
                        .hint("take it out of the repository and make a new one"),
                );
            } else if key.value.starts_with("ssh-") {
                // The crate that would encrypt to them brings `rsa`, which has an advisory without a fix.
                faults.push(Fault::new(&key.span, "secrets are not encrypted to ssh keys").expected(RECIPIENT).hint(OWN_RECIPIENT));
            } else if !is_recipient(&key.value) {
                faults.push(Fault::new(&key.span, "not a recipient").expected(RECIPIENT).hint(OWN_RECIPIENT));
            } else {
                found.push(key);
            }
        }
    }
    found
}

/// `masters`: `NAME: {buildbot: {…}}` or `NAME: {jenkins: {…}}`.
fn masters(node: &Node, faults: &mut Faults) -> Vec<Master> {
    read::map(node, "`NAME: {jenkins: {…}}`", faults).iter().filter_map(|entry| master(entry, faults)).collect()
}

/// One master.
fn master(entry: &Entry, faults: &mut Faults) -> Option<Master> {
    let name = read::name(&entry.key, "a master's name", Spelling::Master, faults);
    let Some([of]) = entry.value.as_map() else {
        faults.push(mismatch(&entry.value, "a map with one of `buildbot`, `jenkins`"));
        return None;
    };
    let word = of.key.value.as_str();
    let (kind, table) = match word {
        "buildbot" => (MasterKind::Buildbot, BUILDBOT),
        "jenkins" => (MasterKind::Jenkins, JENKINS),
        _ => {
            faults.push(if LATER.masters.contains(&word) {
                Fault::new(&of.key.span, format!("`{word}` is not in this release"))
            } else {
                Fault::new(&of.key.span, format!("unknown kind of master `{word}`")).expected(words(MASTERS)).nearest(word, MASTERS)
            });
            return None;
        }
    };
    let fields = fields::lower(&of.value, &format!("`{word}`"), table, &[], faults);
    Some(Master { name: name?, kind, fields })
}
