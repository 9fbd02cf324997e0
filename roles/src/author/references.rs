//! Names across the files of a site: roles, parameters, groups, nodes and masters that are spoken of must be there.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use super::compile::Site;
use super::diagnostic::{Fault, Faults};
use super::graph::Roles;
use super::image::{Base, Image, Like};
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

/// Checks every name that an image says. `all` are the names of the site's images, those too that could not be read.
pub fn images(roles: &Roles, site: &Site, all: &[&str], faults: &mut Faults) {
    let check = Check { roles, site: &site.file, nodes: &site.nodes };
    for image in &site.images {
        check.listed(&image.roles, faults);
        check.vars(&image.vars, faults);
        check.like(image, faults);
        let known = || site.nodes.nodes.iter();
        if let Some(node) = known().find(|node| node.name.value == image.name.value) {
            let fault =
                Fault::new(&image.name.span, format!("`{}` is a node and an image", image.name.value)).also(&node.name.span, "the node");
            faults.push(
                fault.hint(format!(
                    "give the image a name of its own, `{0}-image`, and its file: `images/{0}-image.yaml`",
                    image.name.value
                )),
            );
        }
        if let Base::Image(of) = &image.base.value
            && !all.contains(&of.as_str())
        {
            faults.push(Fault::new(&image.base.span, format!("unknown image `{of}`")).nearest(of, all.iter().copied()));
        }
    }
    circles(&site.images, faults);
}

/// Images that stand on each other, each circle once.
fn circles(images: &[Image], faults: &mut Faults) {
    let mut told: BTreeSet<&str> = BTreeSet::new();
    for first in images {
        let mut path: Vec<&Image> = vec![first];
        while let Some(Base::Image(of)) = path.last().map(|last| &last.base.value) {
            if let Some(start) = path.iter().position(|image| image.name.value == *of) {
                let circle = &path[start..];
                let told_before = circle.iter().any(|image| told.contains(image.name.value.as_str()));
                told.extend(circle.iter().map(|image| image.name.value.as_str()));
                if let (false, [image, others @ ..]) = (told_before, circle) {
                    let names: Vec<&str> = circle.iter().chain([image]).map(|image| image.name.value.as_str()).collect();
                    let message = match others {
                        [] => format!("`{}` stands on itself", image.name.value),
                        _ => format!("images stand on each other: {}", names.join(" -> ")),
                    };
                    let fault = Fault::new(&image.base.span, message);
                    faults.push(others.iter().fold(fault, |fault, image| fault.also(&image.base.span, "and here")));
                }
                break;
            }
            let Some(next) = images.iter().find(|image| image.name.value == *of) else { break };
            path.push(next);
        }
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

    /// Whom an image is like.
    fn like(&self, image: &Image, faults: &mut Faults) {
        let nodes: Vec<&str> = self.nodes.nodes.iter().map(|node| node.name.value.as_str()).collect();
        let groups: Vec<&str> = self.nodes.groups.iter().map(|group| group.name.value.as_str()).collect();
        let (word, name, known, (other, others)) = match &image.like {
            None => return,
            Some(Like::Group(name)) => ("group", name, groups, ("node", nodes)),
            Some(Like::Node(name)) => ("node", name, nodes, ("group", groups)),
        };
        if !known.contains(&name.value.as_str()) {
            let fault = Fault::new(&name.span, format!("unknown {word} `{}`", name.value));
            faults.push(if others.contains(&name.value.as_str()) {
                fault.hint(format!("it is a {other}: write `like: {{{other}: {}}}`", name.value))
            } else {
                fault.nearest(&name.value, known)
            });
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
