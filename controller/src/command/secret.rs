//! `ostler secret`.

use super::{
    CommandError, Context,
    interrupt::{Echo, Interrupts},
    password, prepare,
    workspace::{Open, Workspace, identity_file},
};
use crate::cli::{Generate, SecretArgs, SecretSetArgs, SecretVerb};
use crate::report::Exit;
use crate::secret::{self, Identities, SecretError, SetOutcome};
use ostler_roles::words::{Secret, SecretName};
use serde_json::json;
use std::io::Read;
use std::path::Path;

/// Sets a secret, or shows who can read them.
pub fn run(context: &Context, args: &SecretArgs) -> Result<Exit, CommandError> {
    match &args.verb {
        SecretVerb::Set(args) => set(context, args),
        SecretVerb::ShowRecipients => show(context),
    }
}

fn recipients(workspace: &Workspace) -> Vec<String> {
    workspace.inventory.site.file.recipients.iter().map(|recipient| recipient.value.clone()).collect()
}

fn set(context: &Context, args: &SecretSetArgs) -> Result<Exit, CommandError> {
    let workspace = Workspace::open(context, &[], Open::Names)?;
    let root = &workspace.inventory.root;
    let name = SecretName::parse(&args.name).map_err(SecretError::from)?;
    let identities = Identities::read(&identity_file(context))?;
    let there = secret::names(root)?.contains(&name);
    let value = match (args.generate, &args.from) {
        // What was made anew once is kept: making it again by the same command would lock everybody out.
        (Some(_), _) if there && !args.replace => return Ok(said(context, &name, SetOutcome::Unchanged)),
        (Some(Generate::Ed25519), _) => secret::ed25519(name.as_str())?,
        (Some(Generate::Password), _) => secret::password()?,
        (None, Some(file)) => Secret::new(from_file(file)?),
        (None, None) if context.printer.can_ask() => Secret::new(from_terminal(context, &name)?),
        (None, None) => Secret::new(from_stdin()?),
    };
    let outcome = secret::set(root, &name, &value, &recipients(&workspace), identities.as_ref(), args.replace)?;
    Ok(said(context, &name, outcome))
}

/// More than a secret may have, so that one that is too long is seen to be.
fn bounded(from: impl Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(2 * 1024 * 1024).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// One line, which is not shown; Ctrl-C leaves.
fn from_terminal(context: &Context, name: &SecretName) -> Result<Vec<u8>, CommandError> {
    let (printer, echo, question) = (context.printer.clone(), Echo::default(), format!("value of {name}: "));
    let answer = prepare::block_on(async {
        let _interrupts = Interrupts::listen(printer, echo.clone()).map_err(CommandError::Signals)?;
        let ask = move || password::ask(&question, true, &echo, || false);
        Ok(tokio::task::spawn_blocking(ask).await.ok().flatten())
    })?;
    Ok(answer.map(|line| line.expose().clone().into_bytes()).unwrap_or_default())
}

fn from_file(file: &Path) -> Result<Vec<u8>, CommandError> {
    let read = std::fs::File::open(file).and_then(bounded);
    Ok(of_line(read.map_err(|source| CommandError::File { what: format!("read {}", file.display()), source })?))
}

fn from_stdin() -> Result<Vec<u8>, CommandError> {
    let read = bounded(std::io::stdin().lock());
    Ok(of_line(read.map_err(|source| CommandError::File { what: "read standard input".to_owned(), source })?))
}

/// What `echo` or an editor adds to one line is not part of a password; keys are written with their own last line feed.
fn of_line(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.ends_with(b"\n") && bytes.iter().filter(|byte| **byte == b'\n').count() == 1 {
        bytes.pop();
    }
    bytes
}

fn said(context: &Context, name: &SecretName, outcome: SetOutcome) -> Exit {
    let word = match outcome {
        SetOutcome::Written => "written",
        SetOutcome::Unchanged => "unchanged",
    };
    context.printer.json(&json!({ "v": 1, "type": "secret", "name": name, "outcome": word }));
    context.printer.line(&format!("secrets/{name}.age {word}"));
    Exit::Good
}

fn show(context: &Context) -> Result<Exit, CommandError> {
    let workspace = Workspace::open(context, &[], Open::Names)?;
    let file = identity_file(context);
    let mine = Identities::read(&file)?.map(|identities| identities.recipients()).unwrap_or_default();
    for recipient in recipients(&workspace) {
        let opens = mine.contains(&recipient);
        context.printer.json(&json!({ "v": 1, "type": "recipient", "recipient": recipient, "opens_here": opens }));
        context.printer.line(&format!("{recipient}{}", if opens { "  (opened here)" } else { "" }));
    }
    for recipient in mine.iter().filter(|recipient| !recipients(&workspace).contains(recipient)) {
        context.printer.aside(&format!("{} holds {recipient}, which ostler.yaml does not name", file.display()));
    }
    if mine.is_empty() {
        let created = Identities::create(&file)?;
        context.printer.aside(&format!("made {}; add its recipient to `secrets.recipients` of ostler.yaml: {created}", file.display()));
    }
    Ok(Exit::Good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_one_line_is_no_part_of_a_password_wherever_it_comes_from() {
        for (read, kept) in [("pass word\n", "pass word"), ("pass word", "pass word"), ("\n", ""), ("-----BEGIN\nx\n", "-----BEGIN\nx\n")] {
            assert_eq!(of_line(read.as_bytes().to_vec()), kept.as_bytes());
        }
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("password.txt");
        std::fs::write(&file, "pass word\n").unwrap();
        assert_eq!(from_file(&file).unwrap(), b"pass word");
    }
}
