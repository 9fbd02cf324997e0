//! Why a plan may not go: requirements that do not hold, with the numbers, and steps that are impossible.

use super::super::{Paint, Style, advice, sanitize};
use super::PlannedNode;
use super::step_view::{StepView, picture};
use ostler_roles::check::Verdict;
use ostler_roles::plan::{Plan, Planned};
use std::collections::BTreeSet;

/// Why a plan may not go, in one line.
pub fn impossible(plan: &Plan) -> String {
    let steps =
        plan.steps.iter().filter_map(|step| if let Planned::Impossible(failure) = step { Some(failure.message.clone()) } else { None });
    let checks = plan.requirements.iter().filter_map(|verdict| match verdict {
        Verdict::Pass { .. } => None,
        Verdict::Fail { found, wanted, .. } => Some(format!("{found}, wanted: {wanted}")),
        Verdict::CouldNotTell { why } => Some(why.clone()),
    });
    checks.chain(steps).collect::<Vec<_>>().join("; ")
}

/// Requirements that do not hold, and steps that are impossible: what, where, how much is missing, the one thing to do.
pub fn refusal_lines(one: &PlannedNode<'_>, style: Style) -> Vec<String> {
    let mut lines = Vec::new();
    for (requirement, verdict) in one.catalog.require.iter().zip(&one.plan.requirements) {
        let name = format!("{}  {}", one.node, requirement.check);
        match verdict {
            Verdict::Pass { .. } => continue,
            Verdict::Fail { found, wanted, missing, hint } => {
                lines.extend(bad(&format!("  {}", sanitize(&name, false)), style));
                let missing = missing.as_ref().map(|missing| format!(" ({missing} missing)")).unwrap_or_default();
                lines.extend(wrapped(style, &format!("wanted: {wanted}{missing}")));
                lines.extend(wrapped(style, &format!("found:  {found}")));
                lines.extend(wrapped(style, &format!("try:    {}", advice(hint))));
            }
            Verdict::CouldNotTell { why } => {
                lines.extend(bad(&format!("  {}", sanitize(&name, false)), style));
                lines.extend(wrapped(style, &format!("could not tell: {why}")));
            }
        }
        lines.extend(wrapped(style, &format!("at:     {} ({})", requirement.origin, requirement.role)));
    }
    for (step, planned) in one.catalog.steps.iter().zip(&one.plan.steps) {
        let Some(StepView { mark: '!', lines: details, .. }) = picture(planned, &BTreeSet::new()) else { continue };
        lines.extend(bad(&format!("  {}  {}", one.node, sanitize(&step.id().to_string(), false)), style));
        lines.extend(details.iter().flat_map(|detail| wrapped(style, detail)));
        lines.extend(wrapped(style, &format!("at:     {} ({})", step.origin, step.role)));
    }
    lines
}

/// What is refused.
fn bad(text: &str, style: Style) -> Vec<String> {
    style.paragraph(text, 4).iter().map(|line| style.paint(Paint::Bad, line)).collect()
}

fn wrapped(style: Style, text: &str) -> Vec<String> {
    style.wrap(&sanitize(text, false), 6).into_iter().map(|line| format!("      {line}")).collect()
}
