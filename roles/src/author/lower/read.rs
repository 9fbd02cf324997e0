//! Reading maps, lists and words of a known shape.

use crate::author::diagnostic::{Fault, Faults};
use crate::author::keys::{self, KeySpec};
use crate::author::literal::{mismatch, words};
use crate::author::role::{Name, Need, Setting};
use crate::author::source::{Bare, Entry, Node, Spanned};
use crate::words::{ImageName, MasterName, NodeName, RoleName};

/// The keys a map may have.
pub(super) struct Keys {
    /// What the map is, for messages: `a role`.
    pub what: &'static str,
    /// Those that are read.
    pub known: &'static [KeySpec],
    /// Those that a later release reads.
    pub later: &'static [&'static str],
}

impl Keys {
    /// The entries whose key is known; the others are faults.
    pub(super) fn read<'a>(&self, node: &'a Node, faults: &mut Faults) -> Vec<&'a Entry> {
        map(node, self.what, faults)
            .iter()
            .filter(|entry| {
                let key = entry.key.value.as_str();
                if keys::names(self.known).any(|known| known == key) {
                    return true;
                }
                faults.push(if self.later.contains(&key) {
                    Fault::new(&entry.key.span, format!("`{key}` is not in this release"))
                } else {
                    Fault::new(&entry.key.span, format!("unknown key `{key}` in {}", self.what))
                        .expected(words(keys::names(self.known)))
                        .nearest(key, keys::names(self.known))
                });
                false
            })
            .collect()
    }
}

/// The entries of a map; anything else is a fault.
pub(super) fn map<'a>(node: &'a Node, what: &str, faults: &mut Faults) -> &'a [Entry] {
    node.as_map().unwrap_or_else(|| {
        faults.push(mismatch(node, &format!("a map: {what}")));
        &[]
    })
}

/// The elements of a list; anything else is a fault.
pub(super) fn list<'a>(node: &'a Node, what: &str, faults: &mut Faults) -> &'a [Node] {
    node.as_list().unwrap_or_else(|| {
        let fault = mismatch(node, &format!("a list: {what}"));
        faults.push(if node.as_scalar().is_some() { fault.hint(format!("write `[{}]`", node.span.text().trim())) } else { fault });
        &[]
    })
}

/// A text without expressions.
pub(super) fn text(node: &Node, what: &str, faults: &mut Faults) -> Option<Spanned<String>> {
    let Some(scalar) = node.as_scalar() else {
        faults.push(mismatch(node, what));
        return None;
    };
    if scalar.has_expression() {
        faults.push(Fault::new(&node.span, "no expression may stand here").expected(what));
        return None;
    }
    if matches!(scalar.bare(), Bare::Boolean(_) | Bare::NumberLike) {
        faults.push(mismatch(node, what).hint(format!("for the text, write `\"{}\"`", scalar.text)));
        return None;
    }
    Some(Spanned::new(scalar.text.clone(), node.span.clone()))
}

/// `true` or `false`, without expressions.
pub(super) fn boolean(node: &Node, faults: &mut Faults) -> Option<bool> {
    if let Some(Bare::Boolean(value)) = node.as_scalar().map(crate::author::source::Scalar::bare) {
        return Some(value);
    }
    faults.push(match node.as_scalar().map(|scalar| scalar.text.to_ascii_lowercase()).as_deref() {
        Some("yes" | "on" | "true") => mismatch(node, "`true` or `false`").hint("write `true`"),
        Some("no" | "off" | "false") => mismatch(node, "`true` or `false`").hint("write `false`"),
        _ => mismatch(node, "`true` or `false`"),
    });
    None
}

/// How a kind of name is spelt.
#[derive(Clone, Copy)]
pub(super) enum Spelling {
    /// A role.
    Role,
    /// A node or a group of nodes.
    Node,
    /// A master.
    Master,
    /// An image.
    Image,
    /// A component of a package source: `non-free-firmware`.
    Component,
    /// A parameter, word or loop name, used in expressions: `host_name`.
    Underscored,
}

impl Spelling {
    /// For "expected".
    fn expected(self) -> &'static str {
        match self {
            Self::Role | Self::Master | Self::Image | Self::Component => "small letters, digits and `-`, beginning with a letter",
            Self::Node => "letters, digits, `-`, `.` and `_`, beginning with a letter or digit",
            Self::Underscored => "small letters, digits and `_`, beginning with a letter",
        }
    }

    /// Whether the name is spelt so.
    pub(super) fn holds(self, name: &str) -> bool {
        match self {
            Self::Role | Self::Component => RoleName::parse(name).is_ok(),
            Self::Node => NodeName::parse(name).is_ok(),
            Self::Master => MasterName::parse(name).is_ok(),
            Self::Image => ImageName::parse(name).is_ok(),
            Self::Underscored => {
                name.len() <= 63
                    && name.starts_with(|c: char| c.is_ascii_lowercase())
                    && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
            }
        }
    }
}

/// Checks a name's spelling.
pub(super) fn name(written: &Spanned<String>, what: &str, spelling: Spelling, faults: &mut Faults) -> Option<Name> {
    if spelling.holds(&written.value) {
        return Some(written.clone());
    }
    let fault = Fault::new(&written.span, format!("`{}` cannot be {what}", written.value)).expected(spelling.expected());
    let other = match spelling {
        Spelling::Role | Spelling::Node | Spelling::Master | Spelling::Image | Spelling::Component => {
            written.value.to_lowercase().replace(['_', ' ', '.'], "-")
        }
        Spelling::Underscored => written.value.to_lowercase().replace(['-', ' ', '.'], "_"),
    };
    faults.push(if spelling.holds(&other) { fault.hint(format!("write `{other}`")) } else { fault });
    None
}

/// A list of names, none twice.
pub(super) fn names(node: &Node, what: &str, spelling: Spelling, faults: &mut Faults) -> Vec<Name> {
    let mut found: Vec<Name> = Vec::new();
    for item in list(node, &format!("names, each {what}"), faults) {
        let Some(name) = text(item, what, faults).and_then(|text| name(&text, what, spelling, faults)) else { continue };
        match found.iter().find(|other| other.value == name.value) {
            Some(first) => {
                faults.push(Fault::new(&name.span, format!("`{}` is listed twice", name.value)).also(&first.span, "first listed here"));
            }
            None => found.push(name),
        }
    }
    found
}

/// `vars`: `ROLE: {PARAMETER: VALUE}`.
pub(super) fn vars(node: &Node, faults: &mut Faults) -> Vec<Need> {
    let mut found = Vec::new();
    for entry in map(node, "`ROLE: {PARAMETER: VALUE}`", faults) {
        if let Some(role) = name(&entry.key, "a role's name", Spelling::Role, faults) {
            found.push(Need { role, values: settings(&entry.value, "`PARAMETER: VALUE`", faults) });
        }
    }
    found
}

/// `PARAMETER: VALUE`.
pub(super) fn settings(node: &Node, what: &str, faults: &mut Faults) -> Vec<Setting> {
    let mut found = Vec::new();
    for entry in map(node, what, faults) {
        statements(&entry.value, faults);
        if let Some(name) = name(&entry.key, "a parameter's name", Spelling::Underscored, faults) {
            found.push(Setting { name, value: entry.value.clone() });
        }
    }
    found
}

/// Refuses `{% … %}`, which templates alone may hold, anywhere in a value.
pub(super) fn statements(node: &Node, faults: &mut Faults) {
    for item in node.as_list().unwrap_or_default() {
        statements(item, faults);
    }
    for entry in node.as_map().unwrap_or_default() {
        statements(&entry.value, faults);
    }
    let Some(scalar) = node.as_scalar() else { return };
    if let Some(at) = scalar.text.find("{%") {
        faults.push(
            Fault::new(&node.part(at..at + 2), "a statement stands in a value")
                .hint("`{% … %}` exists only in files of `templates/`; text with braces of its own goes to `files/`"),
        );
    }
}
