//! `ostler schema`.

use clap::{Args, ValueEnum};

/// Print a JSON Schema for editors
///
/// It knows the roles of the site that it is asked in, or that `--site` names, with their parameters.
///
/// Examples:
///   ostler schema role > .schema/role.json
///   ostler schema nodes --site ../ci > .schema/nodes.json
#[derive(Debug, Clone, Args)]
#[command(verbatim_doc_comment)]
pub struct SchemaArgs {
    /// Of which file
    #[arg(value_enum)]
    pub of: SchemaOf,
}

/// Files with a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SchemaOf {
    /// roles/NAME.yaml
    Role,
    /// nodes.yaml
    Nodes,
    /// ostler.yaml
    Site,
    /// images/NAME.yaml
    Image,
}
