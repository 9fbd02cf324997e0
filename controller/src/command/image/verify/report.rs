//! What clones of a build were found to be, as people and as programs read it.

use super::clones::Found;
use super::{Disk, word};
use crate::command::image::made;
use crate::command::image::workshop::Workshop;
use crate::command::{Context, prepare};
use crate::fleet::Ready;
use crate::report::{Exit, Paint, change_count, merge, plan_lines, refusal_lines, sanitize};
use ostler_roles::check::Verdict;
use ostler_roles::words::{Bytes, count};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// Tells it, and how the command ends.
pub(super) fn report(context: &Context, workshop: &Workshop, (disk, dir): (&Disk, &Path), found: &[Found], took: Duration) -> Exit {
    let printer = &context.printer;
    printer.details(&[format!("  {}: {} on the disk ({})", disk.build, Bytes(disk.bytes), disk.format)]);
    let shared = shared(found);
    let mut exits = vec![if shared.is_empty() { Exit::Good } else { Exit::NodeFailed }];
    for one in found {
        exits.push(clone(context, one));
    }
    printer
        .lines(&shared.iter().map(|fault| printer.style.paint(Paint::Bad, &format!("  {}", sanitize(fault, false)))).collect::<Vec<_>>());
    let left_out = found.first().map_or(&[][..], |one| &one.left_out);
    if !left_out.is_empty() {
        printer.details(&["  left to the first `ostler apply` of each machine:".to_owned()]);
        let line = |one: &ostler_roles::author::compile::LeftOut| sanitize(&format!("    {} ({}): {}", one.id, one.role, one.why), false);
        printer.details(&left_out.iter().map(line).collect::<Vec<_>>());
    }
    let exit = merge(exits);
    let left_out: Vec<Value> =
        left_out.iter().map(|one| json!({ "what": one.id, "role": one.role.to_string(), "why": one.why.to_string() })).collect();
    printer.json(&json!({
        "v": 1,
        "type": "verified",
        "build": disk.build,
        "bytes": disk.bytes,
        "machines": found.iter().map(machine).collect::<Vec<_>>(),
        "shared": shared,
        "left_out": left_out,
        "exit": exit.code(),
    }));
    let seconds = took.as_secs_f64();
    let clones = count(found.len(), "clone");
    if exit == Exit::Good {
        printer.say(Paint::Good, &format!("{} is what its roles say: {clones}, nothing to change ({seconds:.1} s).", disk.build));
        return exit;
    }
    let built = made::provenance(dir, &workshop.image.name.value, disk.number).and_then(|about| Some(about["site"].as_str()?.to_owned()));
    if let (Some(built), Some(now)) = (built, workshop.revision())
        && built != now
    {
        printer.aside(&format!("the build is of the site's commit {built}, the site is at {now}"));
    }
    printer.say(Paint::Bad, &format!("{} is not what its roles say ({clones}, {seconds:.1} s).", disk.build));
    exit
}

/// Tells of one clone.
fn clone(context: &Context, one: &Found) -> Exit {
    let printer = &context.printer;
    let (ssh, end) = (one.to_ssh.as_secs_f64(), one.to_end.as_secs_f64());
    let head = format!("  {}: ssh after {ssh:.1} s, first boot over after {end:.1} s", word(one.firmware));
    let mut bad: Vec<String> = one.look.failed.iter().map(|unit| format!("    {unit} has failed")).collect();
    bad.extend(one.look.faults().iter().map(|fault| format!("    {fault}")));
    let ready = match &one.answer {
        Ok(ready) => ready,
        Err(lost) => {
            printer.line(&head);
            prepare::print_lost(context, std::slice::from_ref(lost));
            return prepare::exit_of(&lost.1);
        }
    };
    let planned = prepare::planned(ready);
    let asked = count(ready.plan.requirements.len() + ready.plan.verify.len(), "check");
    let (change, may) = change_count(&ready.plan);
    let changes = if change + may == 0 { "nothing to change".to_owned() } else { format!("{} to change", change + may) };
    printer.details(&[format!("{head}; {} asked, {changes}", asked)]);
    if change + may > 0 {
        printer.lines(&plan_lines(std::slice::from_ref(&planned), printer.verbose > 0, printer.style));
    }
    prepare::print_plans_json(context, std::slice::from_ref(ready));
    printer.lines(&refusal_lines(&planned, printer.style));
    bad.extend(unproved(ready));
    printer.lines(&bad.iter().map(|line| printer.style.paint(Paint::Bad, &sanitize(line, false))).collect::<Vec<_>>());
    if ready.plan.is_empty() && ready.plan.may_go() && bad.is_empty() { Exit::Good } else { Exit::NodeFailed }
}

/// Proofs that do not hold.
fn unproved(ready: &Ready) -> Vec<String> {
    let proofs = ready.prepared.catalog.verify.iter().zip(&ready.plan.verify);
    let line = proofs.filter_map(|(proof, verdict)| match verdict {
        Verdict::Pass { .. } => None,
        Verdict::Fail { found, wanted, .. } => Some(format!("    {} ({}): found {found}, wanted {wanted}", proof.check, proof.role)),
        Verdict::CouldNotTell { why } => Some(format!("    {} ({}): could not tell: {why}", proof.check, proof.role)),
    });
    line.collect()
}

/// What any two share that no two machines may.
fn shared(found: &[Found]) -> Vec<String> {
    let pairs = found.iter().enumerate().flat_map(|(place, one)| found[place + 1..].iter().map(move |other| (one, other)));
    let mut all: Vec<String> = pairs.flat_map(|(one, other)| one.look.shared(&other.look)).collect();
    all.sort();
    all.dedup();
    all
}

fn machine(one: &Found) -> Value {
    let changes: Vec<String> = one.answer.iter().flat_map(differing).collect();
    let unproved = one.answer.as_ref().map(Ready::unproved).unwrap_or_default();
    json!({
        "firmware": word(one.firmware).to_lowercase(),
        "ssh_after": one.to_ssh.as_secs_f64(),
        "up_after": one.to_end.as_secs_f64(),
        "failed": one.look.failed,
        "identity": one.look.faults(),
        "changes": changes,
        "unproved": unproved,
        "refused": one.answer.as_ref().is_ok_and(|ready| !ready.plan.may_go()),
        "asked": one.answer.is_ok(),
    })
}

/// Steps that would be changed.
fn differing(ready: &Ready) -> Vec<String> {
    use ostler_roles::plan::Planned;
    let steps = ready.prepared.catalog.steps.iter().zip(&ready.plan.steps);
    steps.filter(|(_, planned)| !matches!(planned, Planned::Unchanged { .. })).map(|(step, _)| step.id().to_string()).collect()
}
