//! Why a run does not begin, or not for a node, and what is said of that.

use super::super::{
    Context,
    prepare::{self, RunContext},
};
use super::summary::out;
use crate::fleet::{FleetEvent, Ready, Trouble, TroubleKind, leave};
use crate::registration::Candidate;
use crate::report::{self, Exit, MasterAnswer, NodeResult, Paint, PlannedExecutor, PlannedMaster, Recap, merge, recap_json};
use crate::session::SessionError;
use ostler_roles::wire::message::Refusal;
use ostler_roles::words::{NodeName, count};

/// When a requirement does not hold or the site is wrong for a node, nothing is changed anywhere.
/// `owed`: what masters are to hear of nodes that are out.
pub(super) fn refused(context: &Context, ready: &[Ready], lost: &[(NodeName, Trouble)], owed: &[Candidate]) -> Option<Exit> {
    let printer = &context.printer;
    let site = lost.iter().any(|(_, trouble)| trouble.kind == TroubleKind::Site);
    if prepare::print_refusals(context, ready) {
        // Steps that are impossible stand in the plans.
        prepare::print_plans_json(context, ready);
        prepare::print_lost(context, lost);
        let bad = ready.iter().filter(|one| !one.plan.may_go()).count();
        let all = count(ready.len() + lost.len(), "node");
        printer.say(Paint::Bad, &format!("Refused: {bad} of {all}. Nothing was changed anywhere."));
        return Some(merge(lost.iter().map(|(_, trouble)| prepare::exit_of(trouble)).chain([Exit::Refused])));
    }
    if site || (ready.is_empty() && owed.is_empty()) {
        prepare::print_lost(context, lost);
        printer.say(Paint::Bad, "Nothing was changed anywhere.");
        return Some(merge(lost.iter().map(|(_, trouble)| prepare::exit_of(trouble))));
    }
    None
}

/// The recap of a run that did not begin, for programs: what was said to people stands above.
pub(super) fn not_begun(context: &Context, run: &RunContext, ready: &[Ready], lost: &[(NodeName, Trouble)], exit: Exit) {
    let unbegun = |one: &Ready| {
        let refused = (!one.plan.may_go()).then(|| format!("refused: {}", report::impossible(&one.plan)));
        let checks = one.plan.requirements.iter().filter(|verdict| verdict.passed()).count();
        let checks = u32::try_from(checks).unwrap_or(u32::MAX);
        NodeResult { node: one.node.to_string(), changed: 0, unchanged: 0, checks, labels: Vec::new(), held: Vec::new(), trouble: refused }
    };
    let nodes = ready.iter().map(unbegun).chain(lost.iter().map(out)).collect();
    // Nobody was refused and nobody is lost: a person has said no.
    let recap = Recap { nodes, took: run.began.elapsed(), cancelled: exit == Exit::Good, only: run.only.clone(), held_is_told: false };
    context.printer.json(&recap_json(&recap, exit));
}

/// Nodes that another run has are its own (one that owes nothing is over in a moment), also those on which nothing would change: it holds their executors, and brings them to their labels.
pub(super) async fn without_taken(run: &RunContext, ready: Vec<Ready>, lost: &mut Vec<(NodeName, Trouble)>) -> Vec<Ready> {
    let taken = |one: &Ready| {
        let is_idle = one.plan.is_empty() && (run.only.is_some() || one.prepared.executors.is_empty());
        let active = one.connection.session.hello.run.clone().filter(|active| active.alive && active.owes && !is_idle)?;
        Some(Trouble::from(&SessionError::Refused(Refusal::Locked(active))))
    };
    without(run, ready, lost, taken).await
}

/// Nodes that are registered with a master which does not answer, or cannot be asked, are not begun: what they would become there is not known.
/// Nor are those whose master says already that they can come to nothing there.
pub(super) async fn without_hopeless(
    run: &RunContext,
    ready: Vec<Ready>,
    lost: &mut Vec<(NodeName, Trouble)>,
    masters: &[PlannedMaster],
) -> Vec<Ready> {
    let why = |one: &Ready| {
        let node = &one.node;
        let (kind, why, hint) = masters.iter().find_map(|master| match &master.answer {
            MasterAnswer::NotAsked { cause, nodes } if nodes.contains(node) => {
                let hint = "look after the master, then run the same command again: nothing was changed on this node";
                Some((TroubleKind::Unreachable, format!("{}: not asked ({cause})", master.name), hint))
            }
            MasterAnswer::Wrong { cause, nodes } if nodes.contains(node) => {
                let hint = "mend what ostler.yaml says of this master";
                Some((TroubleKind::Site, format!("{}: wrong in the site: {cause}", master.name), hint))
            }
            MasterAnswer::Asked(told) => {
                let trouble = |one: &PlannedExecutor| {
                    one.trouble.as_ref().map(|trouble| format!("{}: executor {}: {trouble}", master.name, one.name))
                };
                let why = told.executors.iter().filter(|one| one.node == *node).find_map(trouble)?;
                Some((TroubleKind::Failed, why, "mend that, then run the same command again: nothing was changed on this node"))
            }
            MasterAnswer::NotAsked { .. } | MasterAnswer::Wrong { .. } | MasterAnswer::Later { .. } => None,
        })?;
        Some(Trouble { kind, chain: vec![why], hint: hint.to_owned(), failure: None })
    };
    without(run, ready, lost, why).await
}

/// What a master that did not answer would be told of a node that is out was shown to nobody: it is told nothing in this run, also if it answers
/// by then.
pub(super) fn keep_shown(owed: &mut Vec<Candidate>, masters: &[PlannedMaster]) {
    let is_silent = |one: &Candidate| {
        let master = masters.iter().find(|master| master.name == one.executor.master.as_str());
        master.is_none_or(|master| matches!(master.answer, MasterAnswer::NotAsked { .. } | MasterAnswer::Wrong { .. }))
    };
    owed.retain(|one| !is_silent(one));
}

/// Those that are not in trouble; of the others it is told.
async fn without(
    run: &RunContext,
    ready: Vec<Ready>,
    lost: &mut Vec<(NodeName, Trouble)>,
    trouble: impl Fn(&Ready) -> Option<Trouble>,
) -> Vec<Ready> {
    let (mut stay, mut out) = (Vec::new(), Vec::new());
    for one in ready {
        let Some(trouble) = trouble(&one) else {
            stay.push(one);
            continue;
        };
        run.preparation.events.send(&one.node, FleetEvent::Trouble(Box::new(trouble.clone())));
        lost.push((one.node, trouble));
        out.push(one.connection);
    }
    leave(out).await;
    stay
}
