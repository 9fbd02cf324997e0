//! `ostler explain`.

use super::ValueArgs;
use clap::{Args, Subcommand};

/// Explain where a variable comes from, or what an error code means
///
/// Examples:
///   ostler explain var build-1 git-cache.root
///   ostler explain apt-lock
#[derive(Debug, Clone, Args)]
#[command(verbatim_doc_comment, args_conflicts_with_subcommands = true)]
pub struct ExplainArgs {
    /// What to explain.
    #[command(subcommand)]
    pub what: Option<ExplainWhat>,
    /// A code, as failure cards show it
    pub code: Option<String>,
}

/// What to explain.
#[derive(Debug, Clone, Subcommand)]
pub enum ExplainWhat {
    /// Where a parameter's value comes from: its layer, its place, and the layers it hides
    Var {
        /// The node
        node: String,
        /// ROLE.PARAMETER, or ROLE for all of its parameters
        name: String,
        #[command(flatten)]
        values: ValueArgs,
    },
    /// What a code means; all codes where none is given
    Code {
        /// The code
        code: Option<String>,
    },
}
