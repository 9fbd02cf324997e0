//! `--limit`: which nodes are meant.

use std::collections::BTreeSet;

use ostler_roles::author::diagnostic::nearest;
use ostler_roles::author::site::NodesFile;
use ostler_roles::words::NodeName;

/// Why a selection means nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// A word that is neither a node nor a group.
    #[error("select `{word}`: neither a node nor a group{}", nearest.as_ref().map(|near| format!("; nearest: {near}")).unwrap_or_default())]
    Unknown {
        /// The word.
        word: String,
        /// The nearest name.
        nearest: Option<String>,
    },
    /// Nothing is left.
    #[error("select `{limit}`: no node is left")]
    Empty {
        /// The selection.
        limit: String,
    },
    /// The inventory has no nodes.
    #[error("select nodes: nodes.yaml has none")]
    NoNodes,
}

/// The nodes a selection means, in the inventory's order. Words, parted by commas or given one by one: a name adds a node
/// or a group, `!x` takes away, `&group` keeps only its members. Without a word that adds, all nodes are meant.
///
/// # Errors
/// Unknown words, and a selection that is empty.
pub fn select(nodes: &NodesFile, limit: &[String]) -> Result<Vec<NodeName>, SelectError> {
    let words: Vec<&str> = limit.iter().flat_map(|words| words.split(',')).map(str::trim).filter(|word| !word.is_empty()).collect();
    let all: Vec<&str> = nodes.nodes.iter().map(|node| node.name.value.as_str()).collect();
    if all.is_empty() {
        return Err(SelectError::NoNodes);
    }
    let mut chosen: BTreeSet<&str> = BTreeSet::new();
    if words.iter().all(|word| word.starts_with(['!', '&'])) {
        chosen.extend(&all);
    }
    for word in words.iter().filter(|word| !word.starts_with(['!', '&'])) {
        chosen.extend(members(nodes, word)?);
    }
    for word in words.iter().filter_map(|word| word.strip_prefix('&')) {
        let kept = members(nodes, word)?;
        chosen.retain(|node| kept.contains(node));
    }
    for word in words.iter().filter_map(|word| word.strip_prefix('!')) {
        let left = members(nodes, word)?;
        chosen.retain(|node| !left.contains(node));
    }
    let selected: Vec<NodeName> = all.iter().filter(|node| chosen.contains(*node)).filter_map(|node| NodeName::parse(node).ok()).collect();
    if selected.is_empty() { Err(SelectError::Empty { limit: words.join(",") }) } else { Ok(selected) }
}

/// The nodes of a word: itself, or the members of a group.
fn members<'a>(nodes: &'a NodesFile, word: &str) -> Result<Vec<&'a str>, SelectError> {
    let node = nodes.nodes.iter().filter(|node| node.name.value == word);
    let group = nodes.nodes.iter().filter(|node| node.groups.iter().any(|group| group.value == word));
    let known_group = nodes.groups.iter().any(|group| group.name.value == word);
    let found: Vec<&str> = node.chain(group).map(|node| node.name.value.as_str()).collect();
    if found.is_empty() && !known_group {
        let names =
            nodes.nodes.iter().map(|node| node.name.value.as_str()).chain(nodes.groups.iter().map(|group| group.name.value.as_str()));
        return Err(SelectError::Unknown { word: word.to_owned(), nearest: nearest(word, names).map(str::to_owned) });
    }
    Ok(found)
}
