//! The heads of repositories that an image brings.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::error::ImageError;
use super::super::tree::Tree;

/// Mirrors below one directory of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirrors {
    /// The directory.
    pub root: String,
    /// Paths below it.
    pub repositories: Vec<String>,
}

/// What each points at: read from its files (gitrepository-layout(5)), for git itself would act by what the tree's owner configured.
pub(super) fn read(tree: &Tree, mirrors: &[Mirrors]) -> Result<Value, ImageError> {
    let mut found = Vec::new();
    for Mirrors { root, repositories } in mirrors {
        for repository in repositories {
            let path = format!("{}/{repository}", root.trim_end_matches('/'));
            // One that nothing insists on may be missing: its origin did not answer.
            let Some(head) = tree.read(&format!("{path}/HEAD"))? else { continue };
            let head = String::from_utf8_lossy(&head).trim().trim_start_matches("ref: ").to_owned();
            found.push(json!({ "path": path, "head": head, "heads": heads(tree, &path)? }));
        }
    }
    Ok(json!({ "v": 1, "repositories": found }))
}

/// Packed references, and loose ones, which are newer.
fn heads(tree: &Tree, path: &str) -> Result<BTreeMap<String, String>, ImageError> {
    let packed = tree.read(&format!("{path}/packed-refs"))?.unwrap_or_default();
    let packed = String::from_utf8_lossy(&packed).into_owned();
    // `#` begins its first line, `^` what an annotated tag above it leads to.
    let line = |line: &str| {
        let (id, name) = line.split_once(' ')?;
        (!line.starts_with(['#', '^'])).then(|| (name.to_owned(), id.to_owned()))
    };
    let mut heads: BTreeMap<String, String> = packed.lines().filter_map(line).collect();
    let refs = format!("{path}/refs");
    let mut loose = Vec::new();
    tree.walk(&refs, &mut |visit| {
        if visit.kind() == rustix::fs::FileType::RegularFile {
            loose.push(visit.path.to_string_lossy().into_owned());
        }
        Ok(())
    })?;
    for file in loose {
        let Some(bytes) = tree.read(&file)? else { continue };
        let name = file.strip_prefix(path.trim_start_matches('/')).unwrap_or(&file).trim_start_matches('/').to_owned();
        heads.insert(name, String::from_utf8_lossy(&bytes).trim().to_owned());
    }
    Ok(heads)
}
