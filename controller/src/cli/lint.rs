//! `ostler lint`.

use super::ValueArgs;
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
    #[command(flatten)]
    pub values: ValueArgs,
}
