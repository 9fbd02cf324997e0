//! `ostler image build`.

use super::made::{self, Wanted};
use super::workshop::Workshop;
use crate::cli::{ImageBuildArgs, OnError};
use crate::command::{CommandError, Context, prepare};
use crate::report::{Exit, Paint};
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
        printer.line(&format!("  {}", file.display()));
    }
    printer.say(Paint::Good, &format!("{} is built ({:.1} s).", made.name, began.elapsed().as_secs_f64()));
    Ok(Exit::Good)
}
