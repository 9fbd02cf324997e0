//! `ostler image plan`.

use super::made::{self, Wanted};
use super::outlook::{Outlook, Planned};
use super::workshop::Workshop;
use crate::cli::ImagePlanArgs;
use crate::command::{CommandError, Context};
use crate::image::build::{LeftOut, Recipe};
use crate::image::room;
use crate::report::{Exit, Paint, sanitize};
use ostler_roles::words::{Bytes, count};
use serde_json::json;
use std::collections::BTreeMap;

/// Kinds whose steps fetch: how much is known only once they are asked in the tree.
const FETCH: &[&str] = &["download", "git_cache", "package"];

/// Shows what a build would do.
pub fn run(context: &Context, args: &ImagePlanArgs) -> Result<Exit, CommandError> {
    let workshop = Workshop::open(context, &args.name, &args.values.set)?;
    let wanted = Wanted {
        formats: made::formats(&workshop.image, &args.format)?,
        builds: args.out.clone().unwrap_or_else(|| workshop.builds.clone()),
        shell: false,
        qcow2: made::PACKED,
    };
    let outlook = Outlook::of(context, &workshop, &workshop.setup.store()?, &wanted)?;
    let recipe = match &outlook.recipe {
        Some(Ok(recipe)) => Some(recipe),
        Some(Err(error)) => {
            context.printer.lines(&error.rendered.lines().map(str::to_owned).collect::<Vec<_>>());
            return Ok(Exit::Site);
        }
        None => None,
    };
    tell_json(context, &workshop, &outlook, recipe);
    tell(context, &workshop, &outlook, recipe);
    room::check(&outlook.disks)?;
    let printer = &context.printer;
    match &outlook.same {
        Some(build) => printer.say(Paint::Good, &format!("Nothing to do: {}@{} is this image.", args.name, build.number)),
        None => {
            let layers = count(outlook.layers.len(), "layer");
            printer.say(Paint::Strong, &format!("{layers}: {} to be made. Nothing was built.", outlook.to_be_made()));
        }
    }
    Ok(Exit::Good)
}

fn tell(context: &Context, workshop: &Workshop, outlook: &Outlook, recipe: Option<&Recipe>) {
    let printer = &context.printer;
    let line = |indent: usize, text: &str| {
        printer.lines(&printer.style.paragraph(&sanitize(&format!("{}{text}", " ".repeat(indent)), false), indent + 4))
    };
    line(0, &format!("{}  {}", workshop.image.name.value, workshop.image.summary.value));
    let width = outlook.layers.iter().map(|layer| layer.name.chars().count()).max().unwrap_or_default();
    for Planned { name, kept, why, steps } in &outlook.layers {
        let size = if steps.is_empty() { String::new() } else { format!(" ({})", count(steps.len(), "step")) };
        if let Some(bytes) = kept {
            line(2, &format!("{name:<width$}  kept{size}, {}", Bytes(*bytes)));
            continue;
        }
        let text = format!("  {name:<width$}  to be made{size}: {}", sanitize(why, false));
        for text in printer.style.paragraph(&text, 6) {
            printer.line(&printer.style.paint(Paint::Change, &text));
        }
        if !steps.is_empty() {
            line(6, &steps.join(", "));
        }
    }
    match recipe {
        None => line(2, "the layers of its roles are known once the base is there"),
        Some(recipe) if printer.verbose > 0 => recipe.left_out.iter().for_each(|one| line(2, &left(one))),
        Some(recipe) if !recipe.left_out.is_empty() => {
            line(2, &format!("left to the machines that are made of it: {} (-v lists what)", recipe.left_out.len()));
        }
        Some(_) => {}
    }
    line(2, &format!("to fetch: {}", fetch(outlook)));
    for disk in &outlook.disks {
        line(2, &format!("room: about {} of {} free on the disk of {}", Bytes(disk.need), Bytes(disk.free), disk.dir.display()));
    }
}

fn left(one: &LeftOut) -> String {
    format!("left out: {} ({}): {}", one.what, one.role, one.why)
}

/// What comes from other machines, as far as it can be known without the tree.
fn fetch(outlook: &Outlook) -> String {
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for step in outlook.layers.iter().filter(|layer| layer.kept.is_none()).flat_map(|layer| &layer.steps) {
        let kind = step.split(' ').next().unwrap_or_default();
        if FETCH.contains(&kind) {
            *kinds.entry(kind).or_default() += 1;
        }
    }
    let mut asked: Vec<String> = kinds.iter().map(|(kind, number)| count(*number, kind)).collect();
    if outlook.base.layers.is_empty() {
        asked.insert(0, "the base".to_owned());
    }
    match asked.as_slice() {
        [] => "nothing".to_owned(),
        asked => format!("what is not in the cache of {}; how much is known once they are asked in the tree", asked.join(", ")),
    }
}

fn tell_json(context: &Context, workshop: &Workshop, outlook: &Outlook, recipe: Option<&Recipe>) {
    let printer = &context.printer;
    for Planned { name, kept, why, steps } in &outlook.layers {
        let why = Some(why).filter(|_| kept.is_none());
        printer.json(
            &json!({ "v": 1, "type": "image_layer", "layer": name, "kept": kept.is_some(), "bytes": kept, "why": why, "steps": steps }),
        );
    }
    let left = recipe.map(|recipe| {
        let one = |one: &LeftOut| json!({ "what": one.what, "role": one.role, "why": one.why });
        recipe.left_out.iter().map(one).collect::<Vec<_>>()
    });
    let room: Vec<_> =
        outlook.disks.iter().map(|disk| json!({ "dir": disk.dir.display().to_string(), "need": disk.need, "free": disk.free })).collect();
    let name = &workshop.image.name.value;
    printer.json(&json!({
        "v": 1,
        "type": "image_plan",
        "image": name,
        "same": outlook.same.as_ref().map(|build| format!("{name}@{}", build.number)),
        "to_be_made": outlook.to_be_made(),
        "left_out": left,
        "room": room,
    }));
}
