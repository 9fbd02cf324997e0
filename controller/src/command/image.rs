//! `ostler image`.

mod build;
mod builds;
mod dib;
mod diff;
mod keep;
mod list;
mod made;
mod outlook;
mod plan;
mod shell;
mod verify;
mod workshop;

use super::{CommandError, Context};
use crate::cli::{ImageArgs, ImageVerb};
use crate::report::Exit;

/// Runs a verb of images.
pub fn run(context: &Context, args: &ImageArgs) -> Result<Exit, CommandError> {
    match &args.verb {
        ImageVerb::Plan(args) => plan::run(context, args),
        ImageVerb::Build(args) => build::run(context, args),
        ImageVerb::Ls(args) => list::ls(context, args),
        ImageVerb::Show(args) => list::show(context, args),
        ImageVerb::Diff(args) => diff::run(context, args),
        ImageVerb::Hold(args) => keep::hold(context, args),
        ImageVerb::Rm(args) => keep::rm(context, args),
        ImageVerb::Revert(args) => keep::revert(context, args),
        ImageVerb::Verify(args) => verify::run(context, args),
        ImageVerb::Dib(args) => dib::run(context, args),
    }
}
