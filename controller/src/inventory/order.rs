//! Which nodes a node comes after: those its variables name, and the machines of the masters.

use ostler_roles::author::role::{Fields, Need};
use ostler_roles::author::source::{Node, NodeKind};
use ostler_roles::words::NodeName;
use std::collections::{BTreeMap, BTreeSet};

use super::Inventory;

/// For each node, those whose turn comes first.
pub fn order(inventory: &Inventory) -> BTreeMap<NodeName, BTreeSet<NodeName>> {
    let site = &inventory.site;
    let mut after = BTreeMap::new();
    for entry in &site.nodes.nodes {
        let Ok(node) = NodeName::parse(&entry.name.value) else { continue };
        let groups: Vec<_> =
            site.nodes.groups.iter().filter(|group| entry.groups.iter().any(|name| name.value == group.name.value)).collect();
        let listed = groups.iter().flat_map(|group| &group.roles).chain(&entry.roles).map(|role| role.value.as_str());
        let roles: BTreeSet<&str> = inventory.roles.ordered(listed).iter().map(|role| role.name.value.as_str()).collect();
        let vars = site.file.vars.iter().chain(groups.iter().flat_map(|group| &group.vars)).chain(&entry.vars);
        let mut named = BTreeSet::new();
        for need in vars.filter(|need| roles.contains(need.role.value.as_str())) {
            values(need, &mut named);
            masters(inventory, need, &mut named);
        }
        named.remove(&node);
        after.insert(node, named);
    }
    after
}

fn values(need: &Need, named: &mut BTreeSet<NodeName>) {
    need.values.iter().for_each(|setting| nodes_in(&setting.value, named));
}

/// A parameter that names a master names its machine too.
fn masters(inventory: &Inventory, need: &Need, named: &mut BTreeSet<NodeName>) {
    use ostler_roles::author::kinds::ScalarType;
    use ostler_roles::author::role::Type;
    let Some(role) = inventory.roles.get(&need.role.value) else { return };
    for setting in &need.values {
        let is_master = role.param(&setting.name.value).is_some_and(|param| param.kind == Type::Scalar(ScalarType::Master));
        let text = setting.value.as_scalar().filter(|_| is_master).map(|scalar| scalar.text.as_str());
        let master = inventory.site.file.masters.iter().find(|master| Some(master.name.value.as_str()) == text);
        named.extend(master.and_then(|master| machine(&master.fields)));
    }
}

/// The node that a master runs on.
pub fn machine(fields: &Fields) -> Option<NodeName> {
    let text = &fields.get("node")?.as_scalar()?.text;
    let mut named = BTreeSet::new();
    names_in(text, &mut named);
    named.pop_first().or_else(|| NodeName::parse(text).ok())
}

fn nodes_in(node: &Node, named: &mut BTreeSet<NodeName>) {
    match &node.kind {
        NodeKind::Map(entries) => entries.iter().for_each(|entry| nodes_in(&entry.value, named)),
        NodeKind::List(elements) => elements.iter().for_each(|element| nodes_in(element, named)),
        NodeKind::Scalar(scalar) if scalar.text.contains("{{") => names_in(&scalar.text, named),
        NodeKind::Scalar(_) => {}
    }
}

/// `nodes.NAME` and `nodes["NAME"]` of expressions.
fn names_in(text: &str, named: &mut BTreeSet<NodeName>) {
    for rest in text.split("nodes").skip(1) {
        let rest = rest.strip_prefix('.').or_else(|| rest.strip_prefix("[\"")).or_else(|| rest.strip_prefix("['"));
        let Some(rest) = rest else { continue };
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_').unwrap_or(rest.len());
        named.extend(NodeName::parse(&rest[..end]).ok());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_name_nodes() {
        let mut named = BTreeSet::new();
        names_in("{{ nodes.master.host }} and {{ nodes[\"git-1\"].host }}", &mut named);
        assert_eq!(named.iter().map(NodeName::as_str).collect::<Vec<_>>(), vec!["git-1", "master"]);
    }
}
