//! Reading what people write: YAML to a spanned tree, to a validated [`role::Role`], to one node's catalog.
//!
//! `yaml` reads a `source` to its tree, `diagnostic` says what is wrong, `kinds` is the one table of every kind and its fields,
//! `lower` turns the tree into `role` and `site`, `schema` prints the table for editors.

pub mod compile;
pub mod diagnostic;
pub mod expr;
pub mod graph;
pub mod image;
pub mod keys;
pub mod kinds;
pub mod layers;
pub mod library;
pub mod literal;
pub mod lower;
pub mod reference;
pub mod references;
pub mod role;
pub mod scalar;
pub mod schema;
pub mod site;
pub mod source;
pub mod template;
pub mod text;
pub mod utf8;
pub mod value;
pub mod yaml;
