//! `nodes.yaml`.

use std::sync::Arc;

use crate::author::diagnostic::{Fault, Faults};
use crate::author::keys;
use crate::author::kinds::ScalarType;
use crate::author::literal::check_scalar;
use crate::author::role::Name;
use crate::author::site::{Group, NodeEntry, NodesFile};
use crate::author::source::{Entry, Node, Source, Spanned};
use crate::author::yaml;

use super::fields;
use super::read::{self, Keys, Spelling};

/// The keys of `nodes.yaml`.
const KEYS: Keys = Keys { what: "`nodes.yaml`", known: keys::NODES, later: &[] };
/// The keys of a group.
const GROUP: Keys = Keys { what: "a group", known: keys::GROUP, later: &[] };
/// The keys of a node.
const NODE: Keys = Keys { what: "a node", known: keys::NODE, later: &[] };

/// Reads `nodes.yaml`; given even with faults, none when it is no map.
pub fn nodes_file(source: &Arc<Source>, faults: &mut Faults) -> Option<NodesFile> {
    let root = yaml::read(source, faults)?;
    let mut file = NodesFile::default();
    for entry in KEYS.read(&root, faults) {
        let what = if entry.key.value == "groups" { "`NAME: {roles: […]}`" } else { "`NAME: {host: HOST, groups: […]}`" };
        for member in read::map(&entry.value, what, faults) {
            match entry.key.value.as_str() {
                "groups" => file.groups.extend(group(member, faults)),
                _ => file.nodes.extend(node(member, faults)),
            }
        }
    }
    root.as_map()?;
    check(&file, faults);
    Some(file)
}

/// One group.
fn group(entry: &Entry, faults: &mut Faults) -> Option<Group> {
    let name = read::name(&entry.key, "a group's name", Spelling::Node, faults);
    if let Some(inner) = entry.value.as_map().and_then(|map| map.iter().find(|key| matches!(key.key.value.as_str(), "groups" | "children")))
    {
        faults.push(Fault::new(&inner.key.span, "a group holds no group").hint("list both groups at the node"));
    }
    let mut group = Group { name: entry.key.clone(), roles: Vec::new(), vars: Vec::new(), ssh: None };
    let mut own = Faults::new();
    for key in GROUP.read(&entry.value, &mut own) {
        match key.key.value.as_str() {
            "roles" => group.roles = roles(&key.value, &mut own),
            "vars" => group.vars = read::vars(&key.value, &mut own),
            _ => group.ssh = Some(fields::ssh(&key.value, &mut own)),
        }
    }
    faults.extend(own.into_iter().filter(|fault| !matches!(fault.span.text(), "groups" | "children")));
    group.name = name?;
    Some(group)
}

/// One node.
fn node(entry: &Entry, faults: &mut Faults) -> Option<NodeEntry> {
    let name = read::name(&entry.key, "a node's name", Spelling::Node, faults);
    let mut node = NodeEntry { name: entry.key.clone(), host: None, groups: Vec::new(), roles: Vec::new(), vars: Vec::new(), ssh: None };
    for key in NODE.read(&entry.value, faults) {
        match key.key.value.as_str() {
            "host" => node.host = host(&key.value, faults),
            "groups" => node.groups = read::names(&key.value, "a group's name", Spelling::Node, faults),
            "roles" => node.roles = roles(&key.value, faults),
            "vars" => node.vars = read::vars(&key.value, faults),
            _ => node.ssh = Some(fields::ssh(&key.value, faults)),
        }
    }
    node.name = name?;
    Some(node)
}

/// A host: a name or an address, without expressions.
fn host(node: &Node, faults: &mut Faults) -> Option<Spanned<String>> {
    let host = read::text(node, ScalarType::Host.expected(), faults)?;
    check_scalar(node, ScalarType::Host, faults);
    Some(host)
}

/// A list of roles.
fn roles(node: &Node, faults: &mut Faults) -> Vec<Name> {
    read::names(node, "a role's name", Spelling::Role, faults)
}

/// Groups that are not there, and names that are a group's and a node's.
fn check(file: &NodesFile, faults: &mut Faults) {
    let known = || file.groups.iter().map(|group| group.name.value.as_str());
    for node in &file.nodes {
        for group in &node.groups {
            if !known().any(|name| name == group.value) {
                faults.push(Fault::new(&group.span, format!("unknown group `{}`", group.value)).nearest(&group.value, known()));
            }
        }
        if let Some(group) = file.groups.iter().find(|group| group.name.value == node.name.value) {
            faults.push(
                Fault::new(&node.name.span, format!("`{}` is a node and a group: a selection could mean either", node.name.value))
                    .also(&group.name.span, "the group"),
            );
        }
        jump(node, file, faults);
    }
}

/// A jump through a node that is not there.
fn jump(node: &NodeEntry, file: &NodesFile, faults: &mut Faults) {
    let Some(jump) = node.ssh.as_ref().and_then(|ssh| ssh.get("jump")) else { return };
    let Some(name) = jump.as_scalar().map(|scalar| scalar.text.as_str()).filter(|name| *name != "none") else { return };
    if !file.nodes.iter().any(|other| other.name.value == name) {
        let known = file.nodes.iter().map(|node| node.name.value.as_str());
        faults.push(Fault::new(&jump.span, format!("unknown node `{name}`")).nearest(name, known));
    }
}
