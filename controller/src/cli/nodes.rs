//! `ostler nodes`.

use clap::Args;

/// List the nodes of the site
///
/// Names, addresses, groups and roles, from the site alone: no node is met.
///
/// Examples:
///   ostler nodes
///   ostler nodes --limit build --facts
#[derive(Debug, Clone, Args)]
#[command(verbatim_doc_comment)]
pub struct NodesArgs {
    /// Only these nodes: names and groups, `*` for any text, `!x` leaves out, `&x` keeps only those that are also in x
    #[arg(short, long, value_delimiter = ',', value_name = "PATTERN", allow_hyphen_values = true)]
    pub limit: Vec<String>,
    /// Show the facts that each node told last
    #[arg(long)]
    pub facts: bool,
}
