//! `ostler attach`, `ostler cancel`.

use super::FleetArgs;
use clap::Args;

/// Show the story of a run that goes on without us
///
/// From its first event, or from the last one that this machine has seen, to its end. Without
/// a node: every node that has a run.
///
/// Examples:
///   ostler attach build-1
///   ostler attach
#[derive(Debug, Clone, Args)]
#[command(verbatim_doc_comment)]
pub struct AttachArgs {
    /// The node; all of the site where none is given
    pub node: Option<String>,
    #[command(flatten)]
    pub fleet: FleetArgs,
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
    #[command(flatten)]
    pub fleet: FleetArgs,
}
