//! `ostler check`.

use super::FleetArgs;
use clap::Args;

/// Ask the nodes whether every requirement holds; changes nothing
///
/// Disk, kernel, memory, packages, connections: each answers with its numbers. A requirement
/// that cannot be told fails.
///
/// Examples:
///   ostler check
///   ostler check --limit build --output json
#[derive(Debug, Clone, Args)]
#[command(verbatim_doc_comment)]
pub struct CheckArgs {
    /// Only this role, what it needs and what watches them, on nodes that have it
    #[arg(long, value_name = "ROLE")]
    pub only: Option<String>,
    #[command(flatten)]
    pub fleet: FleetArgs,
}
