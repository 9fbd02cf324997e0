//! `ostler attach`, `ostler cancel`.

use super::{
    CommandError, Context,
    interrupt::RunPhase,
    prepare::{self, RunContext},
};
use crate::cli::{AttachArgs, CancelArgs, FleetArgs, SelectArgs};
use crate::fleet::{FleetEvent, Follower, Found, Preparation, Trouble, leave};
use crate::report::{Exit, merge, sanitize};
use crate::session::SessionError;
use ostler_roles::outcome::{Ending, Event};
use ostler_roles::wire::message::{ActiveRun, Refusal};
use ostler_roles::words::{NodeName, RunId};
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Shows the story of runs to their end, of all nodes at once.
pub fn attach(context: &Context, args: &AttachArgs) -> Result<Exit, CommandError> {
    let mut select = args.select.clone();
    select.limit.extend(args.node.clone());
    let fleet = FleetArgs { select, pace: args.pace.clone(), reach: args.reach.clone(), ..FleetArgs::default() };
    prepare::block_on(async {
        let run = RunContext::to_runs(context, &fleet)?;
        run.interrupts.enter(RunPhase::Watching);
        let mut tasks = JoinSet::new();
        for node in &run.nodes {
            let (preparation, node) = (run.preparation.clone(), node.clone());
            tasks.spawn(async move {
                let permit = preparation.limit.acquire().await;
                let end = follow(&preparation, &node).await;
                drop(permit);
                if let Err(trouble) = &end {
                    preparation.events.send(&node, FleetEvent::Trouble(Box::new(trouble.clone())));
                }
                (node, end)
            });
        }
        let mut ends = Vec::new();
        while let Some(joined) = tasks.join_next().await {
            match joined {
                Ok(end) => ends.push(end),
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            }
        }
        let RunContext { preparation, console, nodes, .. } = run;
        // First the stories, then how they ended.
        console.finish(&preparation.events).await;
        ends.sort_by_key(|(node, _)| nodes.iter().position(|one| one == node));
        Ok(merge(ends.into_iter().map(|(node, end)| match end {
            Ok(told) => say(context, &node, &told),
            Err(trouble) => lost(context, node, trouble),
        })))
    })
}

/// Asks a run to stop between two steps.
pub fn cancel(context: &Context, args: &CancelArgs) -> Result<Exit, CommandError> {
    let select = SelectArgs { limit: vec![args.node.clone()] };
    let fleet = FleetArgs { select, reach: args.reach.clone(), ..FleetArgs::default() };
    prepare::block_on(async {
        let run = RunContext::to_runs(context, &fleet)?;
        run.interrupts.enter(RunPhase::Watching);
        let mut exits = Vec::new();
        for node in run.nodes.clone() {
            exits.push(match stop(context, &run.preparation, &node).await {
                Ok(exit) => exit,
                Err(trouble) => {
                    run.preparation.events.send(&node, FleetEvent::Trouble(Box::new(trouble.clone())));
                    lost(context, node, trouble)
                }
            });
        }
        let RunContext { preparation, console, .. } = run;
        console.finish(&preparation.events).await;
        Ok(merge(exits))
    })
}

fn lost(context: &Context, node: NodeName, trouble: Trouble) -> Exit {
    let exit = prepare::exit_of(&trouble);
    prepare::print_lost(context, &[(node, trouble)]);
    exit
}

/// What there was to tell of a node.
#[derive(Debug)]
enum Followed {
    NoRun,
    Ended(RunId, Option<Ending>),
}

async fn follow(preparation: &Preparation, node: &NodeName) -> Result<Followed, Trouble> {
    preparation.events.send(node, FleetEvent::Connecting);
    let mut follower = match Follower::attach(preparation, node).await.map_err(|error| Trouble::from(&error))? {
        Found::Run(follower) => follower,
        Found::NoRun(connection) => {
            leave([connection]).await;
            return Ok(Followed::NoRun);
        }
    };
    // Nobody stops it from here: `ostler cancel` does.
    let mut never = watch::channel(false).1;
    let mut ending = None;
    while let Some((seq, event)) = follower.next(&mut never).await? {
        if let Event::Ended { ending: how, .. } = &event {
            ending = Some(how.clone());
        }
        preparation.events.run(node, seq, event).await;
    }
    let run = follower.run().clone();
    leave(follower.into_connection()).await;
    Ok(Followed::Ended(run, ending))
}

fn say(context: &Context, node: &NodeName, told: &Followed) -> Exit {
    let Followed::Ended(run, ending) = told else {
        context.printer.json(&json!({ "v": 1, "type": "attached", "node": node, "run": null, "ending": null }));
        context.printer.line(&format!("{node}: no run"));
        return Exit::Good;
    };
    let (exit, text) = match ending {
        Some(Ending::Good { changed, unchanged, .. }) => (Exit::Good, format!("came through: {changed} changed, {unchanged} unchanged")),
        Some(Ending::Cancelled) => (Exit::NodeFailed, "was cancelled".to_owned()),
        Some(Ending::Failed) | None => (Exit::NodeFailed, "failed".to_owned()),
    };
    context.printer.json(&json!({ "v": 1, "type": "attached", "node": node, "run": run, "ending": ending }));
    context.printer.line(&format!("{node}: run {} {text}", run.short()));
    exit
}

/// Asks a node's run to stop; none: no run is going on there, or it has ended since it was seen.
async fn ask_to_stop(preparation: &Preparation, node: &NodeName) -> Result<Option<ActiveRun>, Trouble> {
    preparation.events.send(node, FleetEvent::Connecting);
    let mut connection = preparation.meet(node, async { Vec::new() }).await.map_err(|error| Trouble::from(&error))?;
    let session = &mut connection.session;
    let mut active = session.hello.run.clone().filter(|run| run.alive);
    if let Some(run) = &active {
        let told = async {
            session.cancel(run.run.clone()).await?;
            session.cancelling().await
        };
        match told.await {
            Ok(()) => {}
            Err(SessionError::Refused(Refusal::NoRun(_))) => active = None,
            Err(error) => return Err(Trouble::from(&error)),
        }
    }
    leave([connection]).await;
    Ok(active)
}

async fn stop(context: &Context, preparation: &Preparation, node: &NodeName) -> Result<Exit, Trouble> {
    let Some(active) = ask_to_stop(preparation, node).await? else {
        context.printer.json(&json!({ "v": 1, "type": "cancel", "node": node, "run": null }));
        context.printer.line(&format!("{node}: no run is going on"));
        return Ok(Exit::Good);
    };
    context.printer.json(&json!({ "v": 1, "type": "cancel", "node": node, "run": active.run }));
    let whose = sanitize(&active.controller, false);
    context.printer.line(&format!("{node}: run {} of {whose} stops before its next step", active.run.short()));
    Ok(Exit::Good)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::fake::{Act, FakeNode, hello, name, run_id};
    use ostler_roles::wire::message::{ToAgent, ToController};
    use ostler_roles::words::Span;

    /// What becomes of a request to stop on a node that answers it so.
    async fn asked(answer: ToController) -> Result<Option<RunId>, Trouble> {
        let ToController::Hello(mut busy) = hello() else { panic!("a hello") };
        let controller = "eve@desk".to_owned();
        busy.run = Some(ActiveRun { run: run_id(), alive: true, controller, since: 1, age: Span::seconds(2), events: 3, owes: true });
        let fake = FakeNode::new(vec![Some(vec![Act::Hear, Act::Say(ToController::Hello(busy)), Act::Hear, Act::Say(answer)])]);
        let (preparation, _told) = fake.preparation();
        let active = ask_to_stop(&preparation, &name()).await?;
        assert_eq!(fake.heard()[0], ToAgent::Cancel { run: run_id() });
        Ok(active.map(|run| run.run))
    }

    #[tokio::test]
    async fn a_run_that_ends_before_its_cancel_comes_is_no_trouble() {
        assert_eq!(asked(ToController::Cancelling { run: run_id() }).await.unwrap(), Some(run_id()));
        assert_eq!(asked(ToController::Refused(Refusal::NoRun(Some(run_id())))).await.unwrap(), None);
        let trouble = asked(ToController::Refused(Refusal::NotRoot)).await.unwrap_err();
        assert_eq!(trouble.chain.last().map(String::as_str), Some("the agent is not root"));
    }
}
