//! What root runs: not where the roles themselves give another account the place, which could put anything else there. A node is asked again
//! in the step's turn, for what roles do not say.

use super::context::Context;
use super::drafts::Draft;
use crate::author::diagnostic::Fault;
use crate::author::source::Span;
use crate::resource::Desired;
use crate::resource::command;
use crate::words::AbsPath;

const ROOT: &str = "root";
/// Where a program is looked for that is named without its path.
const SEARCHED: [&str; 6] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// A directory, or a file, of another account.
struct Owned<'d> {
    path: AbsPath,
    owner: String,
    span: &'d Span,
}

/// Judges the commands of a node.
pub(super) fn judge(drafts: &[Draft<'_>], closed: &[Option<Desired>], context: &Context<'_>) {
    let all = || drafts.iter().zip(closed).filter_map(|(draft, desired)| Some((draft, desired.as_ref()?)));
    let owned: Vec<Owned<'_>> = all().filter_map(|(draft, desired)| owned(draft, desired)).collect();
    for (draft, desired) in all() {
        let Desired::Command(command) = desired else { continue };
        if command.run_as.as_ref().is_some_and(|name| name.as_str() != ROOT) {
            continue;
        }
        for (path, field, what) in places(command) {
            // What stands in the search path is meant by its name where it is declared itself: other programs are elsewhere.
            let named = |owned: &&Owned<'_>| match &path {
                Place::At(path) => path.is_within(&owned.path),
                Place::Named(name) => {
                    owned.path.file_name() == name && owned.path.parent().is_some_and(|above| SEARCHED.contains(&above.as_str()))
                }
            };
            let Some(owned) = owned.iter().find(named) else { continue };
            let path = if let Place::At(path) = &path { path } else { &owned.path };
            let owner = &owned.owner;
            let fault =
                Fault::new(draft.values.span(field), format!("root's command {what} `{path}`, and {owner} can put something else there"));
            let also = format!("`{}` belongs to {owner}", owned.path);
            context.fault(fault.also(owned.span, &also).hint(format!("add `as: {owner}` to the command, or take a place of root's")));
            break;
        }
    }
}

fn owned<'d>(draft: &'d Draft<'_>, desired: &Desired) -> Option<Owned<'d>> {
    let (path, owner, field) = if let Desired::Directory(directory) = desired {
        (directory.path.clone(), directory.present.as_ref()?.owner.to_string(), "path")
    } else if let Desired::User(user) = desired {
        (user.present.as_ref()?.home.clone()?, user.name.to_string(), "name")
    } else if let Desired::File(file) = desired {
        (file.path.clone(), file.present.as_ref()?.ownership.owner.to_string(), "path")
    } else if let Desired::Download(download) = desired {
        (download.path.clone(), download.ownership.owner.to_string(), "path")
    } else {
        return None;
    };
    (owner != ROOT).then(|| Owned { path, owner, span: draft.values.span(field) })
}

/// A path, or a name that is looked for.
enum Place {
    At(AbsPath),
    Named(String),
}

/// Where a command begins, and what it starts.
fn places(command: &command::Desired) -> Vec<(Place, &'static str, &'static str)> {
    let program = |argv: Option<&Vec<String>>| {
        let program = argv?.first()?;
        if program.contains('/') { AbsPath::parse(program).ok().map(Place::At) } else { Some(Place::Named(program.clone())) }
    };
    let places = [
        (command.directory.clone().map(Place::At), "directory", "begins in"),
        (program(Some(&command.run)), "run", "starts"),
        (program(command.unless.as_ref()), "unless", "starts"),
    ];
    places.into_iter().filter_map(|(path, field, what)| Some((path?, field, what))).collect()
}
