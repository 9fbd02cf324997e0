//! How a run ended, node by node, for people and programs.

use super::super::{Context, prepare};
use crate::fleet::{NodeEnd, Trouble};
use crate::registration::Registered;
use crate::report::{self, Card, Exit, NodeResult, NodeState, Paint, Recap, State, card_lines, merge, recap_json, recap_lines};
use crate::run::Outcome;
use ostler_roles::outcome::Ending;
use ostler_roles::texts::Text;
use ostler_roles::words::{NodeName, RoleName};
use std::time::Instant;

/// A node that was lost before there was a plan.
pub(super) fn out((node, trouble): &(NodeName, Trouble)) -> NodeResult {
    let first = trouble.chain.first().cloned().unwrap_or_default();
    NodeResult { node: node.to_string(), changed: 0, unchanged: 0, checks: 0, labels: Vec::new(), held: Vec::new(), trouble: Some(first) }
}

/// All that is known when a run has ended.
pub(super) struct RunSummary<'a> {
    pub outcomes: &'a [Outcome],
    /// Executors of nodes that were lost before there was a plan.
    pub put_aside: &'a [Registered],
    pub lost: &'a [(NodeName, Trouble)],
    pub state: &'a State,
    pub log: Option<&'a str>,
    pub began: Instant,
    pub cancelled: bool,
    pub only: Option<&'a RoleName>,
}

impl RunSummary<'_> {
    /// Tells it; the exit code that it comes to.
    pub fn tell(&self, context: &Context) -> Exit {
        let printer = &context.printer;
        let blank = NodeState::default();
        let mut results = Vec::new();
        let mut exits = Vec::new();
        for outcome in self.outcomes {
            let state = self.state.nodes.get(&outcome.end.node).unwrap_or(&blank);
            print_cards(context, self.log, &outcome.end, state);
            let (result, exit) = result_of(outcome, state);
            results.push(result);
            exits.push(exit);
        }
        let troubled = |end: &NodeEnd| Some((end.node.clone(), end.ending.as_ref().err()?.clone()));
        prepare::print_lost(context, &self.outcomes.iter().filter_map(|outcome| troubled(&outcome.end)).collect::<Vec<_>>());
        results.extend(self.lost.iter().map(out));
        exits.extend(self.lost.iter().map(|(_, trouble)| prepare::exit_of(trouble)));
        let registered = self.outcomes.iter().flat_map(|outcome| &outcome.registered).chain(self.put_aside);
        for one in registered.filter(|one| !one.is_good()) {
            printer.say(Paint::Bad, &report::sanitize(&format!("  {}: {}: {}", one.node, one.master, one.text), false));
            let mut tail = one.tail.clone();
            printer.mask.hide(Text::Lines(&mut tail));
            for line in tail.iter().flat_map(|line| printer.style.wrap(&report::sanitize(line, false), 6)) {
                printer.line(&format!("    | {line}"));
            }
        }
        if self.cancelled {
            exits.push(Exit::Interrupted);
        }
        let exit = merge(exits);
        let (took, only) = (self.began.elapsed(), self.only.cloned());
        let recap = Recap { nodes: results, took, cancelled: self.cancelled, only, held_is_told: false };
        printer.json(&recap_json(&recap, exit));
        printer.lines(&recap_lines(&recap, printer.style));
        exit
    }
}

/// Prints a card for each step of a node that failed.
pub fn print_cards(context: &Context, log: Option<&str>, end: &NodeEnd, state: &NodeState) {
    for (index, step, failure) in &state.failures {
        let at = index.and_then(|index| end.prepared.catalog.steps.get(usize::try_from(index).unwrap_or(usize::MAX)));
        let role = at.map_or("verify", |step| step.role.as_str());
        let card = Card {
            node: &end.node,
            step: Some((role, step.clone())),
            origin: at.map(|step| &step.origin),
            failure,
            log: log.map(str::to_owned),
            run: end.run.as_ref(),
        };
        context.printer.lines(&card_lines(&card, context.printer.style));
    }
}

fn result_of(outcome: &Outcome, state: &NodeState) -> (NodeResult, Exit) {
    let small = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let Outcome { end, registered: mine } = outcome;
    let labels = mine.iter().flat_map(|one| one.labels.clone()).collect();
    let held = mine.iter().filter_map(|one| Some(format!("{}: {}", one.master, one.held.as_ref()?))).collect();
    let unlabelled = mine.iter().find(|one| !one.is_good()).map(|one| one.text.clone());
    let (changed, unchanged) = match &end.ending {
        Ok(Ending::Good { changed, unchanged, .. }) => (*changed, *unchanged),
        Ok(Ending::Failed | Ending::Cancelled) | Err(_) => (state.changed, state.unchanged),
    };
    let changed = changed + mine.iter().map(|one| one.changed).sum::<u32>();
    let trouble = match &end.ending {
        Ok(Ending::Good { .. }) => unlabelled,
        Ok(Ending::Failed) => {
            Some(state.failures.last().map_or_else(|| "failed".to_owned(), |(_, step, failure)| format!("{step}: {}", failure.message)))
        }
        Ok(Ending::Cancelled) => Some(report::CANCELLED.to_owned()),
        Err(trouble) => trouble.chain.first().cloned(),
    };
    let exit = match (&end.ending, &trouble) {
        (Err(trouble), _) => prepare::exit_of(trouble),
        (Ok(Ending::Good { .. }), Some(_)) if mine.iter().all(|one| one.is_good() || one.is_taken) => Exit::Locked,
        (Ok(_), Some(_)) => Exit::NodeFailed,
        (Ok(_), None) => Exit::Good,
    };
    let checks = small(end.plan.requirements.len()) + changed + unchanged + small(end.prepared.catalog.verify.len()) + small(mine.len());
    (NodeResult { node: end.node.to_string(), changed, unchanged, checks, labels, held, trouble }, exit)
}
