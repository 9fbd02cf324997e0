//! The plan as people read it: grouped by identical change, refusals with the numbers.

use super::{Paint, Style, sanitize};
use ostler_roles::catalog::{Action, Catalog};
use ostler_roles::check::Verdict;
use ostler_roles::plan::{Plan, Planned};
use ostler_roles::resource::{Desired, Shown};
use ostler_roles::words::{Content, Digest, NodeName};
use std::collections::BTreeMap;

/// One node's part of the plan.
#[derive(Clone, Copy)]
pub struct PlannedNode<'a> {
    /// Which node.
    pub node: &'a NodeName,
    /// What it shall be.
    pub catalog: &'a Catalog,
    /// What would be done.
    pub plan: &'a Plan,
    /// Gives public contents, for diffs.
    pub blob: &'a dyn Fn(&Digest) -> Option<Vec<u8>>,
}

impl std::fmt::Debug for PlannedNode<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PlannedNode").field("node", &self.node).finish_non_exhaustive()
    }
}

/// How many steps would change and how many may change.
pub fn change_count(plan: &Plan) -> (usize, usize) {
    let change = plan.steps.iter().filter(|step| matches!(step, Planned::Change { .. } | Planned::Impossible(_))).count();
    let may = plan.steps.iter().filter(|step| matches!(step, Planned::MayChange { .. })).count();
    (change, may)
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    order: usize,
    mark: char,
    name: String,
    details: Vec<String>,
    diff: Vec<String>,
}

/// The plan's lines: identical changes of several nodes stand once. `diff` shows file contents.
pub fn plan_lines(nodes: &[PlannedNode<'_>], diff: bool, style: Style) -> Vec<String> {
    let mut groups: BTreeMap<Group, Vec<&NodeName>> = BTreeMap::new();
    for one in nodes {
        for (order, (step, planned)) in one.catalog.steps.iter().zip(&one.plan.steps).enumerate() {
            let Some((mark, details)) = details(planned) else { continue };
            let diff = if diff { content_diff(&step.desired, planned, one.blob) } else { Vec::new() };
            let group = Group { order, mark, name: sanitize(&step.id().to_string(), false), details, diff };
            // Equal changes are one group wherever they stand in each node's order: the first place counts.
            let same = groups.keys().find(|other| {
                other.mark == group.mark && other.name == group.name && other.details == group.details && other.diff == group.diff
            });
            let key = same.map(|other| Group {
                order: other.order,
                mark: other.mark,
                name: other.name.clone(),
                details: other.details.clone(),
                diff: other.diff.clone(),
            });
            groups.entry(key.unwrap_or(group)).or_default().push(one.node);
        }
    }
    groups.iter().flat_map(|(group, members)| group_lines(group, members, nodes.len(), style)).collect()
}

fn group_lines(group: &Group, members: &[&NodeName], all: usize, style: Style) -> Vec<String> {
    let who = if members.len() == all && all > 1 {
        format!("all {all} nodes")
    } else {
        members.iter().map(|node| node.as_str()).collect::<Vec<_>>().join(", ")
    };
    let head = format!("  {} {}", group.mark, group.name);
    let mut lines = vec![head_line(&head, &format!("[{who}]"), paint_of(group.mark), style)];
    for detail in &group.details {
        lines.push(style.fit(&format!("      {detail}"), 0));
    }
    for line in &group.diff {
        let paint = match line.chars().next() {
            Some('+') => Paint::Good,
            Some('-') => Paint::Bad,
            _ => Paint::Dim,
        };
        lines.push(format!("      {}", style.paint(paint, line)));
    }
    lines
}

/// Cut before it is painted: colours take no columns, and a cut must not lose their end.
fn head_line(head: &str, tail: &str, paint: Paint, style: Style) -> String {
    let line = style.fit(&format!("{head} {tail}"), 0);
    match line.char_indices().nth(head.chars().count()) {
        Some((end, _)) if !line[..end].ends_with('…') => {
            format!("{}{}", style.paint(paint, &line[..end]), style.paint(Paint::Dim, &line[end..]))
        }
        Some(_) | None => style.paint(paint, &line),
    }
}

fn paint_of(mark: char) -> Paint {
    match mark {
        '!' => Paint::Bad,
        '?' => Paint::Dim,
        _ => Paint::Change,
    }
}

fn details(planned: &Planned) -> Option<(char, Vec<String>)> {
    let show = |changes: &[Shown]| -> Vec<String> {
        changes.iter().map(|change| sanitize(&format!("{}: {} -> {}", change.field, change.from, change.to), false)).collect()
    };
    match planned {
        Planned::Unchanged { .. } => None,
        Planned::Change { changes, triggered, .. } => {
            let mut lines = show(changes);
            if let Some((action, because)) = triggered {
                let names: Vec<String> = because.iter().map(ToString::to_string).collect();
                lines.push(sanitize(&format!("{}: because of {}", action_word(*action), names.join(", ")), false));
            }
            let creates = changes.iter().any(|change| change.from == "absent");
            let removes = changes.iter().any(|change| change.to == "absent");
            Some((
                if creates {
                    '+'
                } else if removes {
                    '-'
                } else {
                    '~'
                },
                lines,
            ))
        }
        Planned::MayChange { because, changes } => {
            let mut lines = vec![sanitize(&format!("may change: it depends on {because}"), false)];
            lines.extend(show(changes));
            Some(('?', lines))
        }
        Planned::Impossible(failure) => {
            let mut lines = vec![sanitize(&failure.message, false)];
            lines.extend(failure.causes.iter().map(|cause| sanitize(cause, false)));
            lines.extend(failure.hint.iter().map(|hint| sanitize(&format!("try: {hint}"), false)));
            Some(('!', lines))
        }
    }
}

/// Why a plan may not go, in one line.
pub fn impossible(plan: &Plan) -> String {
    let steps =
        plan.steps.iter().filter_map(|step| if let Planned::Impossible(failure) = step { Some(failure.message.clone()) } else { None });
    let checks = plan.requirements.iter().filter_map(|verdict| match verdict {
        Verdict::Pass { .. } => None,
        Verdict::Fail { found, wanted, .. } => Some(format!("{found}, wanted: {wanted}")),
        Verdict::CouldNotTell { why } => Some(why.clone()),
    });
    checks.chain(steps).collect::<Vec<_>>().join("; ")
}

/// What a watcher does, as a word.
pub fn action_word(action: Action) -> &'static str {
    match action {
        Action::Run => "runs",
        Action::Reload => "reloads",
        Action::Restart => "restarts",
    }
}

fn content_diff(desired: &Desired, planned: &Planned, blob: &dyn Fn(&Digest) -> Option<Vec<u8>>) -> Vec<String> {
    let Planned::Change { old, .. } = planned else { return Vec::new() };
    let Some(Content::Blob(new)) = desired.contents().into_iter().next() else { return Vec::new() };
    let Some(new) = blob(&new.digest).and_then(|bytes| String::from_utf8(bytes).ok()) else { return Vec::new() };
    let old = old.clone().unwrap_or_default();
    let diff = similar::TextDiff::from_lines(&old, &new);
    let unified = diff.unified_diff().context_radius(2).to_string();
    unified.lines().filter(|line| !line.starts_with("---") && !line.starts_with("+++")).map(|line| sanitize(line, false)).collect()
}

/// Requirements that do not hold, and steps that are impossible: what, where, how much is missing, the one thing to do.
pub fn refusal_lines(one: &PlannedNode<'_>, style: Style) -> Vec<String> {
    let mut lines = Vec::new();
    for (requirement, verdict) in one.catalog.require.iter().zip(&one.plan.requirements) {
        let name = format!("{}  {}", one.node, requirement.check);
        match verdict {
            Verdict::Pass { .. } => continue,
            Verdict::Fail { found, wanted, missing, hint } => {
                lines.push(style.paint(Paint::Bad, &format!("  {}", sanitize(&name, false))));
                let missing = missing.as_ref().map(|missing| format!(" ({missing} missing)")).unwrap_or_default();
                lines.extend(wrapped(style, &format!("wanted: {wanted}{missing}")));
                lines.extend(wrapped(style, &format!("found:  {found}")));
                lines.extend(wrapped(style, &format!("try:    {hint}")));
            }
            Verdict::CouldNotTell { why } => {
                lines.push(style.paint(Paint::Bad, &format!("  {}", sanitize(&name, false))));
                lines.extend(wrapped(style, &format!("could not tell: {why}")));
            }
        }
        lines.extend(wrapped(style, &format!("at:     {} ({})", requirement.origin, requirement.role)));
    }
    for (step, planned) in one.catalog.steps.iter().zip(&one.plan.steps) {
        let Some(('!', details)) = details(planned) else { continue };
        lines.push(style.paint(Paint::Bad, &format!("  {}  {}", one.node, sanitize(&step.id().to_string(), false))));
        lines.extend(details.iter().flat_map(|detail| wrapped(style, detail)));
        lines.extend(wrapped(style, &format!("at:     {} ({})", step.origin, step.role)));
    }
    lines
}

fn wrapped(style: Style, text: &str) -> Vec<String> {
    style.wrap(&sanitize(text, false), 6).into_iter().map(|line| format!("      {line}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_in_colour_is_cut_at_the_same_place_as_one_without() {
        let (head, tail) = ("  + package build-essential", "[node-1, node-2, node-3]");
        for width in [20, 27, 28, 29, 40, 80] {
            let plain = head_line(head, tail, Paint::Change, Style { colour: false, width: Some(width) });
            let painted = head_line(head, tail, Paint::Change, Style { colour: true, width: Some(width) });
            assert!(plain.chars().count() <= width, "{plain}");
            assert_eq!(sanitize(&painted, false), plain);
            assert!(painted.ends_with("\u{1b}[0m"), "{painted:?}");
        }
    }
}
