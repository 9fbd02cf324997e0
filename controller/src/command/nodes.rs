//! `ostler nodes`.

use super::{
    CommandError, Context,
    workspace::{Open, Workspace},
};
use crate::cli::NodesArgs;
use crate::inventory;
use crate::report::{Exit, sanitize};
use ostler_roles::facts::Facts;
use ostler_roles::words::NodeName;
use serde_json::json;

/// Lists the nodes of the site; meets none.
pub fn run(context: &Context, args: &NodesArgs) -> Result<Exit, CommandError> {
    let workspace = Workspace::open(context, &[], Open::Names)?;
    let site = &workspace.inventory.site;
    let facts = workspace.facts();
    for node in inventory::select(&site.nodes, &args.select.limit)? {
        let Some(entry) = site.nodes.nodes.iter().find(|entry| entry.name.value == node.as_str()) else { continue };
        let groups: Vec<&str> = entry.groups.iter().map(|group| group.value.as_str()).collect();
        let roles: Vec<&str> = workspace.roles_of(&node).iter().map(|role| role.name.value.as_str()).collect();
        let host = entry.host.as_ref().map_or(node.as_str(), |host| host.value.as_str());
        let known = facts.get(&node).filter(|_| args.facts).map(|facts| &**facts);
        context
            .printer
            .json(&json!({ "v": 1, "type": "node", "node": node, "host": host, "groups": groups, "roles": roles, "facts": known }));
        let (groups, roles) = (groups.join(","), roles.join(","));
        let row = format!("{node:<20} {host:<20} {groups:<16} {roles}");
        if context.printer.style.width.is_none_or(|width| row.chars().count() <= width) {
            context.printer.line(&row);
        } else {
            context.printer.line(node.as_str());
            for (word, text) in [("host", host), ("groups", &groups), ("roles", &roles.replace(',', ", "))] {
                context.printer.lines(&context.printer.style.paragraph(&format!("    {word:<6} {text}"), 11));
            }
        }
        if args.facts {
            show_facts(context, &node, known);
        }
    }
    Ok(Exit::Good)
}

fn show_facts(context: &Context, node: &NodeName, facts: Option<&Facts>) {
    let Some(facts) = facts else {
        context.printer.lines(&context.printer.style.paragraph(&format!("    {node} was never met: ostler check --limit {node}"), 6));
        return;
    };
    let shared = if facts.kernel.shared { ", shared" } else { "" };
    let line = format!(
        "    {} {} ({}), {}, kernel {}{shared}, {}, {} CPUs, {}, {}",
        facts.system.id,
        facts.system.version,
        facts.system.codename,
        facts.arch,
        facts.kernel.release,
        facts.virtualization,
        facts.cpus,
        facts.memory,
        facts.addresses.join(" ")
    );
    context.printer.lines(&context.printer.style.paragraph(&sanitize(&line, false), 6));
}
