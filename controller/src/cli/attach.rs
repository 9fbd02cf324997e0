//! `ostler attach`, `ostler cancel`.

use super::{PaceArgs, ReachArgs, SelectArgs};
use clap::Args;

/// Show the story of a run that goes on without us
///
/// From its first event to its end. Without a node: every node that has a run.
///
/// Examples:
///   ostler attach build-1
///   ostler attach
#[derive(Debug, Clone, Args)]
#[command(verbatim_doc_comment)]
pub struct AttachArgs {
    /// The node; every node of the site where none is given
    #[arg(conflicts_with = "limit")]
    pub node: Option<String>,
    /// Which nodes.
    #[command(flatten)]
    pub select: SelectArgs,
    /// How many at once.
    #[command(flatten)]
    pub pace: PaceArgs,
    /// How they are reached.
    #[command(flatten)]
    pub reach: ReachArgs,
}

/// Stop a run between two steps
///
/// What has been done stays done; the next `apply` goes on at the first unfinished step. A
/// package manager in its transaction is left to finish.
///
/// Examples:
///   ostler cancel build-1
#[derive(Debug, Clone, Args)]
#[command(verbatim_doc_comment)]
pub struct CancelArgs {
    /// The node
    pub node: String,
    /// How it is reached.
    #[command(flatten)]
    pub reach: ReachArgs,
}
