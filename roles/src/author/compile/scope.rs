//! What a role sees, and what a variable sees.

use super::context::{Context, Reported};
use crate::author::diagnostic::nearest;
use crate::author::expr::{Missing, Scope, Unknown};
use crate::author::role::{Role, SystemWord};
use crate::author::site::NodeEntry;
use crate::author::value::{Data, Marks, SEALED, Value, literal, pair};
use crate::facts::System;

/// A role's names: its parameters, words, loop names, `facts`, `node`, and the parameters of the roles it needs directly.
#[derive(Clone)]
pub(super) struct RoleScope<'c, 'a> {
    pub(super) context: &'c Context<'a>,
    pub(super) role: &'a Role,
    /// Names of `each`, outermost first.
    pub(super) loops: Vec<(String, Value)>,
}

/// The names that every role sees.
pub(super) const EVERYWHERE: [&str; 2] = ["facts", "node"];

/// A role's name as expressions write it.
pub(super) fn spelled(role: &str) -> String {
    role.replace('-', "_")
}

impl<'c, 'a> RoleScope<'c, 'a> {
    pub(super) fn new(context: &'c Context<'a>, role: &'a Role) -> Self {
        Self { context, role, loops: Vec::new() }
    }

    /// The same with one more loop name.
    pub(super) fn with(&self, name: &str, value: Value) -> Self {
        let mut inner = self.clone();
        inner.loops.push((name.to_owned(), value));
        inner
    }

    /// The needed role that a name stands for.
    fn needed(&self, name: &str) -> Option<&'a Role> {
        let need = self.role.needs.iter().find(|need| spelled(&need.role.value) == name)?;
        self.context.role(&need.role.value)
    }

    fn param(&self, role: &'a Role, name: &str) -> Result<Value, Unknown> {
        self.context.param(role, name).map_err(|Reported| Unknown::Reported)
    }
}

/// Every name in scope of a role, loops left out.
pub(super) fn names(role: &Role) -> Vec<String> {
    let own = role.params.iter().map(|param| param.name.value.clone());
    let words = role.by_system.iter().map(|word| word.name.value.clone());
    let needs = role.needs.iter().map(|need| spelled(&need.role.value));
    own.chain(words).chain(needs).chain(EVERYWHERE.map(str::to_owned)).collect()
}

/// Why a name is not in a role's scope.
pub(super) fn not_in_scope(name: &str, role: &Role, loops: &[&str], roles: &crate::author::graph::Roles) -> Unknown {
    let known = names(role);
    let this = &role.name.value;
    let hint = match name {
        "site" | "secret" | "nodes" | "groups" => {
            Some("a role sees nothing of the site: give it a parameter, and set that in `vars`".to_owned())
        }
        _ => roles.names().find(|other| spelled(other) == name).map(|other| {
            if other == this {
                "a role's own parameters stand without its name".to_owned()
            } else {
                format!("{this} does not need {other} itself; add `- {other}: {{}}` to its needs")
            }
        }),
    };
    let near = nearest(name, known.iter().map(String::as_str).chain(loops.iter().copied())).map(str::to_owned);
    Unknown::Undefined { message: format!("`{name}` is not in scope"), nearest: if hint.is_some() { None } else { near }, hint }
}

/// Why a role has no such parameter.
pub(super) fn no_parameter(role: &Role, name: &str) -> Unknown {
    let known = role.params.iter().map(|param| param.name.value.as_str());
    Unknown::Undefined {
        message: format!("{} has no parameter `{name}`", role.name.value),
        nearest: nearest(name, known).map(str::to_owned),
        hint: None,
    }
}

/// The entry of a word for a system: `ID-VERSION`, `ID`, family; the most specific wins.
fn word(word: &SystemWord, system: &System, role: &str) -> Result<Value, Unknown> {
    let full = format!("{}-{}", system.id, system.version);
    let found =
        [full.as_str(), &system.id, &system.family].into_iter().find_map(|wanted| word.entries.iter().find(|(key, _)| key.value == wanted));
    found.map(|(_, node)| literal(node)).ok_or_else(|| {
        Unknown::Missing(Missing {
            role: role.to_owned(),
            word: word.name.value.clone(),
            system: if system.version.is_empty() { system.id.clone() } else { full.clone() },
        })
    })
}

impl Scope for RoleScope<'_, '_> {
    fn get(&self, name: &str) -> Result<Value, Unknown> {
        if let Some((_, value)) = self.loops.iter().rev().find(|(known, _)| known == name) {
            return Ok(value.clone());
        }
        if self.role.param(name).is_some() {
            return self.param(self.role, name);
        }
        if let Some(found) = self.role.by_system.iter().find(|word| word.name.value == name) {
            let Some(facts) = self.context.raw_facts() else { return Err(Unknown::Reported) };
            return word(found, &facts.system, &self.role.name.value);
        }
        if let Some(needed) = self.needed(name) {
            let values = needed.params.iter().map(|param| Ok((param.name.value.as_str(), self.param(needed, &param.name.value)?)));
            return Ok(Value::map(values.collect::<Result<Vec<_>, Unknown>>()?));
        }
        match name {
            "facts" => Ok(self.context.facts()),
            "node" => Ok(self.context.this_node()),
            _ => {
                let loops: Vec<&str> = self.loops.iter().map(|(name, _)| name.as_str()).collect();
                Err(not_in_scope(name, self.role, &loops, self.context.input.roles))
            }
        }
    }

    fn field(&self, name: &str, field: &str) -> Result<Option<Value>, Unknown> {
        let hidden = self.loops.iter().any(|(known, _)| known == name) || self.role.param(name).is_some();
        let Some(needed) = self.needed(name).filter(|_| !hidden) else { return Ok(None) };
        if needed.param(field).is_none() {
            return Err(no_parameter(needed, field));
        }
        self.param(needed, field).map(Some)
    }

    fn spend(&self, bytes: usize) -> Result<(), Unknown> {
        self.context.spend(bytes)
    }
}

/// A variable's names: `site`, `secret`, `nodes`, `groups`, `node`, `facts`.
pub(super) struct SiteScope<'c, 'a>(pub(super) &'c Context<'a>);

const SITE_NAMES: [&str; 6] = ["site", "secret", "nodes", "groups", "node", "facts"];

impl SiteScope<'_, '_> {
    fn secret(&self, name: &str) -> Result<Value, Unknown> {
        let secrets = self.0.input.secrets;
        let value = match secrets.get(name) {
            None => {
                return Err(Unknown::Undefined {
                    message: format!("there is no secret `{name}`"),
                    nearest: nearest(name, secrets.names()).map(str::to_owned),
                    hint: Some(format!("make it: ostler secret set {name}")),
                });
            }
            Some(None) => SEALED.to_owned(),
            Some(Some(value)) => String::from_utf8(value.expose().to_vec()).map_err(|_| Unknown::Undefined {
                message: format!("the secret `{name}` is not a text"),
                nearest: None,
                hint: Some("keep binary secrets as base64".to_owned()),
            })?,
        };
        let marks = Marks { secrets: [name.into()].into(), ..Marks::default() };
        Ok(Value::text(value).marked(&marks))
    }

    fn undefined<'n>(&self, what: &str, name: &str, known: impl IntoIterator<Item = &'n str>) -> Unknown {
        Unknown::Undefined { message: format!("there is no {what} `{name}`"), nearest: nearest(name, known).map(str::to_owned), hint: None }
    }

    fn group(&self, name: &str) -> Result<Value, Unknown> {
        let nodes = &self.0.input.site.nodes;
        if !nodes.groups.iter().any(|group| group.name.value == name) {
            return Err(self.undefined("group", name, nodes.groups.iter().map(|group| group.name.value.as_str())));
        }
        Ok(Value::list(self.0.members(name).filter_map(|node| self.entry(node)).collect()))
    }

    /// A machine that a value names.
    fn node(&self, name: &str) -> Option<Value> {
        self.0.names_node(name);
        self.0.view(name)
    }

    /// A machine that stands in a list: it need not be looked for.
    fn entry(&self, entry: &NodeEntry) -> Option<Value> {
        self.0.names_node(&entry.name.value);
        self.0.view_of(entry)
    }
}

impl Scope for SiteScope<'_, '_> {
    fn get(&self, name: &str) -> Result<Value, Unknown> {
        let site = self.0.input.site;
        match name {
            "site" => Ok(Value::map(site.file.constants.iter().map(|one| (one.name.value.as_str(), literal(&one.value))))),
            "nodes" => Ok(Value::map(site.nodes.nodes.iter().filter_map(|node| Some((node.name.value.as_str(), self.entry(node)?))))),
            "groups" => Ok(Value::map(
                site.nodes.groups.iter().filter_map(|group| Some((group.name.value.as_str(), self.group(&group.name.value).ok()?))),
            )),
            "node" if self.0.entry.is_some() => Ok(self.0.this_node()),
            "facts" if self.0.entry.is_some() => Ok(self.0.facts()),
            "node" | "facts" => Err(Unknown::Undefined {
                message: format!("`{name}` is not in scope: a master is the same for every node"),
                nearest: None,
                hint: Some("name a machine: `nodes.NAME`".to_owned()),
            }),
            "secret" => Err(Unknown::Undefined {
                message: "`secret` alone is not a value".to_owned(),
                nearest: None,
                hint: Some("name one: `secret.NAME`".to_owned()),
            }),
            _ => Err(Unknown::Undefined {
                message: format!("`{name}` is not in scope"),
                nearest: nearest(name, SITE_NAMES).map(str::to_owned),
                hint: Some("a variable sees `site`, `secret`, `nodes`, `groups`, `node` and `facts`, no parameters".to_owned()),
            }),
        }
    }

    fn field(&self, name: &str, field: &str) -> Result<Option<Value>, Unknown> {
        match name {
            "secret" => self.secret(field).map(Some),
            "nodes" => {
                let known = || self.0.input.site.nodes.nodes.iter().map(|node| node.name.value.as_str());
                self.node(field).map(Some).ok_or_else(|| match self.undefined("node", field, known()) {
                    Unknown::Undefined { message, nearest, .. } => Unknown::Undefined {
                        message,
                        nearest,
                        hint: Some("a name with `-` stands in quotes: `nodes[\"build-1\"]`".to_owned()),
                    },
                    other => other,
                })
            }
            "groups" => self.group(field).map(Some),
            "site" => Ok(self.0.input.site.file.constants.iter().find(|one| one.name.value == field).map(|one| literal(&one.value))),
            _ => Ok(None),
        }
    }

    fn spend(&self, bytes: usize) -> Result<(), Unknown> {
        self.0.spend(bytes)
    }
}

/// What `each` goes over: elements, or entries with `key` and `value`; anything else comes back.
pub(super) fn loops_over(value: Value) -> Result<Vec<Value>, Value> {
    match value.data {
        Data::List(items) => Ok(items.iter().map(|item| item.clone().marked(&value.marks)).collect()),
        Data::Map(entries) => Ok(entries.iter().map(|entry| pair(entry).marked(&value.marks)).collect()),
        _ => Err(value),
    }
}
