//! Flags that several verbs share: which nodes, how they are reached, with which values.

use clap::Args;
use std::path::PathBuf;

/// Which nodes, how they are reached, with which values: all of it, for verbs that plan
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Nodes")]
pub struct FleetArgs {
    /// Which nodes.
    #[command(flatten)]
    pub select: SelectArgs,
    /// How many at once.
    #[command(flatten)]
    pub pace: PaceArgs,
    /// How they are reached.
    #[command(flatten)]
    pub reach: ReachArgs,
    /// With which values.
    #[command(flatten)]
    pub values: ValueArgs,
}

/// Which nodes
#[derive(Debug, Clone, Default, Args)]
pub struct SelectArgs {
    /// Only these nodes: names and groups, `*` for any text, `!x` leaves out, `&x` keeps only those that are also in x
    #[arg(short, long, value_delimiter = ',', value_name = "PATTERN", allow_hyphen_values = true)]
    pub limit: Vec<String>,
}

/// How many nodes at once
#[derive(Debug, Clone, Args)]
pub struct PaceArgs {
    /// How many nodes are met at once
    #[arg(short, long, default_value_t = Self::FORKS, value_parser = clap::value_parser!(u16).range(1..=500), env = "OSTLER_FORKS")]
    pub forks: u16,
}

impl PaceArgs {
    /// A fleet of this size is met in one go, and a small machine holds so many connections with ease.
    const FORKS: u16 = 20;
}

impl Default for PaceArgs {
    fn default() -> Self {
        Self { forks: Self::FORKS }
    }
}

/// How nodes are reached
#[derive(Debug, Clone, Default, Args)]
pub struct ReachArgs {
    /// Accept and write down the host keys of nodes that are not known yet; a changed key is refused all the same
    #[arg(long)]
    pub accept_new: bool,
    /// Another ssh configuration than the user's own
    #[arg(short = 'F', long, value_name = "FILE")]
    pub ssh_config: Option<PathBuf>,
    /// Ask for sudo's password before the first node is met
    #[arg(short = 'K', long)]
    pub ask_become_pass: bool,
}

/// With which values
#[derive(Debug, Clone, Default, Args)]
pub struct ValueArgs {
    /// Set a role's parameter for this call: the strongest layer
    #[arg(short = 'e', long = "set", value_name = "ROLE.PARAMETER=VALUE")]
    pub set: Vec<String>,
}
