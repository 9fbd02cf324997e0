//! `--limit`: which nodes are meant. Names and groups, `*` for any text, `!x` leaves out, `&x` keeps only those also in x.

use ostler_roles::author::diagnostic::nearest;
use ostler_roles::author::site::NodesFile;
use ostler_roles::words::NodeName;
use std::collections::BTreeSet;

/// The nodes a selection means, in the inventory's order; all of them without a word.
///
/// # Errors
/// A word that names nothing, a selection that is empty, an inventory without nodes.
pub fn select(nodes: &NodesFile, limit: &[String]) -> Result<Vec<NodeName>, SelectError> {
    let all: Vec<&str> = nodes.nodes.iter().map(|node| node.name.value.as_str()).collect();
    if all.is_empty() {
        return Err(SelectError::NoNodes);
    }
    let of = |name: &str| -> Vec<String> {
        let node = nodes.nodes.iter().find(|node| node.name.value == name);
        node.map(|node| node.groups.iter().map(|group| group.value.clone()).collect()).unwrap_or_default()
    };
    let groups = nodes.groups.iter().map(|group| group.name.value.as_str());
    let selection = Selection::parse(limit);
    // `--limit "$UNSET"` must not mean every node.
    if selection.0.is_empty() && !limit.is_empty() {
        return Err(SelectError::Empty(String::new()));
    }
    let chosen = selection.choose(&all, &of).map_err(|error| match error {
        SelectError::Unknown { word, .. } if nodes.groups.iter().any(|group| group.name.value == word) => SelectError::Empty(word),
        SelectError::Unknown { word, .. } => {
            let near = nearest(&word, all.iter().copied().chain(groups)).map(str::to_owned);
            SelectError::Unknown { word, nearest: near }
        }
        other => other,
    })?;
    Ok(chosen.into_iter().filter_map(|name| NodeName::parse(name).ok()).collect())
}

/// One part of `--limit`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Selector {
    /// These.
    With(String),
    /// Not these.
    Without(String),
    /// Only those that are also these.
    Within(String),
}

/// `--limit`, parsed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Selection(Vec<Selector>);

/// Why a selection means nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// No node and no group matches.
    #[error("no node or group {} `{word}`{}", if word.contains('*') { "matches" } else { "is called" }, nearest.as_ref().map(|near| format!("; nearest: {near}")).unwrap_or_default())]
    Unknown {
        /// The word.
        word: String,
        /// The nearest name of the site.
        nearest: Option<String>,
    },
    /// Everything matched was left out again.
    #[error("`{0}` selects no node")]
    Empty(String),
    /// The inventory has no nodes.
    #[error("nodes.yaml has no nodes")]
    NoNodes,
}

impl Selection {
    /// Reads the patterns.
    fn parse(patterns: &[String]) -> Self {
        let parse = |text: &String| match text.strip_prefix('!') {
            Some(rest) => Selector::Without(rest.to_owned()),
            None => text.strip_prefix('&').map_or_else(|| Selector::With(text.clone()), |rest| Selector::Within(rest.to_owned())),
        };
        Self(patterns.iter().filter(|text| !text.is_empty()).map(parse).collect())
    }

    /// The nodes selected, in the order of the site. `groups` gives the names of a node's groups.
    ///
    /// # Errors
    /// A pattern that names nothing, or a selection that is empty.
    fn choose<'a>(&self, nodes: &[&'a str], groups: &dyn Fn(&str) -> Vec<String>) -> Result<Vec<&'a str>, SelectError> {
        let members = |pattern: &str| -> Result<BTreeSet<&'a str>, SelectError> {
            if pattern == "all" {
                return Ok(nodes.iter().copied().collect());
            }
            let hit = |node: &&'a str| matches(pattern, node) || groups(node).iter().any(|group| matches(pattern, group));
            let found: BTreeSet<&str> = nodes.iter().copied().filter(|node| hit(node)).collect();
            if found.is_empty() { Err(SelectError::Unknown { word: pattern.to_owned(), nearest: None }) } else { Ok(found) }
        };
        let mut chosen: BTreeSet<&str> = BTreeSet::new();
        if !self.0.iter().any(|part| matches!(part, Selector::With(_))) {
            chosen.extend(nodes);
        }
        for part in &self.0 {
            if let Selector::With(pattern) = part {
                chosen.extend(members(pattern)?);
            }
        }
        for part in &self.0 {
            match part {
                Selector::With(_) => {}
                Selector::Without(pattern) => {
                    let gone = members(pattern)?;
                    chosen.retain(|node| !gone.contains(node));
                }
                Selector::Within(pattern) => {
                    let kept = members(pattern)?;
                    chosen.retain(|node| kept.contains(node));
                }
            }
        }
        if chosen.is_empty() && !self.0.is_empty() {
            return Err(SelectError::Empty(self.to_string()));
        }
        Ok(nodes.iter().copied().filter(|node| chosen.contains(node)).collect())
    }
}

impl std::fmt::Display for Selection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let words: Vec<String> = self
            .0
            .iter()
            .map(|part| match part {
                Selector::With(text) => text.clone(),
                Selector::Without(text) => format!("!{text}"),
                Selector::Within(text) => format!("&{text}"),
            })
            .collect();
        f.write_str(&words.join(","))
    }
}

/// `*` stands for any text.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, tail)) => {
            let Some(rest) = name.strip_prefix(head) else { return false };
            (0..=rest.len()).filter(|at| rest.is_char_boundary(*at)).any(|at| matches(tail, &rest[at..]))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(patterns: &[&str]) -> Result<Vec<&'static str>, SelectError> {
        let groups = |node: &str| if node.starts_with("build") { vec!["build".to_owned()] } else { Vec::new() };
        let patterns: Vec<String> = patterns.iter().map(|text| (*text).to_owned()).collect();
        Selection::parse(&patterns).choose(&["master", "build-1", "build-2"], &groups)
    }

    #[test]
    fn limits_take_names_groups_and_exceptions() {
        assert_eq!(choose(&[]).unwrap(), vec!["master", "build-1", "build-2"]);
        assert_eq!(choose(&["build"]).unwrap(), vec!["build-1", "build-2"]);
        assert_eq!(choose(&["build", "!build-2"]).unwrap(), vec!["build-1"]);
        assert_eq!(choose(&["!build"]).unwrap(), vec!["master"]);
        assert_eq!(choose(&["*-2"]).unwrap(), vec!["build-2"]);
        assert_eq!(choose(&["all", "&build"]).unwrap(), vec!["build-1", "build-2"]);
    }

    #[test]
    fn an_empty_selection_is_an_error() {
        assert_eq!(choose(&["biuld"]), Err(SelectError::Unknown { word: "biuld".to_owned(), nearest: None }));
        assert_eq!(choose(&["build-1", "!build"]), Err(SelectError::Empty("build-1,!build".to_owned())));
    }
}
