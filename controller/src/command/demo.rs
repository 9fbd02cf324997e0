//! `ostler demo`.

use super::{CommandError, Context};
use crate::cli::DemoArgs;
use crate::report::Exit;

/// Shows the main job on a lab of three nodes.
pub fn run(_context: &Context, _args: &DemoArgs) -> Result<Exit, CommandError> {
    Err(CommandError::Demo("anything: it is not in this build".to_owned()))
}
