//! Everything that can be proved of a site without a node.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use super::context::Context;
use super::image::{ImageInput, entry, image_roles, image_system, judge};
use super::{Input, KnownFacts, Master, Secrets, Site, SiteContent, compile_in, prove};
use crate::author::diagnostic::{Fault, Faults};
use crate::author::graph::Roles;
use crate::author::image::Image;
use crate::author::kinds::SYSTEMS;
use crate::author::layers::Override;
use crate::author::literal::words;
use crate::author::role::{Action, Role, Step};
use crate::author::site::NodeEntry;
use crate::author::source::Node;
use crate::executor::Executor;
use crate::facts::Facts;
use crate::words::{MasterName, NodeName};

/// Facts as a machine of each supported system would tell them: written by hand, with addresses and keys that no machine has.
const RECORDED: &str = include_str!("recorded-facts.json");

/// They, by system, read once.
static SYSTEMS_SEEN: LazyLock<BTreeMap<String, Arc<Facts>>> =
    LazyLock::new(|| recorded().into_iter().map(|(system, facts)| (system, Arc::new(facts))).collect());

/// Compiles every node with its last facts, or else with recorded facts of each supported system, and keeps only the faults.
///
/// Secrets need only be known by name ([`Secrets::seal`]).
pub fn lint(roles: &Roles, site: &Site, content: &SiteContent, facts: &KnownFacts, secrets: &Secrets, overrides: &[Override]) -> Faults {
    let mut faults = Faults::new();
    let recorded = &*SYSTEMS_SEEN;
    in_scope(roles, &mut faults);
    group_vars(roles, site, &mut faults);
    let names = names(site);
    let assumed: BTreeMap<&str, KnownFacts> =
        recorded.iter().map(|(system, recorded)| (system.as_str(), facts.assuming(Arc::clone(recorded)))).collect();
    // Whatever facts a node has, its masters are the same. What is wrong with them is told after the nodes.
    let masters = assumed.values().next().map_or_else(|| Ok(BTreeMap::new()), |facts| super::masters(roles, site, facts, secrets));
    let mut executors = ByMaster::new(masters.as_ref().unwrap_or(&BTreeMap::new()));
    for name in &names {
        let mut systems = suitable(roles, site, name, recorded);
        if facts.is_told(name) {
            // One that was met is of one system; the others' hardly matters to it.
            systems.truncate(1);
        }
        let mut found = OneNode::default();
        let mut own = None;
        for (system, facts) in systems.clone().into_iter().filter_map(|system| Some((system, assumed.get(system)?))) {
            match Context::new(&Input { roles, site, content, node: name, facts, secrets, overrides }) {
                Err(faults) => found.add(system, faults),
                Ok(context) => {
                    match compile_in(&context) {
                        Ok(compiled) => drop(own.get_or_insert(compiled.executors)),
                        Err(wrong) => found.add(system, wrong),
                    }
                    if !context.has_read_facts() {
                        // Of every other system it is the same.
                        systems.truncate(1);
                        break;
                    }
                }
            }
        }
        executors.add(site, name, &own.unwrap_or_default(), &mut faults);
        found.join(&systems, true, &mut faults);
    }
    for image in &site.images {
        one_image(&ImageLint { roles, site, content, facts, secrets, overrides }, image, recorded, &mut faults);
    }
    let (with_unused, unused) = prove::with_unused(roles, site);
    let proving = prove::Unused { roles, site: &with_unused, content, secrets, overrides };
    for (node, role) in &unused {
        let systems = suitable(roles, &with_unused, node, recorded);
        let mut found = OneNode::default();
        for system in &systems {
            if let (Some(facts), Some(own)) = (assumed.get(system), recorded.get(*system)) {
                found.add(system, proving.prove(node, role, facts, own));
            }
        }
        found.join(&systems, true, &mut faults);
    }
    if let Err(found) = masters {
        faults.merge(found);
    }
    let order = super::order(roles, site, facts, secrets, overrides);
    faults.merge(order.circles(&names.into_iter().collect()));
    faults.sort();
    faults
}

/// What an image is judged with.
struct ImageLint<'a> {
    roles: &'a Roles,
    site: &'a Site,
    content: &'a SiteContent,
    facts: &'a KnownFacts,
    secrets: &'a Secrets,
    overrides: &'a [Override],
}

/// Compiles an image on the system of its base, or on each that its roles allow.
fn one_image(with: &ImageLint<'_>, image: &Image, recorded: &BTreeMap<String, Arc<Facts>>, faults: &mut Faults) {
    let ImageLint { roles, site, content, facts, secrets, overrides } = *with;
    let own = image_roles(roles, site, image);
    let mut systems = allowed(&own, recorded);
    if let Some(system) = image_system(image, &site.images) {
        if !systems.contains(&system) {
            let message = format!("the base of {} is {system}, and its roles want {}", image.name.value, words(systems.iter().copied()));
            let wanted = own.iter().flat_map(|role| systems_wanted(role)).map(|(node, _)| &node.span);
            faults.push(wanted.fold(Fault::new(&image.base.span, message), |fault, span| fault.also(span, "wanted here")));
        }
        systems = vec![system];
    }
    let mut found = OneNode::default();
    for system in systems.clone() {
        let Some(tree) = recorded.get(system) else { continue };
        let facts = facts.assuming(Arc::clone(tree));
        let (wrong, reads) = judge(&ImageInput { roles, site, content, image, tree, facts: &facts, secrets, overrides });
        found.add(system, wrong);
        if !reads {
            systems.truncate(1);
            break;
        }
    }
    found.join(&systems, false, faults);
}

fn names(site: &Site) -> Vec<NodeName> {
    site.nodes.nodes.iter().filter_map(|node| NodeName::parse(&node.name.value).ok()).collect()
}

/// Checks every expression of every role: it can be read, and what it names is in scope. Roles whose names could not all be read are
/// left out, so that one fault does not bring others.
pub fn in_scope(roles: &Roles, faults: &mut Faults) {
    roles.iter().filter(|role| role.names_read).for_each(|role| super::names::check(role, roles, faults));
}

/// What may be assumed of all nodes to compile one that was never met: the system (`debian-12`), the first that its roles allow, and
/// everybody's facts.
#[must_use]
pub fn assumed(roles: &Roles, site: &Site, node: &NodeName, facts: &KnownFacts) -> Option<(String, KnownFacts)> {
    let system = *suitable(roles, site, node, &SYSTEMS_SEEN).first()?;
    Some((system.to_owned(), facts.assuming(Arc::clone(SYSTEMS_SEEN.get(system)?))))
}

/// The recorded systems that every `system` requirement of a node's roles allows; all of them where none is allowed.
fn suitable<'r>(roles: &Roles, site: &Site, node: &NodeName, recorded: &'r BTreeMap<String, Arc<Facts>>) -> Vec<&'r str> {
    allowed(&node_roles(roles, site, node.as_str()), recorded)
}

/// The `system` requirements of a role that hold wherever it is: their lists, and what stands in them.
fn systems_wanted(role: &Role) -> impl Iterator<Item = (&Node, Vec<&str>)> {
    fn listed(step: &Step) -> Option<&Node> {
        match &step.action {
            Action::Resource(body) => body.fields.list.iter().find(|field| field.spec.shape == SYSTEMS).map(|field| &field.value),
            Action::Steps(_) | Action::Together(_) => None,
        }
    }
    let always = role.require.iter().filter(|step| step.when.is_none() && step.each.is_none());
    always.filter_map(listed).filter_map(|node| {
        let items = node.as_list()?.iter().filter_map(|item| item.as_scalar().map(|scalar| scalar.text.as_str()));
        Some((node, items.collect()))
    })
}

/// The recorded systems that all of these roles allow; all of them where none is allowed.
fn allowed<'r>(roles: &[&Role], recorded: &'r BTreeMap<String, Arc<Facts>>) -> Vec<&'r str> {
    let wanted: Vec<Vec<&str>> = roles.iter().flat_map(|role| systems_wanted(role)).map(|(_, systems)| systems).collect();
    let suits = |(name, facts): &(&String, &Arc<Facts>)| {
        wanted.iter().all(|any_of| any_of.iter().any(|one| [name.as_str(), &facts.system.id, &facts.system.family].contains(one)))
    };
    let found: Vec<&str> = recorded.iter().filter(suits).map(|(name, _)| name.as_str()).collect();
    if found.is_empty() { recorded.keys().map(String::as_str).collect() } else { found }
}

/// A node's roles, needed ones included.
pub(super) fn node_roles<'r>(roles: &'r Roles, site: &'r Site, node: &str) -> Vec<&'r Role> {
    let Some(entry) = site.nodes.nodes.iter().find(|entry| entry.name.value == node) else { return Vec::new() };
    let groups = entry.groups.iter().filter_map(|name| site.nodes.groups.iter().find(|group| group.name.value == name.value));
    roles.ordered(groups.flat_map(|group| &group.roles).chain(&entry.roles).map(|name| name.value.as_str()))
}

/// A group sets no parameter of a role that none of its members has.
fn group_vars(roles: &Roles, site: &Site, faults: &mut Faults) {
    for group in &site.nodes.groups {
        let is_in = |entry: &NodeEntry| entry.groups.iter().any(|name| name.value == group.name.value);
        let members = site.nodes.nodes.iter().filter(|node| is_in(node));
        let images = site.images.iter().filter(|image| is_in(&entry(image, site)));
        let mut had: BTreeSet<&str> =
            roles.ordered(group.roles.iter().map(|name| name.value.as_str())).iter().map(|role| role.name.value.as_str()).collect();
        had.extend(members.flat_map(|node| node_roles(roles, site, &node.name.value)).map(|role| role.name.value.as_str()));
        had.extend(images.flat_map(|image| image_roles(roles, site, image)).map(|role| role.name.value.as_str()));
        for need in group.vars.iter().filter(|need| roles.get(&need.role.value).is_some() && !had.contains(need.role.value.as_str())) {
            let message = format!("no member of {} has the role `{}`", group.name.value, need.role.value);
            faults.push(Fault::new(&need.role.span, message).nearest(&need.role.value, had.iter().copied()));
        }
    }
}

/// Who has the executors of each master, by their names there.
struct ByMaster {
    /// One server may stand in the site under several names: the first of them.
    first: BTreeMap<MasterName, MasterName>,
    owners: BTreeMap<(MasterName, NodeName), (NodeName, MasterName)>,
}

impl ByMaster {
    fn new(masters: &BTreeMap<MasterName, Master>) -> Self {
        let mut first: BTreeMap<MasterName, MasterName> = BTreeMap::new();
        for (name, master) in masters {
            let earlier = masters.iter().take_while(|(other, _)| *other != name).filter(|(_, other)| other.is_one_with(master));
            let joined: BTreeSet<MasterName> = earlier.filter_map(|(other, _)| first.get(other).cloned()).collect();
            let of = joined.first().unwrap_or(name).clone();
            first.values_mut().filter(|known| joined.contains(known)).for_each(|known| known.clone_from(&of));
            first.insert(name.clone(), of);
        }
        Self { first, owners: BTreeMap::new() }
    }

    /// Adds a node's. A name is one executor on a master: what another node's is called may be neither registered nor proved.
    fn add(&mut self, site: &Site, node: &NodeName, executors: &[Executor], faults: &mut Faults) {
        let place = |node: &NodeName| site.nodes.nodes.iter().find(|entry| entry.name.value == node.as_str()).map(|entry| &entry.name.span);
        for executor in executors {
            let Executor { master, name, .. } = executor;
            let server = self.first.get(master).unwrap_or(master).clone();
            let (owner, there) = self.owners.entry((server, name.clone())).or_insert_with(|| (node.clone(), master.clone()));
            // Two of one node on one master are the node's own fault.
            let (true, Some(here), Some(other)) = (owner != node || there != master, place(node), place(owner)) else { continue };
            let on = if there == master { master.to_string() } else { format!("{there}, which is {master} too") };
            let fault = if owner == node {
                Fault::new(here, format!("two executors of {node} are called `{name}` on {on}"))
            } else {
                Fault::new(here, format!("the executors of {owner} and {node} are both called `{name}` on {on}")).also(other, "the other")
            };
            faults.push(fault.hint("give one of them another name; a node's own is the default"));
        }
    }
}

/// The faults of one node, and the systems that each was found for.
#[derive(Default)]
struct OneNode<'s> {
    faults: Faults,
    systems: BTreeMap<u64, Vec<&'s str>>,
}

impl<'s> OneNode<'s> {
    /// Adds what is wrong where the node is of a system.
    fn add(&mut self, system: &'s str, found: Faults) {
        for fault in found.iter() {
            self.systems.entry(fault.identity()).or_default().push(system);
        }
        self.faults.merge(found);
    }

    /// Adds the node's faults to those of all. What another node has too, is the same fault of one node more; an image is none.
    fn join(mut self, tried: &[&str], is_node: bool, all: &mut Faults) {
        for fault in self.faults.iter_mut() {
            let systems = self.systems.get(&fault.identity()).map(Vec::as_slice).unwrap_or_default();
            if systems.len() < tried.len() {
                fault.on.systems = systems.iter().map(|system| (*system).to_owned()).collect();
            }
            if let Some(known) = all.same(fault) {
                known.on.others += usize::from(is_node && fault.on.node.is_some());
                // On one node for one system, on another for all: then it is not the system's.
                if known.on.systems != fault.on.systems {
                    known.on.systems.clear();
                }
            }
        }
        all.merge(self.faults);
    }
}

/// Recorded facts by system, `debian-12`.
#[must_use]
pub fn recorded() -> BTreeMap<String, Facts> {
    #[expect(clippy::expect_used, reason = "the file is part of the program, and a test reads it")]
    serde_json::from_str(RECORDED).expect("recorded facts are facts")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_supported_system_has_recorded_facts() {
        let recorded = recorded();
        assert_eq!(
            recorded.keys().map(String::as_str).collect::<Vec<_>>(),
            ["debian-11", "debian-12", "debian-13", "ubuntu-22.04", "ubuntu-24.04"]
        );
        assert!(recorded.iter().all(|(name, facts)| *name == format!("{}-{}", facts.system.id, facts.system.version)));
        let suites: BTreeMap<&str, &str> = recorded.iter().map(|(name, facts)| (facts.system.codename.as_str(), name.as_str())).collect();
        assert_eq!(crate::author::image::SUITES.into_iter().collect::<BTreeMap<_, _>>(), suites);
    }
}
