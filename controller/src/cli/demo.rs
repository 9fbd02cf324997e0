//! `ostler demo`.

use clap::Args;
use std::path::PathBuf;

/// Show the main job on a lab of three nodes
///
/// One master and two build nodes on this machine: a refusal, a first run, a second run with
/// nothing to change, a drift found. Needs root and the lab's Debian packages; `make demo`
/// installs them.
///
/// Examples:
///   ostler demo
#[derive(Debug, Clone, Args)]
#[command(verbatim_doc_comment)]
pub struct DemoArgs {
    /// Leave the lab up afterwards, and say how to reach it
    #[arg(long)]
    pub keep: bool,
    /// Where the demo's site is written; a fresh directory by default
    #[arg(long, value_name = "DIR")]
    pub directory: Option<PathBuf>,
    /// The directory of wheels for the Buildbot master (`make wheels` fills it)
    #[arg(long, value_name = "DIR", env = "OSTLER_WHEELS")]
    pub wheels: Option<PathBuf>,
}
