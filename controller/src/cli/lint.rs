//! `ostler lint`.

use clap::Args;

/// Prove the site without a node: every fault at once
///
/// Shapes, types, names, layers, the role graph, triggers, conflicts, missing secrets: by
/// compiling every node with its last facts, or with the recorded facts of the supported
/// systems.
///
/// Examples:
///   ostler lint
///   ostler lint --output json
#[derive(Debug, Clone, Args)]
#[command(verbatim_doc_comment)]
pub struct LintArgs {
    /// Set a role's parameter: ROLE.PARAMETER=VALUE; the strongest layer
    #[arg(short = 'e', long = "set", value_name = "ROLE.PARAMETER=VALUE")]
    pub set: Vec<String>,
}
