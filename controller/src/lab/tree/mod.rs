//! Root trees: built once per recipe with mmdebstrap, kept in the cache, never changed afterwards.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::cache::{self, CacheKey};
use super::child::follow;
use super::error::LabError;
use super::sources::Sources;
use super::spec::Suite;

/// What every node has: an init, an sshd, sudo, and enough for the usual configuration tools to work.
const BASE: &[&str] = &["apt-utils", "ca-certificates", "dbus", "iproute2", "openssh-server", "python3-minimal", "sudo", "systemd-sysv"];

/// Makes a bare tree into a node without identity.
const PREPARE: &str = include_str!("prepare.sh");

/// What a tree is made from; equal recipes share one tree.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Recipe {
    pub(crate) suite: Suite,
    pub(crate) packages: BTreeSet<String>,
}

/// How every tree is built. The package lists stay: a real machine has some, and a requirement that asks whether a package is
/// offered must not write.
const OPTIONS: [&str; 5] = [
    "--mode=root",
    "--variant=minbase",
    "--dpkgopt=force-unsafe-io",
    "--aptopt=Apt::Install-Recommends \"false\"",
    "--skip=cleanup/apt/lists",
];

impl Recipe {
    pub(crate) fn new(suite: Suite, more: &BTreeSet<String>) -> Self {
        let packages = BASE.iter().map(|name| (*name).to_owned()).chain(more.iter().cloned()).collect();
        Self { suite, packages }
    }

    /// Name of the tree: the suite and a digest of everything that goes into it.
    fn name(&self, sources: &Sources) -> String {
        let mut ingredients = CacheKey::default();
        self.describe(sources, &mut ingredients);
        ingredients.name(&self.suite.to_string())
    }

    /// Adds everything that goes into the tree.
    pub(crate) fn describe(&self, sources: &Sources, ingredients: &mut CacheKey) {
        for part in [PREPARE, &OPTIONS.join(" "), &sources.line(self.suite), &self.include()] {
            ingredients.add(part.as_bytes());
        }
    }

    fn include(&self) -> String {
        self.packages.iter().cloned().collect::<Vec<_>>().join(",")
    }
}

/// Returns the tree of a recipe, building it where it is missing; `progress` hears the builder's own lines.
pub(crate) fn ensure(cache: &Path, recipe: &Recipe, sources: &Sources, progress: &(dyn Fn(&str) + Sync)) -> Result<PathBuf, LabError> {
    cache::ensure(&cache.join("trees"), &recipe.name(sources), |half| build(recipe, &[], sources, half, progress))
}

/// Builds a tree at `target`, with these scripts run after the one that prepares every node.
pub(crate) fn build(
    recipe: &Recipe,
    more: &[&str],
    sources: &Sources,
    target: &Path,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<(), LabError> {
    let mut command = Command::new("mmdebstrap");
    command.args(OPTIONS).arg(format!("--include={}", recipe.include())).env("LC_ALL", "C.UTF-8");
    let mut hooks = Vec::new();
    for (number, script) in [PREPARE].iter().chain(more).enumerate() {
        let hook = target.with_extension(format!("{number}.sh"));
        fs::write(&hook, script).map_err(LabError::file("write", &hook))?;
        fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).map_err(LabError::file("chmod", &hook))?;
        command.arg(format!("--customize-hook={}", hook.display()));
        hooks.push(hook);
    }
    command.arg(recipe.suite.to_string()).arg(target).arg(sources.line(recipe.suite));
    let outcome = follow(&command, progress);
    for hook in hooks {
        let _ = fs::remove_file(&hook);
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ingredient_changes_the_name_of_a_tree() {
        let sources = Sources { mirror: "http://a.example/debian".into(), allowed: BTreeSet::new(), secure: BTreeSet::new() };
        let other = Sources { mirror: "http://b.example/debian".into(), allowed: BTreeSet::new(), secure: BTreeSet::new() };
        let plain = Recipe::new(Suite::Bookworm, &BTreeSet::new());
        let more = Recipe::new(Suite::Bookworm, &BTreeSet::from(["git".to_owned()]));
        let same = Recipe::new(Suite::Bookworm, &BTreeSet::from(["sudo".to_owned()]));
        assert_eq!(plain.name(&sources), same.name(&sources));
        assert_ne!(plain.name(&sources), more.name(&sources));
        assert_ne!(plain.name(&sources), plain.name(&other));
        assert!(plain.name(&sources).starts_with("bookworm-"));
    }
}
