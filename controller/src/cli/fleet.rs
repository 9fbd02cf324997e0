//! The flags of every verb that meets nodes.

use clap::Args;
use std::path::PathBuf;

/// Flags of every verb that meets nodes
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Nodes")]
pub struct FleetArgs {
    /// Only these nodes: names and groups, `*` for any text, `!x` leaves out, `&x` keeps only those that are also in x
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
