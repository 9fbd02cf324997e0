//! Words of other tools on the command line: what stands for them here is said.

use super::Cli;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, Parser};
use std::ffi::OsString;

/// The command line; a wrong one ends the program, as clap does, with what was meant.
pub fn parse() -> Cli {
    Cli::try_parse().unwrap_or_else(|error| advised(error, &std::env::args_os().collect::<Vec<_>>()).exit())
}

/// Flags of other tools, with what stands for them. `VERB` is the verb that was given.
const FLAGS: &[(&[&str], &str)] = &[
    (&["--dry-run", "--noop", "--check", "--what-if", "-n"], "`ostler plan` shows what would change, and changes nothing"),
    (&["--inventory", "-i"], "the nodes are those of nodes.yaml; `-C DIR` names another site"),
    (&["--hosts", "--host", "--nodes", "--node"], "nodes are chosen with `--limit`: ostler VERB -l NODE"),
    (&["--tags", "--role", "-t"], "`ostler plan --only ROLE` and `ostler apply --only ROLE` are about one role"),
    (&["--user", "-u"], "the account is `ssh: {user: NAME}` of ostler.yaml, else that of your ssh configuration"),
    (&["--become", "--sudo", "-b"], "how root is reached is `ssh: {become: sudo}` of ostler.yaml"),
    (&["--extra-vars"], "a value for this call: -e ROLE.PARAMETER=VALUE"),
];

/// Adds to an error about a word that this program does not know what stands for it here.
fn advised(mut error: clap::Error, arguments: &[OsString]) -> clap::Error {
    if error.kind() != ErrorKind::UnknownArgument || error.get(ContextKind::SuggestedArg).is_some() {
        return error;
    }
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidArg) else { return error };
    let command = Cli::command();
    let verb = arguments.iter().skip(1).filter_map(|word| word.to_str()).find_map(|word| command.find_subcommand(word));
    let flag = word.split('=').next().unwrap_or_default();
    let known = FLAGS.iter().find(|(flags, _)| flags.contains(&flag)).map(|(_, advice)| *advice);
    let by_limit = || {
        let has_limit = verb.is_some_and(|verb| verb.get_arguments().any(|known| known.get_long() == Some("limit")));
        has_limit.then(|| format!("nodes are chosen with `--limit`: ostler VERB -l {word}"))
    };
    let advice = if word.starts_with('-') { known.map(str::to_owned) } else { by_limit() };
    if let Some(advice) = advice {
        let advice = advice.replace("VERB", verb.map_or("VERB", clap::Command::get_name));
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![advice.into()]));
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(line: &str) -> String {
        let words: Vec<OsString> = line.split(' ').map(Into::into).collect();
        advised(Cli::try_parse_from(&words).unwrap_err(), &words).to_string()
    }

    #[test]
    fn words_of_other_tools_are_answered_with_what_stands_for_them() {
        for flag in ["--dry-run", "-n", "--check"] {
            let said = said(&format!("ostler apply {flag}"));
            assert!(said.contains(&format!("unexpected argument '{flag}' found")), "{said}");
            assert!(said.contains("tip: `ostler plan` shows what would change, and changes nothing"), "{said}");
        }
        for verb in ["check", "plan", "apply", "nodes"] {
            let said = said(&format!("ostler {verb} build-1"));
            assert!(said.contains(&format!("tip: nodes are chosen with `--limit`: ostler {verb} -l build-1")), "{said}");
        }
        assert!(said("ostler apply --inventory=hosts").contains("tip: the nodes are those of nodes.yaml"));
        // What clap knows better, and what nobody knows.
        assert!(said("ostler plan --dif").contains("tip: a similar argument exists: '--diff'"));
        assert!(!said("ostler lint build-1").contains("tip:"));
    }
}
