//! `ostler completions`, `ostler man`: made from the same types as the command line itself.

use super::{CommandError, Context};
use crate::cli::{Cli, CompletionsArgs, ManArgs};
use crate::report::Exit;
use clap::CommandFactory;

/// Prints completions.
pub fn completions(context: &Context, args: &CompletionsArgs) -> Exit {
    let mut out = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "ostler", &mut out);
    context.printer.raw(&String::from_utf8_lossy(&out));
    Exit::Good
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
