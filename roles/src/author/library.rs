//! The role library that ships with the program: its files, held in it, and its roles.

use std::sync::Arc;

use super::diagnostic::{Fault, Faults};
use super::lower;
use super::role::Role;
use super::source::{Source, Tree};

/// What comes before the path of a library's file in diagnostics and origins.
pub const PREFIX: &str = "library/";

/// One file of the library.
#[derive(Clone, Copy, Debug)]
pub struct LibraryFile {
    /// Its path in the library: `roles/base.yaml`, `files/…`, `templates/…`.
    pub path: &'static str,
    /// Its bytes.
    pub bytes: &'static [u8],
}

/// Written by the build script: every file below `roles/library`, by path.
const FILES: &[LibraryFile] = include!(concat!(env!("OUT_DIR"), "/library.rs"));

/// Every file, by path.
#[must_use]
pub fn files() -> &'static [LibraryFile] {
    FILES
}

/// Every role.
pub fn roles(faults: &mut Faults) -> Vec<Role> {
    FILES.iter().filter(|file| file.path.starts_with("roles/")).filter_map(|file| role(file, faults)).collect()
}

/// One role.
fn role(file: &LibraryFile, faults: &mut Faults) -> Option<Role> {
    let name = format!("{PREFIX}{}", file.path);
    match std::str::from_utf8(file.bytes) {
        Ok(text) => lower::role(&Source::new(Tree::Library, name, text), faults),
        Err(_) => {
            let source: Arc<Source> = Source::new(Tree::Library, name, "");
            faults.push(Fault::new(&source.span(0..0), "the file is not UTF-8"));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_of_the_library_is_read_without_a_fault() {
        let mut faults = Faults::new();
        let roles = roles(&mut faults);
        let graph = crate::author::graph::Roles::new(roles.clone(), &mut faults);
        assert!(faults.is_empty(), "{faults}");
        assert_eq!(graph.iter().count(), roles.len());
        assert!(roles.iter().any(|role| role.name.value == "buildbot-worker"));
        assert!(roles.iter().all(|role| role.tree == Tree::Library && role.name.span.source().name().starts_with(PREFIX)));
    }
}
