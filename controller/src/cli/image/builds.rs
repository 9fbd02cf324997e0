//! The verbs of `ostler image` that look at builds, keep and remove them.

use clap::Args;
use std::path::PathBuf;

/// Where builds are.
#[derive(Debug, Clone, Args)]
pub struct BuildsArgs {
    /// Where builds are kept; by default with the state of the site
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// List builds
///
/// Each with when it was made, its size on the disk and its formats, the newest first; whether it is the current one, and whether it is held.
#[derive(Debug, Clone, Args)]
pub struct ImageLsArgs {
    /// Of this image alone
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// Where builds are.
    #[command(flatten)]
    pub builds: BuildsArgs,
}

/// Show a build: where it comes from, what it goes without, its files
#[derive(Debug, Clone, Args)]
pub struct ImageShowArgs {
    /// A build; the current one where only the image is named
    #[arg(value_name = "NAME[@BUILD]")]
    pub build: String,
    /// Where builds are.
    #[command(flatten)]
    pub builds: BuildsArgs,
}

/// Show what is not the same in two builds: packages, files, repositories' heads, and why
///
/// By their manifests. Twenty of each kind are shown; -v shows all.
#[derive(Debug, Clone, Args)]
pub struct ImageDiffArgs {
    /// A build; the current one where only the image is named
    #[arg(value_name = "NAME[@BUILD]")]
    pub from: String,
    /// The build that it is held against
    #[arg(value_name = "NAME[@BUILD]")]
    pub to: String,
    /// Where builds are.
    #[command(flatten)]
    pub builds: BuildsArgs,
}

/// Keep a build for ever, or no longer
///
/// What is held is never removed, whatever else is built, and does not count for `keep`.
#[derive(Debug, Clone, Args)]
pub struct ImageHoldArgs {
    /// A build
    #[arg(value_name = "NAME@BUILD")]
    pub build: String,
    /// Hold it no longer
    #[arg(long)]
    pub release: bool,
    /// Where builds are.
    #[command(flatten)]
    pub builds: BuildsArgs,
}

/// Remove a build with all its files; the current one and those that are held stay
#[derive(Debug, Clone, Args)]
pub struct ImageRmArgs {
    /// A build
    #[arg(value_name = "NAME@BUILD")]
    pub build: String,
    /// Where builds are.
    #[command(flatten)]
    pub builds: BuildsArgs,
}

/// Make the previous build the current one, or the one that is named
#[derive(Debug, Clone, Args)]
pub struct ImageRevertArgs {
    /// An image, or a build of it
    #[arg(value_name = "NAME[@BUILD]")]
    pub build: String,
    /// Where builds are.
    #[command(flatten)]
    pub builds: BuildsArgs,
}
