//! `ostler check`.

use super::{
    CommandError, Context,
    prepare::{self, RunContext},
};
use crate::cli::CheckArgs;
use crate::fleet::leave;
use crate::report::{Exit, Paint, merge};
use ostler_roles::words::count;
use serde_json::json;

/// Asks every requirement of every node.
pub fn run(context: &Context, args: &CheckArgs) -> Result<Exit, CommandError> {
    prepare::block_on(async {
        let mut run = RunContext::open(context, &args.fleet, args.only.as_deref(), false)?;
        run.preparation.plans_only = true;
        let began = run.began;
        let (ready, lost) = run.meet().await;
        let RunContext { preparation, console, .. } = run;
        console.finish(&preparation.events).await;
        let refused = prepare::print_refusals(context, &ready);
        if refused {
            prepare::print_plans_json(context, &ready);
        }
        prepare::print_lost(context, &lost);
        let checks: usize = ready.iter().map(|one| one.plan.requirements.len()).sum();
        let nodes = ready.len();
        leave(ready.into_iter().map(|one| one.connection)).await;
        let exit = merge(lost.iter().map(|(_, trouble)| prepare::exit_of(trouble)).chain(refused.then_some(Exit::Refused)));
        let seconds = began.elapsed().as_secs_f64();
        context.printer.json(&json!({ "v": 1, "type": "checked", "nodes": nodes, "requirements": checks, "exit": exit.code() }));
        let asked = format!("{} of {}", count(checks, "requirement"), count(nodes, "node"));
        let (all, hold) = if checks == 1 { ("The", "holds") } else { ("All", "hold") };
        let (paint, text) = match (refused, lost.is_empty()) {
            (true, _) => (Paint::Bad, format!("Refused: {asked} asked in {seconds:.1} s. Nothing was changed.")),
            (false, false) => (Paint::Bad, format!("{} could not be asked; {asked} {hold}.", count(lost.len(), "node"))),
            (false, true) => (Paint::Good, format!("{all} {asked} {hold} ({seconds:.1} s).")),
        };
        context.printer.say(paint, &text);
        Ok(exit)
    })
}
