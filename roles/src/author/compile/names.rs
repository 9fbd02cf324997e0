//! Names in scope, proved without values: also where no node of the site comes by.

use super::scope::{EVERYWHERE, names, no_parameter, not_in_scope, spelled};
use crate::author::diagnostic::{Fault, Faults};
use crate::author::expr::{self, ExprFault, Segment, Unknown};
use crate::author::graph::Roles;
use crate::author::kinds::Shape;
use crate::author::role::{Action, Expression, Fields, Role, Step};
use crate::author::source::{Node, NodeKind};

/// Checks every expression of a role: it can be read, and what it names is there.
pub(super) fn check(role: &Role, roles: &Roles, faults: &mut Faults) {
    let mut check = Check { role, roles, known: names(role), loops: Vec::new(), faults };
    for param in &role.params {
        param.default.iter().for_each(|default| check.node(default));
    }
    for setting in role.needs.iter().flat_map(|need| &need.values) {
        check.node(&setting.value);
    }
    for steps in [&role.require, &role.steps, &role.verify, &role.smoke] {
        steps.iter().for_each(|step| check.step(step));
    }
    for executor in &role.executors {
        check.fields(&executor.fields);
    }
    role.labels.iter().for_each(|label| check.node(label));
}

struct Check<'c> {
    role: &'c Role,
    roles: &'c Roles,
    /// The names that the role sees everywhere.
    known: Vec<String>,
    /// Names of `each`, outermost first.
    loops: Vec<String>,
    faults: &'c mut Faults,
}

impl Check<'_> {
    fn step(&mut self, step: &Step) {
        if let Some(each) = &step.each {
            self.bare(&each.over);
            self.loops.push(each.name.value.clone());
        }
        step.when.iter().for_each(|when| self.bare(when));
        step.within.iter().for_each(|within| self.node(within));
        match &step.action {
            Action::Resource(body) => self.fields(&body.fields),
            Action::Steps(steps) | Action::Together(steps) => steps.iter().for_each(|step| self.step(step)),
        }
        if step.each.is_some() {
            self.loops.pop();
        }
    }

    fn fields(&mut self, fields: &Fields) {
        for field in &fields.list {
            match (&field.spec.shape, field.value.as_scalar()) {
                (Shape::Expression, Some(scalar)) => self.expression(&scalar.text, &field.value, 0),
                _ => self.node(&field.value),
            }
        }
    }

    fn bare(&mut self, expression: &Expression) {
        self.expression(&expression.text, &expression.node, expression.offset);
    }

    fn node(&mut self, node: &Node) {
        match &node.kind {
            NodeKind::List(items) => items.iter().for_each(|item| self.node(item)),
            NodeKind::Map(entries) => entries.iter().for_each(|entry| self.node(&entry.value)),
            NodeKind::Scalar(scalar) if scalar.has_expression() => match expr::segments(&scalar.text) {
                Ok(segments) => {
                    for segment in segments {
                        if let Segment::Expression(range) = segment {
                            self.expression(&scalar.text[range.clone()], node, range.start);
                        }
                    }
                }
                Err(fault) => self.fault(node, 0, fault),
            },
            NodeKind::Scalar(_) => {}
        }
    }

    fn fault(&mut self, node: &Node, offset: usize, fault: ExprFault) {
        let span = node.part(offset + fault.range.start..offset + fault.range.end.max(fault.range.start + 1));
        self.faults.push(fault.at(&span));
    }

    fn expression(&mut self, text: &str, node: &Node, offset: usize) {
        let expr = match expr::parse(text) {
            Ok(expr) => expr,
            Err(fault) => return self.fault(node, offset, fault),
        };
        for (name, field, range) in expr::roots(&expr) {
            let Err(Unknown::Undefined { message, nearest, hint }) = self.name(&name, field.as_deref()) else { continue };
            let span = node.part(offset + range.start..offset + range.end);
            // The same place as when it is evaluated: a name alone, a parameter with its role.
            let span = if self.is_known(&name) { span } else { node.part(offset + range.start..offset + range.start + name.len()) };
            let mut fault = Fault::new(&span, message);
            fault.nearest = nearest;
            fault.hint = hint;
            self.faults.push(fault);
        }
    }

    fn is_known(&self, name: &str) -> bool {
        self.loops.iter().chain(&self.known).any(|known| known == name)
    }

    fn name(&self, name: &str, field: Option<&str>) -> Result<(), Unknown> {
        let own = self.role.param(name).is_some() || self.role.by_system.iter().any(|word| word.name.value == name);
        if own || self.loops.iter().any(|known| known == name) || EVERYWHERE.contains(&name) {
            return Ok(());
        }
        let need = self.role.needs.iter().find(|need| spelled(&need.role.value) == name);
        match (need.map(|need| self.roles.get(&need.role.value)), field) {
            (Some(Some(needed)), Some(field)) if needed.names_read && needed.param(field).is_none() => Err(no_parameter(needed, field)),
            (Some(_), _) => Ok(()),
            (None, _) => {
                let loops: Vec<&str> = self.loops.iter().map(String::as_str).collect();
                Err(not_in_scope(name, self.role, &loops, self.roles))
            }
        }
    }
}
