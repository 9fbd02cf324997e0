//! `ostler completions`, `ostler man`.

use clap::Args;

/// Print completions for a shell
///
/// Examples:
///   ostler completions bash > /etc/bash_completion.d/ostler
#[derive(Debug, Clone, Args)]
#[command(verbatim_doc_comment)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// Print the manual page
#[derive(Debug, Clone, Args)]
pub struct ManArgs {
    /// The verb whose page it is; the program's own where none is given
    pub verb: Option<String>,
}
