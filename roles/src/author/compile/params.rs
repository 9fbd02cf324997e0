//! Parameters of a node's roles: what was given by layer, which wins, and its value.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::Input;
use super::context::{Context, Read, Reported};
use super::scope::{RoleScope, SiteScope};
use crate::author::diagnostic::{Fault, Faults};
use crate::author::kinds::ScalarType;
use crate::author::layers::Layer;
use crate::author::role::{Need, Param, Role, Type};
use crate::author::site::{Group, NodeEntry};
use crate::author::source::{Node, Span};
use crate::author::value::{Data, Mismatch, Value, admits, limits, to_param};

/// One value given for a parameter.
#[derive(Clone, Copy)]
pub(super) struct Given<'a> {
    /// From which layer.
    pub(super) layer: Layer,
    /// The value as written.
    pub(super) node: &'a Node,
    /// The role that passes it, for the layer *role*.
    by: Option<&'a Role>,
}

/// How far a parameter is.
enum State {
    Open,
    Done(Read<Value>),
}

type Key<'a> = (&'a str, &'a str);

/// All that was given, and values as they are found.
#[derive(Default)]
pub(super) struct Params<'a> {
    given: BTreeMap<Key<'a>, Vec<Given<'a>>>,
    states: RefCell<BTreeMap<Key<'a>, State>>,
    /// Parameters being evaluated, outermost first.
    open: RefCell<Vec<(&'a Role, &'a Param)>>,
}

impl<'a> Params<'a> {
    /// Gathers what every layer gives to the node's roles.
    pub(super) fn new(input: &Input<'a>, entry: &'a NodeEntry, groups: &[&'a Group], roles: &[&'a Role], faults: &mut Faults) -> Self {
        let mut given: BTreeMap<Key<'a>, Vec<Given<'a>>> = BTreeMap::new();
        let has = |name: &str| roles.iter().any(|role| role.name.value == name);
        let mut add = |layer: Layer, by: Option<&'a Role>, needs: &'a [Need]| {
            for need in needs {
                for setting in need.values.iter().filter(|_| has(&need.role.value)) {
                    let key = (need.role.value.as_str(), setting.name.value.as_str());
                    given.entry(key).or_default().push(Given { layer, node: &setting.value, by });
                }
            }
        };
        for role in roles {
            add(Layer::Role, Some(role), &role.needs);
        }
        add(Layer::Site, None, &input.site.file.vars);
        for group in groups {
            add(Layer::Group, None, &group.vars);
        }
        add(Layer::Node, None, &entry.vars);
        for need in entry.vars.iter().filter(|need| !has(&need.role.value)) {
            faults.push(
                Fault::new(&need.role.span, format!("{} does not have the role `{}`", entry.name.value, need.role.value))
                    .nearest(&need.role.value, roles.iter().map(|role| role.name.value.as_str())),
            );
        }
        for given_here in input.overrides {
            if let Some(fault) = given_here.unknown(input.roles) {
                faults.push(fault);
            } else if has(&given_here.role) {
                let key = (given_here.role.as_str(), given_here.param.as_str());
                given.entry(key).or_default().push(Given { layer: Layer::CommandLine, node: &given_here.value, by: None });
            }
        }
        Self { given, states: RefCell::default(), open: RefCell::default() }
    }

    /// What was given for a parameter, weakest layer first; its default not among it.
    pub(super) fn given(&self, role: &'a str, param: &'a str) -> &[Given<'a>] {
        self.given.get(&(role, param)).map(Vec::as_slice).unwrap_or_default()
    }
}

impl<'a> Context<'a> {
    /// The value of a parameter of a role of this node.
    pub(super) fn param(&self, role: &'a Role, name: &str) -> Read<Value> {
        let Some(param) = role.param(name) else { return Err(Reported) };
        let key = (role.name.value.as_str(), param.name.value.as_str());
        match self.params.states.borrow().get(&key) {
            Some(State::Done(value)) => return value.clone(),
            Some(State::Open) => return Err(self.cycle(role, param)),
            None => {}
        }
        self.params.states.borrow_mut().insert(key, State::Open);
        self.params.open.borrow_mut().push((role, param));
        let value = self.resolve(role, param);
        self.params.open.borrow_mut().pop();
        self.params.states.borrow_mut().insert(key, State::Done(value.clone()));
        value
    }

    /// The parameters that wait for each other.
    fn cycle(&self, role: &Role, param: &Param) -> Reported {
        let open = self.params.open.borrow();
        let same = |(other, one): &&(&Role, &Param)| other.name.value == role.name.value && one.name.value == param.name.value;
        let start = open.iter().position(|one| same(&one)).unwrap_or(0);
        let round: Vec<String> =
            open[start..].iter().chain(open.get(start)).map(|(role, param)| format!("{}.{}", role.name.value, param.name.value)).collect();
        let fault = Fault::new(&param.name.span, format!("parameters wait for each other: {}", round.join(" -> ")));
        let others = open[start..].iter().skip(1);
        self.fault(others.fold(fault, |fault, (_, param)| fault.also(&param.name.span, "and this one")))
    }

    /// The strongest layer's value, with the parameter's type.
    fn resolve(&self, role: &'a Role, param: &'a Param) -> Read<Value> {
        let given = self.params.given(&role.name.value, &param.name.value);
        let Some(layer) = given.iter().map(|one| one.layer).max() else {
            return match &param.default {
                Some(default) => self.naming(default, || self.typed(self.value(default, &RoleScope::new(self, role))?, default, param)),
                None if self.assume.is_some() => Ok(self.assumed_value(role, param)),
                None if param.optional => Ok(Value::none()),
                None => Err(self.not_given(role, param)),
            };
        };
        let mut found: Option<(Value, &Given<'_>)> = None;
        for one in given.iter().filter(|one| one.layer == layer) {
            let value = self.naming(one.node, || {
                let value = match one.by {
                    Some(by) => self.value(one.node, &RoleScope::new(self, by)),
                    None => {
                        self.names_in(one.node);
                        self.value(one.node, &SiteScope(self))
                    }
                }?;
                self.typed(value, one.node, param)
            })?;
            match &found {
                Some((first, place)) if *first != value => return Err(self.conflict(role, param, place, one)),
                Some(_) => {}
                None => found = Some((value, one)),
            }
        }
        found.map(|(value, _)| value).ok_or(Reported)
    }

    /// Two values of one layer that differ.
    fn conflict(&self, role: &Role, param: &Param, first: &Given<'_>, second: &Given<'_>) -> Reported {
        let what = format!("{}.{}", role.name.value, param.name.value);
        let (message, hint) = match first.layer {
            Layer::Group => (
                format!("two groups of this node set {what} differently"),
                format!("decide in the node's `vars`: `{}: {{{}: …}}`", role.name.value, param.name.value),
            ),
            Layer::CommandLine => (format!("{what} is given twice, with different values"), "leave one out".to_owned()),
            Layer::Default | Layer::Role | Layer::Site | Layer::Node => (
                format!("two roles of this node give {what} different values"),
                format!("decide in `vars` of the site, a group or the node: `{}: {{{}: …}}`", role.name.value, param.name.value),
            ),
        };
        let fault = Fault::new(&second.node.span, message).also(&first.node.span, "the other value").hint(hint);
        self.fault(if first.layer == Layer::CommandLine { fault } else { fault.on_node(self.called()) })
    }

    /// A parameter that must be given, and is not.
    fn not_given(&self, role: &'a Role, param: &Param) -> Reported {
        let hint = format!("set it in `vars`: `{}: {{{}: …}}`", role.name.value, param.name.value);
        let message = format!("nothing gives {} its `{}`", role.name.value, param.name.value);
        let place = self.listed_at(role);
        let fault = Fault::new(place, message).expected(expected(&param.kind)).also(&param.name.span, "the parameter").hint(hint);
        self.fault(fault.on_node(self.called()))
    }

    /// Where the role came to this node: its place in a list of roles, or in the `needs` of another.
    fn listed_at(&self, role: &'a Role) -> &'a Span {
        let listed = self.groups.iter().flat_map(|group| &group.roles).chain(self.entry.into_iter().flat_map(|entry| &entry.roles));
        let needed = self.roles.iter().flat_map(|role| &role.needs).map(|need| &need.role);
        let mut places = listed.chain(needed).filter(|name| name.value == role.name.value);
        places.next().map_or(&role.name.span, |name| &name.span)
    }

    /// A value as one of the parameter, or the fault that shows where both were written.
    fn typed(&self, value: Value, node: &Node, param: &Param) -> Read<Value> {
        let (tree, marks) = (node.span.source().tree(), value.all_marks());
        // First whether a secret may stand here at all: no word of it is looked up, nor shown as unknown.
        let checked = admits(&value, param)
            .and_then(|()| self.references(value, &param.kind))
            .and_then(|value| to_param(&value, param, tree))
            .and_then(|value| limits(&value, param).map(|()| value));
        if let Ok(value) = &checked {
            self.hold(value.size(), &node.span)?;
        }
        checked.map_err(|mismatch| {
            if marks.assumed && !mismatch.is_of_type() {
                // Another value of the same type may be right.
                return Reported;
            }
            let mut fault = Fault::new(&node.span, mismatch.to_string());
            fault.expected = mismatch.expected().map(str::to_owned);
            self.fault(fault.also(&param.name.span, "the parameter"))
        })
    }

    /// Texts that name machines and masters: the machine itself, and masters that are there.
    fn references(&self, value: Value, kind: &Type) -> Result<Value, Mismatch> {
        let each = |value: Value, kind: &Type| match value.data {
            Data::List(items) => {
                let items = items.iter().map(|item| self.references(item.clone(), kind)).collect::<Result<_, _>>()?;
                Ok(Value { data: Data::List(items), marks: value.marks })
            }
            Data::Map(entries) => {
                let read = entries.iter().map(|(key, item)| Ok((key.clone(), self.references(item.clone(), kind)?)));
                Ok(Value { data: Data::Map(read.collect::<Result<_, Mismatch>>()?), marks: value.marks })
            }
            data => Ok(Value { data, marks: value.marks }),
        };
        let unknown =
            |what: &str, name: &str| Mismatch::Text { why: format!("there is no {what} `{name}`"), expected: format!("a {what}") };
        match (kind, &value.data) {
            // Refused where its type is judged.
            (Type::Scalar(_), Data::Text(_)) if value.marks.is_secret() => Ok(value),
            (Type::Scalar(ScalarType::Node), Data::Text(name)) => {
                self.names_node(name);
                self.view(name).ok_or_else(|| unknown("node", name))
            }
            (Type::Scalar(ScalarType::Master), Data::Text(name)) => {
                let known = self.input.site.file.masters.iter().any(|master| master.name.value == **name);
                self.names_master(name);
                if known { Ok(value) } else { Err(unknown("master", name)) }
            }
            (Type::Scalar(_) | Type::Microversions, _) => Ok(value),
            (Type::List(element) | Type::Map(element), _) => each(value, element),
            (Type::Record(fields), Data::Map(entries)) => {
                let read = entries.iter().map(|(key, item)| {
                    let field = fields.iter().find(|field| field.name.value == **key);
                    let item = item.clone();
                    Ok((key.clone(), field.map_or_else(|| Ok(item.clone()), |field| self.references(item.clone(), &field.kind))?))
                });
                Ok(Value { data: Data::Map(read.collect::<Result<_, Mismatch>>()?), marks: value.marks.clone() })
            }
            (Type::Record(_), _) => Ok(value),
        }
    }
}

/// A type for "expected".
pub(super) fn expected(kind: &Type) -> String {
    match kind {
        Type::Scalar(scalar) => scalar.expected().to_owned(),
        Type::Microversions => "a range, `{min: \"2.1\", max: \"2.96\"}`".to_owned(),
        Type::List(_) => "a list".to_owned(),
        Type::Map(_) | Type::Record(_) => "a map".to_owned(),
    }
}
