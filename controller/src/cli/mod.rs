//! The command line as types: one file a verb, its doc comment is its help.

mod apply;
mod attach;
mod check;
mod completions;
mod demo;
mod explain;
mod fleet;
mod foreign;
mod image;
mod init;
mod lab;
mod lint;
mod nodes;
mod plan;
mod schema;
mod secret;

pub use apply::ApplyArgs;
pub use attach::{AttachArgs, CancelArgs};
pub use check::CheckArgs;
pub use completions::{CompletionsArgs, ManArgs};
pub use demo::DemoArgs;
pub use explain::{ExplainArgs, ExplainWhat};
pub use fleet::{FleetArgs, PaceArgs, ReachArgs, SelectArgs, ValueArgs};
pub use foreign::parse;
pub use image::{
    BootBy, BuildsArgs, DibArgs, HarmlessArgs, ImageArgs, ImageBuildArgs, ImageDiffArgs, ImageHoldArgs, ImageLsArgs, ImagePlanArgs,
    ImageRevertArgs, ImageRmArgs, ImageShowArgs, ImageVerb, ImageVerifyArgs, OnError, RefusedArgs,
};
pub use init::InitArgs;
pub use lab::{LabArgs, LabExecArgs, LabSshArgs, LabUpArgs, LabVerb};
pub use lint::LintArgs;
pub use nodes::NodesArgs;
pub use plan::PlanArgs;
pub use schema::{SchemaArgs, SchemaOf};
pub use secret::{Generate, SecretArgs, SecretSetArgs, SecretVerb};

use crate::report::Exit;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Turn bare Linux hosts into proven, labelled CI nodes
///
/// A site (ostler.yaml, nodes.yaml, roles/) says what each node should be. `check` asks whether the nodes can become that, `plan` shows
/// what would change, `apply` makes it so, registers the nodes with the CI master and attaches their labels once a job has run there.
#[derive(Debug, Parser)]
#[command(name = "ostler", version, max_term_width = 100, propagate_version = true, after_help = exit_codes(), arg_required_else_help = true)]
pub struct Cli {
    /// Flags of every verb.
    #[command(flatten)]
    pub global: GlobalArgs,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// Flags of every verb
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Everywhere")]
pub struct GlobalArgs {
    /// The site's directory; by default this one or the nearest above it that holds an ostler.yaml
    #[arg(short = 'C', long, global = true, value_name = "DIR", env = "OSTLER_SITE")]
    pub site: Option<PathBuf>,
    /// What standard output carries: text for people, or JSON lines
    #[arg(long, global = true, value_enum, default_value_t = OutputFormat::Human, env = "OSTLER_OUTPUT")]
    pub output: OutputFormat,
    /// When to use colours; `auto` looks at the terminal and NO_COLOR
    #[arg(long, global = true, value_enum, default_value_t = ColourChoice::Auto)]
    pub color: ColourChoice,
    /// Tell more: unchanged steps too; twice: the program's own trace
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Tell less: no progress, and of a plan only its counts; what failed is told all the same
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
}

/// What standard output carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// Text for people
    Human,
    /// JSON lines, one object a line
    Json,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ColourChoice {
    /// On a terminal, unless NO_COLOR says otherwise
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
#[expect(missing_docs, reason = "a comment here would replace the one of the arguments, which is the help")]
pub enum Verb {
    Init(InitArgs),
    Lint(LintArgs),
    Check(CheckArgs),
    Plan(PlanArgs),
    Apply(ApplyArgs),
    Attach(AttachArgs),
    Cancel(CancelArgs),
    Nodes(NodesArgs),
    Explain(ExplainArgs),
    Secret(SecretArgs),
    Lab(LabArgs),
    Image(ImageArgs),
    Demo(DemoArgs),
    Schema(SchemaArgs),
    Completions(CompletionsArgs),
    #[command(hide = true)]
    Man(ManArgs),
    /// The lab's holder process; started by `lab up`
    #[command(name = "lab-holder", hide = true)]
    LabHolder {
        /// Passed on as they are
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<std::ffi::OsString>,
    },
    /// The first process of a root tree; started by builds of images
    #[command(name = "image-root", hide = true)]
    ImageRoot,
}

fn exit_codes() -> String {
    let rows: Vec<String> = Exit::TABLE.iter().map(|(exit, meaning)| format!("  {:>3}  {meaning}", exit.code())).collect();
    format!("Exit codes:\n{}", rows.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_help_of_every_verb_is_the_whole_one() {
        for verb in Cli::command().get_subcommands().filter(|verb| !verb.is_hide_set()) {
            let long = verb.get_long_about().map(ToString::to_string).unwrap_or_default();
            assert!(long.contains("Examples:"), "{}: {long}", verb.get_name());
            let short = verb.get_about().map(ToString::to_string).unwrap_or_default();
            assert!(!short.contains('\n') && long.starts_with(&short) && long.len() > short.len(), "{}: {short}", verb.get_name());
        }
    }

    #[test]
    fn every_example_of_the_help_is_a_command() {
        let mut examples = 0;
        for verb in Cli::command().get_subcommands() {
            let help = verb.get_long_about().map(ToString::to_string).unwrap_or_default();
            for line in help.lines().filter(|line| line.starts_with("  ostler ")) {
                let words = line.split_whitespace().take_while(|word| !matches!(*word, "<" | ">")).map(|word| word.trim_matches('\''));
                assert!(Cli::try_parse_from(words).is_ok(), "{line}");
                examples += 1;
            }
        }
        assert!(examples >= 20, "{examples}");
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
