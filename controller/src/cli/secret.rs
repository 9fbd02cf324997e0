//! `ostler secret`.

use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Keep secrets in the site, encrypted
///
/// One file a secret below secrets/, encrypted with age to the recipients in ostler.yaml. The
/// identity that opens them is ~/.config/ostler/identity.txt, or the file in OSTLER_IDENTITY.
///
/// Examples:
///   ostler secret set launch_key --generate ed25519
///   ostler secret set admin_password < password.txt
///   ostler secret show-recipients
#[derive(Debug, Clone, Args)]
#[command(verbatim_doc_comment)]
pub struct SecretArgs {
    /// What to do.
    #[command(subcommand)]
    pub verb: SecretVerb,
}

/// What to do with secrets.
#[derive(Debug, Clone, Subcommand)]
pub enum SecretVerb {
    /// Set a secret from standard input (a terminal does not show it) or a file, or make it anew; the same value changes no byte
    Set(SecretSetArgs),
    /// Show who can read the site's secrets, and who of them is here; makes an identity where there is none
    ShowRecipients,
}

/// Set a secret
#[derive(Debug, Clone, Args)]
pub struct SecretSetArgs {
    /// Its name: lower-case letters, digits, `-` and `_`
    pub name: String,
    /// Make it anew instead of reading it
    #[arg(long, value_enum, conflicts_with = "from")]
    pub generate: Option<Generate>,
    /// Read it from this file instead of standard input
    #[arg(long, value_name = "FILE")]
    pub from: Option<PathBuf>,
    /// Replace it though it is there
    #[arg(long)]
    pub replace: bool,
}

/// What can be made anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Generate {
    /// An OpenSSH ed25519 private key
    Ed25519,
    /// A random password of 40 letters and digits
    Password,
}
