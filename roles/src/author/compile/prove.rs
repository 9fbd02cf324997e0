//! A role without a node: proved with any values of its parameters' types, where nobody gives one yet.

use std::sync::Arc;

use super::context::Context;
use super::image::image_roles;
use super::left_out::Bears;
use super::{Input, KnownFacts, Secrets, Site, SiteContent};
use crate::author::diagnostic::{AppliesTo, Faults};
use crate::author::graph::Roles;
use crate::author::kinds::ScalarType;
use crate::author::layers::Override;
use crate::author::role::{Param, Role, Type};
use crate::author::site::NodeEntry;
use crate::author::source::{Spanned, Tree};
use crate::author::value::{Data, Marks, NodeView, SEALED, Value, literal, to_scalar};
use crate::facts::Facts;
use crate::words::NodeName;

/// One of two values that stand for any of a type: what is wrong with both is wrong with all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sample {
    One,
    Other,
}

/// What is wrong with a role that no node has, where a node is of a system.
pub(super) fn prove(role: &Role, input: &Input<'_>) -> Faults {
    let found = |sample: Sample| {
        let Ok(mut context) = Context::new(input) else { return Faults::new() };
        context.assume = Some(sample);
        context.every_parameter();
        for executor in &role.executors {
            let _read = context.fields(&executor.fields, &super::scope::RoleScope::new(&context, role));
        }
        let _checks = (context.checks(|role| &role.require, 1).len(), context.steps().len(), context.checks(|role| &role.verify, 1).len());
        context.take_faults()
    };
    let mut one = found(Sample::One);
    one.keep_those_of(&found(Sample::Other));
    for fault in one.iter_mut() {
        fault.on = AppliesTo::default();
    }
    one
}

/// The site with a node for each role of it that no node has, and those roles.
pub(super) fn with_unused<'r>(roles: &'r Roles, site: &Site) -> (Site, Vec<(NodeName, &'r Role)>) {
    let groups = site
        .nodes
        .groups
        .iter()
        .filter(|group| site.nodes.nodes.iter().any(|node| node.groups.iter().any(|name| name.value == group.name.value)));
    let listed = groups.flat_map(|group| &group.roles).chain(site.nodes.nodes.iter().flat_map(|node| &node.roles));
    let mut used: Vec<&str> = roles.ordered(listed.map(|name| name.value.as_str())).iter().map(|role| role.name.value.as_str()).collect();
    used.extend(site.images.iter().flat_map(|image| image_roles(roles, site, image)).map(|role| role.name.value.as_str()));
    let mut site = site.clone();
    let mut unused = Vec::new();
    for role in roles.iter().filter(|role| role.tree == Tree::Site && role.names_read && !used.contains(&role.name.value.as_str())) {
        let name = format!("any-{}", role.name.value);
        let Ok(node) = NodeName::parse(&name) else { continue };
        if site.nodes.nodes.iter().any(|entry| entry.name.value == name) {
            continue;
        }
        let place = |value: String| Spanned::new(value, role.name.span.clone());
        let roles = vec![place(role.name.value.clone())];
        site.nodes.nodes.push(NodeEntry { name: place(name), host: None, groups: Vec::new(), roles, vars: Vec::new(), ssh: None });
        unused.push((node, role));
    }
    (site, unused)
}

/// Everything that roles without a node are proved from.
pub(super) struct Unused<'a> {
    pub(super) roles: &'a Roles,
    pub(super) site: &'a Site,
    pub(super) content: &'a SiteContent,
    pub(super) secrets: &'a Secrets,
    pub(super) overrides: &'a [Override],
}

impl Unused<'_> {
    /// Proves a role where its node is of a system.
    pub(super) fn prove(&self, node: &NodeName, role: &Role, facts: &KnownFacts, system: &Arc<Facts>) -> Faults {
        let facts = facts.with(node, Arc::clone(system));
        let Self { roles, site, content, secrets, overrides } = *self;
        prove(role, &Input { roles, site, content, node, facts: &facts, secrets, overrides })
    }
}

impl Context<'_> {
    /// Keeps whose values were read, and that one which nobody gave yet was; says whether it was.
    pub(super) fn reads(&self, marks: &Marks) -> bool {
        self.bears(Bears::of(marks));
        if marks.assumed {
            self.assumed.set(true);
        }
        marks.assumed
    }

    /// Stands for a parameter that nobody gives.
    pub(super) fn assumed_value(&self, role: &Role, param: &Param) -> Value {
        let sample = self.assume.unwrap_or(Sample::One);
        let marks = Marks { assumed: true, ..Marks::default() };
        if param.optional && sample == Sample::One {
            return Value::none().marked(&marks);
        }
        self.any_of(&format!("{}-{}", role.name.value, param.name.value), param, &param.kind, sample).marked(&marks)
    }

    fn any_of(&self, name: &str, param: &Param, kind: &Type, sample: Sample) -> Value {
        let one = |sample: Sample| self.any_of(name, param, element(kind), sample).marked(&Marks { assumed: true, ..Marks::default() });
        match kind {
            Type::Scalar(kind) => self.any_scalar(name, param, *kind, sample),
            Type::List(_) if sample == Sample::One => Value::list(vec![one(Sample::One)]),
            Type::List(_) => Value::list(vec![one(Sample::One), one(Sample::Other)]),
            Type::Map(_) if sample == Sample::One => Value::map([("one", one(Sample::One))]),
            Type::Map(_) => Value::map([("another", one(Sample::One)), ("third", one(Sample::Other))]),
            Type::Record(fields) => Value::map(fields.iter().map(|field| {
                let name = format!("{name}-{}", field.name.value);
                let value = match (field.optional, sample) {
                    (true, Sample::One) => Value::none(),
                    _ => self.any_of(&name, field, &field.kind, sample),
                };
                (field.name.value.as_str(), value.marked(&Marks { assumed: true, ..Marks::default() }))
            })),
            Type::Microversions => Value::map([("min", Value::text("2.1")), ("max", Value::text("2.9"))]),
        }
    }

    fn any_scalar(&self, name: &str, param: &Param, kind: ScalarType, sample: Sample) -> Value {
        let bound = [&param.at_least, &param.at_most].into_iter().flatten().next();
        let chosen = if sample == Sample::One { param.choices.first() } else { param.choices.last() };
        if let Some(written) = chosen.or(bound) {
            return to_scalar(&literal(written), kind, Tree::Site).unwrap_or_else(|_| literal(written));
        }
        let (one, other) = match kind {
            ScalarType::Boolean => return Value::boolean(sample == Sample::One),
            ScalarType::Integer => return Value::integer(if sample == Sample::One { 1 } else { 2 }),
            ScalarType::Port => return Value::integer(if sample == Sample::One { 1024 } else { 2048 }),
            ScalarType::Secret => {
                return Value::text(SEALED).marked(&Marks { secrets: [name.into()].into(), ..Marks::default() });
            }
            ScalarType::Node => return self.any_node(sample),
            ScalarType::Path => (format!("/{name}"), format!("/{name}/other")),
            ScalarType::SitePath => (format!("files/{name}"), format!("files/{name}/other")),
            ScalarType::Host => ("192.0.2.1".to_owned(), "host.example".to_owned()),
            ScalarType::Url => ("https://one.example".to_owned(), "http://other.example:8080/x".to_owned()),
            ScalarType::Bytes => ("1 GiB".to_owned(), "3 MiB".to_owned()),
            ScalarType::Duration => ("1h".to_owned(), "5s".to_owned()),
            ScalarType::Percent => ("50%".to_owned(), "7%".to_owned()),
            ScalarType::Version => ("1.0".to_owned(), "12.3".to_owned()),
            ScalarType::Mode => ("0600".to_owned(), "0640".to_owned()),
            ScalarType::Digest => ("0".repeat(64), "1".repeat(64)),
            ScalarType::PublicKey => {
                (crate::author::value::SEALED_PUBLIC.to_owned(), format!("{} other", crate::author::value::SEALED_PUBLIC))
            }
            ScalarType::System => ("debian".to_owned(), "ubuntu".to_owned()),
            ScalarType::Master | ScalarType::Text | ScalarType::Name | ScalarType::Label => ("one".to_owned(), "other2".to_owned()),
        };
        let text = Value::text(if sample == Sample::One { one } else { other });
        to_scalar(&text, kind, Tree::Site).unwrap_or(text)
    }

    fn any_node(&self, sample: Sample) -> Value {
        let name = if sample == Sample::One { "one" } else { "other2" };
        let facts = self.input.facts.get(self.input.node).cloned();
        NodeName::parse(name)
            .map_or_else(|_| Value::none(), |name| Data::Node(Arc::new(NodeView { host: name.to_string(), name, facts })).into())
    }
}

/// The type of what stands in a list or map.
fn element(kind: &Type) -> &Type {
    if let Type::List(inner) | Type::Map(inner) = kind { inner } else { kind }
}
