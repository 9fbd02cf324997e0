//! What is shown and asked before anything is changed.

use super::super::{Context, prepare};
use crate::cli::ApplyArgs;
use crate::fleet::Ready;
use crate::report::{Paint, PlannedMaster, change_count, plan_lines};
use ostler_roles::words::count;

/// Shows the plan; returns how many things change or may change.
pub(super) fn show(context: &Context, args: &ApplyArgs, ready: &[Ready], masters: &[PlannedMaster]) -> usize {
    let views: Vec<_> = ready.iter().map(prepare::planned).collect();
    context.printer.details(&plan_lines(&views, args.diff, context.printer.style));
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

/// What was answered.
pub(super) enum Decision {
    Yes,
    No,
    Nobody,
}

pub(super) fn confirm(context: &Context, nodes: usize) -> Decision {
    if !context.printer.can_ask() {
        return Decision::Nobody;
    }
    match context.printer.ask(&format!("Apply to {}? [y/N] ", count(nodes, "node"))) {
        Some(answer) if matches!(answer.trim(), "y" | "Y" | "yes") => Decision::Yes,
        Some(_) | None => Decision::No,
    }
}
