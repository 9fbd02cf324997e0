//! An image of the site, opened for work: what it is made of, and where its layers and builds are.

use crate::command::workspace::{Open, Workspace};
use crate::command::{CommandError, Context, prepare};
use crate::fleet::{CompileError, EventSender, Prepared};
use crate::image::bake::Baker;
use crate::image::build::{LeftOut, Recipe, Setup, Source};
use crate::inventory::{self, Revision};
use crate::journal::site_directory;
use crate::session::AgentFile;
use ostler_roles::author::compile::{self, ImageInput};
use ostler_roles::author::diagnostic::RenderStyle;
use ostler_roles::author::image::Image;
use ostler_roles::catalog::Omitted;
use ostler_roles::facts::Facts;
use ostler_roles::words::NodeName;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::watch;

/// One image of an opened site.
#[derive(Debug)]
pub struct Workshop {
    /// The site.
    pub workspace: Arc<Workspace>,
    /// The image.
    pub image: Image,
    /// Where its builds are, unless they are wanted elsewhere.
    pub builds: PathBuf,
    /// Where layers are, and this program.
    pub setup: Setup,
    epoch: u32,
}

impl Workshop {
    /// Opens the site and finds the image.
    ///
    /// # Errors
    /// What is wrong with the site; an image that is not there.
    pub fn open(context: &Context, name: &str, set: &[String]) -> Result<Self, CommandError> {
        let workspace = Arc::new(Workspace::open(context, set, Open::Values)?);
        let images = &workspace.inventory.site.images;
        let Some(image) = images.iter().find(|image| image.name.value == name).cloned() else {
            let known: Vec<&str> = images.iter().map(|image| image.name.value.as_str()).collect();
            let hint = match known.as_slice() {
                [] => "describe one in images/NAME.yaml: ostler explain image".to_owned(),
                known => format!("the site has {}", known.join(", ")),
            };
            return Err(CommandError::Usage { what: format!("the site has no image {name}"), hint });
        };
        let id = workspace.inventory.site.file.id.as_ref().map(|id| id.value.to_string());
        let directory = site_directory(&context.environment.state, id.as_deref(), &workspace.inventory.root)?;
        let program = std::env::current_exe().map_err(|source| CommandError::File { what: "find this program".to_owned(), source })?;
        let builds = directory.join("images").join(name);
        let epoch = epoch(context, &workspace);
        Ok(Self { workspace, image, builds, epoch, setup: Setup { program, cache: context.environment.cache.join("images") } })
    }

    /// The image as the node of its events.
    ///
    /// # Errors
    /// A name that is none, which the site's reading has refused before.
    pub fn node(&self) -> Result<NodeName, CommandError> {
        NodeName::parse(&self.image.name.value)
            .map_err(|error| CommandError::Usage { what: error.to_string(), hint: "rename the image's file".to_owned() })
    }

    /// The time of the site: nothing in a build is newer, so that the same site makes the same bytes. SOURCE_DATE_EPOCH where that is set
    /// (reproducible-builds.org), else the time of the commit that is checked out, else that of the newest of the image's own files.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// The commit of the site, and whether its files differ from it; none where it is in no repository.
    pub fn revision(&self) -> Option<String> {
        match inventory::revision(&self.workspace.inventory.root) {
            Ok(Revision::Commit { id, dirty }) => Some(if dirty { format!("{id}-dirty") } else { id.to_string() }),
            Ok(Revision::None | Revision::Unborn) | Err(_) => None,
        }
    }

    /// Who bakes.
    ///
    /// # Errors
    /// A build of this program without an agent.
    pub fn baker(&self, context: &Context, events: &EventSender, cancel: watch::Receiver<bool>) -> Result<Baker, CommandError> {
        Ok(Baker {
            image: self.node()?,
            agent: AgentFile::embedded().ok_or(CommandError::NoAgent)?,
            secret_key: self.workspace.secrets.key().to_vec(),
            controller: prepare::controller(context),
            events: events.clone(),
            mask: context.printer.mask.clone(),
            cancel,
        })
    }

    /// What a machine shall be that has booted from it, by what is known of its tree.
    ///
    /// # Errors
    /// All faults, rendered.
    pub fn compiled(&self, facts: &Facts) -> Result<compile::CompiledImage, CompileError> {
        let (inventory, known) = (&self.workspace.inventory, self.workspace.facts());
        let input = ImageInput {
            roles: &inventory.roles,
            site: &inventory.site,
            content: &inventory.content,
            image: &self.image,
            tree: &Arc::new(facts.clone()),
            facts: &known,
            secrets: &self.workspace.secrets,
            overrides: &self.workspace.overrides,
        };
        compile::image(&input).map_err(|faults| CompileError { count: faults.len(), rendered: faults.render(RenderStyle::default()) })
    }
}

/// Seconds since 1970 by the environment, by git, by the site's file.
fn epoch(context: &Context, workspace: &Workspace) -> u32 {
    let root = &workspace.inventory.root;
    let set = context.environment.variables.get("SOURCE_DATE_EPOCH").and_then(|text| text.parse().ok());
    let written = || {
        let time = std::fs::metadata(root.join("ostler.yaml")).ok()?.modified().ok()?;
        u32::try_from(time.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs()).ok()
    };
    set.or_else(|| inventory::commit_time(root)).or_else(written).unwrap_or(1)
}

impl Source for Workshop {
    fn compile(&self, facts: &Facts) -> Result<Recipe, CompileError> {
        let compiled = self.compiled(facts)?;
        let (catalog, parts) = compiled.whole.catalog.at_rest();
        let mut left_out: Vec<LeftOut> = compiled
            .left_out
            .iter()
            .map(|one| LeftOut { what: one.id.clone(), role: one.role.to_string(), origin: one.origin.clone(), why: one.why.to_string() })
            .collect();
        left_out.extend(parts.into_iter().map(|one| {
            let what = match one.what {
                Omitted::Step(id) | Omitted::Part(id) => id.to_string(),
                Omitted::Check(name) => name,
            };
            LeftOut { what, role: one.role.to_string(), origin: one.origin, why: one.why.to_owned() }
        }));
        let segments = compile::image_segments(&catalog);
        let blob = self.workspace.blobs(&compiled.whole);
        let secrets = Arc::new(compiled.whole.secrets);
        let prepared = Prepared { catalog, blob, secrets, masked: compiled.whole.masked, executors: Vec::new() };
        Ok(Recipe { prepared, segments, left_out })
    }
}
