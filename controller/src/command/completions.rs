//! `ostler completions`, `ostler man`: made from the same types as the command line itself.

use super::{CommandError, Context};
use crate::cli::{Cli, CompletionsArgs, GlobalArgs, ManArgs};
use crate::report::Exit;
use clap::{Args, Command, CommandFactory};
use clap_complete::Shell;
use std::fmt::Write;

/// Prints completions.
pub fn completions(context: &Context, args: &CompletionsArgs) -> Exit {
    let mut out = Vec::new();
    clap_complete::generate(args.shell, &mut visible(), "ostler", &mut out);
    let mut script = String::from_utf8_lossy(&out).into_owned();
    if args.shell == Shell::Fish {
        script.push_str(&fish_arguments());
    }
    context.printer.raw(&script);
    Exit::Good
}

/// The command line without the verbs that help hides: completions would offer them, and clap takes none out of a command.
fn visible() -> Command {
    let verbs: Vec<Command> = Cli::command().get_subcommands().filter(|verb| !verb.is_hide_set()).cloned().collect();
    GlobalArgs::augment_args(Command::new("ostler").version(env!("CARGO_PKG_VERSION")).propagate_version(true)).subcommands(verbs)
}

/// The words that may stand behind a verb: `clap_complete` writes those of flags only into its script for fish, and files are offered.
fn fish_arguments() -> String {
    let mut script = String::new();
    for verb in visible().get_subcommands() {
        let values = verb.get_positionals().flat_map(clap::Arg::get_possible_values);
        let words: Vec<String> = values.map(|value| value.get_name().to_owned()).collect();
        if !words.is_empty() {
            let (name, words) = (verb.get_name(), words.join(" "));
            let _ = writeln!(script, "complete -c ostler -n \"__fish_ostler_using_subcommand {name}\" -f -a \"{words}\"");
        }
    }
    script
}

/// Prints a manual page.
pub fn man(context: &Context, args: &ManArgs) -> Result<Exit, CommandError> {
    let mut command = Cli::command();
    command.build();
    let command = match &args.verb {
        None => command,
        Some(verb) => command
            .find_subcommand(verb)
            .cloned()
            .ok_or_else(|| CommandError::Usage { what: format!("there is no verb `{verb}`"), hint: "ostler --help".to_owned() })?,
    };
    let mut out = Vec::new();
    clap_mangen::Man::new(command)
        .render(&mut out)
        .map_err(|source| CommandError::File { what: "write the manual page".to_owned(), source })?;
    context.printer.raw(&String::from_utf8_lossy(&out));
    Ok(Exit::Good)
}
