//! What each verb does, from parsed arguments to an exit code. One file a verb.

mod apply;
mod attach;
mod check;
mod compiler;
mod completions;
mod demo;
mod descriptors;
mod error;
mod explain;
mod image;
mod init;
mod interrupt;
mod lab;
mod lint;
mod nodes;
mod one_role;
mod password;
mod plan;
mod prepare;
mod reach;
mod schema;
mod secret;
mod workspace;

pub use error::CommandError;

use crate::cli::{Cli, ColourChoice, OutputFormat, Verb};
use crate::environment::Environment;
use crate::image::root::root_main;
use crate::mask::RunMask;
use crate::report::{Exit, Format, MaskedError, Printer, merge, sanitize};
use std::io::IsTerminal as _;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;

/// What every verb may use.
#[derive(Debug, Clone)]
pub struct Context {
    /// The only writer.
    pub printer: Printer,
    /// The environment.
    pub environment: Environment,
    /// `--site`.
    pub site: Option<PathBuf>,
}

/// Runs the verb; errors are printed here, once, with their next step.
pub fn run(cli: Cli) -> Exit {
    let environment = Environment::read();
    let format = match cli.global.output {
        OutputFormat::Human => Format::Human,
        OutputFormat::Json => Format::Json,
    };
    let colour = match cli.global.color {
        ColourChoice::Auto => None,
        ColourChoice::Always => Some(true),
        ColourChoice::Never => Some(false),
    };
    let printer = Printer { quiet: cli.global.quiet, ..Printer::new(format, colour, cli.global.verbose, &environment) };
    trace(cli.global.verbose, &printer.mask, printer.style.colour && std::io::stderr().is_terminal());
    if !matches!(cli.verb, Verb::Lab(_) | Verb::Demo(_) | Verb::LabHolder { .. } | Verb::ImageRoot) {
        // No core dump holds a secret, and no process of the same account looks into us (prctl(2)). The lab has none, and its processes do
        // look into each other. Where it cannot be had, all else holds.
        let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    }
    let context = Context { printer: printer.clone(), environment, site: cli.global.site };
    let exit = match guarded(&printer, || dispatch(&context, cli.verb)) {
        Ok(exit) => exit,
        Err(error) => {
            error.print(&printer);
            error.exit()
        }
    };
    if printer.told_all() { exit } else { merge([exit, Exit::NodeFailed]) }
}

/// Does the work. A defect ends as the exit codes say, and its words are masked like all others.
fn guarded(printer: &Printer, work: impl FnOnce() -> Result<Exit, CommandError>) -> Result<Exit, CommandError> {
    let hook = printer.clone();
    std::panic::set_hook(Box::new(move |info| hook.aside(&sanitize(&info.to_string(), true))));
    std::panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(CommandError::Defect(said.unwrap_or_else(|| "it said nothing".to_owned())))
    })
}

fn dispatch(context: &Context, verb: Verb) -> Result<Exit, CommandError> {
    match verb {
        Verb::Init(args) => init::run(context, &args),
        Verb::Lint(args) => lint::run(context, &args),
        Verb::Check(args) => check::run(context, &args),
        Verb::Plan(args) => plan::run(context, &args),
        Verb::Apply(args) => apply::run(context, &args),
        Verb::Attach(args) => attach::attach(context, &args),
        Verb::Cancel(args) => attach::cancel(context, &args),
        Verb::Nodes(args) => nodes::run(context, &args),
        Verb::Explain(args) => explain::run(context, &args),
        Verb::Secret(args) => secret::run(context, &args),
        Verb::Lab(args) => lab::run(context, &args),
        Verb::Image(args) => image::run(context, &args),
        Verb::Demo(args) => demo::run(context, &args),
        Verb::Schema(args) => schema::run(context, &args),
        Verb::Completions(args) => Ok(completions::completions(context, &args)),
        Verb::Man(args) => completions::man(context, &args),
        Verb::LabHolder { arguments } => Ok(lab::holder(arguments)),
        Verb::ImageRoot => Ok(image_root()),
    }
}

/// Runs the first process of a root tree; what failed, it has told its builder.
fn image_root() -> Exit {
    if root_main() == std::process::ExitCode::SUCCESS { Exit::Good } else { Exit::NodeFailed }
}

/// The program's own trace, for developers: standard error, off unless asked for twice.
fn trace(verbose: u8, mask: &RunMask, is_coloured: bool) {
    let level = match verbose {
        0 | 1 => "ostler=warn",
        2 => "ostler=debug",
        _ => "ostler=trace,russh=debug",
    };
    let filter = tracing_subscriber::EnvFilter::new(level);
    let mask = mask.clone();
    // Set once; a second call (tests in one process) keeps the first.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(is_coloured)
        .with_writer(move || MaskedError(mask.clone()))
        .with_target(false)
        .without_time()
        .try_init();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_defect_has_its_exit_code() {
        let environment = Environment::default();
        let printer = Printer::new(Format::Human, Some(false), 0, &environment);
        let before = std::panic::take_hook();
        let ended = guarded(&printer, || panic!("a list of {} has no entry {}", 1, 2));
        std::panic::set_hook(before);
        let error = ended.unwrap_err();
        assert_eq!((error.exit().code(), error.to_string().as_str()), (70, "a defect of ostler: a list of 1 has no entry 2"));
    }
}
