//! The facts of a site's nodes, as compiling asks for them: one set for all compiles, shared and not copied.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::facts::Facts;
use crate::words::NodeName;

/// What is known of the nodes. A copy, one node told anew, or something assumed of all others costs the same however many there are.
#[derive(Clone, Debug, Default)]
pub struct KnownFacts {
    told: Arc<BTreeMap<NodeName, Arc<Facts>>>,
    own: Option<(NodeName, Arc<Facts>)>,
    otherwise: Option<Arc<Facts>>,
}

impl KnownFacts {
    /// The facts of a node: those that it told, else those that are assumed.
    #[must_use]
    pub fn get(&self, node: &NodeName) -> Option<&Arc<Facts>> {
        let own = self.own.as_ref().filter(|(name, _)| name == node).map(|(_, facts)| facts);
        own.or_else(|| self.told.get(node)).or(self.otherwise.as_ref())
    }

    /// Whether a node has told anything.
    #[must_use]
    pub fn is_told(&self, node: &NodeName) -> bool {
        self.told.contains_key(node)
    }

    /// Keeps what a node told.
    pub fn insert(&mut self, node: NodeName, facts: Facts) {
        Arc::make_mut(&mut self.told).insert(node, Arc::new(facts));
    }

    /// The same, but for one node.
    #[must_use]
    pub fn with(&self, node: &NodeName, facts: Arc<Facts>) -> Self {
        Self { own: Some((node.clone(), facts)), ..self.clone() }
    }

    /// The same, and these for every node that told nothing.
    #[must_use]
    pub fn assuming(&self, facts: Arc<Facts>) -> Self {
        Self { otherwise: Some(facts), ..self.clone() }
    }
}

impl FromIterator<(NodeName, Facts)> for KnownFacts {
    fn from_iter<T: IntoIterator<Item = (NodeName, Facts)>>(all: T) -> Self {
        let told = all.into_iter().map(|(node, facts)| (node, Arc::new(facts))).collect();
        Self { told: Arc::new(told), own: None, otherwise: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_for_one_node_shares_the_facts_of_all_others() {
        let node = |name: &str| NodeName::parse(name).unwrap();
        let facts = super::super::recorded().into_values().next().unwrap();
        let mut known: KnownFacts = [(node("a"), facts.clone()), (node("b"), facts.clone())].into_iter().collect();
        let own = Arc::new(Facts { hostname: "own".to_owned(), ..facts.clone() });
        let mine = known.with(&node("a"), Arc::clone(&own)).assuming(Arc::clone(&own));
        assert!(Arc::ptr_eq(mine.get(&node("a")).unwrap(), &own));
        assert!(Arc::ptr_eq(mine.get(&node("b")).unwrap(), known.get(&node("b")).unwrap()));
        assert!(Arc::ptr_eq(mine.get(&node("never-met")).unwrap(), &own));
        assert!(!mine.is_told(&node("never-met")) && known.get(&node("never-met")).is_none());
        known.insert(node("c"), facts);
        assert!(known.is_told(&node("c")) && !mine.is_told(&node("c")), "a set that is in use does not change");
    }
}
