//! `ostler image plan`.

use super::made;
use super::workshop::Workshop;
use crate::cli::ImagePlanArgs;
use crate::command::{CommandError, Context};
use crate::image::build::Source as _;
use crate::image::build::trees;
use crate::image::stack::LayerPlan;
use crate::image::tree_facts;
use crate::report::{Exit, Paint};
use crate::session::AgentFile;
use ostler_roles::words::count;

/// Shows what a build would do.
pub fn run(context: &Context, args: &ImagePlanArgs) -> Result<Exit, CommandError> {
    let workshop = Workshop::open(context, &args.name, &args.values.set)?;
    let agent = AgentFile::embedded().ok_or(CommandError::NoAgent)?;
    let store = workshop.setup.store()?;
    let base = made::ensure_base(context, &workshop, &store)?;
    let facts = tree_facts::read(&trees(&base))?;
    let printer = &context.printer;
    let recipe = match workshop.compile(&facts) {
        Ok(recipe) => recipe,
        Err(error) => {
            printer.lines(&error.rendered.lines().map(str::to_owned).collect::<Vec<_>>());
            return Ok(Exit::Site);
        }
    };
    let before = made::before(&workshop.builds);
    let mut below = base.last().map(|layer| layer.key);
    printer.line(&format!("{}  {}", workshop.image.name.value, workshop.image.summary.value));
    printer.line(&format!("  base: kept ({} {})", facts.system.id, facts.system.version));
    let mut made = 0;
    for segment in &recipe.segments {
        let Some(key) = below else { break };
        let layer = LayerPlan::of_steps(&key, segment.role.as_str(), &recipe.prepared.catalog, segment.steps.clone(), &agent.digest);
        let steps = count(segment.steps.len(), "step");
        if store.get(&layer.key).is_some() {
            printer.details(&[format!("  {}: kept ({steps})", layer.name)]);
        } else {
            made += 1;
            let why = layer.why(before.iter().find(|before| before.name == layer.name));
            printer.line(&printer.style.paint(Paint::Change, &format!("  {}: to be made ({steps}): {why}", layer.name)));
        }
        below = Some(layer.key);
    }
    for one in &recipe.left_out {
        printer.details(&[format!("  left out: {} ({}): {}", one.what, one.role, one.why)]);
    }
    let layers = count(recipe.segments.len(), "layer");
    printer.say(Paint::Strong, &format!("{layers} of roles: {made} to be made. Nothing was built."));
    Ok(Exit::Good)
}
