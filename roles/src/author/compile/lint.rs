//! Everything that can be proved of a site without a node.

use std::collections::BTreeMap;

use super::{Input, Secrets, Site, SiteContent, compile};
use crate::author::diagnostic::Faults;
use crate::author::graph::Roles;
use crate::facts::Facts;
use crate::words::NodeName;

/// Facts of each supported system, recorded on a machine of it.
const RECORDED: &str = include_str!("recorded-facts.json");

/// Compiles every node with its last facts, or else with recorded facts of each supported system, and keeps only the faults.
///
/// Secrets need only be known by name ([`Secrets::seal`]).
pub fn lint(roles: &Roles, site: &Site, content: &SiteContent, facts: &BTreeMap<NodeName, Facts>, secrets: &Secrets) -> Faults {
    let mut faults = Faults::new();
    let recorded = recorded();
    let names: Vec<NodeName> = site.nodes.nodes.iter().filter_map(|node| NodeName::parse(&node.name.value).ok()).collect();
    for name in &names {
        if facts.contains_key(name) {
            run(&mut faults, &Input { roles, site, content, node: name, facts, secrets, overrides: &[] });
            continue;
        }
        for system in recorded.values() {
            let mut assumed = facts.clone();
            for other in &names {
                assumed.entry(other.clone()).or_insert_with(|| system.clone());
            }
            run(&mut faults, &Input { roles, site, content, node: name, facts: &assumed, secrets, overrides: &[] });
        }
    }
    let assumed: BTreeMap<NodeName, Facts> =
        names.iter().filter_map(|name| Some((name.clone(), facts.get(name).or_else(|| recorded.values().next())?.clone()))).collect();
    if let Err(found) = super::masters(roles, site, &assumed, secrets) {
        faults.extend(found);
    }
    faults.sort();
    faults
}

fn run(faults: &mut Faults, input: &Input<'_>) {
    if let Err(found) = compile(input) {
        faults.extend(found);
    }
}

/// Recorded facts by system, `debian-12`.
#[must_use]
pub fn recorded() -> BTreeMap<String, Facts> {
    #[expect(clippy::expect_used, reason = "the file is part of the program, and a test reads it")]
    serde_json::from_str(RECORDED).expect("recorded facts are facts")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_supported_system_has_recorded_facts() {
        let recorded = recorded();
        assert_eq!(
            recorded.keys().map(String::as_str).collect::<Vec<_>>(),
            ["debian-11", "debian-12", "debian-13", "ubuntu-22.04", "ubuntu-24.04"]
        );
        assert!(recorded.iter().all(|(name, facts)| *name == format!("{}-{}", facts.system.id, facts.system.version)));
    }
}
