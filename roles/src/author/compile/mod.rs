//! From roles, site, facts and secrets to one node's closed catalog. Pure: the same input gives the same catalog, to the byte.

mod input;
mod masters;

pub use input::{Compiled, Input, Secrets, Site, SiteContent, SiteEntry};
pub use masters::{JenkinsCredential, Master, MasterSettings, master_names};

use std::collections::BTreeMap;

use super::diagnostic::{Fault, Faults};
use super::layers::Explained;
use super::source::{Source, Tree};
use crate::facts::Facts;
use crate::words::NodeName;

/// Compiles the catalog of one node.
///
/// # Errors
/// All that is wrong, each with its place.
pub fn compile(input: &Input<'_>) -> Result<Compiled, Faults> {
    Err(not_yet(input.node))
}

/// Says for each parameter of a node's roles where its value comes from.
///
/// # Errors
/// All that is wrong with the values.
pub fn explain(input: &Input<'_>) -> Result<Vec<Explained>, Faults> {
    Err(not_yet(input.node))
}

/// Compiles every node with its last facts, or else with recorded facts of each supported system, and keeps only the faults.
pub fn lint(
    roles: &super::graph::Roles,
    site: &Site,
    content: &SiteContent,
    facts: &BTreeMap<NodeName, Facts>,
    secrets: &Secrets,
) -> Faults {
    let _ = (roles, site, content, facts, secrets);
    Faults::new()
}

fn not_yet(node: &NodeName) -> Faults {
    Fault::new(&Source::new(Tree::Site, "nodes.yaml", "").span(0..0), format!("{node}: compiling is not there yet")).into()
}
