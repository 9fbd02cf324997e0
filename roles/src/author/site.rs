//! `ostler.yaml` and `nodes.yaml` as meant: names and shapes checked, expressions still inside the values.

use super::role::{Fields, Name, Need, Setting};
use super::source::{Node, Spanned};

/// `ostler.yaml`.
#[derive(Clone, Debug, Default)]
pub struct SiteFile {
    /// The edition of the language; 1.
    pub edition: Option<Spanned<u32>>,
    /// `id`: what the site is called in marks on its masters, the same for every admin.
    pub id: Option<Spanned<crate::master::jenkins::Site>>,
    /// `site`: plain constants, seen by variables and masters.
    pub constants: Vec<Setting>,
    /// `ssh` for every node; fields as in [`super::kinds::SSH`].
    pub ssh: Option<Fields>,
    /// `secrets.recipients`: age public keys.
    pub recipients: Vec<Spanned<String>>,
    /// `masters`.
    pub masters: Vec<Master>,
    /// `vars`: values for parameters of any role of the site.
    pub vars: Vec<Need>,
    /// `lab`: the lab this site describes; fields as in [`super::kinds::LAB`], without expressions.
    pub lab: Option<Node>,
}

/// One CI master.
#[derive(Clone, Debug)]
pub struct Master {
    /// Its name, used by `executors` and parameters of type `master`.
    pub name: Name,
    /// What it is.
    pub kind: MasterKind,
    /// Its fields, as in [`super::kinds::BUILDBOT`] or [`super::kinds::JENKINS`].
    pub fields: Fields,
}

/// The masters of this release.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MasterKind {
    /// Configured by files on its node.
    Buildbot,
    /// Configured over its API.
    Jenkins,
}

/// `nodes.yaml`.
#[derive(Clone, Debug, Default)]
pub struct NodesFile {
    /// Groups, in written order; a group holds no group.
    pub groups: Vec<Group>,
    /// Nodes, in written order.
    pub nodes: Vec<NodeEntry>,
}

/// A group of nodes.
#[derive(Clone, Debug)]
pub struct Group {
    /// Its name.
    pub name: Name,
    /// Its roles, in order.
    pub roles: Vec<Name>,
    /// Values for parameters.
    pub vars: Vec<Need>,
    /// `ssh` for its nodes.
    pub ssh: Option<Fields>,
}

/// A node.
#[derive(Clone, Debug)]
pub struct NodeEntry {
    /// Its name.
    pub name: Name,
    /// Where it is reached: name or address; the node's own name if not written.
    pub host: Option<Spanned<String>>,
    /// Its groups, in order.
    pub groups: Vec<Name>,
    /// Its own roles, after those of the groups.
    pub roles: Vec<Name>,
    /// Values for parameters.
    pub vars: Vec<Need>,
    /// `ssh` for this node.
    pub ssh: Option<Fields>,
}
