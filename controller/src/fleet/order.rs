//! Order between nodes: a node comes after the nodes that its variables name and after the machines of its masters.

use ostler_roles::words::NodeName;
use std::collections::{BTreeMap, BTreeSet};

/// Nodes that wait for each other.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("nodes wait for each other: {}", .0.iter().map(NodeName::as_str).collect::<Vec<_>>().join(" -> "))]
pub struct OrderCycle(pub Vec<NodeName>);

/// Groups of nodes in the order of their turn; within a group all go at once. References to nodes outside `nodes` order nothing.
///
/// # Errors
/// The nodes of a cycle.
pub fn waves(nodes: &[NodeName], after: &BTreeMap<NodeName, BTreeSet<NodeName>>) -> Result<Vec<Vec<NodeName>>, OrderCycle> {
    let mut waiting: Vec<NodeName> = nodes.to_vec();
    let mut waves = Vec::new();
    while !waiting.is_empty() {
        let pending: BTreeSet<&NodeName> = waiting.iter().collect();
        let blocked =
            |node: &NodeName| after.get(node).is_some_and(|needs| needs.iter().any(|need| need != node && pending.contains(need)));
        let wave: Vec<NodeName> = waiting.iter().filter(|node| !blocked(node)).cloned().collect();
        if wave.is_empty() {
            return Err(OrderCycle(waiting));
        }
        waiting.retain(|node| !wave.contains(node));
        waves.push(wave);
    }
    Ok(waves)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<NodeName> {
        list.iter().map(|name| NodeName::parse(name).unwrap()).collect()
    }

    fn after(pairs: &[(&str, &str)]) -> BTreeMap<NodeName, BTreeSet<NodeName>> {
        let mut map: BTreeMap<NodeName, BTreeSet<NodeName>> = BTreeMap::new();
        for (node, need) in pairs {
            map.entry(NodeName::parse(node).unwrap()).or_default().insert(NodeName::parse(need).unwrap());
        }
        map
    }

    #[test]
    fn a_master_goes_before_its_workers() {
        let waves = waves(&names(&["w1", "master", "w2"]), &after(&[("w1", "master"), ("w2", "master")])).unwrap();
        assert_eq!(waves, vec![names(&["master"]), names(&["w1", "w2"])]);
    }

    #[test]
    fn nodes_outside_the_run_order_nothing() {
        assert_eq!(waves(&names(&["w1"]), &after(&[("w1", "master")])).unwrap(), vec![names(&["w1"])]);
    }

    #[test]
    fn a_cycle_is_named() {
        let cycle = waves(&names(&["a", "b"]), &after(&[("a", "b"), ("b", "a")])).unwrap_err();
        assert_eq!(cycle.to_string(), "nodes wait for each other: a -> b");
    }

    #[test]
    fn a_node_that_names_itself_waits_for_nobody() {
        assert_eq!(waves(&names(&["a"]), &after(&[("a", "a")])).unwrap(), vec![names(&["a"])]);
    }
}
