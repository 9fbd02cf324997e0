//! `ostler init`.

use clap::Args;
use std::path::PathBuf;

/// Write a commented site that lints as it is
///
/// Writes ostler.yaml, nodes.yaml and a first role. Nothing that is there already is
/// overwritten.
///
/// Examples:
///   ostler init my-site
#[derive(Debug, Clone, Args)]
#[command(verbatim_doc_comment)]
pub struct InitArgs {
    /// The directory; made when missing
    #[arg(default_value = ".")]
    pub directory: PathBuf,
}
