//! `ostler attach`, `ostler cancel`.

use super::{
    CommandError, Context,
    prepare::{self, Expedition},
};
use crate::cli::{AttachArgs, CancelArgs, FleetArgs};
use crate::fleet::{FleetEvent, Trouble};
use crate::report::{Exit, merge, sanitize};
use crate::session::{Session, SessionError, meet};
use ostler_roles::outcome::Ending;
use ostler_roles::wire::message::Refusal;
use ostler_roles::words::NodeName;
use serde_json::json;

/// Shows the story of runs to their end.
pub fn attach(context: &Context, args: &AttachArgs) -> Result<Exit, CommandError> {
    let fleet = limited(&args.fleet, args.node.as_deref());
    prepare::runtime()?.block_on(async {
        let expedition = Expedition::open(context, &fleet, false)?;
        let mut ends = Vec::new();
        for node in expedition.nodes.clone() {
            let end = follow(&expedition, &node).await.map_err(|error| tell(&expedition, &node, &error));
            ends.push((node, end));
        }
        let Expedition { preparation, console, .. } = expedition;
        // First the stories, then how they ended.
        console.finish(&preparation.tell).await;
        Ok(merge(ends.into_iter().map(|(node, end)| match end {
            Ok(told) => say(context, &node, &told),
            Err(trouble) => lost(context, node, trouble),
        })))
    })
}

/// Asks a run to stop between two steps.
pub fn cancel(context: &Context, args: &CancelArgs) -> Result<Exit, CommandError> {
    let fleet = limited(&args.fleet, Some(&args.node));
    prepare::runtime()?.block_on(async {
        let expedition = Expedition::open(context, &fleet, false)?;
        let mut exits = Vec::new();
        for node in expedition.nodes.clone() {
            exits.push(match stop(context, &expedition, &node).await {
                Ok(exit) => exit,
                Err(error) => {
                    let trouble = tell(&expedition, &node, &error);
                    lost(context, node, trouble)
                }
            });
        }
        let Expedition { preparation, console, .. } = expedition;
        console.finish(&preparation.tell).await;
        Ok(merge(exits))
    })
}

fn limited(fleet: &FleetArgs, node: Option<&str>) -> FleetArgs {
    let mut fleet = fleet.clone();
    fleet.limit.extend(node.map(str::to_owned));
    fleet
}

fn tell(expedition: &Expedition, node: &NodeName, error: &MeetError) -> Trouble {
    let trouble = match error {
        MeetError::Connect(error) => Trouble::from(error.as_ref()),
        MeetError::Session(error) => Trouble::from(error.as_ref()),
    };
    expedition.preparation.tell.tell(node, FleetEvent::Trouble(Box::new(trouble.clone())));
    trouble
}

fn lost(context: &Context, node: NodeName, trouble: Trouble) -> Exit {
    let exit = prepare::exit_of(&trouble);
    prepare::print_lost(context, &[(node, trouble)]);
    exit
}

/// Why a node's agent could not be talked to.
#[derive(Debug)]
enum MeetError {
    Connect(Box<crate::transport::ConnectError>),
    Session(Box<SessionError>),
}

impl From<SessionError> for MeetError {
    fn from(error: SessionError) -> Self {
        Self::Session(Box::new(error))
    }
}

async fn open(expedition: &Expedition, node: &NodeName) -> Result<(std::sync::Arc<dyn crate::transport::Link>, Session), MeetError> {
    let preparation = &expedition.preparation;
    preparation.tell.tell(node, FleetEvent::Connecting);
    let link = preparation.reach.connect(node, &preparation.tell).await.map_err(|error| MeetError::Connect(Box::new(error)))?;
    let identity = preparation.reach.identity(node).await;
    let greeting = meet(link.as_ref(), preparation.agent, &identity, &[], preparation.password.as_ref()).await?;
    Ok((link, Session::new(greeting)))
}

/// What there was to tell of a node.
#[derive(Debug)]
enum Told {
    NoRun,
    Ended(Option<Ending>),
}

async fn follow(expedition: &Expedition, node: &NodeName) -> Result<Told, MeetError> {
    let (_link, mut session) = open(expedition, node).await?;
    session.attach(None, 0).await?;
    let teller = expedition.preparation.tell.clone();
    let told = session.follow(&mut |seq, event| teller.tell(node, FleetEvent::Run { seq, event: Box::new(event.clone()) })).await;
    let ending = match told {
        Ok(ending) => ending,
        Err(SessionError::Refused(Refusal::NoRun(_))) => {
            session.bye().await;
            return Ok(Told::NoRun);
        }
        Err(error) => return Err(error.into()),
    };
    session.bye().await;
    Ok(Told::Ended(ending))
}

fn say(context: &Context, node: &NodeName, told: &Told) -> Exit {
    let Told::Ended(ending) = told else {
        context.printer.line(&format!("{node}: no run"));
        return Exit::Good;
    };
    let (exit, text) = match ending {
        Some(Ending::Good { changed, unchanged, .. }) => (Exit::Good, format!("came through: {changed} changed, {unchanged} unchanged")),
        Some(Ending::Cancelled) => (Exit::NodeFailed, "was cancelled".to_owned()),
        Some(Ending::Failed) | None => (Exit::NodeFailed, "failed".to_owned()),
    };
    context.printer.json(&json!({ "v": 1, "type": "attached", "node": node, "ending": ending }));
    context.printer.line(&format!("{node}: the run {text}"));
    exit
}

async fn stop(context: &Context, expedition: &Expedition, node: &NodeName) -> Result<Exit, MeetError> {
    let (_link, mut session) = open(expedition, node).await?;
    let Some(active) = session.hello.run.clone().filter(|run| run.alive) else {
        context.printer.json(&json!({ "v": 1, "type": "cancel", "node": node, "run": null }));
        context.printer.line(&format!("{node}: no run is going on"));
        session.bye().await;
        return Ok(Exit::Good);
    };
    session.cancel(active.run.clone()).await?;
    session.cancelling().await?;
    context.printer.json(&json!({ "v": 1, "type": "cancel", "node": node, "run": active.run }));
    let whose = sanitize(&active.controller, false);
    context.printer.line(&format!("{node}: run {} of {whose} stops before its next step", active.run.short()));
    session.bye().await;
    Ok(Exit::Good)
}
