//! `ostler lint`.

use super::{
    CommandError, Context,
    workspace::{Open, Workspace},
};
use crate::cli::LintArgs;
use crate::report::{Exit, Paint};
use ostler_roles::author::compile;
use ostler_roles::words::count;
use serde_json::json;

/// Proves the site without a node.
pub fn run(context: &Context, args: &LintArgs) -> Result<Exit, CommandError> {
    let workspace = Workspace::open(context, &args.values.set, Open::Names)?;
    let inventory = &workspace.inventory;
    let faults =
        compile::lint(&inventory.roles, &inventory.site, &inventory.content, &workspace.facts(), &workspace.secrets, &workspace.overrides);
    if !faults.is_empty() {
        return Err(CommandError::Site(faults));
    }
    let (roles, nodes, images) = (inventory.roles.iter().count(), inventory.site.nodes.nodes.len(), inventory.site.images.len());
    context.printer.json(&json!({ "v": 1, "type": "linted", "roles": roles, "nodes": nodes, "images": images, "faults": 0 }));
    let baked = if images == 0 { String::new() } else { format!("{}, ", count(images, "image")) };
    let text = format!("No faults: {}, {baked}{} (the library's included).", count(nodes, "node"), count(roles, "role"));
    context.printer.say(Paint::Good, &text);
    Ok(Exit::Good)
}
