//! `ostler plan`.

use super::FleetArgs;
use clap::Args;

/// Show what `apply` would change; changes nothing
///
/// The CI masters are asked too, for at most 10 seconds, and what would change there is shown
/// with the rest. Identical changes of several nodes stand once. What is as it should be now and may differ
/// after an earlier change is marked `?`.
///
/// Examples:
///   ostler plan -D
///   ostler plan --limit 'build-*' --detailed-exitcode
#[derive(Debug, Clone, Args)]
#[command(verbatim_doc_comment)]
pub struct PlanArgs {
    /// Show differences of file contents
    #[arg(short = 'D', long)]
    pub diff: bool,
    /// Exit with 5 when there is something to change, with 9 when only an executor takes no jobs
    #[arg(long)]
    pub detailed_exitcode: bool,
    /// Only this role, what it needs and what watches them, on nodes that have it
    #[arg(long, value_name = "ROLE")]
    pub only: Option<String>,
    #[command(flatten)]
    pub fleet: FleetArgs,
}
