//! `ostler image`.

mod dib;

use super::{CommandError, Context};
use crate::cli::{ImageArgs, ImageVerb};
use crate::report::Exit;

/// Runs a verb of images.
pub fn run(context: &Context, args: &ImageArgs) -> Result<Exit, CommandError> {
    match &args.verb {
        ImageVerb::Dib(args) => dib::run(context, args),
    }
}
