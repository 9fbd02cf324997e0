//! `restart_on`, `reload_on`, `run_on`: names of resources that this role or one it needs declares before the watcher.

use std::collections::BTreeMap;

use super::context::Context;
use super::drafts::{Draft, Drafts};
use crate::author::diagnostic::{Fault, nearest};
use crate::author::kinds;
use crate::author::role::Role;
use crate::author::source::Span;
use crate::catalog::{Action, Watch};
use crate::resource::{Kind, ResourceId};
use crate::words::AbsPath;

/// A name that was not declared before its watcher.
#[derive(Clone, Debug)]
pub(super) struct Pending<'a> {
    wanted: ResourceId,
    watcher: ResourceId,
    span: Span,
    role: &'a Role,
}

/// The watches of one declaration. Names that are not declared yet are kept for [`judge`].
pub(super) fn resolve<'a>(
    drafts: &mut Drafts<'a>,
    context: &Context<'a>,
    watcher: &ResourceId,
    names: BTreeMap<Action, Vec<(String, Span)>>,
    role: &'a Role,
    together: Option<u32>,
) -> Vec<Watch> {
    let reach = context.reach(&role.name.value);
    let mut watches: Vec<Watch> = Vec::new();
    for (action, list) in names {
        for (name, span) in list {
            let Some(id) = parse(context, &name, &span) else { continue };
            let declared = drafts.by_id.get(&id).and_then(|number| drafts.list.get(*number));
            if declared.is_some_and(|draft| draft.roles.iter().any(|name| reach.contains(name))) && id != *watcher {
                beside(drafts, context, watcher, (&id, &span), together);
                if !watches.iter().any(|watch| watch.id == id && watch.action == action) {
                    watches.push(Watch { id, action });
                }
            } else if !drafts.left_out.iter().any(|(left, by)| *left == id && reach.contains(by)) {
                drafts.pending.push(Pending { wanted: id, watcher: watcher.clone(), span, role });
            }
        }
    }
    watches
}

/// Members of one `together` run at once: what one of them watches may change after its own turn.
fn beside(drafts: &Drafts<'_>, context: &Context<'_>, watcher: &ResourceId, (watched, span): (&ResourceId, &Span), together: Option<u32>) {
    let Some(block) = together else { return };
    let directory = AbsPath::parse(&watched.key).ok().filter(|_| watched.kind == Kind::Directory);
    let below = |draft: &Draft<'_>| directory.as_ref().is_some_and(|directory| draft.path().is_some_and(|path| path.is_within(directory)));
    let member = |draft: &&Draft<'_>| draft.words.together == Some(block) && draft.id != *watcher && (draft.id == *watched || below(draft));
    if let Some(draft) = drafts.list.iter().find(member) {
        let fault = Fault::new(span, format!("`{watcher}` watches `{}` beside it in one `together`: they run at once", draft.id));
        context.fault(fault.also(&draft.span, "declared here").hint("put the watcher behind the block"));
    }
}

/// `KIND KEY`.
fn parse(context: &Context<'_>, name: &str, span: &Span) -> Option<ResourceId> {
    let (word, key) = name.split_once(' ').unwrap_or((name, ""));
    let kind = Kind::ALL.iter().copied().find(|kind| kind.word() == word);
    match kind {
        Some(kind) if !key.trim().is_empty() => {
            let key = kinds::resource(kind).map_or_else(|| key.trim().to_owned(), |spec| (spec.normal)(key.trim()));
            Some(ResourceId { kind, key })
        }
        _ => {
            let words = Kind::ALL.iter().map(|kind| kind.word());
            context.fault(Fault::new(span, format!("`{name}` names no resource")).expected("`KIND KEY`").nearest(word, words));
            None
        }
    }
}

/// Says of each name that was not there in time what is wrong with it.
pub(super) fn judge(drafts: &Drafts<'_>, context: &Context<'_>) {
    for pending in &drafts.pending {
        let Pending { wanted, watcher, span, role } = pending;
        let reach = context.reach(&role.name.value);
        let fault = match drafts.by_id.get(wanted).and_then(|number| drafts.list.get(*number)) {
            Some(_) if wanted == watcher => Fault::new(span, format!("`{wanted}` cannot watch itself")),
            Some(draft) if draft.roles.iter().any(|name| reach.contains(name)) => {
                Fault::new(span, format!("`{wanted}` stands after `{watcher}`, which watches it"))
                    .also(&draft.span, "declared here")
                    .hint("put the watcher behind what it watches")
            }
            Some(draft) => {
                let other = &draft.role.name.value;
                Fault::new(span, format!("`{wanted}` is declared by {other}, which {} does not need", role.name.value))
                    .also(&draft.span, "declared here")
                    .hint(format!("add `- {other}: {{}}` to the needs of {}", role.name.value))
            }
            // It may be the one that could not be read, which was told.
            None if drafts.failed => continue,
            None => {
                let visible = drafts.list.iter().filter(|draft| draft.roles.iter().any(|name| reach.contains(name)));
                let names: Vec<String> = visible.map(|draft| draft.id.to_string()).collect();
                let mut fault = Fault::new(span, format!("neither {} nor a role it needs declares `{wanted}`", role.name.value));
                fault.nearest = nearest(&wanted.to_string(), names.iter().map(String::as_str)).map(str::to_owned);
                fault
            }
        };
        context.fault(fault);
    }
}

/// Says of each entry made below a watched directory after its last watcher that nothing would act on it.
pub(super) fn judge_directories(drafts: &Drafts<'_>, context: &Context<'_>) {
    let watched = |turn: &super::drafts::OrderEntry<'_>| -> Vec<AbsPath> {
        let directories = turn.watches.iter().filter(|watch| watch.id.kind == Kind::Directory);
        directories.filter_map(|watch| AbsPath::parse(&watch.id.key).ok()).collect()
    };
    // Where each draft has its last turn, and which entries are made where.
    let mut last = vec![0; drafts.list.len()];
    let mut made = Vec::new();
    let mut seen = vec![false; drafts.list.len()];
    for (place, turn) in drafts.turns.iter().enumerate() {
        last[turn.draft] = place;
        let draft = &drafts.list[turn.draft];
        if let Some(path) = draft.path().filter(|_| !std::mem::replace(&mut seen[turn.draft], true)) {
            made.push((place, path, draft));
        }
    }
    for (place, turn) in drafts.turns.iter().enumerate() {
        let watcher = &drafts.list[turn.draft];
        for directory in watched(turn) {
            let below = |path: &AbsPath| *path != directory && path.is_within(&directory);
            for (_, _, draft) in made.iter().filter(|(later, path, _)| *later > place && *later >= last[turn.draft] && below(path)) {
                let message = format!("`{}` watches `directory {directory}`, and `{}` is made below it afterwards", watcher.id, draft.id);
                let hint = format!("declare `{}` again behind it, watching `{}`: that is where it acts", watcher.id, draft.id);
                context.fault(Fault::new(&draft.span, message).also(&turn.span, "the watcher").hint(hint));
            }
        }
    }
}
