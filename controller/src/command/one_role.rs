//! `--only ROLE`: one role, what it needs and what watches them, compiled with all the others.

use super::{CommandError, workspace::Workspace};
use ostler_roles::author::diagnostic::nearest;
use ostler_roles::catalog::Catalog;
use ostler_roles::words::{NodeName, RoleName};
use std::collections::BTreeSet;

/// Where roles are seen.
const NODES: &str = "ostler nodes lists each node's roles";

/// What a partial run is about.
#[derive(Debug, Clone)]
pub struct OneRole {
    role: RoleName,
    with_needs: BTreeSet<RoleName>,
}

impl OneRole {
    /// The role of that name.
    ///
    /// # Errors
    /// When the site has none.
    pub fn of(workspace: &Workspace, name: &str) -> Result<Self, CommandError> {
        let roles = &workspace.inventory.roles;
        let unknown = || CommandError::Usage {
            what: format!("--only: there is no role `{name}`"),
            hint: nearest(name, roles.names()).map_or_else(|| NODES.to_owned(), |near| format!("did you mean `{near}`?")),
        };
        let role = roles.get(name).and_then(|role| RoleName::parse(&role.name.value).ok()).ok_or_else(unknown)?;
        let with_needs = roles.ordered([name]).into_iter().filter_map(|role| RoleName::parse(&role.name.value).ok()).collect();
        Ok(Self { role, with_needs })
    }

    /// The role.
    pub fn role(&self) -> &RoleName {
        &self.role
    }

    /// Those of the nodes that have the role.
    ///
    /// # Errors
    /// When none has it.
    pub fn among(&self, workspace: &Workspace, nodes: Vec<NodeName>) -> Result<Vec<NodeName>, CommandError> {
        let has = |node: &NodeName| workspace.roles_of(node).iter().any(|role| role.name.value == self.role.as_str());
        let having: Vec<NodeName> = nodes.into_iter().filter(has).collect();
        if having.is_empty() {
            let what = format!("--only: no selected node has the role `{}`", self.role);
            return Err(CommandError::Usage { what, hint: NODES.to_owned() });
        }
        Ok(having)
    }

    /// Takes the rest out of a node's catalog.
    pub fn narrow(&self, catalog: &mut Catalog) {
        catalog.keep_only(&self.with_needs);
    }
}
