//! `ostler image`.

mod build;
mod dib;
mod made;
mod plan;
mod shell;
mod workshop;

use super::{CommandError, Context};
use crate::cli::{ImageArgs, ImageVerb};
use crate::report::Exit;

/// Runs a verb of images.
pub fn run(context: &Context, args: &ImageArgs) -> Result<Exit, CommandError> {
    match &args.verb {
        ImageVerb::Plan(args) => plan::run(context, args),
        ImageVerb::Build(args) => build::run(context, args),
        ImageVerb::Dib(args) => dib::run(context, args),
    }
}
