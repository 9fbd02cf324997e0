//! JSON lines: version 1, one object a line, nothing else on stdout. Documented in `docs/reference/json.md`.

use super::{Exit, Recap, sanitize};
use crate::fleet::{FleetEvent, Stage, Trouble};
use ostler_roles::catalog::Requirement;
use ostler_roles::check::Verdict;
use ostler_roles::outcome::Failure;
use ostler_roles::plan::Planned;
use ostler_roles::words::NodeName;
use serde_json::{Value, json};

use super::PlannedNode;

fn line(kind: &str, node: Option<&NodeName>, mut body: Value) -> Value {
    if let Value::Object(map) = &mut body {
        map.insert("v".to_owned(), json!(1));
        map.insert("type".to_owned(), json!(kind));
        if let Some(node) = node {
            map.insert("node".to_owned(), json!(node.as_str()));
        }
    }
    body
}

/// An event of the fleet; none for those that are only of the moment.
pub fn event_json(node: &NodeName, event: &FleetEvent) -> Option<Value> {
    let node = Some(node);
    Some(match event {
        FleetEvent::Connecting => return None,
        FleetEvent::Stage(stage) => return stage_json(node, stage),
        FleetEvent::Link(event) => line("link", node, json!({ "text": sanitize(&super::lines::link_text(event), false) })),
        FleetEvent::Met { placed, .. } => line("met", node, json!({ "agent_placed": placed })),
        FleetEvent::Go(run) => line("go", node, json!({ "run": run })),
        FleetEvent::AttachedAgain { run, after } => line("attached_again", node, json!({ "run": run, "after": after })),
        FleetEvent::Waiting(nodes) => line("waiting", node, json!({ "for": nodes })),
        FleetEvent::Run { seq, event } => line("run", node, json!({ "seq": seq, "event": event })),
        FleetEvent::Master { master, text, .. } => line("master", node, json!({ "master": master, "text": sanitize(text, false) })),
        FleetEvent::Trouble(trouble) => trouble_json(node, trouble),
        FleetEvent::MetAgain => line("met_again", node, json!({})),
        FleetEvent::Done => line("done", node, json!({})),
    })
}

/// How far a node has come. Its plan, and the start of its run, have lines of their own.
fn stage_json(node: Option<&NodeName>, stage: &Stage) -> Option<Value> {
    let place = stage.place();
    let (master, executor) = (place.map(|place| &place.master), place.map(|place| &place.executor));
    Some(match stage {
        Stage::Planned(_) => return None,
        Stage::Going => line("going", node, json!({})),
        Stage::Failed { at, why } => {
            let why = sanitize(why, false);
            line("stage", node, json!({ "stage": stage.name(), "master": master, "executor": executor, "at": at.name(), "why": why }))
        }
        stage => line("stage", node, json!({ "stage": stage.name(), "master": master, "executor": executor })),
    })
}

/// Why a node, or the program, is out.
pub fn trouble_json(node: Option<&NodeName>, trouble: &Trouble) -> Value {
    let failure: Option<&Failure> = trouble.failure.as_deref();
    line(
        "trouble",
        node,
        json!({ "kind": format!("{:?}", trouble.kind).to_lowercase(), "chain": trouble.chain, "hint": trouble.hint, "failure": failure }),
    )
}

/// A requirement's answer.
pub fn verdict_json(node: &NodeName, requirement: &Requirement, verdict: &Verdict) -> Value {
    line(
        "requirement",
        Some(node),
        json!({ "check": requirement.check.to_string(), "role": requirement.role, "at": requirement.origin.to_string(), "verdict": verdict }),
    )
}

/// A node's plan: a line for each step that is not unchanged, then the counts.
pub fn plan_json(one: &PlannedNode<'_>) -> Vec<Value> {
    let steps = one.catalog.steps.iter().zip(&one.plan.steps).filter(|(_, planned)| !matches!(planned, Planned::Unchanged { .. }));
    let mut lines: Vec<Value> = steps
        .map(|(step, planned)| {
            line(
                "step",
                Some(one.node),
                json!({ "id": step.id().to_string(), "role": step.role, "at": step.origin.to_string(), "planned": planned }),
            )
        })
        .collect();
    let (change, may) = super::change_count(one.plan);
    let counts = json!({ "change": change, "may_change": may, "steps": one.plan.steps.len(), "requirements": one.plan.requirements.len(), "digest": one.plan.digest().hex(), "notes": one.plan.notes });
    lines.push(line("plan", Some(one.node), counts));
    lines
}

/// The last line.
pub fn recap_json(recap: &Recap, exit: Exit) -> Value {
    let nodes: Vec<Value> = recap
        .nodes
        .iter()
        .map(|node| json!({ "node": node.node, "changed": node.changed, "unchanged": node.unchanged, "checks": node.checks, "labels": node.labels, "held": node.held, "trouble": node.trouble }))
        .collect();
    line(
        "recap",
        None,
        json!({ "nodes": nodes, "millis": u64::try_from(recap.took.as_millis()).unwrap_or(u64::MAX), "cancelled": recap.cancelled, "only": recap.only, "exit": exit.code() }),
    )
}
