//! `--limit`: nodes, groups, `!x`, `&group`; and the flags of every verb that meets nodes.

use clap::Args;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Flags of every verb that meets nodes
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Nodes")]
pub struct FleetArgs {
    /// Only these nodes: names and groups (`*` matches any text), `!x` leaves out, `&x` keeps only those that are also in x
    #[arg(short, long, value_delimiter = ',', value_name = "PATTERN", allow_hyphen_values = true)]
    pub limit: Vec<String>,
    /// How many nodes are met at once
    #[arg(short, long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=500), env = "OSTLER_FORKS")]
    pub forks: u16,
    /// Accept and write down the host keys of nodes that are not known yet; a changed key is refused all the same
    #[arg(long)]
    pub accept_new: bool,
    /// Another ssh configuration than the user's own
    #[arg(short = 'F', long, value_name = "FILE")]
    pub ssh_config: Option<PathBuf>,
    /// Set a role's parameter for this run: ROLE.PARAMETER=VALUE; the strongest layer
    #[arg(short = 'e', long = "set", value_name = "ROLE.PARAMETER=VALUE")]
    pub set: Vec<String>,
    /// Ask for sudo's password before the first node is met
    #[arg(short = 'K', long)]
    pub ask_become_pass: bool,
}

/// One part of `--limit`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// These.
    With(String),
    /// Not these.
    Without(String),
    /// Only those that are also these.
    Within(String),
}

/// `--limit`, parsed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection(Vec<Selector>);

/// A pattern that names nothing of the site.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnknownSelector {
    /// No node and no group matches.
    #[error("--limit: no node or group is called `{0}`")]
    Unknown(String),
    /// Everything matched was left out again.
    #[error("--limit {0} selects no node")]
    Empty(String),
}

impl Selection {
    /// Reads the patterns.
    pub fn parse(patterns: &[String]) -> Self {
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
    pub fn choose<'a>(&self, nodes: &[&'a str], groups: &dyn Fn(&str) -> Vec<String>) -> Result<Vec<&'a str>, UnknownSelector> {
        let members = |pattern: &str| -> Result<BTreeSet<&'a str>, UnknownSelector> {
            let hit = |node: &&'a str| matches(pattern, node) || groups(node).iter().any(|group| matches(pattern, group));
            let found: BTreeSet<&str> = nodes.iter().copied().filter(|node| hit(node)).collect();
            if found.is_empty() && pattern != "all" { Err(UnknownSelector::Unknown(pattern.to_owned())) } else { Ok(found) }
        };
        let mut chosen: BTreeSet<&str> = BTreeSet::new();
        if !self.0.iter().any(|part| matches!(part, Selector::With(_))) {
            chosen.extend(nodes);
        }
        for part in &self.0 {
            if let Selector::With(pattern) = part {
                if pattern == "all" { chosen.extend(nodes) } else { chosen.extend(members(pattern)?) }
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
            return Err(UnknownSelector::Empty(self.to_string()));
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

    fn choose(patterns: &[&str]) -> Result<Vec<&'static str>, UnknownSelector> {
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
        assert_eq!(choose(&["biuld"]), Err(UnknownSelector::Unknown("biuld".to_owned())));
        assert_eq!(choose(&["build-1", "!build"]), Err(UnknownSelector::Empty("build-1,!build".to_owned())));
    }
}
