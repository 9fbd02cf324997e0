//! Names across the files of a site: roles, parameters, groups, nodes and masters that are spoken of must be there.

use std::net::Ipv4Addr;

use super::diagnostic::{Fault, Faults};
use super::graph::Roles;
use super::kinds::ScalarType;
use super::role::{Fields, Name, Need, Type};
use super::site::{NodesFile, SiteFile};
use super::source::Node;

/// Checks every name that needs no value to be known.
pub fn check(roles: &Roles, site: &SiteFile, nodes: &NodesFile, faults: &mut Faults) {
    let check = Check { roles, site, nodes };
    check.vars(&site.vars, faults);
    check.ssh(site.ssh.as_ref(), faults);
    for group in &nodes.groups {
        check.listed(&group.roles, faults);
        check.vars(&group.vars, faults);
        check.ssh(group.ssh.as_ref(), faults);
    }
    for node in &nodes.nodes {
        check.listed(&node.roles, faults);
        check.vars(&node.vars, faults);
    }
    for role in roles.iter() {
        for need in &role.needs {
            check.values(need, faults);
        }
        for executor in &role.executors {
            check.reference(executor.fields.get("master"), ScalarType::Master, faults);
        }
    }
    for entry in site.lab.as_ref().and_then(|lab| lab.get("nodes")).and_then(Node::as_map).unwrap_or_default() {
        check.lab(&entry.key, faults);
    }
    for master in &site.masters {
        check.reference(master.fields.get("node"), ScalarType::Node, faults);
    }
}

/// What there is.
struct Check<'a> {
    roles: &'a Roles,
    site: &'a SiteFile,
    nodes: &'a NodesFile,
}

impl Check<'_> {
    /// The roles of a group or node.
    fn listed(&self, names: &[Name], faults: &mut Faults) {
        for name in names.iter().filter(|name| self.roles.get(&name.value).is_none()) {
            faults.push(Fault::new(&name.span, format!("unknown role `{}`", name.value)).nearest(&name.value, self.roles.names()));
        }
    }

    /// `vars`.
    fn vars(&self, vars: &[Need], faults: &mut Faults) {
        for need in vars {
            self.roles.check_need(need, faults);
            self.values(need, faults);
        }
    }

    /// Values for parameters that name a node or a master.
    fn values(&self, need: &Need, faults: &mut Faults) {
        let Some(role) = self.roles.get(&need.role.value) else { return };
        for setting in &need.values {
            if let Some(Type::Scalar(kind)) = role.param(&setting.name.value).map(|param| &param.kind) {
                self.reference(Some(&setting.value), *kind, faults);
            }
        }
    }

    /// `ssh.jump` of the site or a group.
    fn ssh(&self, ssh: Option<&Fields>, faults: &mut Faults) {
        let jump = ssh.and_then(|ssh| ssh.get("jump")).filter(|node| node.as_scalar().is_some_and(|scalar| scalar.text != "none"));
        self.reference(jump, ScalarType::Node, faults);
    }

    /// A node of the lab is a node of the inventory, with an address of its own.
    fn lab(&self, name: &Name, faults: &mut Faults) {
        let known = || self.nodes.nodes.iter().map(|node| node.name.value.as_str());
        match self.nodes.nodes.iter().find(|node| node.name.value == name.value) {
            None => faults.push(Fault::new(&name.span, format!("unknown node `{}`", name.value)).nearest(&name.value, known())),
            Some(node) if node.host.as_ref().is_some_and(|host| host.value.parse::<Ipv4Addr>().is_ok()) => {}
            Some(node) => {
                let span = node.host.as_ref().map_or(&node.name.span, |host| &host.span);
                faults.push(
                    Fault::new(span, format!("`{}` is a node of the lab and has no address", name.value))
                        .expected("`host: ADDRESS`, an IPv4 address of the lab's network")
                        .also(&name.span, "in the lab"),
                );
            }
        }
    }

    /// A literal of type `node` or `master`.
    fn reference(&self, value: Option<&Node>, kind: ScalarType, faults: &mut Faults) {
        let Some(value) = value else { return };
        let Some(name) = value.as_scalar().filter(|scalar| !scalar.has_expression()).map(|scalar| scalar.text.as_str()) else { return };
        let (what, known): (&str, Vec<&str>) = match kind {
            ScalarType::Node => ("node", self.nodes.nodes.iter().map(|node| node.name.value.as_str()).collect()),
            ScalarType::Master => ("master", self.site.masters.iter().map(|master| master.name.value.as_str()).collect()),
            _ => return,
        };
        if !known.contains(&name) {
            faults.push(Fault::new(&value.span, format!("unknown {what} `{name}`")).nearest(name, known));
        }
    }
}
