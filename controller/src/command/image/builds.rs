//! The builds of a site's images, looked at: no secret is opened, nothing is made.

use crate::cli::BuildsArgs;
use crate::command::workspace::{Open, Workspace};
use crate::command::{CommandError, Context};
use crate::image::manifest::{self, PROVENANCE};
use crate::image::output::{self, Build};
use crate::journal::site_directory;
use ostler_roles::author::image::Image;
use ostler_roles::words::ImageName;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

/// The images of a site, and where their builds are.
#[derive(Debug)]
pub struct Images {
    described: Vec<Image>,
    /// Where each has a directory of its own.
    state: PathBuf,
    /// Where all are instead.
    out: Option<PathBuf>,
}

/// One build of one image.
#[derive(Debug, Clone)]
pub struct Picked {
    /// Where it is.
    pub dir: PathBuf,
    /// The image.
    pub image: String,
    /// The build.
    pub build: Build,
    /// Whether it is the current one.
    pub is_current: bool,
}

impl Images {
    /// Opens the site.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn open(context: &Context, args: &BuildsArgs) -> Result<Self, CommandError> {
        let workspace = Workspace::open(context, &[], Open::Names)?;
        let id = workspace.inventory.site.file.id.as_ref().map(|id| id.value.to_string());
        let state = site_directory(&context.environment.state, id.as_deref(), &workspace.inventory.root)?.join("images");
        Ok(Self { described: workspace.inventory.site.images.clone(), state, out: args.out.clone() })
    }

    /// Where the builds of an image are.
    pub fn dir(&self, image: &str) -> PathBuf {
        self.out.clone().unwrap_or_else(|| self.state.join(image))
    }

    /// The summary of an image that the site describes.
    pub fn summary(&self, image: &str) -> Option<&str> {
        self.described.iter().find(|one| one.name.value == image).map(|one| one.summary.value.as_str())
    }

    /// All that the site describes, and those that have builds though it does not any more.
    pub fn names(&self) -> BTreeSet<String> {
        let mut names: BTreeSet<String> = self.described.iter().map(|image| image.name.value.clone()).collect();
        let dir = self.out.as_ref().unwrap_or(&self.state);
        let there = std::fs::read_dir(dir).into_iter().flatten().flatten().filter_map(|entry| entry.file_name().into_string().ok());
        // In a directory of several: what has manifests, `NAME-NUMBER.d`.
        let of_file = |file: String| {
            file.strip_suffix(".d")?.rsplit_once('-').filter(|(_, build)| build.parse::<u64>().is_ok()).map(|(name, _)| name.to_owned())
        };
        let found = there.filter_map(|file| if self.out.is_some() { of_file(file) } else { Some(file) });
        names.extend(found.filter(|name| ImageName::parse(name).is_ok() && self.has_builds(name)));
        names
    }

    fn has_builds(&self, image: &str) -> bool {
        output::builds(&self.dir(image), image).is_ok_and(|builds| !builds.is_empty())
    }

    /// Refuses an image that neither the site describes nor a build is of.
    ///
    /// # Errors
    /// With those that there are.
    pub fn known(&self, image: &str) -> Result<(), CommandError> {
        let names = self.names();
        if names.contains(image) {
            return Ok(());
        }
        let hint = match names.into_iter().collect::<Vec<_>>().join(", ") {
            none if none.is_empty() => "describe one in images/NAME.yaml: ostler explain image".to_owned(),
            known => format!("there are {known}"),
        };
        Err(CommandError::Usage { what: format!("there is no image {image}"), hint })
    }

    /// All builds of an image, oldest first.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub fn builds(&self, image: &str) -> Result<Vec<Picked>, CommandError> {
        let dir = self.dir(image);
        let current = output::current(&dir, image)?;
        let picked = |build: Build| Picked { dir: dir.clone(), image: image.to_owned(), is_current: current == Some(build.number), build };
        Ok(output::builds(&dir, image)?.into_iter().map(picked).collect())
    }

    /// The build of `NAME@BUILD`, the current one of `NAME`.
    ///
    /// # Errors
    /// When there is none, with those that there are.
    pub fn pick(&self, word: &str) -> Result<Picked, CommandError> {
        let (image, build) = parts(word)?;
        self.known(image)?;
        let dir = self.dir(image);
        let number = match build {
            Some(number) => number,
            None => output::current(&dir, image)?.ok_or_else(|| self.has_none(image))?,
        };
        let build = output::find(&dir, image, number)?;
        let is_current = output::current(&dir, image)? == Some(number);
        Ok(Picked { dir, image: image.to_owned(), build, is_current })
    }

    /// The build of `NAME@BUILD`; `NAME` alone is not enough.
    ///
    /// # Errors
    /// When there is none, or it is not said.
    pub fn pick_named(&self, word: &str, verb: &str) -> Result<Picked, CommandError> {
        let (image, build) = parts(word)?;
        if build.is_some() {
            return self.pick(word);
        }
        self.known(image)?;
        let hint = match self.builds(image)?.last() {
            Some(newest) => format!("ostler image {verb} {}", newest.word()),
            None => format!("it has none: ostler image build {image}"),
        };
        Err(CommandError::Usage { what: format!("which build of {image} is not said"), hint })
    }

    /// An image without a current build.
    pub fn has_none(&self, image: &str) -> CommandError {
        let numbers: Vec<String> = self.builds(image).unwrap_or_default().iter().map(Picked::word).collect();
        match numbers.as_slice() {
            [] => CommandError::Usage { what: format!("{image} has no build"), hint: format!("ostler image build {image}") },
            [.., newest] => CommandError::Usage {
                what: format!("{image} has no current build; there are: {}", numbers.join(", ")),
                hint: format!("ostler image revert {newest}"),
            },
        }
    }
}

/// `NAME`, or `NAME@BUILD`.
pub fn parts(word: &str) -> Result<(&str, Option<u64>), CommandError> {
    let Some((image, build)) = word.split_once('@') else { return Ok((word, None)) };
    let wrong = || CommandError::Usage { what: format!("`{build}` is no number of a build"), hint: format!("ostler image ls {image}") };
    build.parse().map(|number| (image, Some(number))).map_err(|_| wrong())
}

impl Picked {
    /// `NAME@BUILD`.
    pub fn word(&self) -> String {
        format!("{}@{}", self.image, self.build.number)
    }

    /// The files of its formats, each with its size on the disk.
    pub fn files(&self) -> Vec<(PathBuf, u64)> {
        let file = |format: &String| {
            let path = self.dir.join(format!("{}-{}.{format}", self.image, self.build.number));
            let bytes = path.metadata().map_or(0, |data| data.blocks() * 512);
            (path, bytes)
        };
        self.build.formats.iter().map(file).collect()
    }

    /// One of its manifests.
    ///
    /// # Errors
    /// When it is damaged.
    pub fn manifest(&self, which: &str) -> Result<Option<Value>, CommandError> {
        Ok(manifest::load(&self.dir, &self.image, self.build.number, which)?)
    }

    /// When it was made, in seconds since 1970.
    pub fn made(&self) -> Option<u64> {
        self.manifest(PROVENANCE).ok().flatten()?["made"].as_u64()
    }

    /// As an object of `--output json`.
    pub fn json(&self) -> Value {
        let files = self.files();
        json!({
            "v": 1,
            "type": "image_build",
            "build": self.word(),
            "current": self.is_current,
            "held": self.build.held,
            "made": self.made(),
            "formats": self.build.formats,
            "bytes": files.iter().map(|(_, bytes)| bytes).sum::<u64>(),
            "files": files.iter().map(|(path, _)| path.display().to_string()).collect::<Vec<_>>(),
        })
    }
}
