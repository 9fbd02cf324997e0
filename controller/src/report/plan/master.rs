//! What the masters would change, as people and programs read it: value by value, like any resource.

use super::super::{Paint, Style, sanitize, visible::apart};
use ostler_roles::master::Difference;
use ostler_roles::words::{NodeName, count};
use serde_json::{Value, json};

/// One master's part of the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedMaster {
    /// Which master.
    pub name: String,
    /// What it says.
    pub answer: MasterAnswer,
}

/// What is known of a master before anything is changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MasterAnswer {
    /// It was asked.
    Asked(MasterPlan),
    /// Its own machine changes in this very run: it is asked when that has ended.
    Later {
        /// The machine.
        machine: NodeName,
        /// How many executors it is to be asked about.
        executors: usize,
    },
    /// It cannot be asked at all, as the site describes it.
    Wrong {
        /// What is wrong.
        cause: String,
        /// The nodes that are registered there.
        nodes: Vec<NodeName>,
    },
    /// It did not answer, or not as it should.
    NotAsked {
        /// Why.
        cause: String,
        /// The nodes that are registered there.
        nodes: Vec<NodeName>,
    },
}

/// What a master told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MasterPlan {
    /// What executors share there and would be changed, such as credentials.
    pub shared: Vec<Difference>,
    /// What else has to be said of that.
    pub notes: Vec<String>,
    /// Its executors.
    pub executors: Vec<PlannedExecutor>,
    /// Executors of this site there that the site does not say any more.
    pub orphans: Vec<String>,
    /// Those of them that a node was before.
    pub renamed: Vec<Renamed>,
}

/// An executor that a node was before, and that its master still has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renamed {
    /// Its name there.
    pub from: String,
    /// The node.
    pub node: NodeName,
    /// What the node has on this master now.
    pub to: Vec<String>,
}

/// One executor's part of the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedExecutor {
    /// Its node.
    pub node: NodeName,
    /// Its name on the master.
    pub name: String,
    /// The master does not have it yet.
    pub is_new: bool,
    /// Values that would be changed.
    pub changes: Vec<Difference>,
    /// Why nothing can be told or done of it.
    pub trouble: Option<String>,
    /// Why it takes no jobs now.
    pub held: Option<String>,
}

/// What the masters' parts come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MasterCounts {
    /// Things that would be changed.
    pub change: usize,
    /// Executors of which nothing is known before the run.
    pub may: usize,
    /// Executors that take no jobs.
    pub held: usize,
    /// Executors that something is wrong with.
    pub trouble: usize,
    /// Masters that were not asked.
    pub not_asked: usize,
    /// Masters that cannot be asked, as the site describes them.
    pub wrong: usize,
}

/// Counts what the masters' parts come to.
pub fn master_counts(masters: &[PlannedMaster]) -> MasterCounts {
    let mut counts = MasterCounts::default();
    for master in masters {
        match &master.answer {
            MasterAnswer::Asked(told) => {
                let executors = || told.executors.iter();
                counts.change += told.shared.len() + executors().filter(|one| !one.changes.is_empty()).count();
                counts.held += executors().filter(|one| one.held.is_some()).count();
                counts.trouble += executors().filter(|one| one.trouble.is_some()).count();
            }
            MasterAnswer::Later { executors, .. } => counts.may += executors,
            MasterAnswer::NotAsked { .. } => counts.not_asked += 1,
            MasterAnswer::Wrong { .. } => counts.wrong += 1,
        }
    }
    counts
}

/// What of the masters' parts cannot come to anything, and nothing else.
pub fn master_troubles(masters: &[PlannedMaster]) -> Vec<PlannedMaster> {
    let only = |master: &PlannedMaster| match &master.answer {
        MasterAnswer::Asked(told) => {
            let troubled = told.executors.iter().filter(|one| one.trouble.is_some());
            let executors = troubled.map(|one| PlannedExecutor { changes: Vec::new(), held: None, ..one.clone() }).collect();
            let told = MasterPlan { executors, ..MasterPlan::default() };
            Some(PlannedMaster { name: master.name.clone(), answer: MasterAnswer::Asked(told) })
        }
        MasterAnswer::Wrong { .. } | MasterAnswer::NotAsked { .. } => Some(master.clone()),
        MasterAnswer::Later { .. } => None,
    };
    masters.iter().filter_map(only).collect()
}

/// The lines of the masters' parts.
pub fn master_lines(masters: &[PlannedMaster], style: Style) -> Vec<String> {
    masters.iter().flat_map(|master| lines_of(master, style)).collect()
}

fn lines_of(master: &PlannedMaster, style: Style) -> Vec<String> {
    let name = sanitize(&master.name, false);
    let line = |paint: Paint, text: &str| -> Vec<String> {
        style.paragraph(&format!("  {}", sanitize(text, false)), 4).iter().map(|line| style.paint(paint, line)).collect()
    };
    let told = match &master.answer {
        MasterAnswer::Later { machine, executors } => {
            let many = count(*executors, "executor");
            return line(Paint::Dim, &format!("? {name}: {many}; it is asked once its machine {machine} has come through"));
        }
        MasterAnswer::Wrong { cause, .. } => return line(Paint::Bad, &format!("! {name}: wrong in the site: {cause}")),
        MasterAnswer::NotAsked { cause, .. } => return line(Paint::Bad, &format!("! {name}: not asked ({cause})")),
        MasterAnswer::Asked(told) => told,
    };
    let mut lines = Vec::new();
    for change in &told.shared {
        let mark = if change.from == "absent" { '+' } else { '~' };
        lines.extend(line(Paint::Change, &format!("{mark} {name}: {}", change.what)));
        let (from, to) = apart(&change.from, &change.to);
        lines.extend(detail(&format!("{from} -> {to}"), style));
    }
    told.notes.iter().for_each(|note| lines.extend(detail(note, style)));
    for one in &told.executors {
        let head = format!("{name}: executor {} [{}]", one.name, one.node);
        if let Some(trouble) = &one.trouble {
            lines.extend(line(Paint::Bad, &format!("! {head}")));
            lines.extend(detail(trouble, style));
        } else if !one.changes.is_empty() {
            let mark = if one.is_new { '+' } else { '~' };
            lines.extend(line(Paint::Change, &format!("{mark} {head}")));
            for change in &one.changes {
                let (from, to) = apart(&change.from, &change.to);
                lines.extend(detail(&format!("{}: {from} -> {to}", change.what), style));
            }
        }
        if let Some(held) = &one.held {
            lines.extend(line(Paint::Bad, &format!("! {head} takes no jobs: {held}")));
        }
    }
    for orphan in &told.orphans {
        let text = match told.renamed.iter().find(|one| one.from == *orphan) {
            None => format!("? {name}: executor {orphan} is ours, and no longer in the site; it is left there as it is"),
            Some(Renamed { node, to, .. }) => {
                let now = if to.is_empty() { "none".to_owned() } else { to.join(", ") };
                let left = format!("it is left there as it is, its labels too: remove it there, and what is left of its agent on {node}");
                format!("? {name}: executor {orphan} is what {node} was called there before (now: {now}); {left}")
            }
        };
        lines.extend(line(Paint::Dim, &text));
    }
    lines
}

fn detail(text: &str, style: Style) -> Vec<String> {
    style.paragraph(&format!("      {}", sanitize(text, false)), 8)
}

fn renamed(told: &MasterPlan) -> Vec<Value> {
    told.renamed.iter().map(|one| json!({ "from": one.from, "node": one.node, "to": one.to })).collect()
}

/// The masters' parts as JSON lines.
pub fn master_json(masters: &[PlannedMaster]) -> Vec<Value> {
    let changes = |changes: &[Difference]| -> Vec<Value> {
        changes.iter().map(|one| json!({ "what": one.what, "from": one.from, "to": one.to })).collect()
    };
    let mut lines = Vec::new();
    for master in masters {
        let name = &master.name;
        let (state, more) = match &master.answer {
            MasterAnswer::Asked(told) => {
                for one in &told.executors {
                    lines.push(json!({ "v": 1, "type": "executor", "master": name, "node": one.node, "name": one.name, "new": one.is_new,
                        "changes": changes(&one.changes), "trouble": one.trouble, "held": one.held }));
                }
                (
                    "asked",
                    json!({ "changes": changes(&told.shared), "notes": told.notes, "orphans": told.orphans, "renamed": renamed(told) }),
                )
            }
            MasterAnswer::Later { machine, executors } => ("later", json!({ "machine": machine, "executors": executors })),
            MasterAnswer::Wrong { cause, nodes } => ("wrong", json!({ "cause": sanitize(cause, false), "nodes": nodes })),
            MasterAnswer::NotAsked { cause, nodes } => ("not_asked", json!({ "cause": sanitize(cause, false), "nodes": nodes })),
        };
        let mut line = json!({ "v": 1, "type": "planned_master", "master": name, "state": state });
        if let (Value::Object(line), Value::Object(more)) = (&mut line, more) {
            line.extend(more);
        }
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn executor(name: &str) -> PlannedExecutor {
        let node = NodeName::parse(name).unwrap();
        PlannedExecutor { node, name: name.to_owned(), is_new: false, changes: Vec::new(), trouble: None, held: None }
    }

    fn masters() -> Vec<PlannedMaster> {
        let told = MasterPlan {
            shared: vec![Difference::new("credential launch", "absent", "present")],
            notes: Vec::new(),
            executors: vec![
                PlannedExecutor { changes: vec![Difference::new("labels", "old", "big debian")], ..executor("p1") },
                PlannedExecutor { is_new: true, changes: vec![Difference::new("executor", "absent", "present")], ..executor("p2") },
                PlannedExecutor { held: Some("marked offline by `al`: disk\u{1b}[2J".to_owned()), ..executor("p3") },
                PlannedExecutor { trouble: Some("not ours".to_owned()), ..executor("p4") },
                executor("p5"),
            ],
            orphans: vec!["p9".to_owned(), "w1".to_owned()],
            renamed: vec![Renamed { from: "w1".to_owned(), node: NodeName::parse("p5").unwrap(), to: vec!["p5".to_owned()] }],
        };
        let (machine, nodes) = (NodeName::parse("m").unwrap(), vec![NodeName::parse("p7").unwrap()]);
        let master = |name: &str, answer| PlannedMaster { name: name.to_owned(), answer };
        vec![
            master("ci", MasterAnswer::Asked(told)),
            master("bb", MasterAnswer::Later { machine, executors: 2 }),
            master("old", MasterAnswer::NotAsked { cause: "connection refused".to_owned(), nodes: nodes.clone() }),
            master("odd", MasterAnswer::Wrong { cause: "`x@y` is not a credential id".to_owned(), nodes }),
        ]
    }

    #[test]
    fn every_value_that_would_change_on_a_master_is_named_and_nothing_of_what_is_well() {
        assert_eq!(
            master_lines(&masters(), Style::PLAIN),
            [
                "  + ci: credential launch",
                "      absent -> present",
                "  ~ ci: executor p1 [p1]",
                "      labels: old -> big debian",
                "  + ci: executor p2 [p2]",
                "      executor: absent -> present",
                "  ! ci: executor p3 [p3] takes no jobs: marked offline by `al`: disk",
                "  ! ci: executor p4 [p4]",
                "      not ours",
                "  ? ci: executor p9 is ours, and no longer in the site; it is left there as it is",
                "  ? ci: executor w1 is what p5 was called there before (now: p5); it is left there as it is, its labels too: remove it there, and what is left of its agent on p5",
                "  ? bb: 2 executors; it is asked once its machine m has come through",
                "  ! old: not asked (connection refused)",
                "  ! odd: wrong in the site: `x@y` is not a credential id",
            ]
        );
        let troubles = ["  ! ci: executor p4 [p4]", "      not ours", "  ! old: not asked (connection refused)"];
        assert_eq!(
            master_lines(&master_troubles(&masters()), Style::PLAIN),
            [&troubles[..], &["  ! odd: wrong in the site: `x@y` is not a credential id"]].concat()
        );
        assert_eq!(master_counts(&masters()), MasterCounts { change: 3, may: 2, held: 1, trouble: 1, not_asked: 1, wrong: 1 });
    }

    #[test]
    fn programs_read_the_same() {
        let lines = master_json(&masters());
        assert_eq!(lines.iter().filter(|line| line["type"] == "executor").count(), 5);
        assert_eq!(lines[0]["changes"], json!([{ "what": "labels", "from": "old", "to": "big debian" }]));
        let states: Vec<_> = lines.iter().filter(|line| line["type"] == "planned_master").map(|line| line["state"].clone()).collect();
        assert_eq!(states, ["asked", "later", "not_asked", "wrong"]);
    }
}
