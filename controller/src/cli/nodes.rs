//! `ostler nodes`.

use super::SelectArgs;
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
    #[command(flatten)]
    pub select: SelectArgs,
    /// Show the facts that each node told last
    #[arg(long)]
    pub facts: bool,
}
