//! One build, from its base to its files: layers that are there are kept, the others are made, one upon the other.

use std::collections::BTreeSet;
use std::path::PathBuf;

use ostler_roles::author::compile::Segment;
use ostler_roles::catalog::Catalog;
use ostler_roles::facts::Facts;
use ostler_roles::words::{Digest, Origin};

use super::bake::{Baked, Baker};
use super::error::ImageError;
use super::layers::{self, Layer, LayerAbout, Store};
use super::root::{Bind, Root, RootSetup, RootSpec};
use super::stack::LayerPlan;
use super::tree_facts;
use crate::fleet::{CompileError, Prepared};

/// Where builds keep what they share, and with what they work.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The `ostler` program: it runs again inside of the tree's namespaces.
    pub program: PathBuf,
    /// Layers and packages, shared by all images of this account.
    pub cache: PathBuf,
}

impl Setup {
    /// Opens the store of layers.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn store(&self) -> Result<Store, ImageError> {
        Store::open(&self.cache)
    }

    /// What roots are made with.
    pub fn root(&self, store: &Store) -> RootSetup {
        RootSetup { program: self.program.clone(), scratch: store.scratch() }
    }
}

/// What an image is made of, from what is known of its tree.
pub trait Source: Sync {
    /// Compiles it.
    ///
    /// # Errors
    /// All faults, rendered.
    fn compile(&self, facts: &Facts) -> Result<Recipe, CompileError>;
}

/// The steps of an image at rest.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// Its steps, with what they refer to.
    pub prepared: Prepared,
    /// Which of them make a layer together.
    pub segments: Vec<Segment>,
    /// What is left to the machines that are made of it.
    pub left_out: Vec<LeftOut>,
}

/// What an image goes without.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// `KIND KEY`, or a check.
    pub what: String,
    /// The role that wants it.
    pub role: String,
    /// Where it says so.
    pub origin: Origin,
    /// Why; of a part of a step: what the running machine does.
    pub why: String,
}

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The tree, the disk, the machine.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The site.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// The steps of a role.
    #[error("the steps of {role} did not come through")]
    Steps {
        /// Whose.
        role: String,
        /// How they came out.
        baked: Baked,
    },
}

/// What is told while an image is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// A layer is there: its name.
    Kept(String),
    /// A layer is made: its name, and why.
    Making(String, String),
    /// A program says something.
    Line(String),
}

/// A tree with all that its roles ask for, not sealed yet.
#[derive(Debug, Clone)]
pub struct Tree {
    /// Its layers, lowest first, held so that nobody trims them.
    pub layers: Vec<Layer>,
    /// How those above the base were made.
    pub stack: Vec<LayerPlan>,
    /// What it was made of.
    pub recipe: Recipe,
    /// What is known of it.
    pub facts: Facts,
    /// Bytes that came from other machines.
    pub fetched: u64,
}

/// Where the files of layers are, lowest first.
pub fn trees(layers: &[Layer]) -> Vec<PathBuf> {
    layers.iter().map(|layer| layer.tree.clone()).collect()
}

/// The layers of one image, before and while they are made.
pub struct Baking<'a> {
    /// Where things are.
    pub setup: &'a Setup,
    /// The store of layers.
    pub store: &'a Store,
    /// Makes steps so.
    pub baker: &'a Baker,
    /// What the image is made of.
    pub source: &'a dyn Source,
    /// The stack that was made last, for the reasons why another is.
    pub before: &'a [LayerPlan],
    /// Hears what happens.
    pub tell: &'a (dyn Fn(Progress) + Sync),
    /// Opens a shell in the tree where a step has failed in it.
    pub shell: Option<&'a (dyn Fn(&Root) + Sync)>,
}

impl std::fmt::Debug for Baking<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Baking").field("setup", self.setup).finish_non_exhaustive()
    }
}

impl Baking<'_> {
    /// The layers above this base, by what is known of the tree, with what they are made from.
    ///
    /// # Errors
    /// When the image cannot be compiled.
    pub fn stack(&self, base: &Digest, facts: &Facts) -> Result<(Recipe, Vec<LayerPlan>), CompileError> {
        let recipe = self.source.compile(facts)?;
        let mut stack: Vec<LayerPlan> = Vec::new();
        for segment in &recipe.segments {
            let below = stack.last().map_or(*base, |layer| layer.key);
            let name = segment.role.to_string();
            stack.push(LayerPlan::of_steps(&below, &name, &recipe.prepared.catalog, segment.steps.clone(), &self.baker.agent.digest));
        }
        Ok((recipe, stack))
    }

    /// Makes what is not there upon these layers.
    ///
    /// # Errors
    /// [`BuildError`]; what was made whole before stays, and the next build goes on from there.
    pub async fn bake(&self, base: &[Layer]) -> Result<Tree, BuildError> {
        let Some(top) = base.last() else {
            return Err(ImageError::refused("the base has no layer", "name another base in the image's file").into());
        };
        let mut facts = tree_facts::read(&trees(base))?;
        let (mut fetched, mut told) = (0, BTreeSet::new());
        // A role may bring another kernel, on which facts may rest: what was made by the old one is then made by the new.
        for _ in 0..3 {
            let (recipe, stack) = self.stack(&top.key, &facts)?;
            let (layers, bytes) = self.make(base, &recipe, &stack, &mut told).await?;
            fetched += bytes;
            let found = tree_facts::read(&trees(&layers))?;
            if found == facts {
                return Ok(Tree { layers, stack, recipe, facts, fetched });
            }
            facts = found;
        }
        Err(ImageError::refused("each time its roles are applied, the tree has another kernel", "let no step rest on `facts.kernel`")
            .into())
    }

    async fn make(
        &self,
        base: &[Layer],
        recipe: &Recipe,
        stack: &[LayerPlan],
        told: &mut BTreeSet<Digest>,
    ) -> Result<(Vec<Layer>, u64), BuildError> {
        let (mut layers, mut fetched) = (base.to_vec(), 0);
        for (segment, layer) in recipe.segments.iter().zip(stack) {
            if let Some(made) = self.store.get(&layer.key) {
                if told.insert(layer.key) {
                    (self.tell)(Progress::Kept(layer.name.clone()));
                }
                layers.push(made);
                continue;
            }
            let before = self.before.iter().find(|before| before.name == layer.name);
            told.insert(layer.key);
            (self.tell)(Progress::Making(layer.name.clone(), layer.why(before)));
            let (made, bytes) = self.one(&layers, recipe, (segment, layer)).await?;
            fetched += bytes;
            layers.push(made);
        }
        Ok((layers, fetched))
    }

    /// Makes one layer, unless somebody else has made it meanwhile.
    async fn one(&self, below: &[Layer], recipe: &Recipe, (segment, layer): (&Segment, &LayerPlan)) -> Result<(Layer, u64), BuildError> {
        let half = blocking(|| self.store.begin(&layer.key))?;
        if let Some(made) = self.store.get(&layer.key) {
            return Ok((made, 0));
        }
        // What the agent keeps of itself is of the build, and no part of the image.
        let state = half.work().with_file_name("state");
        std::fs::create_dir(&state).map_err(ImageError::file("create directory", &state))?;
        let archives = half.work().with_file_name("archives");
        self.store.lend_packages(&archives)?;
        let spec = RootSpec {
            layers: trees(below),
            upper: Some((half.upper(), half.work())),
            binds: vec![
                Bind { from: state.clone(), to: "/var/lib/ostler".into(), read_only: false },
                Bind { from: archives.clone(), to: "/var/cache/apt/archives".into(), read_only: false },
            ],
            bare: false,
        };
        let root = blocking(|| Root::enter(&spec, &self.setup.root(self.store)))?;
        let mut prepared = recipe.prepared.clone();
        narrow(&mut prepared.catalog, segment);
        let baked = self.baker.apply(root.link(), prepared).await;
        let fetched = root.fetched();
        // What was fetched is not fetched again, also where a step failed behind it.
        self.store.keep_packages(&archives)?;
        if !matches!(baked, Baked::Good(_)) {
            if let (Some(shell), Baked::Failed(_)) = (self.shell, &baked) {
                self.baker.events.flush().await;
                blocking(|| shell(&root));
            }
            blocking(|| root.leave())?;
            return Err(BuildError::Steps { role: layer.name.clone(), baked });
        }
        for still in blocking(|| root.leave())? {
            (self.tell)(Progress::Line(format!("{}: {still} was still running, and was ended", layer.name)));
        }
        for ours in [&state, &archives] {
            layers::remove(ours).map_err(ImageError::file("remove", ours))?;
        }
        Ok((blocking(|| half.commit(&about(layer)))?, fetched))
    }
}

/// What a layer says of itself.
pub(super) fn about(layer: &LayerPlan) -> LayerAbout {
    let inputs = layer.inputs.iter().map(|(name, digest)| (name.clone(), digest.to_string())).collect();
    LayerAbout { name: layer.name.clone(), parent: layer.below, inputs }
}

/// Keeps the steps of one layer, and what is required for them.
fn narrow(catalog: &mut Catalog, segment: &Segment) {
    let mut place = 0..;
    catalog.steps.retain(|_| place.next().is_some_and(|place| segment.steps.contains(&place)));
    let roles: BTreeSet<_> = catalog.steps.iter().map(|step| step.role.clone()).collect();
    catalog.require.retain(|requirement| roles.contains(&requirement.role));
}

/// Work that waits for the machine, on a thread that may.
pub(super) fn blocking<T>(work: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(work)
}
