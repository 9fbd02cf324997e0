//! `ostler init`.

use super::{CommandError, Context};
use crate::cli::InitArgs;
use crate::report::Exit;
use ostler_roles::author::expr::shell_quote;
use serde_json::json;
use std::io::Write;
use std::path::Path;

/// The files of a first site, in the order of reading.
const FILES: &[(&str, &str)] = &[
    ("ostler.yaml", include_str!("init/ostler.yaml")),
    ("nodes.yaml", include_str!("init/nodes.yaml")),
    ("roles/first.yaml", include_str!("init/first.yaml")),
];

/// Where the site's id goes in [`FILES`].
const ID: &str = "@ID@";

/// What comes next, as README.md has it too.
const NEXT: &[(&str, &str)] = &[
    ("lint", "every fault at once, without a node"),
    ("check --accept-new", "do the requirements hold? changes nothing"),
    ("plan -D", "what would change? changes nothing"),
    ("apply", "shows the plan, asks once, goes"),
];

/// Writes a commented site.
pub fn run(context: &Context, args: &InitArgs) -> Result<Exit, CommandError> {
    let root = &args.directory;
    if let Some((taken, _)) = FILES.iter().find(|(name, _)| root.join(name).exists()) {
        return Err(CommandError::Usage {
            what: format!("{} is there already: nothing was written", root.join(taken).display()),
            hint: "name another directory".to_owned(),
        });
    }
    let id = new_id().map_err(|source| CommandError::File { what: "make an id for the site".to_owned(), source })?;
    let mut written = Vec::new();
    for (name, text) in FILES {
        let path = root.join(name);
        if let Err(source) = write(&path, &text.replace(ID, &id)) {
            // Half a site would stand in the way of the next try.
            written.iter().for_each(|path| _ = std::fs::remove_file(path));
            return Err(CommandError::File { what: format!("write {}", path.display()), source });
        }
        written.push(path);
    }
    for path in written {
        context.printer.json(&json!({ "v": 1, "type": "written", "path": path.to_string_lossy() }));
        context.printer.line(&format!("wrote {}", path.display()));
    }
    let there = if root == Path::new(".") { String::new() } else { format!("cd {} && ", shell_quote(&root.to_string_lossy())) };
    context.printer.line("Next: name your machines in nodes.yaml, then");
    for (verb, why) in NEXT {
        context.printer.line(&format!("  {there}ostler {verb:20}  # {why}"));
    }
    Ok(Exit::Good)
}

/// An id that no other site has: 48 random bits.
fn new_id() -> std::io::Result<String> {
    let mut bytes = [0u8; 6];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(text.as_bytes()).inspect_err(|_| _ = std::fs::remove_file(path))
}
