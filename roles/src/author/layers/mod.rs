//! Where a parameter's value comes from: default, `needs`, site, group, node, command line; the strongest layer replaces the whole.

mod explain;

use std::fmt;

pub use explain::{Explained, Overridden};

use super::diagnostic::{Fault, Faults};
use super::graph::Roles;
use super::source::{Node, NodeKind, Scalar, Source, Style, Tree};
use super::yaml;

/// The layers, weakest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Layer {
    /// The parameter's own default.
    Default,
    /// What a role passes by `needs`.
    Role,
    /// `vars` of `ostler.yaml`.
    Site,
    /// `vars` of a group.
    Group,
    /// `vars` of the node.
    Node,
    /// `-e ROLE.PARAMETER=VALUE`.
    CommandLine,
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Default => "default",
            Self::Role => "role",
            Self::Site => "site",
            Self::Group => "group",
            Self::Node => "node",
            Self::CommandLine => "command line",
        })
    }
}

/// One value of the command line.
#[derive(Clone, Debug)]
pub struct Override {
    /// The role.
    pub role: String,
    /// Its parameter.
    pub param: String,
    /// The value, read as YAML in one line.
    pub value: Node,
}

impl Override {
    /// Reads `ROLE.PARAMETER=VALUE`. The value is written as in a file: `"1.10"` with its quotes, `[a, b]`, `40 GiB`.
    ///
    /// # Errors
    /// What is wrong with it, shown in the argument itself.
    pub fn parse(argument: &str) -> Result<Self, Faults> {
        let whole = || Source::new(Tree::Site, "-e", argument).span(0..argument.len());
        let shape = || Faults::from(Fault::new(&whole(), "no value for a parameter").expected("ROLE.PARAMETER=VALUE"));
        let (name, value) = argument.split_once('=').ok_or_else(shape)?;
        let (role, param) = name.split_once('.').filter(|(role, param)| !role.is_empty() && !param.is_empty()).ok_or_else(shape)?;
        let source = Source::new(Tree::Site, format!("-e {name}"), value);
        if value.is_empty() {
            let scalar = Scalar { text: String::new(), style: Style::Quoted };
            let node = Node { span: source.span(0..0), kind: NodeKind::Scalar(scalar) };
            return Ok(Self { role: role.to_owned(), param: param.to_owned(), value: node });
        }
        let mut faults = Faults::new();
        let node = yaml::read(&source, &mut faults);
        match node {
            Some(value) if faults.is_empty() => Ok(Self { role: role.to_owned(), param: param.to_owned(), value }),
            Some(_) | None => Err(faults),
        }
    }

    /// That the role is not there, or has no such parameter.
    #[must_use]
    pub fn unknown(&self, roles: &Roles) -> Option<Fault> {
        let Some(role) = roles.get(&self.role) else {
            return Some(Fault::new(&self.value.span, format!("unknown role `{}`", self.role)).nearest(&self.role, roles.names()));
        };
        let fault = || Fault::new(&self.value.span, format!("`{}` has no parameter `{}`", self.role, self.param));
        let params = || role.params.iter().map(|param| param.name.value.as_str());
        role.param(&self.param).is_none().then(|| fault().nearest(&self.param, params()))
    }
}
