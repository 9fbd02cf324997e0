//! How a node is reached: `ssh` of the site, weaker than of its groups, weaker than of itself.

use ostler_roles::author::compile::Site;
use ostler_roles::author::diagnostic::{Fault, Faults};
use ostler_roles::author::role::Fields;
use ostler_roles::author::site::{NodeEntry, NodesFile, SiteFile};
use ostler_roles::author::source::Node;
use ostler_roles::words::NodeName;
use std::collections::{BTreeMap, BTreeSet};

/// How root is reached after login.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Become {
    /// Not at all: the login is root, or nothing needs it.
    #[default]
    None,
    /// By sudo.
    Sudo,
    /// By doas.
    Doas,
}

/// How one node is reached. None: the user's own ssh configuration says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NodeReach {
    /// What is asked of ssh: the node's `host`, or its name.
    pub host: String,
    /// The account.
    pub user: Option<String>,
    /// The port.
    pub port: Option<u16>,
    /// How root is reached; none: nothing is said about it.
    pub escalate: Option<Become>,
    /// The node to go through; `Some(None)`: straight, whatever else is said.
    pub jump: Option<Option<NodeName>>,
    /// A file with host keys, relative to the site.
    pub known_hosts: Option<String>,
    /// The private key's file.
    pub identity: Option<String>,
}

/// How a node is reached.
///
/// # Errors
/// Two groups of the node that say different things while the node says nothing.
pub fn reach(site: &Site, node: &NodeEntry) -> Result<NodeReach, Faults> {
    let mut faults = Faults::new();
    let mut word = |name: &str| -> Option<String> { layered(&site.file, &site.nodes, node, name, &mut faults).map(text) };
    let reach = NodeReach {
        host: node.host.as_ref().map_or_else(|| node.name.value.clone(), |host| host.value.clone()),
        user: word("user"),
        port: word("port").and_then(|port| port.parse().ok()),
        escalate: word("become").map(|word| match word.as_str() {
            "sudo" => Become::Sudo,
            "doas" => Become::Doas,
            _ => Become::None,
        }),
        jump: word("jump").map(|word| if word == "none" { None } else { NodeName::parse(&word).ok() }),
        known_hosts: word("known_hosts"),
        identity: word("identity"),
    };
    faults.into_result(reach)
}

/// Jumps that lead in a circle, also a node reached through itself: each circle once, with every place that makes it.
pub(super) fn circles(site: &Site, faults: &mut Faults) {
    let jumps: BTreeMap<&str, &Node> =
        site.nodes.nodes.iter().filter_map(|node| Some((node.name.value.as_str(), jump(site, node)?))).collect();
    let mut seen = BTreeSet::new();
    for start in jumps.keys() {
        let mut way = vec![*start];
        while let Some((next, _)) = way.last().and_then(|last| jumps.get(last)).and_then(|jump| jumps.get_key_value(text(jump).as_str())) {
            let Some(begin) = way.iter().position(|known| known == next) else {
                way.push(next);
                continue;
            };
            let circle = &way[begin..];
            if circle.iter().all(|name| seen.insert(*name)) {
                faults.push(circle_fault(circle, &jumps));
            }
            break;
        }
    }
}

/// The jump that is in force for a node, where there is one. What is said twice about it is told where the way is made.
fn jump<'a>(site: &'a Site, node: &'a NodeEntry) -> Option<&'a Node> {
    layered(&site.file, &site.nodes, node, "jump", &mut Faults::new()).filter(|jump| text(jump) != "none")
}

fn circle_fault(circle: &[&str], jumps: &BTreeMap<&str, &Node>) -> Fault {
    let first = circle[0];
    let what = match circle {
        [own] => format!("`{own}` cannot be reached through itself"),
        _ => format!("the jumps lead in a circle: {} -> {first}", circle.join(" -> ")),
    };
    let fault =
        Fault::new(&jumps[first].span, what).hint(format!("at the machine that is reached straight: `{first}: {{ssh: {{jump: none}}}}`"));
    circle[1..].iter().fold(fault, |fault, name| fault.also(&jumps[name].span, format!("the jump of `{name}`")))
}

/// The text of a literal.
fn text(node: &Node) -> String {
    node.as_scalar().map(|scalar| scalar.text.clone()).unwrap_or_default()
}

/// The strongest layer's value of a field.
fn layered<'a>(site: &'a SiteFile, nodes: &'a NodesFile, node: &'a NodeEntry, name: &str, faults: &mut Faults) -> Option<&'a Node> {
    fn get<'a>(ssh: Option<&'a Fields>, name: &str) -> Option<&'a Node> {
        ssh.and_then(|fields| fields.get(name))
    }
    if let Some(own) = get(node.ssh.as_ref(), name) {
        return Some(own);
    }
    let groups = node.groups.iter().filter_map(|group| nodes.groups.iter().find(|other| other.name.value == group.value));
    let mut said = groups.filter_map(|group| get(group.ssh.as_ref(), name));
    let Some(first) = said.next() else { return get(site.ssh.as_ref(), name) };
    for other in said.filter(|other| text(other) != text(first)) {
        faults.push(
            Fault::new(&other.span, format!("two groups of `{}` say different things about `{name}`", node.name.value))
                .hint(format!("write `ssh: {{{name}: …}}` at the node"))
                .also(&first.span, "the other"),
        );
    }
    Some(first)
}
