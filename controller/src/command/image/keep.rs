//! `ostler image hold`, `rm` and `revert`: which builds stay, and which is current.

use super::builds::{Images, parts};
use crate::cli::{ImageHoldArgs, ImageRevertArgs, ImageRmArgs};
use crate::command::{CommandError, Context};
use crate::image::output;
use crate::report::{Exit, Paint};
use serde_json::json;

/// Holds a build, or no longer.
pub fn hold(context: &Context, args: &ImageHoldArgs) -> Result<Exit, CommandError> {
    let picked = Images::open(context, &args.builds)?.pick_named(&args.build, "hold")?;
    output::hold(&picked.dir, &picked.image, picked.build.number, !args.release)?;
    let (outcome, text) = match (args.release, picked.build.held) {
        (false, false) => ("held", "is held: it stays until it is released."),
        (false, true) => ("unchanged", "was held already."),
        (true, true) => ("released", "is held no longer."),
        (true, false) => ("unchanged", "was not held."),
    };
    Ok(told(context, &picked.word(), outcome, text))
}

/// Removes a build.
pub fn rm(context: &Context, args: &ImageRmArgs) -> Result<Exit, CommandError> {
    let picked = Images::open(context, &args.builds)?.pick_named(&args.build, "rm")?;
    output::remove(&picked.dir, &picked.image, picked.build.number)?;
    Ok(told(context, &picked.word(), "removed", "is removed."))
}

/// Makes another build the current one.
pub fn revert(context: &Context, args: &ImageRevertArgs) -> Result<Exit, CommandError> {
    let images = Images::open(context, &args.builds)?;
    let wanted = if parts(&args.build)?.1.is_some() {
        images.pick(&args.build)?
    } else {
        let now = images.pick(&args.build)?;
        let before = images.builds(&now.image)?.into_iter().rfind(|build| build.build.number < now.build.number);
        before.ok_or_else(|| CommandError::Usage {
            what: format!("{} is the oldest build: none is before it", now.word()),
            hint: format!("ostler image ls {}", now.image),
        })?
    };
    if wanted.is_current {
        return Ok(told(context, &wanted.word(), "unchanged", "was current already."));
    }
    output::set_current(&wanted.dir, &wanted.image, wanted.build.number)?;
    Ok(told(context, &wanted.word(), "current", "is current now."))
}

fn told(context: &Context, build: &str, outcome: &str, text: &str) -> Exit {
    context.printer.json(&json!({ "v": 1, "type": "image_kept", "build": build, "outcome": outcome }));
    context.printer.say(Paint::Good, &format!("{build} {text}"));
    Exit::Good
}
