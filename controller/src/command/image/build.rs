//! `ostler image build`.

use super::made::{self, Wanted};
use super::workshop::Workshop;
use crate::cli::{ImageBuildArgs, OnError};
use crate::command::{CommandError, Context, prepare};
use crate::report::{Exit, Paint};
use ostler_roles::words::Bytes;
use serde_json::json;
use std::time::Instant;

/// Builds an image and tells where it is.
pub fn run(context: &Context, args: &ImageBuildArgs) -> Result<Exit, CommandError> {
    let began = Instant::now();
    let workshop = Workshop::open(context, &args.name, &args.values.set)?;
    let wanted = Wanted {
        formats: made::formats(&workshop.image, &args.format)?,
        builds: args.out.clone().unwrap_or_else(|| workshop.builds.clone()),
        shell: args.on_error == Some(OnError::Shell),
        qcow2: made::PACKED,
    };
    let made = match prepare::block_on(made::make(context, &workshop, &wanted))? {
        Ok(made) => made,
        Err(exit) => return Ok(exit),
    };
    let printer = &context.printer;
    for file in &made.files {
        printer.details(&[format!("  {}", file.display())]);
    }
    let files: Vec<String> = made.files.iter().map(|file| file.display().to_string()).collect();
    let json = json!({ "v": 1, "type": "image", "build": made.name, "files": files, "unchanged": made.unchanged, "fetched": made.fetched });
    printer.json(&json);
    let took = format!("{:.1} s", began.elapsed().as_secs_f64());
    if made.unchanged {
        printer.say(Paint::Good, &format!("Nothing changed: {} is this image ({took}).", made.name));
    } else {
        printer.say(Paint::Good, &format!("{} is built ({took}, {} fetched).", made.name, Bytes(made.fetched)));
    }
    Ok(Exit::Good)
}
