//! `ostler apply`: parse, run, report.

mod question;
mod refusal;
mod summary;

use self::question::Decision;
use self::summary::RunSummary;
pub use self::summary::print_cards;
use super::{
    CommandError, Context,
    interrupt::RunPhase,
    prepare::{self, RunContext},
};
use crate::cli::ApplyArgs;
use crate::fleet::{ExecutorRef, Ready, Runner, Trouble, leave};
use crate::registration::{Candidate, Connections, Masters, Proofs, Registered, Survey};
use crate::report::{Exit, merge};
use crate::run::{Outcome, Run};
use ostler_roles::author::compile::Master;
use ostler_roles::master::Standing;
use ostler_roles::words::{MasterName, NodeName};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What stands before a run.
struct Planned {
    ready: Vec<Ready>,
    lost: Vec<(NodeName, Trouble)>,
    /// Of lost nodes: what the site knows to be owed.
    owed: Vec<Candidate>,
    masters: BTreeMap<MasterName, Master>,
    after: BTreeMap<NodeName, BTreeSet<NodeName>>,
    /// Executors of which nothing more is to be asked: in a run that changes nothing.
    settled: BTreeMap<ExecutorRef, Standing>,
}

/// Makes the nodes so, registers them, labels them.
pub fn run(context: &Context, args: &ApplyArgs) -> Result<Exit, CommandError> {
    prepare::block_on(async {
        let run = RunContext::to_change(context, &args.fleet, args.only.as_deref(), args.diff)?;
        match planned(context, args, &run).await {
            Ok(Ok(planned)) => apply(context, run, planned, args.jobs_within.duration()).await,
            Ok(Err((ready, refused))) => end(run, ready, refused).await,
            Err(error) => end(run, Vec::new(), Err(error)).await,
        }
    })
}

/// Makes the plan, shows it and asks; otherwise the nodes that are let alone, and how that ends.
async fn planned(
    context: &Context,
    args: &ApplyArgs,
    run: &RunContext,
) -> Result<Result<Planned, (Vec<Ready>, Result<Exit, CommandError>)>, CommandError> {
    prepare::order(run)?;
    let (ready, mut lost, looks) = run.plans(context).await;
    let mut ready = refusal::without_taken(run, ready, &mut lost).await;
    let mut owed = prepare::owed(run, &lost).await;
    let surveyed = prepare::survey(context, run, &mut ready, &owed, looks).await;
    run.preparation.events.flush().await;
    // Values of the site may read facts, which are known now: of what is wrong in it then, the nodes that were not met are no less lost.
    let known = surveyed.and_then(|surveyed| Ok((surveyed, prepare::order(run)?, run.workspace.masters()?)));
    let (Survey { masters: on_masters, settled }, order, masters) = known.inspect_err(|_| prepare::print_lost(context, &lost))?;
    // What a node lacks is told whether its master answers or not.
    if let Some(exit) = refusal::refused(context, &ready, &lost, &owed) {
        refusal::not_begun(context, run, &ready, &lost, exit);
        return Ok(Err((ready, Ok(exit))));
    }
    let met = lost.len();
    let ready = refusal::without_hopeless(run, ready, &mut lost, &on_masters).await;
    owed.extend(prepare::owed(run, lost.get(met..).unwrap_or_default()).await);
    refusal::keep_shown(&mut owed, &on_masters);
    run.preparation.events.flush().await;
    if let Some(exit) = refusal::refused(context, &ready, &lost, &owed) {
        refusal::not_begun(context, run, &ready, &lost, exit);
        return Ok(Err((ready, Ok(exit))));
    }
    let changes = question::show(context, args, &ready, &on_masters);
    prepare::print_lost(context, &lost);
    if changes > 0 && !args.yes {
        let nodes: BTreeSet<&NodeName> = ready.iter().map(|one| &one.node).chain(owed.iter().map(|one| &one.node)).collect();
        match question::confirm(context, nodes.len()) {
            Decision::Yes => {}
            Decision::No => {
                context.printer.line("Nothing was changed.");
                let exit = merge(lost.iter().map(|(_, trouble)| prepare::exit_of(trouble)));
                refusal::not_begun(context, run, &ready, &lost, exit);
                return Ok(Err((ready, Ok(exit))));
            }
            Decision::Nobody => return Ok(Err((ready, Err(CommandError::NoConfirmation)))),
        }
    }
    // What changes takes time, and may be what executors rest on.
    let settled = if changes == 0 { settled } else { BTreeMap::new() };
    Ok(Ok(Planned { ready, lost, owed, masters, after: order.after(), settled }))
}

async fn apply(context: &Context, run: RunContext, planned: Planned, jobs_within: Duration) -> Result<Exit, CommandError> {
    let Planned { ready, lost, owed, masters, after, settled } = planned;
    // From here on a first Ctrl-C takes back what is noted, as it ends what is begun.
    run.interrupts.enter(RunPhase::Running);
    let cancel = run.interrupts.stop();
    let begun = prepare::registrar(context, &run).and_then(|registrar| Ok((registrar, Proofs::owe(&run.workspace.store, &ready)?)));
    let (registrar, proofs) = match begun {
        Ok(begun) => begun,
        Err(error) => return end(run, ready, Err(error)).await,
    };
    let connections = Connections::new(&registrar);
    let all = Candidate::of(&ready).into_iter().chain(owed.iter().cloned()).collect();
    let masters = Masters::new(&registrar, &connections, &masters, all, settled);
    let transactions = Run {
        runner: Runner { preparation: run.preparation.clone(), controller: prepare::controller(context), cancel: cancel.clone() },
        after,
        masters: masters.clone(),
        jobs_within,
        is_partial: run.only.is_some(),
        applied: Box::new(run.interrupts.entering(RunPhase::Registering)),
    };
    let gone: Vec<NodeName> = lost.iter().map(|(node, _)| node.clone()).collect();
    let (outcomes, put_aside): (Vec<Outcome>, Vec<Registered>) =
        tokio::join!(transactions.run(ready, &gone, proofs), masters.put_aside(owed));
    let cancelled = *cancel.borrow();
    let RunContext { preparation, console, log, began, only, .. } = run;
    let state = console.finish(&preparation.events).await.state;
    let story = RunSummary {
        outcomes: &outcomes,
        put_aside: &put_aside,
        lost: &lost,
        state: &state,
        log: log.as_deref(),
        began,
        cancelled,
        only: only.as_ref(),
    };
    let exit = story.tell(context);
    connections.leave().await;
    Ok(exit)
}

/// The end of a run that did not begin.
async fn end(run: RunContext, ready: Vec<Ready>, exit: Result<Exit, CommandError>) -> Result<Exit, CommandError> {
    let RunContext { preparation, console, .. } = run;
    console.finish(&preparation.events).await;
    leave(ready.into_iter().map(|one| one.connection)).await;
    exit
}
