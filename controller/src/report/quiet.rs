//! What goes on for long without a line, where there is no live picture: it is said every 15 s, what and for how long.

use super::live::{describe, is_active};
use super::{NodeState, State};
use ostler_roles::words::{NodeName, count};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long nothing may be said of a node that is at work.
const EVERY: Duration = Duration::from_secs(15);
/// Nodes that are named at once; more are counted.
const NAMED: usize = 5;

/// Who has been quiet since when.
#[derive(Debug, Default)]
pub(super) struct Quiet {
    nodes: BTreeMap<NodeName, Watch>,
    last: Option<Instant>,
}

#[derive(Debug)]
struct Watch {
    doing: String,
    since: Instant,
    told: Instant,
}

impl Quiet {
    /// A line of this node was printed.
    pub(super) fn told(&mut self, node: &NodeName, now: Instant) {
        if let Some(watch) = self.nodes.get_mut(node) {
            watch.told = now;
        }
    }

    /// The lines that are due.
    pub(super) fn lines(&mut self, state: &State, now: Instant) -> Vec<String> {
        self.nodes.retain(|node, _| state.nodes.get(node).is_some_and(|node| is_active(&node.phase)));
        for (node, at) in state.nodes.iter().filter(|(_, node)| is_active(&node.phase)) {
            let doing = doing(at);
            match self.nodes.get_mut(node) {
                Some(watch) if watch.doing == doing => {}
                Some(watch) => *watch = Watch { doing, since: now, told: now },
                None => drop(self.nodes.insert(node.clone(), Watch { doing, since: now, told: now })),
            }
        }
        if self.last.is_some_and(|last| now.duration_since(last) < EVERY) {
            return Vec::new();
        }
        let mut due: Vec<(&NodeName, &mut Watch)> =
            self.nodes.iter_mut().filter(|(_, watch)| now.duration_since(watch.told) >= EVERY).collect();
        if due.is_empty() {
            return Vec::new();
        }
        self.last = Some(now);
        due.sort_by_key(|(_, watch)| watch.since);
        let more = due.len().saturating_sub(NAMED);
        let mut lines = Vec::new();
        for (node, watch) in due {
            watch.told = now;
            if lines.len() < NAMED {
                let now_at = state.nodes.get(node).map(describe).unwrap_or_default();
                lines.push(format!("{node}: {now_at} (for {} s)", now.duration_since(watch.since).as_secs()));
            }
        }
        lines.extend((more > 0).then(|| format!("{} more at work", count(more, "node"))));
        lines
    }
}

/// What a node is about: its progress within that begins nothing new.
fn doing(node: &NodeState) -> String {
    let bare = NodeState { items: None, bytes: None, phase: node.phase.clone(), steps: node.steps, ..NodeState::default() };
    let text = describe(&bare);
    text.split(" · ").next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::FleetEvent;
    use crate::report::Phase;
    use ostler_roles::outcome::Event;

    fn name(number: usize) -> NodeName {
        NodeName::parse(&format!("n{number}")).unwrap()
    }

    fn working(nodes: usize) -> State {
        let mut state = State::default();
        for number in 1..=nodes {
            state.apply(&name(number), &FleetEvent::Connecting);
        }
        state
    }

    #[test]
    fn a_step_that_takes_long_is_named_every_quarter_of_a_minute_with_its_time() {
        let (mut quiet, start) = (Quiet::default(), Instant::now());
        let mut state = working(1);
        let running = state.nodes.get_mut(&name(1)).unwrap();
        (running.phase, running.steps) = (Phase::Running("command build".to_owned()), (2, 7));
        let mut said = Vec::new();
        for tenth in 0..1640 {
            if tenth == 200 {
                let progress = Event::Progress { index: 2, what: "linking".to_owned(), items: Some((3, 9)), bytes: None };
                state.nodes.get_mut(&name(1)).unwrap().take(&progress);
            }
            said.extend(quiet.lines(&state, start + Duration::from_millis(100) * tenth));
        }
        assert_eq!(said.len(), 10, "{said:#?}");
        assert_eq!(said[..2], ["n1: 3/7 command build (for 15 s)", "n1: 3/7 command build · linking 3/9 (for 30 s)"]);
        state.apply(&name(1), &FleetEvent::Done);
        assert_eq!(quiet.lines(&state, start + Duration::from_secs(300)), Vec::<String>::new());
    }

    #[test]
    fn a_node_that_was_just_told_of_is_left_alone_and_many_are_counted() {
        let (mut quiet, start) = (Quiet::default(), Instant::now());
        let state = working(40);
        assert!(quiet.lines(&state, start).is_empty());
        quiet.told(&name(1), start + Duration::from_secs(10));
        let lines = quiet.lines(&state, start + Duration::from_secs(15));
        assert_eq!(lines.len(), 6, "{lines:#?}");
        assert!(!lines.contains(&"n1: connecting (for 15 s)".to_owned()) && lines[5] == "34 nodes more at work", "{lines:#?}");
        assert!(quiet.lines(&state, start + Duration::from_secs(16)).is_empty());
    }
}
