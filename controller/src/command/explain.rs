//! `ostler explain`.

use super::{
    CommandError, Context,
    workspace::{Open, Workspace},
};
use crate::cli::{ExplainArgs, ExplainWhat, FleetArgs};
use crate::inventory;
use crate::report::{Exit, causes, sanitize};
use ostler_roles::author::compile;
use serde_json::json;

/// Explains a variable's origin or a code.
pub fn run(context: &Context, args: &ExplainArgs) -> Result<Exit, CommandError> {
    match (&args.what, &args.code) {
        (Some(ExplainWhat::Var { node, name, fleet }), _) => variable(context, node, name, fleet),
        (Some(ExplainWhat::Code { code }), _) => explain_code(context, code.as_deref()),
        (None, code) => explain_code(context, code.as_deref()),
    }
}

fn explain_code(context: &Context, code: Option<&str>) -> Result<Exit, CommandError> {
    let known: Vec<_> = causes().collect();
    let Some(code) = code else {
        for cause in known {
            context.printer.json(
                &json!({ "v": 1, "type": "cause", "code": cause.code, "cause": cause.cause, "try": cause.try_this, "story": cause.story }),
            );
            context.printer.line(&format!("{:<18} {}", cause.code, cause.cause));
        }
        return Ok(Exit::Good);
    };
    let Some(cause) = known.iter().find(|cause| cause.code == code) else {
        let nearest = ostler_roles::author::diagnostic::nearest(code, known.iter().map(|cause| cause.code));
        return Err(CommandError::Usage {
            what: format!("no code is called `{code}`{}", nearest.map(|word| format!("; nearest: {word}")).unwrap_or_default()),
            hint: "ostler explain code lists them".to_owned(),
        });
    };
    context
        .printer
        .json(&json!({ "v": 1, "type": "cause", "code": cause.code, "cause": cause.cause, "try": cause.try_this, "story": cause.story }));
    context.printer.line(&format!("{}: {}", cause.code, cause.cause));
    for line in context.printer.style.wrap(cause.story, 2) {
        context.printer.line(&format!("  {line}"));
    }
    context.printer.line(&format!("  try: {}", cause.try_this));
    Ok(Exit::Good)
}

fn variable(context: &Context, node: &str, name: &str, fleet: &FleetArgs) -> Result<Exit, CommandError> {
    let workspace = Workspace::open(context, &fleet.set, Open::Names)?;
    let nodes = inventory::select(&workspace.inventory.site.nodes, &[node.to_owned()])?;
    let (role, param) = name.split_once('.').map_or((name, None), |(role, param)| (role, Some(param)));
    let mut found = false;
    for node in nodes {
        let facts = workspace.facts();
        if !facts.contains_key(&node) {
            return Err(CommandError::Usage {
                what: format!("{node} was never met: its facts are not known"),
                hint: format!("ostler check --limit {node}"),
            });
        }
        let explained = workspace.with_input(&node, &facts, compile::explain).map_err(CommandError::Site)?;
        for one in explained.iter().filter(|one| one.role == role && param.is_none_or(|param| one.param == param)) {
            found = true;
            let losing: Vec<_> = one
                .losing
                .iter()
                .map(|weak| json!({ "layer": weak.layer.to_string(), "at": weak.origin.to_string(), "written": weak.written }))
                .collect();
            context.printer.json(&json!({ "v": 1, "type": "variable", "node": node, "role": one.role, "parameter": one.param, "value": one.value, "layer": one.layer.to_string(), "at": one.origin.to_string(), "losing": losing }));
            context.printer.line(&sanitize(&format!("{node}: {}.{} = {}  ({})", one.role, one.param, one.value, one.kind), false));
            context.printer.line(&format!("    {:<13} {}", one.layer.to_string(), one.origin));
            for weak in &one.losing {
                context
                    .printer
                    .line(&sanitize(&format!("    over {:<8} {}: {}", weak.layer.to_string(), weak.origin, weak.written), false));
            }
        }
    }
    if found {
        return Ok(Exit::Good);
    }
    Err(CommandError::Usage {
        what: format!("{node} has no parameter `{name}`"),
        hint: format!("ostler nodes --limit {node} lists its roles"),
    })
}
