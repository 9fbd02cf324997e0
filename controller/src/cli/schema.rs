//! `ostler schema`.

use clap::{Args, ValueEnum};

/// Print a JSON Schema for editors
///
/// Examples:
///   ostler schema role > .schema/role.json
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
}
