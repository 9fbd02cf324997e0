//! All roles a site can use, and their graph: who needs whom, with which parameters.

use std::collections::{BTreeMap, BTreeSet};

use super::diagnostic::{Fault, Faults};
use super::literal::{check_value, words};
use super::role::{Need, Param, Role};
use super::source::Tree;

/// The roles of the library and the site, by name.
#[derive(Clone, Debug, Default)]
pub struct Roles {
    by_name: BTreeMap<String, Role>,
}

impl Roles {
    /// Joins the library's roles and the site's, and checks their graph.
    pub fn new(roles: impl IntoIterator<Item = Role>, faults: &mut Faults) -> Self {
        let mut all = Self::default();
        let mut roles: Vec<Role> = roles.into_iter().collect();
        roles.sort_by_key(|role| role.tree != Tree::Library);
        for role in roles {
            all.add(role, faults);
        }
        for role in all.iter() {
            for need in &role.needs {
                all.check_need(need, faults);
            }
        }
        all.check_cycles(faults);
        all
    }

    /// Adds one; a site's role hides the library's only if it says so.
    fn add(&mut self, role: Role, faults: &mut Faults) {
        match (self.by_name.get(&role.name.value), &role.replaces_library) {
            (Some(first), None) if first.tree != role.tree => faults.push(
                Fault::new(&role.name.span, format!("the library has a role `{}`", role.name.value))
                    .hint("to hide it, add `replaces: library`; otherwise choose another name")
                    .also(&first.name.span, "the library's"),
            ),
            (Some(first), _) if first.tree == role.tree => {
                faults
                    .push(Fault::new(&role.name.span, format!("a second role `{}`", role.name.value)).also(&first.name.span, "the first"));
            }
            (None, Some(span)) => {
                let library = self.by_name.values().filter(|role| role.tree == Tree::Library).map(|role| role.name.value.as_str());
                faults.push(
                    Fault::new(span, format!("the library has no role `{}`", role.name.value))
                        .nearest(&role.name.value, library)
                        .hint("leave `replaces` out"),
                );
            }
            (Some(_), _) | (None, None) => {}
        }
        self.by_name.insert(role.name.value.clone(), role);
    }

    /// The role of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Role> {
        self.by_name.get(name)
    }

    /// All, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Role> {
        self.by_name.values()
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }

    /// The roles that were not read whole, and those that need one of them. Of those whose names, or the names of what they need, are not all
    /// known, nothing more is judged.
    pub(super) fn doubt(&mut self) -> BTreeSet<String> {
        let mut doubtful = BTreeSet::new();
        loop {
            let (mut more, mut unread) = (Vec::new(), Vec::new());
            for role in self.iter() {
                let needed = || role.needs.iter().map(|need| &need.role.value);
                let name = &role.name.value;
                if !doubtful.contains(name) && (!role.whole || needed().any(|need| doubtful.contains(need) || self.get(need).is_none())) {
                    more.push(name.clone());
                }
                if role.names_read && needed().any(|need| self.get(need).is_none_or(|needed| !needed.names_read)) {
                    unread.push(name.clone());
                }
            }
            if more.is_empty() && unread.is_empty() {
                return doubtful;
            }
            for name in unread {
                self.by_name.entry(name).and_modify(|role| role.names_read = false);
            }
            doubtful.extend(more);
        }
    }

    /// The listed roles and all they need, each once, needed ones first: the order on a node. Unknown names are left out.
    #[must_use]
    pub fn ordered<'a>(&'a self, listed: impl IntoIterator<Item = &'a str>) -> Vec<&'a Role> {
        let mut order: Vec<&Role> = Vec::new();
        let mut open = Vec::new();
        for name in listed {
            self.visit(name, &mut open, &mut order);
        }
        order
    }

    /// Puts a role behind what it needs. A cycle, which is a fault of its own, is cut.
    fn visit<'a>(&'a self, name: &'a str, open: &mut Vec<&'a str>, order: &mut Vec<&'a Role>) {
        let Some(role) = self.get(name) else { return };
        if open.contains(&name) || order.iter().any(|done| done.name.value == name) {
            return;
        }
        open.push(name);
        for need in &role.needs {
            self.visit(&need.role.value, open, order);
        }
        open.pop();
        order.push(role);
    }

    /// A role named with values for its parameters, in `needs` or `vars`: both exist, and literals have the parameter's type.
    pub(super) fn check_need(&self, need: &Need, faults: &mut Faults) {
        let Some(role) = self.get(&need.role.value) else {
            faults.push(Fault::new(&need.role.span, format!("unknown role `{}`", need.role.value)).nearest(&need.role.value, self.names()));
            return;
        };
        for setting in &need.values {
            let known = || role.params.iter().map(|param| param.name.value.as_str());
            let name = &setting.name;
            match role.param(&name.value) {
                Some(param) => check_setting(param, &setting.value, faults),
                None => faults.push(
                    Fault::new(&name.span, format!("`{}` has no parameter `{}`", need.role.value, name.value))
                        .expected(if role.params.is_empty() { "no parameter: it has none".to_owned() } else { words(known()) })
                        .nearest(&name.value, known()),
                ),
            }
        }
    }

    /// Every cycle once, shown at each of its `needs`.
    fn check_cycles(&self, faults: &mut Faults) {
        let mut done = BTreeSet::new();
        for name in self.names() {
            self.follow(name, &mut Vec::new(), &mut done, faults);
        }
    }

    /// Follows the needs of a role; `path` is how it was reached.
    fn follow<'a>(&'a self, name: &'a str, path: &mut Vec<(&'a str, &'a Need)>, done: &mut BTreeSet<&'a str>, faults: &mut Faults) {
        if done.contains(name) {
            return;
        }
        for need in self.get(name).map(|role| role.needs.as_slice()).unwrap_or_default() {
            let target = need.role.value.as_str();
            // Where the path left the target, unless it never was there.
            let start = path.iter().position(|(owner, _)| *owner == target).or_else(|| (target == name).then_some(path.len()));
            path.push((name, need));
            match start {
                Some(start) => faults.push(cycle(need, &path[start..path.len() - 1], target)),
                None => self.follow(target, path, done, faults),
            }
            path.pop();
        }
        done.insert(name);
    }
}

/// The fault of a cycle: the step that closes it, and the others.
fn cycle(last: &Need, others: &[(&str, &Need)], start: &str) -> Fault {
    let names: Vec<&str> = std::iter::once(start).chain(others.iter().map(|(_, step)| step.role.value.as_str())).chain([start]).collect();
    let fault = Fault::new(&last.role.span, format!("roles need each other: {}", names.join(" -> ")));
    others.iter().fold(fault, |fault, (_, step)| fault.also(&step.role.span, "and here"))
}

/// A literal against the parameter's type; the fault shows where both were written.
fn check_setting(param: &Param, value: &super::source::Node, faults: &mut Faults) {
    let mut found = Faults::new();
    check_value(value, param, &mut found);
    faults.extend(found.into_iter().map(|fault| fault.also(&param.name.span, "the parameter")));
}
