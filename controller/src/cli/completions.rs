//! `ostler completions`, `ostler man`.

use clap::Args;

/// Print completions for a shell
///
/// Examples:
///   ostler completions bash > /etc/bash_completion.d/ostler
///   ostler completions zsh > /usr/local/share/zsh/site-functions/_ostler
///   ostler completions fish > ~/.config/fish/completions/ostler.fish
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
