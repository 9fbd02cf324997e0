//! What nodes stand on: root trees and machine images, found in the cache or built.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::thread;

use super::error::LabError;
use super::protocol::{Plan, WIRE};
use super::setup::{Progress, Setup};
use super::sources::Sources;
use super::spec::{LabNode, LabSpec, Machine};
use super::tree::{self, Recipe};
use super::vm::image::{self, ImageRecipe};

/// What a node stands on, before it is built.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Ground {
    Tree(Recipe),
    Image(ImageRecipe),
}

impl Ground {
    fn of(node: &LabNode) -> Self {
        match node.machine {
            Machine::Container { .. } => Self::Tree(Recipe::new(node.suite, &node.packages)),
            Machine::Vm => Self::Image(ImageRecipe::new(node)),
        }
    }

    fn ensure(&self, cache: &Path, sources: &Sources, progress: &(dyn Fn(Progress) + Sync)) -> Result<PathBuf, LabError> {
        let what = match self {
            Self::Tree(recipe) => format!("{} root tree", recipe.suite),
            Self::Image(recipe) => format!("{} machine image", recipe.suite()),
        };
        let say = |line: &str| progress(Progress::Building { what: what.clone(), line: line.to_owned() });
        match self {
            Self::Tree(recipe) => tree::ensure(cache, recipe, sources, &say),
            Self::Image(recipe) => image::ensure(cache, recipe, sources, &say),
        }
    }
}

/// Finds or builds what each node stands on, each thing once, all at the same time.
pub(crate) fn lay_out(spec: LabSpec, setup: &Setup, progress: &(dyn Fn(Progress) + Sync)) -> Result<Plan, LabError> {
    let sources = Sources::of_this_machine(&setup.environment)?;
    let wanted: BTreeSet<Ground> = spec.nodes.iter().map(Ground::of).collect();
    let built: BTreeMap<Ground, PathBuf> = thread::scope(|scope| {
        let build = |ground: Ground| {
            let (cache, sources) = (&setup.cache_dir, &sources);
            scope.spawn(move || ground.ensure(cache, sources, progress).map(|path| (ground, path)))
        };
        let threads: Vec<_> = wanted.into_iter().map(build).collect();
        let panicked = || LabError::Refused("a builder's thread panicked".into());
        threads.into_iter().map(|thread| thread.join().map_err(|_| panicked())?).collect::<Result<_, _>>()
    })?;
    let path = |node: &LabNode| built.get(&Ground::of(node)).map(|path| (node.name.clone(), path.clone()));
    let grounds = spec.nodes.iter().filter_map(path).collect();
    Ok(Plan { wire: WIRE, spec, grounds, sources, packages: setup.cache_dir.join("packages"), tied: !setup.outlives })
}
