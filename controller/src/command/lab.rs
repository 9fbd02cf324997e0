//! `ostler lab`.

use super::{CommandError, Context};
use crate::cli::{LabArgs, LabExecArgs, LabSshArgs, LabUpArgs, LabVerb};
use crate::inventory;
use crate::lab::{self, Lab, LabError, LabNode, LabSpec, Progress, Setup, Suite};
use crate::report::{Exit, sanitize};
use ostler_roles::author::source::Node;
use ostler_roles::words::{Digest, count};
use serde_json::json;
use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

/// Runs a verb of the lab.
pub fn run(context: &Context, args: &LabArgs) -> Result<Exit, CommandError> {
    let root = root(context)?;
    match &args.verb {
        LabVerb::Up(args) => up(context, &root, args),
        LabVerb::Down => {
            Lab::down(&state_dir(context, &root))?;
            context.printer.json(&json!({ "v": 1, "type": "lab", "state": "down" }));
            context.printer.line("The lab is down.");
            Ok(Exit::Good)
        }
        LabVerb::Status => status(context, &root),
        LabVerb::Ssh(args) => ssh(context, &root, args),
        LabVerb::Exec(args) => exec(context, &root, args),
    }
}

/// The holder process itself.
pub fn holder(arguments: Vec<OsString>) -> Exit {
    if lab::holder_main(arguments) == std::process::ExitCode::SUCCESS { Exit::Good } else { Exit::NodeFailed }
}

fn root(context: &Context) -> Result<PathBuf, CommandError> {
    if let Some(site) = &context.site {
        return Ok(site.clone());
    }
    let here = std::env::current_dir().map_err(|source| CommandError::File { what: "read the current directory".to_owned(), source })?;
    Ok(inventory::find(&here).unwrap_or(here))
}

/// Where the lab of a site keeps its state: one lab a site.
pub fn state_dir(context: &Context, root: &Path) -> PathBuf {
    let id = Digest::of(root.canonicalize().unwrap_or_else(|_| root.to_owned()).to_string_lossy().as_bytes()).short();
    context.environment.state.join("labs").join(id)
}

/// The lab that a site describes.
///
/// # Errors
/// A site without `lab:`, or one whose lab contradicts its nodes.
pub fn spec(root: &Path) -> Result<LabSpec, CommandError> {
    let site = inventory::read(root)?.whole().map_err(CommandError::Site)?.site;
    let Some(lab) = &site.file.lab else {
        return Err(CommandError::Usage {
            what: "this site describes no lab".to_owned(),
            hint: "add `lab: {nodes: {NAME: {suite: bookworm}}}` to ostler.yaml".to_owned(),
        });
    };
    let mut nodes = Vec::new();
    for entry in lab.get("nodes").and_then(Node::as_map).unwrap_or_default() {
        nodes.push(node(&site.nodes, &entry.key.value, &entry.value)?);
    }
    Ok(LabSpec::new(nodes))
}

fn node(nodes: &ostler_roles::author::site::NodesFile, name: &str, value: &Node) -> Result<LabNode, CommandError> {
    let wrong = |what: String| CommandError::Usage { what, hint: format!("see `lab:` in {}", value.span) };
    let text = |key: &str| value.get(key).and_then(Node::as_scalar).map(|scalar| scalar.text.clone());
    let host = nodes.nodes.iter().find(|node| node.name.value == name).and_then(|node| node.host.as_ref());
    let host = host.ok_or_else(|| wrong(format!("the lab's node {name} has no `host:` address in nodes.yaml")))?;
    let address: Ipv4Addr = host.value.parse().map_err(|_| wrong(format!("the lab's node {name}: `{}` is no IPv4 address", host.value)))?;
    let suite = match text("suite").as_deref() {
        None | Some("bookworm") => Suite::Bookworm,
        Some("bullseye") => Suite::Bullseye,
        Some("trixie") => Suite::Trixie,
        Some(other) => return Err(wrong(format!("the lab's node {name}: no suite is called `{other}`"))),
    };
    let mut node = LabNode::new(name, suite, address);
    if let Some(size) = text("disk") {
        let bytes = ostler_roles::words::Bytes::parse(&size).map_err(|error| wrong(error.to_string()))?;
        node = node.with_disk_mb(bytes.count() >> 20);
    }
    if text("vm").as_deref() == Some("true") {
        node = node.as_vm();
    }
    Ok(node)
}

fn up(context: &Context, root: &Path, args: &LabUpArgs) -> Result<Exit, CommandError> {
    let mut spec = spec(root)?;
    if let Some(unknown) = args.nodes.iter().find(|name| spec.nodes.iter().all(|node| node.name != **name)) {
        let known = spec.nodes.iter().map(|node| node.name.as_str()).collect::<Vec<_>>().join(", ");
        return Err(LabError::UnknownNode { name: unknown.clone(), known }.into());
    }
    if !args.nodes.is_empty() {
        spec.nodes.retain(|node| args.nodes.contains(&node.name));
    }
    let lab = bring_up(context, root, spec)?;
    for node in lab.nodes() {
        context.printer.json(&json!({ "v": 1, "type": "lab_node", "node": node.name, "address": node.address.to_string() }));
        context.printer.line(&format!("  {:<16} {}", node.name, node.address));
    }
    context.printer.line(&format!("The lab is up: {}.", count(lab.nodes().len(), "node")));
    Ok(Exit::Good)
}

/// Starts a lab, telling how far it is.
///
/// # Errors
/// What the lab could not do.
pub fn bring_up(context: &Context, root: &Path, spec: LabSpec) -> Result<Lab, CommandError> {
    let printer = context.printer.clone();
    let setup = Setup { state_dir: state_dir(context, root), ..Setup::of_command_line(&context.environment)? };
    let tell = move |progress: Progress| printer.aside(&sanitize(&said(&progress), false));
    Ok(Lab::up(spec, &setup, &tell)?)
}

fn said(progress: &Progress) -> String {
    match progress {
        Progress::Building { what, line } => format!("lab: building {what}: {line}"),
        Progress::NodeUp(node) => format!("lab: {node} is up"),
        Progress::Notice(text) => format!("lab: {text}"),
    }
}

fn attach(context: &Context, root: &Path) -> Result<Lab, LabError> {
    Lab::attach(&state_dir(context, root))
}

fn status(context: &Context, root: &Path) -> Result<Exit, CommandError> {
    let lab = match attach(context, root) {
        Ok(lab) => lab,
        Err(LabError::NotUp(_)) => {
            context.printer.json(&json!({ "v": 1, "type": "lab", "state": "down" }));
            context.printer.line("The lab is down.");
            return Ok(Exit::Good);
        }
        Err(error) => return Err(error.into()),
    };
    for (name, node) in lab.status()? {
        let state = format!("{:?}", node.state).to_lowercase();
        context.printer.json(&json!({ "v": 1, "type": "lab_node", "node": name, "address": node.address.to_string(), "state": state }));
        context.printer.line(&format!("  {name:<16} {:<16} {state}", node.address.to_string()));
    }
    Ok(Exit::Good)
}

fn ssh(context: &Context, root: &Path, args: &LabSshArgs) -> Result<Exit, CommandError> {
    let lab = attach(context, root)?;
    lab.node(&args.node)?;
    pass_on(lab.ssh(&args.user, &args.node, args.command.clone()).run_here()?)
}

fn exec(context: &Context, root: &Path, args: &LabExecArgs) -> Result<Exit, CommandError> {
    let lab = attach(context, root)?;
    pass_on(lab.command(args.command.clone()).run_here()?)
}

/// The program's own status becomes ours.
fn pass_on(ended: lab::Ended) -> Result<Exit, CommandError> {
    if ended.is_success() {
        return Ok(Exit::Good);
    }
    #[expect(clippy::exit, reason = "`lab exec` ends as the program that it ran; the table of exit codes is for our own verbs")]
    std::process::exit(i32::from(ended.code()))
}
