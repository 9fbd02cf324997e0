//! A path has one owner: two kinds on one path, or a file where a directory is wanted, undo each other run after run.

use std::collections::BTreeMap;

use super::context::Context;
use super::drafts::Draft;
use crate::author::diagnostic::Fault;
use crate::author::source::Span;
use crate::resource::service::State;
use crate::resource::{Desired, ResourceId, line};
use crate::words::{AbsPath, UNIT_DIRECTORIES};

/// What a resource makes of its path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Makes {
    /// A file with all that is in it.
    File,
    /// Lines of a file that others write too.
    Lines,
    /// A directory; others may stand in it.
    Directory,
    /// A link.
    Link,
    /// Nothing: it must not be there.
    Nothing,
}

struct Owner<'d> {
    id: &'d ResourceId,
    span: &'d Span,
    makes: Makes,
}

/// Judges the paths of a node's resources.
pub(super) fn judge(drafts: &[Draft<'_>], closed: &[Option<Desired>], context: &Context<'_>) {
    let mut owners: BTreeMap<AbsPath, Vec<Owner<'_>>> = BTreeMap::new();
    for (draft, desired) in drafts.iter().zip(closed) {
        let owned = desired.as_ref().and_then(|desired| keys(desired, closed).or_else(|| owned(desired)));
        let Some((path, makes, field)) = owned else { continue };
        owners.entry(path).or_default().push(Owner { id: &draft.id, span: draft.values.span(field), makes });
    }
    for (path, owners_here) in &owners {
        let mut kept: Vec<&Owner<'_>> = Vec::new();
        for owner in owners_here {
            match kept.iter().find(|first| !beside(first, owner)) {
                Some(first) => _ = context.fault(two(path, first, owner)),
                None => kept.push(owner),
            }
        }
        let Some(owner) = owners_here.iter().find(|owner| owner.makes != Makes::Nothing) else { continue };
        let mut above = path.parent();
        while let Some(parent) = above {
            let in_the_way = |owner: &&Owner<'_>| !matches!(owner.makes, Makes::Directory | Makes::Link);
            if let Some(other) = owners.get(&parent).and_then(|owners| owners.iter().find(in_the_way)) {
                let what = if other.makes == Makes::Nothing { "which must not be there" } else { "which is not a directory" };
                let message = format!("`{}` stands below `{}`, {what}", owner.id, other.id);
                context.fault(Fault::new(owner.span, message).also(other.span, "declared here"));
                break;
            }
            above = parent.parent();
        }
    }
}

/// Judges lines of one file: one that another takes away, or replaces by its own, comes back in every run.
pub(super) fn judge_lines(drafts: &[Draft<'_>], closed: &[Option<Desired>], context: &Context<'_>) {
    let mut files: BTreeMap<&AbsPath, Vec<(&Draft<'_>, &line::Desired)>> = BTreeMap::new();
    for (draft, desired) in drafts.iter().zip(closed) {
        if let Some(Desired::Line(line)) = desired {
            files.entry(&line.path).or_default().push((draft, line));
        }
    }
    for lines in files.into_values() {
        for (number, (draft, second)) in lines.iter().enumerate() {
            let undoes = |a: &line::Desired, b: &line::Desired| !b.absent && a.counts(&b.line) && (a.absent || a.line != b.line);
            let undone = lines[..number].iter().find(|(_, first)| undoes(first, second) || undoes(second, first));
            if let Some((other, _)) = undone {
                let message = format!("`{}` and `{}` undo each other in every run", draft.id, other.id);
                context.fault(Fault::new(draft.values.span("line"), message).also(other.values.span("line"), "the first"));
            }
        }
    }
}

/// Judges links that mask a unit which shall run or start at boot: the service takes the mask away, the link brings it back.
pub(super) fn judge_masks(drafts: &[Draft<'_>], closed: &[Option<Desired>], context: &Context<'_>) {
    let all = || drafts.iter().zip(closed).filter_map(|(draft, desired)| Some((draft, desired.as_ref()?)));
    for (draft, desired) in all() {
        let Desired::Link(link) = desired else { continue };
        let Some((directory, name)) = link.path.as_str().rsplit_once('/') else { continue };
        if link.to.as_deref() != Some("/dev/null") || !UNIT_DIRECTORIES.contains(&directory) {
            continue;
        }
        let wants = |(_, desired): &(&Draft<'_>, &Desired)| matches!(desired, Desired::Service(service) if service.name.as_str() == name && (service.state == Some(State::Running) || service.enabled == Some(true)));
        if let Some((service, _)) = all().find(wants) {
            let message =
                format!("`{}` masks the unit that `{}` wants to run or to start at boot: each would undo the other", draft.id, service.id);
            context.fault(Fault::new(draft.values.span("path"), message).also(&service.span, "the service"));
        }
    }
}

/// The file of keys of an account, as sshd(8) reads it where nobody says otherwise: in the home that the roles give it, or the usual one.
fn keys(desired: &Desired, closed: &[Option<Desired>]) -> Option<(AbsPath, Makes, &'static str)> {
    let Desired::AuthorizedKey(key) = desired else { return None };
    let of_roles = closed.iter().flatten().find_map(|desired| match desired {
        Desired::User(user) if user.name == key.user => user.new_home(),
        _ => None,
    });
    let home = match of_roles {
        Some(home) => home.to_string(),
        None if key.user.as_str() == "root" => "/root".to_owned(),
        None => format!("/home/{}", key.user),
    };
    Some((AbsPath::parse(&format!("{home}/.ssh/authorized_keys")).ok()?, Makes::Lines, "user"))
}

/// Whether two resources may share a path: lines of one file, and a cache in a directory that says who owns it.
fn beside(a: &Owner<'_>, b: &Owner<'_>) -> bool {
    a.makes == b.makes && (a.makes == Makes::Lines || (a.makes == Makes::Directory && a.id.kind != b.id.kind))
}

fn two(path: &AbsPath, first: &Owner<'_>, second: &Owner<'_>) -> Fault {
    let (whole, lines) = if second.makes == Makes::Lines { (first, second) } else { (second, first) };
    let message = match (whole.makes, lines.makes) {
        (Makes::File, Makes::Lines) => format!("`{}` is a line of a file whose whole content `{}` declares", lines.id, whole.id),
        _ => format!("`{}` and `{}` both make `{path}`: each would undo the other", second.id, first.id),
    };
    Fault::new(second.span, message).also(first.span, "the first")
}

/// The path that a resource makes, what it makes of it, and the field that says so.
fn owned(desired: &Desired) -> Option<(AbsPath, Makes, &'static str)> {
    let or_nothing = |there: bool, makes: Makes| if there { makes } else { Makes::Nothing };
    let (makes, field) = if let Desired::Directory(directory) = desired {
        (or_nothing(directory.present.is_some(), Makes::Directory), "path")
    } else if let Desired::Link(link) = desired {
        (or_nothing(link.to.is_some(), Makes::Link), "path")
    } else if let Desired::File(file) = desired {
        (or_nothing(file.present.is_some(), Makes::File), "path")
    } else if let Desired::Line(_) = desired {
        (Makes::Lines, "path")
    } else if let Desired::GitCache(_) = desired {
        (Makes::Directory, "root")
    } else if let Desired::Command(command) = desired {
        return Some((command.stdout_to.clone()?, Makes::File, "stdout_to"));
    } else if let Desired::Service(service) = desired {
        service.unit.as_ref()?;
        return Some((service.unit_path(), Makes::File, "unit"));
    } else {
        // Whatever else stands in the tree of files is a file of its own.
        (Makes::File, "path")
    };
    Some((desired.path()?.clone(), makes, field))
}
