//! `ostler plan`.

use super::{
    CommandError, Context,
    prepare::{self, RunContext},
};
use crate::cli::PlanArgs;
use crate::fleet::{Ready, leave};
use crate::report::{Exit, MasterAnswer, NodeResult, Paint, PlannedMaster, Recap, change_count, master_lines, master_troubles, merge};
use crate::report::{plan_lines, recap_lines};
use crate::run::proved_again;
use ostler_roles::words::{NodeName, count};
use std::collections::BTreeSet;

/// Shows what would change.
pub fn run(context: &Context, args: &PlanArgs) -> Result<Exit, CommandError> {
    prepare::block_on(async {
        let mut run = RunContext::open(context, &args.fleet, args.only.as_deref(), args.diff)?;
        run.preparation.plans_only = true;
        let began = run.began;
        prepare::order(&run)?;
        let (mut ready, lost, looks) = run.plans(context).await;
        let owed = prepare::owed(&run, &lost).await;
        let masters = prepare::survey(context, &run, &mut ready, &owed, looks).await;
        // What `apply` would refuse is refused here, by the facts of now.
        let order = prepare::order(&run);
        let again = order.as_ref().map_or_else(|_| BTreeSet::new(), |order| proved_again(&order.after(), &ready));
        let RunContext { preparation, console, only, .. } = run;
        console.finish(&preparation.events).await;
        let masters = masters?.masters;
        order?;
        let printer = &context.printer;
        let views: Vec<_> = ready.iter().map(prepare::planned).collect();
        printer.details(&plan_lines(&views, args.diff, printer.style));
        prepare::print_plans_json(context, &ready);
        let refused = prepare::print_refusals(context, &ready);
        let on_masters = prepare::print_masters(context, &masters);
        if printer.is_quiet() {
            // What is wrong is no detail.
            printer.lines(&master_lines(&master_troubles(&masters), printer.style));
        }
        prepare::print_lost(context, &lost);
        let (change, may) = ready.iter().map(|one| change_count(&one.plan)).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        let (change, may) = (change + on_masters.change, may + on_masters.may);
        if refused {
            printer.say(Paint::Bad, "Refused: this plan cannot be applied. Nothing was changed.");
        } else if change + may > 0 {
            let counts = format!(
                "{}: {change} to change, {may} may change ({:.1} s). Nothing was changed.",
                count(ready.len(), "node"),
                began.elapsed().as_secs_f64()
            );
            printer.say(Paint::Strong, &counts);
        } else if on_masters.trouble > 0 {
            let text = format!("{} cannot be registered. Nothing was changed.", count(on_masters.trouble, "executor"));
            printer.say(Paint::Bad, &text);
        } else if lost.is_empty() && on_masters.not_asked + on_masters.wrong == 0 {
            let held = |one: &Ready| held_on(&masters, &one.node);
            let nodes = ready.iter().map(|one| NodeResult { held: held(one), ..NodeResult::verified(one) }).collect();
            // Under `-q` what was said of the masters was left out.
            let recap = Recap { nodes, took: began.elapsed(), cancelled: false, only, held_is_told: !printer.is_quiet() };
            printer.lines(&recap_lines(&recap, printer.style));
        }
        // What a run would change first may mend it.
        let unproved = ready.iter().any(|one| !one.unproved().is_empty() && !again.contains(&one.node));
        leave(ready.into_iter().map(|one| one.connection)).await;
        let found = args.detailed_exitcode.then_some(match (change + may > 0, on_masters.held > 0) {
            (true, _) => Exit::Changes,
            (false, true) => Exit::Held,
            (false, false) => Exit::Good,
        });
        let bad = (unproved || on_masters.trouble > 0).then_some(Exit::NodeFailed);
        let silent = (on_masters.not_asked > 0).then_some(Exit::Unreachable);
        let wrong = (on_masters.wrong > 0).then_some(Exit::Site);
        let lost = lost.iter().map(|(_, trouble)| prepare::exit_of(trouble));
        let exit = merge(lost.chain(refused.then_some(Exit::Refused)).chain(found).chain(bad).chain(silent).chain(wrong));
        printer.json(&serde_json::json!({ "v": 1, "type": "planned", "change": change, "may_change": may, "exit": exit.code() }));
        Ok(exit)
    })
}

/// Why the masters give a node no jobs.
fn held_on(masters: &[PlannedMaster], node: &NodeName) -> Vec<String> {
    let told = masters.iter().filter_map(|master| match &master.answer {
        MasterAnswer::Asked(told) => Some((&master.name, told)),
        MasterAnswer::Later { .. } | MasterAnswer::Wrong { .. } | MasterAnswer::NotAsked { .. } => None,
    });
    let mine = told.flat_map(|(name, told)| told.executors.iter().filter(|one| one.node == *node).map(move |one| (name, one)));
    mine.filter_map(|(name, one)| Some(format!("{name}: {}", one.held.as_ref()?))).collect()
}
