//! Which nodes a node comes after: those that its values name, and the machines of the masters that they name. Read where values are worked
//! out, so that whatever gives a value (`vars`, `needs`, a default, `-e`, a role's own words) counts, and its place is known.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::context::Context;
use super::scope::SiteScope;
use super::{Input, KnownFacts, Secrets, Site, SiteContent, assumed};
use crate::author::diagnostic::{Fault, Faults};
use crate::author::expr::{self, Segment};
use crate::author::graph::Roles;
use crate::author::layers::Override;
use crate::author::site::NodeEntry;
use crate::author::source::{Node, NodeKind, Span};
use crate::author::value::{Data, as_text};
use crate::words::NodeName;

/// For each node, those whose turn comes first, and where they are named.
#[derive(Clone, Debug, Default)]
pub struct Order {
    after: BTreeMap<NodeName, BTreeMap<NodeName, Span>>,
}

/// One line for each: who comes after whom, and where that is said.
impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (node, first) in &self.after {
            for (other, span) in first {
                writeln!(f, "{node} after {other} ({span})")?;
            }
        }
        Ok(())
    }
}

/// What the values of a node name.
#[derive(Default)]
pub(super) struct Named {
    nodes: BTreeMap<String, Span>,
    masters: BTreeMap<String, Span>,
    /// Where the value stands that is being worked out.
    place: Option<Span>,
}

/// The order of a site's nodes. Nodes that were never met are taken for those of the first system that their roles allow.
#[must_use]
pub fn order(roles: &Roles, site: &Site, facts: &KnownFacts, secrets: &Secrets, overrides: &[Override]) -> Order {
    let content = SiteContent::default();
    let mut order = Order::default();
    let mut machines = None;
    for entry in &site.nodes.nodes {
        let Ok(node) = NodeName::parse(&entry.name.value) else { continue };
        let Some((_, facts)) = assumed(roles, site, &node, facts) else { continue };
        let input = Input { roles, site, content: &content, node: &node, facts: &facts, secrets, overrides };
        // What is wrong is told by who compiles.
        let Ok(context) = Context::new(&input) else { continue };
        context.every_parameter();
        context.named_by_executors();
        let named = context.named.take();
        let machines: &BTreeMap<String, NodeName> = machines.get_or_insert_with(|| Context::of_site(&input).machines());
        let of_masters = named.masters.into_iter().filter_map(|(master, span)| Some((machines.get(&master)?.clone(), span)));
        let mut first: BTreeMap<NodeName, Span> = of_masters.collect();
        first.extend(named.nodes.into_iter().filter_map(|(name, span)| Some((NodeName::parse(&name).ok()?, span))));
        first.remove(&node);
        order.after.insert(node, first);
    }
    order
}

impl Order {
    /// For each node, those whose turn comes first.
    #[must_use]
    pub fn after(&self) -> BTreeMap<NodeName, BTreeSet<NodeName>> {
        self.after.iter().map(|(node, first)| (node.clone(), first.keys().cloned().collect())).collect()
    }

    /// Nodes among these that wait for each other: a fault for each place that makes them.
    #[must_use]
    pub fn circles(&self, among: &BTreeSet<NodeName>) -> Faults {
        let mut faults = Faults::new();
        let mut waiting: BTreeMap<&NodeName, BTreeMap<&NodeName, &Span>> = BTreeMap::new();
        for (node, first) in self.after.iter().filter(|(node, _)| among.contains(*node)) {
            waiting.insert(node, first.iter().filter(|(other, _)| among.contains(*other)).collect());
        }
        loop {
            let free: Vec<&NodeName> = waiting.iter().filter(|(_, first)| first.is_empty()).map(|(node, _)| *node).collect();
            for node in &free {
                waiting.remove(node);
                waiting.values_mut().for_each(|first| _ = first.remove(node));
            }
            if !free.is_empty() {
                continue;
            }
            let Some(circle) = circle(&waiting) else { return faults };
            faults.push(fault(&circle));
            // What is named at these places is told, however many nodes share them.
            waiting.values_mut().for_each(|first| first.retain(|_, span| !circle.iter().any(|(_, told)| told == span)));
        }
    }
}

/// Nodes that wait for each other, each with the place where it names the next; the shortest way back to the first node that has one.
fn circle<'o>(waiting: &BTreeMap<&'o NodeName, BTreeMap<&'o NodeName, &'o Span>>) -> Option<Vec<(&'o NodeName, &'o Span)>> {
    for start in waiting.keys() {
        // From each node that was reached, the one before it.
        let mut before: BTreeMap<&NodeName, (&'o NodeName, &'o Span)> = BTreeMap::new();
        let mut open = std::collections::VecDeque::from([*start]);
        while let Some(node) = open.pop_front() {
            for (next, span) in waiting.get(node).into_iter().flatten() {
                if before.contains_key(next) {
                    continue;
                }
                before.insert(next, (node, span));
                if next == start {
                    let mut circle = vec![before[start]];
                    while circle.last().is_some_and(|(node, _)| node != start) {
                        let last = circle.last().map(|(node, _)| *node)?;
                        circle.push(before[last]);
                    }
                    circle.reverse();
                    return Some(circle);
                }
                open.push_back(next);
            }
        }
    }
    None
}

fn fault(circle: &[(&NodeName, &Span)]) -> Fault {
    let (start, place) = circle[0];
    let names: Vec<&str> = circle.iter().map(|(node, _)| node.as_str()).chain([start.as_str()]).collect();
    let mut fault = Fault::new(place, format!("nodes wait for each other: {}", names.join(" -> ")));
    for (node, span) in circle.iter().skip(1).filter(|(_, span)| *span != place) {
        fault = fault.also(span, format!("{node} waits here"));
    }
    fault.hint("a node's turn comes after those that its values name: let one of them name the other no more")
}

impl Context<'_> {
    /// Works out a value that stands at a place; what it names is named there.
    pub(super) fn naming<T>(&self, node: &Node, work: impl FnOnce() -> T) -> T {
        let outer = self.named.borrow_mut().place.replace(node.span.clone());
        let result = work();
        self.named.borrow_mut().place = outer;
        result
    }

    /// Keeps that the value being worked out names a node.
    pub(super) fn names_node(&self, name: &str) {
        let named = &mut *self.named.borrow_mut();
        if let Some(place) = &named.place {
            named.nodes.entry(name.to_owned()).or_insert_with(|| place.clone());
        }
    }

    /// Keeps that it names a master.
    pub(super) fn names_master(&self, name: &str) {
        let named = &mut *self.named.borrow_mut();
        if let Some(place) = &named.place {
            named.masters.entry(name.to_owned()).or_insert_with(|| place.clone());
        }
    }

    /// Keeps what the expressions of a site's value name, those too that are not read this time (the other side of an `if`).
    pub(super) fn names_in(&self, node: &Node) {
        match &node.kind {
            NodeKind::Map(entries) => entries.iter().for_each(|entry| self.names_in(&entry.value)),
            NodeKind::List(items) => items.iter().for_each(|item| self.names_in(item)),
            NodeKind::Scalar(scalar) if scalar.has_expression() => {
                for segment in expr::segments(&scalar.text).unwrap_or_default() {
                    let Segment::Expression(range) = segment else { continue };
                    let Ok(expr) = expr::parse(&scalar.text[range.clone()]) else { continue };
                    for (root, field, place) in expr::roots(&expr) {
                        let Some(field) = field else { continue };
                        let place = node.part(range.start + place.start..range.start + place.end);
                        let whole = Node { span: place, kind: node.kind.clone() };
                        self.naming(&whole, || match root.as_str() {
                            "nodes" => self.names_node(&field),
                            "groups" => self.members(&field).for_each(|member| self.names_node(&member.name.value)),
                            _ => {}
                        });
                    }
                }
            }
            NodeKind::Scalar(_) => {}
        }
    }

    /// The nodes of a group.
    pub(super) fn members(&self, group: &str) -> impl Iterator<Item = &NodeEntry> {
        let nodes = self.input.site.nodes.nodes.iter();
        nodes.filter(move |node| node.groups.iter().any(|name| name.value == group))
    }

    /// The masters that the roles' executors are run by.
    fn named_by_executors(&self) {
        for role in &self.roles {
            for node in role.executors.iter().filter_map(|executor| executor.fields.get("master")) {
                let value = self.value(node, &super::scope::RoleScope::new(self, role));
                if let Some(master) = value.ok().and_then(|value| as_text(&value.data)) {
                    self.naming(node, || self.names_master(&master));
                }
            }
        }
    }

    /// The machine of each master that has one.
    fn machines(&self) -> BTreeMap<String, NodeName> {
        let machine = |node: &Node| match self.value(node, &SiteScope(self)).ok()?.data {
            Data::Node(node) => Some(node.name.clone()),
            data => NodeName::parse(&as_text(&data)?).ok(),
        };
        let masters = self.input.site.file.masters.iter();
        masters.filter_map(|master| Some((master.name.value.clone(), machine(master.fields.get("node")?)?))).collect()
    }
}
