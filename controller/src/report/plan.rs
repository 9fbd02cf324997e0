//! The plan as people read it: grouped by identical change.

mod master;
mod refusal;
mod step_view;

pub use master::{
    MasterAnswer, MasterCounts, MasterPlan, PlannedExecutor, PlannedMaster, Renamed, master_counts, master_json, master_lines,
    master_troubles,
};
pub use refusal::{impossible, refusal_lines};
pub use step_view::action_word;

use super::common_lines::{FEW, some};
use super::{Paint, Style, sanitize};
use crate::fleet::Content;
use ostler_roles::catalog::{Catalog, Step};
use ostler_roles::plan::{Plan, Planned};
use ostler_roles::resource::{Desired, ResourceId};
use ostler_roles::words::{Digest, NodeName};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use step_view::{content_diff, contents, picture};

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
    pub blob: &'a dyn Fn(&Digest) -> Option<Content>,
}

impl std::fmt::Debug for PlannedNode<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PlannedNode").field("node", &self.node).finish_non_exhaustive()
    }
}

/// How many steps differ now, and how many of the others may differ when their turn comes.
pub fn change_count(plan: &Plan) -> (usize, usize) {
    let mut count = (0, 0);
    for step in &plan.steps {
        match step {
            Planned::Unchanged { .. } => {}
            Planned::MayChange { changes, .. } if changes.is_empty() => count.1 += 1,
            Planned::Change { .. } | Planned::MayChange { .. } | Planned::Impossible(_) => count.0 += 1,
        }
    }
    count
}

/// What is shown of a change; equal ones of several nodes stand once.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Change {
    mark: char,
    /// The step, and how large what it makes is.
    name: String,
    details: Vec<String>,
    /// Which of the differences of contents that are shown; none: there is none to show.
    diff: Option<usize>,
}

/// The differences of contents that are shown. Each is made once, of however many nodes: most have the same old and new.
#[derive(Default)]
struct ContentDiffs {
    made: HashMap<(Digest, Digest), Option<usize>>,
    known: HashMap<Vec<String>, usize>,
    lines: Vec<Vec<String>>,
}

impl ContentDiffs {
    fn of(&mut self, desired: &Desired, planned: &Planned, blob: &dyn Fn(&Digest) -> Option<Content>) -> Option<usize> {
        let (old, new) = contents(desired, planned)?;
        *self.made.entry((Digest::of(old.as_bytes()), new)).or_insert_with(|| {
            let lines = content_diff(old, &new, blob);
            (!lines.is_empty()).then(|| {
                *self.known.entry(lines).or_insert_with_key(|lines| {
                    self.lines.push(lines.clone());
                    self.lines.len() - 1
                })
            })
        })
    }
}

/// Changes with the place of the first that was met, and the nodes that have them.
type Groups<'a> = BTreeMap<Change, (Place, Vec<&'a NodeName>)>;

/// Nodes with the same steps stand together, and in them the steps in their order.
type Place = (usize, usize);

/// The plan's lines: identical changes of several nodes stand once. `diff` shows file contents.
pub fn plan_lines(nodes: &[PlannedNode<'_>], diff: bool, style: Style) -> Vec<String> {
    let mut groups = Groups::new();
    let mut kinds_of_node: BTreeMap<Vec<ResourceId>, usize> = BTreeMap::new();
    let mut again = BTreeSet::new();
    let mut diffs = ContentDiffs::default();
    for one in nodes {
        let steps: Vec<ResourceId> = one.catalog.steps.iter().map(Step::id).collect();
        let next = kinds_of_node.len();
        let kind = *kinds_of_node.entry(steps).or_insert(next);
        let mut add = |order: usize, change: Change| groups.entry(change).or_insert_with(|| ((kind, order), Vec::new())).1.push(one.node);
        let mut made = made_paths(one.catalog);
        // Steps of which nothing can be said but on what they depend, by that.
        let mut unsure: BTreeMap<String, (usize, Vec<String>)> = BTreeMap::new();
        for (order, (step, planned)) in one.catalog.steps.iter().zip(&one.plan.steps).enumerate() {
            let name = sanitize(&step.id().to_string(), false);
            let Some(picture) = picture(planned, &made) else { continue };
            made.extend(parents(planned));
            if let Planned::MayChange { because, changes } = planned {
                if changes.is_empty() {
                    unsure.entry(sanitize(&because.to_string(), false)).or_insert_with(|| (order, Vec::new())).1.push(name);
                    continue;
                }
                again.insert(sanitize(&because.to_string(), false));
            }
            let diff = if diff { diffs.of(&step.desired, planned, one.blob) } else { None };
            let size = picture.size.map(|size| format!(" ({size})")).unwrap_or_default();
            add(order, Change { mark: picture.mark, name: format!("{name}{size}"), details: picture.lines, diff });
        }
        for (after, (order, names)) in unsure {
            add(order, Change { mark: '?', name: format!("may change after {after}"), details: vec![names.join(", ")], diff: None });
        }
    }
    let mut ordered: Vec<_> = groups.iter().collect();
    ordered.sort_by_key(|(_, (place, _))| *place);
    let mut lines: Vec<String> =
        ordered.into_iter().flat_map(|(change, (_, members))| change_lines(change, &diffs, who(members, nodes.len()), style)).collect();
    lines.extend(note_lines(nodes, style));
    if !again.is_empty() {
        let after = again.into_iter().collect::<Vec<_>>().join(", ");
        let note = format!("  Seen as it is now: what {after} may alter is looked at again in its turn.");
        lines.extend(style.paragraph(&note, 2).iter().map(|line| style.paint(Paint::Dim, line)));
    }
    lines
}

/// What is not as wished though nothing fails for it.
fn note_lines(nodes: &[PlannedNode<'_>], style: Style) -> Vec<String> {
    let mut notes: BTreeMap<&str, Vec<&NodeName>> = BTreeMap::new();
    for one in nodes {
        one.plan.notes.iter().for_each(|note| notes.entry(note).or_default().push(one.node));
    }
    let line = |(note, members): (&str, Vec<&NodeName>)| {
        let text = format!("  ! {} [{}]", sanitize(note, false), who(&members, nodes.len()));
        style.paragraph(&text, 4).into_iter().map(|line| style.paint(Paint::Change, &line)).collect::<Vec<_>>()
    };
    notes.into_iter().flat_map(line).collect()
}

/// Directories that the step makes on its way: a later one finds them there.
fn parents(planned: &Planned) -> Vec<String> {
    let changes = match planned {
        Planned::Change { changes, .. } | Planned::MayChange { changes, .. } => changes.as_slice(),
        Planned::Unchanged { .. } | Planned::Impossible(_) => &[],
    };
    changes.iter().filter(|change| change.field == "parent").map(|change| change.to.clone()).collect()
}

/// Directories that the catalog makes itself: that their parents are missing now says nothing.
fn made_paths(catalog: &Catalog) -> BTreeSet<String> {
    let path = |step: &Step| {
        if let Desired::Directory(directory) = &step.desired {
            return directory.present.as_ref().map(|_| directory.path.to_string());
        }
        let Desired::User(user) = &step.desired else { return None };
        user.present.as_ref()?.home.as_ref().map(ToString::to_string)
    };
    catalog.steps.iter().filter_map(path).collect()
}

fn change_lines(change: &Change, diffs: &ContentDiffs, who: String, style: Style) -> Vec<String> {
    let head = format!("  {} {}", change.mark, change.name);
    let mut lines = head_lines(&head, &format!("[{who}]"), paint_of(change.mark), style);
    for detail in &change.details {
        lines.extend(style.paragraph(&format!("      {detail}"), 8));
    }
    for line in change.diff.iter().flat_map(|at| &diffs.lines[*at]) {
        let paint = match line.chars().next() {
            Some('+') => Paint::Good,
            Some('-') => Paint::Bad,
            _ => Paint::Dim,
        };
        lines.push(format!("      {}", style.paint(paint, line)));
    }
    lines
}

/// Who has a change. Of many the first are named: all of them stand in the JSON lines.
fn who(members: &[&NodeName], all: usize) -> String {
    match members.len() {
        count if count == all && all > 1 => format!("all {all} nodes"),
        count if count > FEW => some(members, FEW - 1),
        _ => some(members, FEW),
    }
}

/// Broken before it is painted: colours take no columns.
fn head_lines(head: &str, tail: &str, paint: Paint, style: Style) -> Vec<String> {
    let lines = style.paragraph(&format!("{head} {tail}"), 8).into_iter().enumerate();
    let painted = lines.map(|(index, line)| match line.char_indices().nth(head.chars().count()) {
        _ if index > 0 => style.paint(Paint::Dim, &line),
        Some((end, _)) => format!("{}{}", style.paint(paint, &line[..end]), style.paint(Paint::Dim, &line[end..])),
        None => style.paint(paint, &line),
    });
    painted.collect()
}

fn paint_of(mark: char) -> Paint {
    match mark {
        '!' => Paint::Bad,
        '?' => Paint::Dim,
        _ => Paint::Change,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ostler_roles::resource::{Kind, Ownership, Shown, file, group};
    use ostler_roles::words::{AbsPath, AccountName, Blob, Content as Contents, Mode, Origin, RoleName, Span};

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
                (
                    node,
                    catalog,
                    Plan { catalog: digest, generation: 0, requirements: Vec::new(), steps, verify: Vec::new(), notes: Vec::new() },
                )
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
    fn nodes_with_the_same_steps_stand_together() {
        let plans = [vec![change("7"), change("2")], vec![change("8")], vec![change("9"), change("3")]];
        let heads: Vec<String> = lines(&plans, Style::PLAIN).into_iter().step_by(2).collect();
        assert_eq!(heads, ["  ~ group g0 [n0]", "  ~ group g0 [n2]", "  ~ group g1 [n0]", "  ~ group g1 [n2]", "  ~ group g0 [n1]"]);
    }

    #[test]
    fn what_the_mark_says_is_not_said_again() {
        let one = |changes: &[(&str, &str, &str)]| {
            let changes = changes.iter().map(|(field, from, to)| Shown::new(field, *from, *to)).collect();
            lines(&[vec![Planned::Change { changes, triggered: None, old: None }]], Style::PLAIN)
        };
        assert_eq!(one(&[("package", "absent", "installed")]), ["  + group g0 [n0]"]);
        assert_eq!(one(&[("file", "absent", "present, 510 bytes")]), ["  + group g0 (510 bytes) [n0]"]);
        assert_eq!(one(&[("user", "present", "absent")]), ["  - group g0 [n0]"]);
        let home = one(&[("home directory", "absent", "/home/ci")]);
        assert_eq!(home[0], "  ~ group g0 [n0]", "the account was there before");
        assert_eq!(one(&[("run", "/srv/x is missing", "done")]), ["  ~ group g0 [n0]", "      run: /srv/x is missing"]);
        let parent = ("parent", "absent", "/srv/a");
        assert_eq!(
            one(&[parent, ("mode", "0600", "0644")]),
            ["  ~ group g0 [n0]", "      parent: absent -> /srv/a", "      mode: 0600 -> 0644"]
        );
    }

    #[test]
    fn a_missing_parent_is_told_of_where_it_is_made_and_not_again() {
        let parents = |names: &[&str]| names.iter().map(|name| Shown::new("parent", "absent", name)).collect::<Vec<_>>();
        let step = |names| Planned::Change {
            changes: [parents(names), vec![Shown::new("file", "absent", "present, 1 byte")]].concat(),
            triggered: None,
            old: None,
        };
        assert_eq!(
            lines(&[vec![step(&["/srv/a"]), step(&["/srv/a", "/srv/a/b"])]], Style::PLAIN),
            [
                "  + group g0 (1 byte) [n0]",
                "      parent: absent -> /srv/a",
                "  + group g1 (1 byte) [n0]",
                "      parent: absent -> /srv/a/b",
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
                "  + group g2 [n0]",
                "  Seen as it is now: what package git may alter is looked at again in its turn.",
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
    fn many_nodes_are_not_all_named_at_a_change() {
        let unchanged = || vec![Planned::Unchanged { why: "so".to_owned() }];
        let plans: Vec<_> = (0..1000).map(|number| if number < 999 { vec![change("7")] } else { unchanged() }).collect();
        assert_eq!(lines(&plans, Style::PLAIN)[0], "  ~ group g0 [n0, n1, n2, n3, n4, n5, n6, n7, n8, n9, n10 and 988 more]");
        let plans: Vec<_> = (0..13).map(|number| if number < 12 { vec![change("7")] } else { unchanged() }).collect();
        assert_eq!(lines(&plans, Style::PLAIN)[0], "  ~ group g0 [n0, n1, n2, n3, n4, n5, n6, n7, n8, n9, n10, n11]");
    }

    #[test]
    fn a_difference_of_contents_is_made_once_for_all_nodes_that_have_it() {
        let new = Blob::of(b"new\n");
        let ownership = Ownership { owner: AccountName::parse("root").unwrap(), group: None, mode: Mode::FILE };
        let desired = Desired::File(file::Desired {
            path: AbsPath::parse("/etc/motd").unwrap(),
            present: Some(file::Present { content: Contents::Blob(new), ownership, validate: None }),
        });
        let asked = std::cell::Cell::new(0);
        let blob = |digest: &Digest| {
            asked.set(asked.get() + 1);
            (*digest == new.digest).then(|| b"new\n".to_vec().into())
        };
        let made: Vec<(NodeName, Catalog, Plan)> = (0..100)
            .map(|number| {
                let node = NodeName::parse(&format!("n{number}")).unwrap();
                let mut catalog = catalog(&node, 1);
                catalog.steps[0].desired = desired.clone();
                let old = Some(if number == 0 { "other\n" } else { "old\n" }.to_owned());
                let steps = vec![Planned::Change { changes: vec![Shown::new("content", "4 bytes", "4 bytes")], triggered: None, old }];
                let (catalog_digest, requirements, verify, notes) = (catalog.digest(), Vec::new(), Vec::new(), Vec::new());
                (node, catalog, Plan { catalog: catalog_digest, generation: 0, requirements, steps, verify, notes })
            })
            .collect();
        let views: Vec<_> = made.iter().map(|(node, catalog, plan)| PlannedNode { node, catalog, plan, blob: &blob }).collect();
        let lines = plan_lines(&views, true, Style::PLAIN);
        assert_eq!(lines.iter().filter(|line| line.contains("-old")).count(), 1, "{lines:#?}");
        assert_eq!(lines.iter().filter(|line| line.contains("-other")).count(), 1, "{lines:#?}");
        assert_eq!(asked.get(), 2);
    }

    #[test]
    fn a_plan_of_many_nodes_is_grouped_in_no_time() {
        let plans: Vec<Vec<Planned>> = (0..600).map(|node| (0..20).map(|step| change(&format!("{node}-{step}"))).collect()).collect();
        let began = std::time::Instant::now();
        assert_eq!(lines(&plans, Style::PLAIN).len(), 600 * 20 * 2);
        assert!(began.elapsed() < std::time::Duration::from_secs(10), "{:?}", began.elapsed());
    }

    #[test]
    fn a_head_in_colour_is_broken_at_the_same_place_as_one_without() {
        let (head, tail) = ("  + package build-essential", "[node-1, node-2, node-3]");
        for width in [27, 28, 29, 40, 80] {
            let plain = head_lines(head, tail, Paint::Change, Style { colour: false, width: Some(width) });
            let painted = head_lines(head, tail, Paint::Change, Style { colour: true, width: Some(width) });
            assert!(plain.iter().all(|line| line.chars().count() <= width), "{plain:?}");
            assert_eq!(painted.iter().map(|line| sanitize(line, false)).collect::<Vec<_>>(), plain);
            assert_eq!(plain.join(" ").split_whitespace().collect::<Vec<_>>().join(" "), format!("{} {tail}", head.trim()));
            assert!(painted.iter().all(|line| line.ends_with("\u{1b}[0m")), "{painted:?}");
        }
    }
}
