//! `ostler lab`.

use clap::{Args, Subcommand};
use std::ffi::OsString;

/// Run real nodes on this machine
///
/// Containers with systemd, sshd and apt, each with an address of its own, held by one
/// process and gone with it. The nodes are those of the site's `lab:`. Needs root.
///
/// Examples:
///   ostler lab up
///   ostler lab exec -- ssh build-1 uptime
///   ostler lab down
#[derive(Debug, Clone, Args)]
#[command(verbatim_doc_comment)]
pub struct LabArgs {
    /// What to do.
    #[command(subcommand)]
    pub verb: LabVerb,
}

/// What to do with the lab.
#[derive(Debug, Clone, Subcommand)]
pub enum LabVerb {
    /// Start the lab's nodes; root trees are built once and kept
    Up(LabUpArgs),
    /// Take the lab down; nothing is left
    Down,
    /// Show the lab's nodes
    Status,
    /// Log in to a node
    Ssh(LabSshArgs),
    /// Run a program inside the lab's network
    Exec(LabExecArgs),
}

/// Start the lab's nodes
#[derive(Debug, Clone, Args)]
pub struct LabUpArgs {
    /// Only these nodes
    pub nodes: Vec<String>,
}

/// Log in to a node
#[derive(Debug, Clone, Args)]
pub struct LabSshArgs {
    /// The node
    pub node: String,
    /// The account
    #[arg(short, long, default_value = "admin")]
    pub user: String,
    /// What to run there; a shell where nothing is given
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<OsString>,
}

/// Run a program inside the lab's network
#[derive(Debug, Clone, Args)]
pub struct LabExecArgs {
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<OsString>,
}
