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

/// What is shown of a change; equal ones of several nodes stand once.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Change {
    mark: char,
    name: String,
    /// On what it depends.
    after: Option<String>,
    details: Vec<String>,
    diff: Vec<String>,
}

/// Changes with the place of the first that was met, and the nodes that have them.
type Groups<'a> = BTreeMap<Change, (usize, Vec<&'a NodeName>)>;

/// The plan's lines: identical changes of several nodes stand once. `diff` shows file contents.
pub fn plan_lines(nodes: &[PlannedNode<'_>], diff: bool, style: Style) -> Vec<String> {
    let mut groups = Groups::new();
    for one in nodes {
        let mut add = |order: usize, change: Change| groups.entry(change).or_insert_with(|| (order, Vec::new())).1.push(one.node);
        // Steps of which nothing can be said but on what they depend, by that.
        let mut unsure: BTreeMap<String, (usize, Vec<String>)> = BTreeMap::new();
        for (order, (step, planned)) in one.catalog.steps.iter().zip(&one.plan.steps).enumerate() {
            let name = sanitize(&step.id().to_string(), false);
            let after = if let Planned::MayChange { because, .. } = planned { Some(sanitize(&because.to_string(), false)) } else { None };
            match (details(planned), after) {
                (None, _) => {}
                (Some((_, details)), Some(after)) if details.is_empty() => {
                    unsure.entry(after).or_insert_with(|| (order, Vec::new())).1.push(name);
                }
                (Some((mark, details)), after) => {
                    let diff = if diff { content_diff(&step.desired, planned, one.blob) } else { Vec::new() };
                    add(order, Change { mark, name, after, details, diff });
                }
            }
        }
        for (after, (order, names)) in unsure {
            let details = vec![names.join(", ")];
            add(order, Change { mark: '?', name: "may change".to_owned(), after: Some(after), details, diff: Vec::new() });
        }
    }
    let mut ordered: Vec<_> = groups.iter().collect();
    ordered.sort_by_key(|(_, (order, _))| *order);
    ordered.into_iter().flat_map(|(change, (_, members))| change_lines(change, members, nodes.len(), style)).collect()
}

fn change_lines(change: &Change, members: &[&NodeName], all: usize, style: Style) -> Vec<String> {
    let who = if members.len() == all && all > 1 {
        format!("all {all} nodes")
    } else {
        members.iter().map(|node| node.as_str()).collect::<Vec<_>>().join(", ")
    };
    let head = format!("  {} {}", change.mark, change.name);
    let after = change.after.as_ref().map(|after| format!("after {after} ")).unwrap_or_default();
    let mut lines = vec![head_line(&head, &format!("{after}[{who}]"), paint_of(change.mark), style)];
    for detail in &change.details {
        lines.extend(style.paragraph(&format!("      {detail}"), 8));
    }
    for line in &change.diff {
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

/// The mark of a change and its parts, as things are now.
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
        Planned::MayChange { changes, .. } => Some(('?', show(changes))),
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
                lines.extend(bad(&format!("  {}", sanitize(&name, false)), style));
                let missing = missing.as_ref().map(|missing| format!(" ({missing} missing)")).unwrap_or_default();
                lines.extend(wrapped(style, &format!("wanted: {wanted}{missing}")));
                lines.extend(wrapped(style, &format!("found:  {found}")));
                lines.extend(wrapped(style, &format!("try:    {hint}")));
            }
            Verdict::CouldNotTell { why } => {
                lines.extend(bad(&format!("  {}", sanitize(&name, false)), style));
                lines.extend(wrapped(style, &format!("could not tell: {why}")));
            }
        }
        lines.extend(wrapped(style, &format!("at:     {} ({})", requirement.origin, requirement.role)));
    }
    for (step, planned) in one.catalog.steps.iter().zip(&one.plan.steps) {
        let Some(('!', details)) = details(planned) else { continue };
        lines.extend(bad(&format!("  {}  {}", one.node, sanitize(&step.id().to_string(), false)), style));
        lines.extend(details.iter().flat_map(|detail| wrapped(style, detail)));
        lines.extend(wrapped(style, &format!("at:     {} ({})", step.origin, step.role)));
    }
    lines
}

/// What is refused.
fn bad(text: &str, style: Style) -> Vec<String> {
    style.paragraph(text, 4).iter().map(|line| style.paint(Paint::Bad, line)).collect()
}

fn wrapped(style: Style, text: &str) -> Vec<String> {
    style.wrap(&sanitize(text, false), 6).into_iter().map(|line| format!("      {line}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ostler_roles::catalog::Step;
    use ostler_roles::resource::{Kind, ResourceId, group};
    use ostler_roles::words::{AccountName, Origin, RoleName, Span};

    fn catalog(node: &NodeName, steps: usize) -> Catalog {
        let step = |number: usize| Step {
            desired: Desired::Group(group::Desired { name: AccountName::parse(&format!("g{number}")).unwrap(), present: None }),
            role: RoleName::parse("base").unwrap(),
            origin: Origin::default(),
            within: Span::seconds(1),
            watches: Vec::new(),
            together: None,
            while_busy: false,
        };
        let steps = (0..steps).map(step).collect();
        Catalog { node: node.clone(), facts: Digest::of(b""), require: Vec::new(), steps, verify: Vec::new() }
    }

    fn lines(plans: &[Vec<Planned>], style: Style) -> Vec<String> {
        let made: Vec<(NodeName, Catalog, Plan)> = plans
            .iter()
            .enumerate()
            .map(|(number, steps)| {
                let node = NodeName::parse(&format!("n{number}")).unwrap();
                let catalog = catalog(&node, steps.len());
                let (digest, steps) = (catalog.digest(), steps.clone());
                (node, catalog, Plan { catalog: digest, generation: 0, requirements: Vec::new(), steps, verify: Vec::new() })
            })
            .collect();
        let views: Vec<_> = made.iter().map(|(node, catalog, plan)| PlannedNode { node, catalog, plan, blob: &|_| None }).collect();
        plan_lines(&views, false, style)
    }

    fn change(to: &str) -> Planned {
        Planned::Change { changes: vec![Shown::new("gid", "1", to)], triggered: None, old: None }
    }

    fn may(changes: Vec<Shown>) -> Planned {
        Planned::MayChange { because: ResourceId { kind: Kind::Package, key: "git".to_owned() }, changes }
    }

    #[test]
    fn equal_changes_of_several_nodes_stand_once_in_the_order_of_the_steps() {
        let unchanged = || Planned::Unchanged { why: "so".to_owned() };
        let plans = [vec![change("7"), change("2")], vec![change("8"), change("2")], vec![unchanged(), change("2")]];
        assert_eq!(
            lines(&plans, Style::PLAIN),
            [
                "  ~ group g0 [n0]",
                "      gid: 1 -> 7",
                "  ~ group g0 [n1]",
                "      gid: 1 -> 8",
                "  ~ group g1 [all 3 nodes]",
                "      gid: 1 -> 2"
            ]
        );
    }

    #[test]
    fn what_may_change_is_shown_as_things_are_now_and_the_rest_of_it_in_one_place() {
        let plans = [vec![change("7"), may(vec![]), may(vec![Shown::new("group", "absent", "present")]), may(vec![]), may(vec![])]];
        assert_eq!(
            lines(&plans, Style::PLAIN),
            [
                "  ~ group g0 [n0]",
                "      gid: 1 -> 7",
                "  ? may change after package git [n0]",
                "      group g1, group g3, group g4",
                "  ? group g2 after package git [n0]",
                "      group: absent -> present",
            ]
        );
    }

    #[test]
    fn a_long_detail_is_broken_and_not_cut() {
        let plans = [vec![change("a very long value that has more words than the line has room for")]];
        let narrow = lines(&plans, Style { colour: false, width: Some(40) });
        assert!(narrow.iter().all(|line| line.chars().count() <= 40), "{narrow:#?}");
        assert_eq!(narrow[1..], ["      gid: 1 -> a very long value that", "        has more words than the line has", "        room for"]);
    }

    #[test]
    fn a_plan_of_many_nodes_is_grouped_in_no_time() {
        let plans: Vec<Vec<Planned>> = (0..600).map(|node| (0..20).map(|step| change(&format!("{node}-{step}"))).collect()).collect();
        let began = std::time::Instant::now();
        assert_eq!(lines(&plans, Style::PLAIN).len(), 600 * 20 * 2);
        assert!(began.elapsed() < std::time::Duration::from_secs(10), "{:?}", began.elapsed());
    }

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
