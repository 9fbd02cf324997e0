//! What is in an image, for people and for `image diff`: its packages, its files, the heads of its repositories.

mod files;
mod packages;
mod repositories;
#[cfg(test)]
mod tests;

use std::path::Path;

use serde_json::Value;

use super::error::ImageError;
use super::tree::Tree;

pub use repositories::Mirrors;

/// The manifest of installed packages: `packages`, each `name`, `version`, `architecture`.
pub const PACKAGES: &str = "packages";
/// The manifest of files: `files`, each `path`, `kind`, `mode`, `owner` and, by its kind, `size` and `sha256`, `target`, `device`.
pub const FILES: &str = "files";
/// The manifest of mirrored repositories: `repositories`, each `path`, `head` and `heads` (by their references).
pub const REPOSITORIES: &str = "repositories";
/// The manifest that says where a build comes from.
pub const PROVENANCE: &str = "provenance";

/// Reads a tree that nothing is mounted in.
///
/// # Errors
/// When something in it cannot be read.
pub fn read(tree: &Path, mirrors: &[Mirrors]) -> Result<Vec<(&'static str, Value)>, ImageError> {
    let tree = Tree::open(tree)?;
    Ok(vec![(PACKAGES, packages::read(&tree)?), (FILES, files::read(&tree)?), (REPOSITORIES, repositories::read(&tree, mirrors)?)])
}

/// A manifest of a build; none where the build has none of that name (it may be older than it).
///
/// # Errors
/// When it cannot be read, or is damaged.
pub fn load(dir: &Path, name: &str, build: u64, which: &str) -> Result<Option<Value>, ImageError> {
    let path = dir.join(format!("{name}-{build}.d")).join(format!("{which}.json"));
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(ImageError::file("read", &path)(error)),
    };
    serde_json::from_slice(&bytes).map(Some).map_err(|error| ImageError::file("read", &path)(error.into()))
}

/// A manifest as text: a member a line, and of a list in it an element a line, so that `diff` and people can read a long one.
#[must_use]
pub fn text(value: &Value) -> String {
    let Value::Object(members) = value else { return format!("{value:#}\n") };
    let member = |(name, value): (&String, &Value)| match value {
        Value::Array(list) if !list.is_empty() => {
            let elements: Vec<String> = list.iter().map(|element| format!("    {element}")).collect();
            format!("  {}: [\n{}\n  ]", Value::from(name.as_str()), elements.join(",\n"))
        }
        other => format!("  {}: {other}", Value::from(name.as_str())),
    };
    format!("{{\n{}\n}}\n", members.iter().map(member).collect::<Vec<_>>().join(",\n"))
}
