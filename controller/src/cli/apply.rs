//! `ostler apply`.

use super::FleetArgs;
use clap::Args;
use ostler_roles::words::Span;

/// Make the nodes so, register them, prove them, label them
///
/// Every requirement of every node is checked first: when one does not hold, nothing is
/// changed anywhere. Then the plan is shown and asked about once. Runs go on by themselves on
/// the nodes; `ostler attach` shows them when the link was lost.
///
/// Examples:
///   ostler apply
///   ostler apply --limit build-1 --yes
///   ostler apply -e git-cache.workers=4
#[derive(Debug, Clone, Args)]
#[command(verbatim_doc_comment)]
pub struct ApplyArgs {
    /// Go without asking
    #[arg(short, long)]
    pub yes: bool,
    /// Show differences of file contents in the plan
    #[arg(short = 'D', long)]
    pub diff: bool,
    /// Only this role, what it needs and what watches them, on nodes that have it; a partial run attaches no label
    #[arg(long, value_name = "ROLE")]
    pub only: Option<String>,
    /// How long jobs that run on a node may take to end before it is changed; it takes no new ones meanwhile, and is left as it is when they still run then
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = Span::parse)]
    pub jobs_within: Span,
    #[command(flatten)]
    pub fleet: FleetArgs,
}
