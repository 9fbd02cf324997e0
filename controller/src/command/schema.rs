//! `ostler schema`.

use super::{CommandError, Context, workspace};
use crate::cli::{SchemaArgs, SchemaOf};
use crate::report::Exit;
use ostler_roles::author::schema::{self, File};

/// Prints a JSON Schema.
pub fn run(context: &Context, args: &SchemaArgs) -> Result<Exit, CommandError> {
    let file = match args.of {
        SchemaOf::Role => File::Role,
        SchemaOf::Nodes => File::Nodes,
        SchemaOf::Site => File::Site,
        SchemaOf::Image => File::Image,
    };
    context.printer.raw(&format!("{:#}\n", schema::of(file, &workspace::roles(context)?)));
    Ok(Exit::Good)
}
