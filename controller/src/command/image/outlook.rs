//! What a build would do: which layers are kept and which made, why, and the room that it needs. Nothing is made.

use super::made::{self, Wanted};
use super::workshop::Workshop;
use crate::command::{CommandError, Context};
use crate::fleet::CompileError;
use crate::image::base;
use crate::image::build::{Recipe, Source as _, trees};
use crate::image::layers::Store;
use crate::image::output::Build;
use crate::image::room::{self, Disk, Need, Part};
use crate::image::stack::{self, LayerPlan, changed};
use crate::image::{output, tree_facts};
use crate::report::sanitize;
use crate::session::AgentFile;
use ostler_roles::author::compile::{image_system, recorded};
use ostler_roles::facts::Facts;
use ostler_roles::words::Digest;
use serde_json::Value;
use std::collections::BTreeMap;

/// What a build would do.
#[derive(Debug)]
pub struct Outlook {
    /// What it stands on.
    pub base: base::Wanted,
    /// All layers, lowest first, the base and the seal included.
    pub layers: Vec<Planned>,
    /// What the roles' layers are made of; none: that cannot be told before the base is there.
    pub recipe: Option<Result<Recipe, CompileError>>,
    /// The build that has all this already.
    pub same: Option<Build>,
    /// The disks that are written to.
    pub disks: Vec<Disk>,
}

/// A layer that is kept or made.
#[derive(Debug)]
pub struct Planned {
    /// Its name.
    pub name: String,
    /// Its size where it is kept.
    pub kept: Option<u64>,
    /// Why it is to be made; empty where it is kept.
    pub why: String,
    /// Its steps.
    pub steps: Vec<String>,
}

impl Outlook {
    /// Looks what a build would do.
    ///
    /// # Errors
    /// What is wrong with the base, the store, this machine.
    pub fn of(context: &Context, workshop: &Workshop, store: &Store, wanted: &Wanted) -> Result<Self, CommandError> {
        let say = |line: &str| {
            if context.printer.verbose > 0 {
                context.printer.aside(&sanitize(line, false));
            }
        };
        let base = base::look(store, &made::base(workshop)?, &context.environment, &say)?;
        let name = workshop.image.name.value.as_str();
        let last = match output::current(&wanted.builds, name)? {
            Some(number) => made::provenance(&wanted.builds, name, number),
            None => None,
        };
        let mut outlook = Self { base, layers: Vec::new(), recipe: None, same: None, disks: Vec::new() };
        outlook.layers.push(outlook.of_base(last.as_ref()));
        let facts = outlook.facts(workshop)?;
        let top = facts.map(|facts| outlook.above(workshop, store, wanted, &facts)).transpose()?.flatten();
        if let Some(top) = top {
            let content = made::content(&made::finish(workshop, wanted, workshop.epoch()), Some(top));
            outlook.same = made::same_build(wanted, name, &content)?;
        }
        let parts: Vec<Part> = outlook.layers.iter().map(|layer| Part { name: layer.name.clone(), there: layer.kept }).collect();
        let need = match outlook.same {
            Some(_) => Need { layers: 0, files: 0 },
            None => room::need(&parts, &wanted.formats, last.as_ref()),
        };
        outlook.disks = room::disks(need, store.dir(), &wanted.builds)?;
        Ok(outlook)
    }

    /// The layers that are to be made.
    pub fn to_be_made(&self) -> usize {
        self.layers.iter().filter(|layer| layer.kept.is_none()).count()
    }

    fn of_base(&self, last: Option<&Value>) -> Planned {
        let name = self.base.about.name.clone();
        let kept = (!self.base.layers.is_empty()).then(|| self.base.layers.iter().map(|layer| layer.bytes).sum());
        let before = last.and_then(|last| last["layers"].as_array()?.first()?["inputs"].as_object().cloned());
        let before: Option<BTreeMap<String, String>> =
            before.map(|inputs| inputs.into_iter().filter_map(|(name, value)| Some((name, value.as_str()?.to_owned()))).collect());
        let why = match before.map(|before| changed(&made::told_inputs(&self.base.about), &before)) {
            _ if kept.is_some() => String::new(),
            None => "it was not made before".to_owned(),
            Some(why) if why.is_empty() => "it is not in the cache any more".to_owned(),
            Some(why) => why.iter().map(|one| plain(one)).collect::<Vec<_>>().join(", "),
        };
        Planned { name, kept, why, steps: Vec::new() }
    }

    /// What is known of the base: by its tree; of one that is to be made by what was seen of its system. None: it can be any system.
    fn facts(&self, workshop: &Workshop) -> Result<Option<Facts>, CommandError> {
        if !self.base.layers.is_empty() {
            return Ok(Some(tree_facts::read(&trees(&self.base.layers))?));
        }
        let system = image_system(&workshop.image, &workshop.workspace.inventory.site.images);
        Ok(system.and_then(|system| recorded().remove(system)))
    }

    /// Adds the layers above the base; returns the uppermost one's digest, where all that is below it is there or will be as told.
    fn above(&mut self, workshop: &Workshop, store: &Store, wanted: &Wanted, facts: &Facts) -> Result<Option<Digest>, CommandError> {
        let agent = AgentFile::embedded().ok_or(CommandError::NoAgent)?;
        let recipe = match workshop.compile(facts) {
            Ok(recipe) => recipe,
            Err(error) => {
                self.recipe = Some(Err(error));
                return Ok(None);
            }
        };
        let before = stack::last(&wanted.builds);
        // Of a base that is to be made no layer lies on: the digest need only be another.
        let base = self.base.layers.last().map(|layer| layer.key);
        let mut below = base.unwrap_or_else(|| Digest::of(b"a base that is to be made"));
        for segment in &recipe.segments {
            let layer = LayerPlan::of_steps(&below, segment.role.as_str(), &recipe.prepared.catalog, segment.steps.clone(), &agent.digest);
            let of_segment = recipe.prepared.catalog.steps.get(segment.steps.clone()).unwrap_or_default();
            let steps = of_segment.iter().map(|step| step.id().to_string()).collect();
            let kept = store.get(&layer.key).map(|layer| layer.bytes);
            let why = if kept.is_some() { String::new() } else { layer.why(before.iter().find(|before| before.name == layer.name)) };
            self.layers.push(Planned { name: layer.name.clone(), kept, why, steps });
            below = layer.key;
        }
        let seal = made::finish(workshop, wanted, workshop.epoch()).layer(&below);
        let kept = store.get(&seal.key).map(|layer| layer.bytes);
        let why = if kept.is_some() { String::new() } else { seal.why(before.iter().find(|before| before.name == seal.name)) };
        self.layers.push(Planned { name: seal.name.clone(), kept, why, steps: Vec::new() });
        self.recipe = Some(Ok(recipe));
        Ok(base.map(|_| seal.key))
    }
}

/// What went into a base, in words.
fn plain(changed: &str) -> String {
    let words = [
        ("head", "what its archives offer"),
        ("sources", "its sources"),
        ("recipe", "the way in which it is made"),
        ("digest", "its content"),
    ];
    let found = words.iter().find_map(|(name, word)| Some(format!("{word} {}", changed.strip_prefix(name)?.strip_prefix(' ')?)));
    found.unwrap_or_else(|| changed.to_owned())
}
