//! The end of the story: counts, failed nodes last where the eye is.

use super::common_lines::{FEW, alike, some};
use super::{Paint, Style, sanitize};
use ostler_roles::words::{RoleName, count};
use std::time::Duration;

/// How one node came through, for the recap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeResult {
    /// Which node.
    pub node: String,
    /// Steps changed.
    pub changed: u32,
    /// Steps that were so already.
    pub unchanged: u32,
    /// Checks that were made and hold: requirements, unchanged steps, proofs.
    pub checks: u32,
    /// Labels attached, by master.
    pub labels: Vec<String>,
    /// Masters that give it no jobs though it has its labels, each with who holds it and why.
    pub held: Vec<String>,
    /// Why it is out; none: it came through.
    pub trouble: Option<String>,
}

impl NodeResult {
    /// A node that was planned and found as it shall be.
    pub fn verified(ready: &crate::fleet::Ready) -> Self {
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Self {
            node: ready.node.to_string(),
            changed: 0,
            unchanged: count(ready.plan.steps.len()),
            checks: count(ready.plan.steps.len() + ready.plan.requirements.len() + ready.plan.verify.len()),
            labels: Vec::new(),
            held: Vec::new(),
            trouble: ready.unproved().first().map(|name| format!("{name} does not hold")),
        }
    }
}

/// The trouble of a node whose run was cancelled.
pub const CANCELLED: &str = "cancelled";

/// Everything for the last lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recap {
    /// Each node.
    pub nodes: Vec<NodeResult>,
    /// From start to end.
    pub took: Duration,
    /// Cancelled by a person.
    pub cancelled: bool,
    /// The role that a partial run was about.
    pub only: Option<RoleName>,
    /// Whether who takes no jobs was said before, node by node.
    pub held_is_told: bool,
}

/// The last lines.
pub fn recap_lines(recap: &Recap, style: Style) -> Vec<String> {
    let seconds = format!("{:.1} s", recap.took.as_secs_f64());
    let good: Vec<&NodeResult> = recap.nodes.iter().filter(|node| node.trouble.is_none()).collect();
    let bad: Vec<&NodeResult> = recap.nodes.iter().filter(|node| node.trouble.is_some()).collect();
    let checks: u32 = good.iter().map(|node| node.checks).sum();
    let changed: u32 = recap.nodes.iter().map(|node| node.changed).sum();
    let nodes = |number: usize| count(number, "node");
    let hold = if checks == 1 { "holds" } else { "hold" };
    let partial = recap.only.as_ref().map(|role| {
        let text =
            format!("Partial: {role}, what it needs and what watches them. No label was attached; the next whole run proves what changed.");
        painted(Paint::Change, &text, style)
    });
    let is_held = good.iter().any(|node| !node.held.is_empty());
    let held: Vec<String> = good.iter().filter(|_| !recap.held_is_told).flat_map(|node| held_lines(node, style)).collect();
    let may_take = match good.iter().filter(|node| !node.held.is_empty()).count() {
        0 => String::new(),
        none => format!(" {} may take jobs, {none} may not.", good.len() - none),
    };
    if bad.is_empty() && changed == 0 && !recap.cancelled {
        let text = format!("Nothing to change. {} verified in {seconds} ({}).{may_take}", nodes(good.len()), count(checks, "check"));
        let paint = if is_held { Paint::Change } else { Paint::Good };
        return held.into_iter().chain(painted(paint, &text, style)).chain(partial.into_iter().flatten()).collect();
    }
    let mut lines = good_lines(&good, style);
    lines.extend(held);
    lines.extend(bad_lines(&bad, style));
    let (paint, end) = match (bad.len(), recap.cancelled) {
        (0, false) => (
            Paint::Good,
            format!("Done. {} in {seconds}: {changed} changed, {} {hold}.{may_take}", nodes(good.len()), count(checks, "check")),
        ),
        (0, true) => (Paint::Change, format!("Cancelled after {seconds}: {changed} changed.")),
        (_, _) if bad.iter().all(|node| node.trouble.as_deref() == Some(CANCELLED)) => {
            (Paint::Change, format!("Cancelled after {seconds}: {changed} changed. The next apply goes on where it stopped."))
        }
        (failed, _) => (Paint::Bad, format!("{} came through, {} did not, in {seconds}.", nodes(good.len()), nodes(failed))),
    };
    lines.extend(painted(paint, &end, style));
    lines.extend(partial.into_iter().flatten());
    lines
}

/// A text in its colour, broken where the terminal is narrow.
fn painted(paint: Paint, text: &str, style: Style) -> Vec<String> {
    style.paragraph(text, 4).iter().map(|line| style.paint(paint, line)).collect()
}

fn held_lines(node: &NodeResult, style: Style) -> Vec<String> {
    let line = |held: &String| painted(Paint::Change, &format!("  {:<16} takes no jobs: {}", node.node, sanitize(held, false)), style);
    node.held.iter().flat_map(line).collect()
}

fn good_lines(good: &[&NodeResult], style: Style) -> Vec<String> {
    let text = |node: &NodeResult| {
        let labels = if node.labels.is_empty() { String::new() } else { format!(", labelled {}", node.labels.join(" ")) };
        format!("{} changed, {} unchanged{labels}", node.changed, node.unchanged)
    };
    let lines = alike_lines(good.iter().map(|node| (node.node.as_str(), text(node))));
    lines.iter().flat_map(|line| style.paragraph(line, 4)).collect()
}

fn bad_lines(bad: &[&NodeResult], style: Style) -> Vec<String> {
    let text = |node: &NodeResult| sanitize(node.trouble.as_deref().unwrap_or_default(), false);
    let lines = alike_lines(bad.iter().map(|node| (node.node.as_str(), text(node))));
    lines.iter().flat_map(|line| painted(Paint::Bad, line, style)).collect()
}

/// What is said of nodes, each by itself; of many, those of which the same is said together.
fn alike_lines<'a>(nodes: impl Iterator<Item = (&'a str, String)>) -> Vec<String> {
    let said = alike(nodes.map(|(node, text)| (node.to_owned(), vec![text])).collect());
    let line = |(nodes, text): (Vec<String>, Vec<String>)| match nodes.as_slice() {
        [node] => format!("  {node:<16} {}", text.concat()),
        nodes => format!("  {:<16} {}: {}", count(nodes.len(), "node"), text.concat(), some(nodes, FEW - 1)),
    };
    said.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, changed: u32, trouble: Option<&str>) -> NodeResult {
        NodeResult {
            node: name.to_owned(),
            changed,
            unchanged: 4,
            checks: 104,
            labels: Vec::new(),
            held: Vec::new(),
            trouble: trouble.map(str::to_owned),
        }
    }

    #[test]
    fn many_nodes_that_came_through_alike_stand_together() {
        let mut nodes: Vec<NodeResult> = (0..1000).map(|number| node(&format!("n{number:03}"), 2, None)).collect();
        nodes[5].changed = 3;
        let recap = Recap { nodes, took: Duration::from_secs(2), cancelled: false, only: None, held_is_told: false };
        assert_eq!(
            recap_lines(&recap, Style::PLAIN),
            [
                "  999 nodes        2 changed, 4 unchanged: n000, n001, n002, n003, n004, n006, n007, n008, n009, n010, n011 and 988 more",
                "  n005             3 changed, 4 unchanged",
                "Done. 1000 nodes in 2.0 s: 2001 changed, 104000 checks hold."
            ]
        );
    }

    #[test]
    fn many_nodes_that_were_lost_alike_stand_together() {
        let lost = |number: usize, why: &str| node(&format!("n{number:02}"), 0, Some(why));
        let mut nodes: Vec<NodeResult> = (0..20).map(|number| lost(number, &format!("connect to n{number:02}"))).collect();
        nodes[3] = lost(3, "connect to n030");
        let told = |nodes: Vec<NodeResult>| {
            let recap = Recap { nodes, took: Duration::from_secs(2), cancelled: false, only: None, held_is_told: false };
            recap_lines(&recap, Style::PLAIN)
        };
        assert_eq!(
            told(nodes.clone()),
            [
                "  19 nodes         connect to NODE: n00, n01, n02, n04, n05, n06, n07, n08, n09, n10, n11 and 8 more",
                "  n03              connect to n030",
                "0 nodes came through, 20 nodes did not, in 2.0 s.",
            ]
        );
        assert_eq!(told(nodes[..2].to_vec())[..2], ["  n00              connect to n00", "  n01              connect to n01"]);
    }

    #[test]
    fn who_takes_no_jobs_is_said_once() {
        let held = NodeResult { held: vec!["ci: marked offline".to_owned()], ..node("b", 0, None) };
        let recap = Recap { nodes: vec![held], took: Duration::from_secs(1), cancelled: false, only: None, held_is_told: true };
        let last = "Nothing to change. 1 node verified in 1.0 s (104 checks). 0 may take jobs, 1 may not.";
        assert_eq!(recap_lines(&recap, Style::PLAIN), [last]);
    }

    #[test]
    fn nothing_to_change_says_what_was_verified() {
        let recap = Recap {
            nodes: vec![node("a", 0, None), node("b", 0, None), node("c", 0, None)],
            took: Duration::from_millis(612),
            cancelled: false,
            only: None,
            held_is_told: false,
        };
        assert_eq!(recap_lines(&recap, Style::PLAIN), vec!["Nothing to change. 3 nodes verified in 0.6 s (312 checks)."]);
    }

    #[test]
    fn a_node_that_is_verified_and_takes_no_jobs_is_told_with_who_holds_it() {
        let held = NodeResult { held: vec!["ci: marked offline by `al`: disk swap".to_owned()], ..node("b", 0, None) };
        let recap = Recap {
            nodes: vec![node("a", 0, None), held],
            took: Duration::from_millis(612),
            cancelled: false,
            only: None,
            held_is_told: false,
        };
        assert_eq!(
            recap_lines(&recap, Style::PLAIN),
            [
                "  b                takes no jobs: ci: marked offline by `al`: disk swap",
                "Nothing to change. 2 nodes verified in 0.6 s (208 checks). 1 may take jobs, 1 may not."
            ]
        );
    }

    #[test]
    fn nothing_is_lost_on_a_narrow_terminal() {
        let labelled = NodeResult { labels: vec!["devstack_slave".to_owned(), "noble".to_owned()], ..node("devstack-node-1", 12, None) };
        let recap = Recap {
            nodes: vec![node("bad", 1, Some("package git: no space left on the device below /var")), labelled],
            took: Duration::from_secs(2),
            cancelled: false,
            only: None,
            held_is_told: false,
        };
        assert_eq!(
            recap_lines(&recap, Style { colour: false, width: Some(40) }),
            vec![
                "  devstack-node-1  12 changed, 4",
                "    unchanged, labelled devstack_slave",
                "    noble",
                "  bad              package git: no space",
                "    left on the device below /var",
                "1 node came through, 1 node did not, in",
                "    2.0 s."
            ]
        );
    }

    #[test]
    fn a_run_that_was_stopped_is_no_failure_and_says_how_it_goes_on() {
        let recap = |other: &str| Recap {
            nodes: vec![node("a", 2, Some(CANCELLED)), node("b", 0, Some(other))],
            took: Duration::from_secs(2),
            cancelled: true,
            only: None,
            held_is_told: false,
        };
        let last = |recap: &Recap| recap_lines(recap, Style::PLAIN).pop();
        assert_eq!(last(&recap(CANCELLED)).unwrap(), "Cancelled after 2.0 s: 2 changed. The next apply goes on where it stopped.");
        assert_eq!(last(&recap("lost")).unwrap(), "0 nodes came through, 2 nodes did not, in 2.0 s.");
    }

    #[test]
    fn failed_nodes_come_last() {
        let recap = Recap {
            nodes: vec![node("bad", 1, Some("package git: no space")), node("good", 2, None)],
            took: Duration::from_secs(2),
            cancelled: false,
            only: None,
            held_is_told: false,
        };
        assert_eq!(
            recap_lines(&recap, Style::PLAIN),
            vec![
                "  good             2 changed, 4 unchanged",
                "  bad              package git: no space",
                "1 node came through, 1 node did not, in 2.0 s."
            ]
        );
    }
}
