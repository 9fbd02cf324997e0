//! `ostler explain`.

use super::{
    CommandError, Context,
    workspace::{Open, Workspace},
};
use crate::cli::{ExplainArgs, ExplainWhat};
use crate::inventory;
use crate::report::{Exit, causes, sanitize};
use ostler_roles::author::compile;
use ostler_roles::author::diagnostic::nearest;
use ostler_roles::author::graph::Roles;
use ostler_roles::author::layers::Explained;
use ostler_roles::words::NodeName;
use serde_json::json;

/// Explains a variable's origin or a code.
pub fn run(context: &Context, args: &ExplainArgs) -> Result<Exit, CommandError> {
    match (&args.what, &args.code) {
        (Some(ExplainWhat::Var { node, name, values }), _) => variable(context, node, name, &values.set),
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
            context.printer.lines(&context.printer.style.paragraph(&format!("{:<18} {}", cause.code, cause.cause), 4));
        }
        return Ok(Exit::Good);
    };
    let Some(cause) = known.iter().find(|cause| cause.code == code) else {
        let nearest = nearest(code, known.iter().map(|cause| cause.code));
        return Err(CommandError::Usage {
            what: format!("no code is called `{code}`{}", nearest.map(|word| format!("; nearest: {word}")).unwrap_or_default()),
            hint: "ostler explain code lists them".to_owned(),
        });
    };
    context
        .printer
        .json(&json!({ "v": 1, "type": "cause", "code": cause.code, "cause": cause.cause, "try": cause.try_this, "story": cause.story }));
    let style = context.printer.style;
    context.printer.lines(&style.paragraph(&format!("{}: {}", cause.code, cause.cause), 2));
    for line in style.wrap(cause.story, 2) {
        context.printer.line(&format!("  {line}"));
    }
    context.printer.lines(&style.paragraph(&format!("  try: {}", cause.try_this), 4));
    Ok(Exit::Good)
}

fn variable(context: &Context, pattern: &str, name: &str, set: &[String]) -> Result<Exit, CommandError> {
    let workspace = Workspace::open(context, set, Open::Names)?;
    let nodes = inventory::select(&workspace.inventory.site.nodes, &[pattern.to_owned()])?;
    let (role, param) = name.split_once('.').map_or((name, None), |(role, param)| (role, Some(param)));
    known(&workspace.inventory.roles, role, param)?;
    let told = workspace.facts();
    let mut found = false;
    for node in nodes {
        let (assumed, facts) = if told.is_told(&node) {
            (None, told.clone())
        } else {
            match compile::assumed(&workspace.inventory.roles, &workspace.inventory.site, &node, &told) {
                Some((system, facts)) => (Some(system), facts),
                None => (None, told.clone()),
            }
        };
        let wanted = |of: &str, name: &str| of == role && param.is_none_or(|param| param == name);
        let explained = workspace.with_input(&node, &facts, |input| compile::explain(input, &wanted)).map_err(CommandError::Site)?;
        for one in &explained {
            found = true;
            show(context, &node, one, assumed.as_deref());
        }
    }
    if found {
        return Ok(Exit::Good);
    }
    Err(CommandError::Usage {
        what: match param {
            None if workspace.inventory.roles.get(role).is_some_and(|role| role.params.is_empty()) => format!("`{role}` has no parameters"),
            Some(_) | None => format!("{pattern} does not have the role `{role}`"),
        },
        hint: format!("ostler nodes --limit {pattern} lists its roles"),
    })
}

/// That the role is there and has the parameter.
fn known(roles: &Roles, role: &str, param: Option<&str>) -> Result<(), CommandError> {
    let near = |word: &str, valid: Vec<&str>| nearest(word, valid).map(|near| format!("; nearest: {near}")).unwrap_or_default();
    let hint = "ROLE.PARAMETER, or ROLE for all of its parameters".to_owned();
    let Some(found) = roles.get(role) else {
        let what = format!("there is no role `{role}`{}", near(role, roles.names().collect()));
        return Err(CommandError::Usage { what, hint });
    };
    match param {
        Some(param) if found.param(param).is_none() => {
            let valid = found.params.iter().map(|param| param.name.value.as_str()).collect();
            Err(CommandError::Usage { what: format!("`{role}` has no parameter `{param}`{}", near(param, valid)), hint })
        }
        Some(_) | None => Ok(()),
    }
}

/// One parameter: its value, its place, and what it hides. `assumed` is the system of a node that was never met.
fn show(context: &Context, node: &NodeName, one: &Explained, assumed: Option<&str>) {
    let losing: Vec<_> = one
        .losing
        .iter()
        .map(|weak| json!({ "layer": weak.layer.to_string(), "at": weak.origin.to_string(), "written": weak.written }))
        .collect();
    let printer = &context.printer;
    printer.json(&json!({ "v": 1, "type": "variable", "node": node, "role": one.role, "parameter": one.param, "value": one.value, "layer": one.layer.to_string(), "at": one.origin.to_string(), "losing": losing, "assumed": assumed }));
    let mut lines = vec![format!("{node}: {}.{} = {}  ({})", one.role, one.param, one.value, one.kind)];
    lines.push(format!("    {:<13} {}", one.layer.to_string(), one.origin));
    lines.extend(one.losing.iter().map(|weak| format!("    over {:<8} {}: {}", weak.layer.to_string(), weak.origin, weak.written)));
    lines.extend(assumed.map(|system| format!("    {node} was never met: facts are taken as those of {system}")));
    for line in lines {
        printer.lines(&printer.style.paragraph(&sanitize(&line, false), 6));
    }
}
