//! `ostler apply`.

use super::{
    CommandError, Context,
    interrupt::Stage,
    prepare::{self, RunContext},
};
use crate::cli::ApplyArgs;
use crate::fleet::{FleetEvent, NodeEnd, Ready, Runner, Trouble, TroubleKind, leave, waves};
use crate::journal::new_run;
use crate::registration::{self, Proofs, Registered};
use crate::report::{
    self, Card, Exit, MasterAnswer, NodeResult, NodeState, Paint, PlannedMaster, Recap, State, card_lines, change_count, merge, plan_lines,
    recap_json, recap_lines,
};
use ostler_roles::outcome::Ending;
use ostler_roles::texts::Text;
use ostler_roles::words::{NodeName, RoleName, count};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// Makes the nodes so, registers them, labels them.
pub fn run(context: &Context, args: &ApplyArgs) -> Result<Exit, CommandError> {
    prepare::runtime()?.block_on(apply(context, args))
}

async fn apply(context: &Context, args: &ApplyArgs) -> Result<Exit, CommandError> {
    let run = RunContext::open(context, &args.fleet, args.only.as_deref(), args.diff)?;
    let order = run.workspace.order();
    order.circles(&run.nodes.iter().cloned().collect()).into_result(()).map_err(CommandError::Site)?;
    let after = order.after();
    let turns = waves(&run.nodes, &after)?;
    let (ready, mut lost) = run.plans().await;
    let on_masters = prepare::survey(context, &run, &ready).await?;
    run.preparation.events.flush().await;
    // What a node lacks is told whether its master answers or not.
    if let Some(exit) = refused(context, &ready, &lost) {
        not_begun(context, &run, &ready, &lost, exit);
        return Ok(end(run, ready, exit).await);
    }
    let ready = without_silent(&run, ready, &mut lost, &on_masters).await;
    run.preparation.events.flush().await;
    // Their values may read facts, which are known now.
    let masters = run.workspace.masters()?;
    if let Some(exit) = refused(context, &ready, &lost) {
        not_begun(context, &run, &ready, &lost, exit);
        return Ok(end(run, ready, exit).await);
    }
    let changes = show(context, args, &ready, &on_masters);
    prepare::print_lost(context, &lost);
    if changes > 0 && !args.yes {
        match confirm(context, ready.len()) {
            Answered::Yes => {}
            Answered::No => {
                context.printer.line("Nothing was changed.");
                let exit = merge(lost.iter().map(|(_, trouble)| prepare::exit_of(trouble)));
                not_begun(context, &run, &ready, &lost, exit);
                return Ok(end(run, ready, exit).await);
            }
            Answered::Nobody => {
                end(run, ready, Exit::NoConfirmation).await;
                return Err(CommandError::NoConfirmation);
            }
        }
    }
    let mut proofs = Proofs::owe(&run.workspace.store, &ready)?;
    run.interrupts.enter(Stage::Running);
    let cancel = run.interrupts.stop();
    let runner = Runner { preparation: run.preparation.clone(), controller: prepare::controller(context), cancel };
    let mut ends = run_waves(&runner, &turns, &after, ready, &lost).await;
    proofs.forget_untouched(&ends);
    // A run of one role alone proves nothing: what it changed is owed to the next whole run.
    let candidates = registration::candidates(&ends, &proofs, run.only.is_some());
    run.interrupts.enter(Stage::Registering);
    // Also after an interrupt or a failure: a node that was changed must not keep labels that it earned before.
    let registrar = prepare::registrar(context, &run)?;
    let registered = registrar.register(&masters, &candidates, &mut ends).await;
    proofs.settle(&run.preparation, &registered, &mut ends).await;
    let cancelled = *runner.cancel.borrow();
    drop(runner);
    let RunContext { preparation, console, log, began, only, .. } = run;
    let state = console.finish(&preparation.events).await.state;
    let exit = report_end(
        context,
        &Story { ends: &ends, lost: &lost, registered: &registered, state: &state, log: &log, began, cancelled, only: only.as_ref() },
    );
    leave(ends.into_iter().filter_map(|end| end.connection)).await;
    Ok(exit)
}

/// When a requirement does not hold or the site is wrong for a node, nothing is changed anywhere.
fn refused(context: &Context, ready: &[Ready], lost: &[(NodeName, Trouble)]) -> Option<Exit> {
    let printer = &context.printer;
    let site = lost.iter().any(|(_, trouble)| trouble.kind == TroubleKind::Site);
    if prepare::print_refusals(context, ready) {
        // Steps that are impossible stand in the plans.
        prepare::print_plans_json(context, ready);
        prepare::print_lost(context, lost);
        let bad = ready.iter().filter(|one| !one.plan.may_go()).count();
        let all = count(ready.len() + lost.len(), "node");
        printer.say(Paint::Bad, &format!("Refused: {bad} of {all}. Nothing was changed anywhere."));
        return Some(Exit::Refused);
    }
    if site || ready.is_empty() {
        prepare::print_lost(context, lost);
        printer.say(Paint::Bad, "Nothing was changed anywhere.");
        return Some(merge(lost.iter().map(|(_, trouble)| prepare::exit_of(trouble))));
    }
    None
}

/// The recap of a run that did not begin, for programs: what was said to people stands above.
fn not_begun(context: &Context, run: &RunContext, ready: &[Ready], lost: &[(NodeName, Trouble)], exit: Exit) {
    let unbegun = |one: &Ready| {
        let refused = (!one.plan.may_go()).then(|| format!("refused: {}", report::impossible(&one.plan)));
        let checks = one.plan.requirements.iter().filter(|verdict| verdict.passed()).count();
        let checks = u32::try_from(checks).unwrap_or(u32::MAX);
        NodeResult { node: one.node.to_string(), changed: 0, unchanged: 0, checks, labels: Vec::new(), trouble: refused }
    };
    let nodes = ready.iter().map(unbegun).chain(lost.iter().map(out)).collect();
    // Nobody was refused and nobody is lost: a person has said no.
    let recap = Recap { nodes, took: run.began.elapsed(), cancelled: exit == Exit::Good, only: run.only.clone() };
    context.printer.json(&recap_json(&recap, exit));
}

/// A node that was lost before there was a plan.
fn out((node, trouble): &(NodeName, Trouble)) -> NodeResult {
    let first = trouble.chain.first().cloned().unwrap_or_default();
    NodeResult { node: node.to_string(), changed: 0, unchanged: 0, checks: 0, labels: Vec::new(), trouble: Some(first) }
}

/// Nodes that are registered with a master which does not answer are not begun: what they would become there is not known.
async fn without_silent(run: &RunContext, ready: Vec<Ready>, lost: &mut Vec<(NodeName, Trouble)>, masters: &[PlannedMaster]) -> Vec<Ready> {
    let why = |node: &NodeName| {
        masters.iter().find_map(|master| match &master.answer {
            MasterAnswer::NotAsked { cause, nodes } if nodes.contains(node) => Some(format!("{}: not asked ({cause})", master.name)),
            MasterAnswer::NotAsked { .. } | MasterAnswer::Told(_) | MasterAnswer::Later { .. } => None,
        })
    };
    let (mut stay, mut out) = (Vec::new(), Vec::new());
    for one in ready {
        let Some(why) = why(&one.node) else {
            stay.push(one);
            continue;
        };
        let hint = "look after the master, then run the same command again: nothing was changed on this node".to_owned();
        let trouble = Trouble { kind: TroubleKind::Unreachable, chain: vec![why], hint, failure: None };
        run.preparation.events.send(&one.node, FleetEvent::Trouble(Box::new(trouble.clone())));
        lost.push((one.node, trouble));
        out.push(one.connection);
    }
    leave(out).await;
    stay
}

/// Shows the plan; returns how many things change or may change.
fn show(context: &Context, args: &ApplyArgs, ready: &[Ready], masters: &[PlannedMaster]) -> usize {
    let views: Vec<_> = ready.iter().map(prepare::planned).collect();
    context.printer.lines(&plan_lines(&views, args.diff, context.printer.style));
    prepare::print_plans_json(context, ready);
    let on_masters = prepare::print_masters(context, masters);
    let start = (on_masters.change, on_masters.may);
    let (change, may) = ready.iter().map(|one| change_count(&one.plan)).fold(start, |sum, one| (sum.0 + one.0, sum.1 + one.1));
    if change + may > 0 {
        let text = format!("{}: {change} to change, {may} may change.", count(ready.len(), "node"));
        context.printer.say(Paint::Strong, &text);
    }
    change + may
}

enum Answered {
    Yes,
    No,
    Nobody,
}

fn confirm(context: &Context, nodes: usize) -> Answered {
    if !context.printer.can_ask() {
        return Answered::Nobody;
    }
    match context.printer.ask(&format!("Apply to {}? [y/N] ", count(nodes, "node"))) {
        Some(answer) if matches!(answer.trim(), "y" | "Y" | "yes") => Answered::Yes,
        Some(_) | None => Answered::No,
    }
}

/// Wave after wave; a node whose forerunner did not come through is not started.
async fn run_waves(
    runner: &Runner,
    turns: &[Vec<NodeName>],
    after: &BTreeMap<NodeName, BTreeSet<NodeName>>,
    ready: Vec<Ready>,
    lost: &[(NodeName, Trouble)],
) -> Vec<NodeEnd> {
    let mut bad: BTreeSet<NodeName> = lost.iter().map(|(node, _)| node.clone()).collect();
    let mut waiting: BTreeMap<NodeName, Ready> = ready.into_iter().map(|one| (one.node.clone(), one)).collect();
    let mut ends = Vec::new();
    for turn in turns {
        let mut now = Vec::new();
        for node in turn {
            let Some(one) = waiting.remove(node) else { continue };
            let missing: Vec<NodeName> = after.get(node).into_iter().flatten().filter(|need| bad.contains(need)).cloned().collect();
            if !missing.is_empty() {
                bad.insert(node.clone());
                ends.push(not_started(runner, one, &missing));
            } else if *runner.cancel.borrow() {
                ends.push(NodeEnd::untouched(one, Ok(Ending::Cancelled)));
            } else {
                now.push(one);
            }
        }
        // Nobody waits for a turn in which there is nothing to do.
        let waits = waiting.values().filter(|one| !now.is_empty() && !one.plan.is_empty());
        for node in waits.map(|one| &one.node) {
            runner.preparation.events.send(node, FleetEvent::Waiting(now.iter().map(|one| one.node.clone()).collect()));
        }
        let came = runner.run(now, &new_run).await;
        bad.extend(came.iter().filter(|end| !end.is_good()).map(|end| end.node.clone()));
        ends.extend(came);
    }
    ends
}

fn not_started(runner: &Runner, ready: Ready, missing: &[NodeName]) -> NodeEnd {
    let names: Vec<&str> = missing.iter().map(NodeName::as_str).collect();
    let trouble = Trouble {
        kind: TroubleKind::Failed,
        chain: vec![format!("not started: waits for {}", names.join(", "))],
        hint: format!("mend {} first", names.join(", ")),
        failure: None,
    };
    runner.preparation.events.send(&ready.node, FleetEvent::Trouble(Box::new(trouble.clone())));
    NodeEnd::untouched(ready, Err(trouble))
}

async fn end(run: RunContext, ready: Vec<Ready>, exit: Exit) -> Exit {
    let RunContext { preparation, console, .. } = run;
    console.finish(&preparation.events).await;
    leave(ready.into_iter().map(|one| one.connection)).await;
    exit
}

struct Story<'a> {
    ends: &'a [NodeEnd],
    lost: &'a [(NodeName, Trouble)],
    registered: &'a [Registered],
    state: &'a State,
    log: &'a str,
    began: Instant,
    cancelled: bool,
    only: Option<&'a RoleName>,
}

fn report_end(context: &Context, story: &Story<'_>) -> Exit {
    let printer = &context.printer;
    let blank = NodeState::default();
    let mut results = Vec::new();
    let mut exits = Vec::new();
    for end in story.ends {
        let state = story.state.nodes.get(&end.node).unwrap_or(&blank);
        print_cards(context, story, end, state);
        let (result, exit) = result_of(end, state, story.registered);
        results.push(result);
        exits.push(exit);
    }
    results.extend(story.lost.iter().map(out));
    exits.extend(story.lost.iter().map(|(_, trouble)| prepare::exit_of(trouble)));
    for one in story.registered.iter().filter(|one| !one.is_good()) {
        printer.say(Paint::Bad, &report::sanitize(&format!("  {}: {}: {}", one.node, one.master, one.text), false));
        let mut tail = one.tail.clone();
        printer.mask.hide(Text::Lines(&mut tail));
        for line in tail.iter().flat_map(|line| printer.style.wrap(&report::sanitize(line, false), 6)) {
            printer.line(&format!("    | {line}"));
        }
    }
    if story.cancelled {
        exits.push(Exit::Interrupted);
    }
    let exit = merge(exits);
    let recap = Recap { nodes: results, took: story.began.elapsed(), cancelled: story.cancelled, only: story.only.cloned() };
    printer.json(&recap_json(&recap, exit));
    printer.lines(&recap_lines(&recap, printer.style));
    exit
}

fn print_cards(context: &Context, story: &Story<'_>, end: &NodeEnd, state: &NodeState) {
    for (index, step, failure) in &state.failures {
        let at = index.and_then(|index| end.prepared.catalog.steps.get(usize::try_from(index).unwrap_or(usize::MAX)));
        let role = at.map_or("verify", |step| step.role.as_str());
        let card = Card {
            node: &end.node,
            step: Some((role, step.clone())),
            origin: at.map(|step| &step.origin),
            failure,
            log: Some(story.log.to_owned()),
            run: end.run.as_ref(),
        };
        context.printer.lines(&card_lines(&card, context.printer.style));
    }
    if let Err(trouble) = &end.ending {
        prepare::print_lost(context, &[(end.node.clone(), trouble.clone())]);
    }
}

fn result_of(end: &NodeEnd, state: &NodeState, registered: &[Registered]) -> (NodeResult, Exit) {
    let small = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let mine: Vec<&Registered> = registered.iter().filter(|one| one.node == end.node).collect();
    let labels = mine.iter().flat_map(|one| one.labels.clone()).collect();
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
        (Ok(_), Some(_)) => Exit::NodeFailed,
        (Ok(_), None) => Exit::Good,
    };
    let checks = small(end.plan.requirements.len()) + changed + unchanged + small(end.prepared.catalog.verify.len()) + small(mine.len());
    (NodeResult { node: end.node.to_string(), changed, unchanged, checks, labels, trouble }, exit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::fake::{Act, FakeNode, hello, run_id};
    use crate::fleet::{FleetMessage, Prepared};
    use ostler_roles::catalog::Catalog;
    use ostler_roles::outcome::Event;
    use ostler_roles::plan::{Plan, Planned};
    use ostler_roles::resource::{Kind, ResourceId};
    use ostler_roles::wire::message::ToController;
    use ostler_roles::words::Digest;
    use std::sync::Arc;

    fn node(text: &str) -> NodeName {
        NodeName::parse(text).unwrap()
    }

    /// Two nodes, one behind the other; whom each was told to wait for.
    async fn waits(cancelled: bool, first_run: Vec<Act>) -> Vec<(NodeName, Vec<NodeName>)> {
        let met = |more: Vec<Act>| Some([Act::Hear, Act::Say(hello())].into_iter().chain(more).collect());
        let fake = FakeNode::new(vec![met(first_run), met(Vec::new())]);
        let (preparation, mut events) = fake.preparation();
        let mut ready = Vec::new();
        for name in ["first", "second"].map(node) {
            let catalog =
                Catalog { node: name.clone(), facts: Digest::of(b""), require: Vec::new(), steps: Vec::new(), verify: Vec::new() };
            let prepared =
                Prepared { catalog, blob: Arc::new(|_| None), secrets: Arc::default(), masked: Vec::new(), executors: Vec::new() };
            let because = ResourceId { kind: Kind::File, key: "/etc/motd".to_owned() };
            let steps = vec![Planned::MayChange { because, changes: Vec::new() }];
            let plan = Plan { catalog: Digest::of(b""), generation: 0, requirements: Vec::new(), steps, verify: Vec::new() };
            let connection = preparation.meet(&name, async { Vec::new() }).await.unwrap();
            ready.push(Ready { node: name, prepared, plan, connection });
        }
        let (_stop, cancel) = tokio::sync::watch::channel(cancelled);
        let runner = Runner { preparation: preparation.clone(), controller: "ada@desk".to_owned(), cancel };
        let after = BTreeMap::from([(node("second"), BTreeSet::from([node("first")]))]);
        let ends = run_waves(&runner, &[vec![node("first")], vec![node("second")]], &after, ready, &[]).await;
        assert_eq!(ends.iter().map(|end| end.node.clone()).collect::<Vec<_>>(), ["first", "second"].map(node));
        preparation.events.end();
        let mut told = Vec::new();
        while let Some(FleetMessage::Event(name, event) | FleetMessage::Run(name, event, _)) = events.recv().await {
            if let FleetEvent::Waiting(whom) = event {
                told.push((name, whom));
            }
        }
        told
    }

    #[tokio::test]
    async fn nobody_waits_for_a_turn_in_which_there_is_nothing_to_do() {
        assert_eq!(waits(true, Vec::new()).await, []);
        let ended = Event::Ended { ending: Ending::Failed, millis: 1 };
        let run = vec![
            Act::Hear,
            Act::Say(ToController::Going { run: run_id() }),
            Act::Say(ToController::Event { seq: 1, event: Box::new(ended) }),
            Act::Say(ToController::Done { run: run_id(), last: 1 }),
        ];
        assert_eq!(waits(false, run).await, [(node("second"), vec![node("first")])], "who has something to wait for is told");
    }
}
