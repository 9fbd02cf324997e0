//! Making an image: from the site to files, told as it goes.

use super::outlook::Outlook;
use super::workshop::Workshop;
use crate::command::apply::print_cards;
use crate::command::{CommandError, Context, prepare};
use crate::fleet::EventSender;
use crate::image::bake::{Baked, NotBegun};
use crate::image::base::{self, Base};
use crate::image::build::{Baking, BuildError, LeftOut, Progress, Tree};
use crate::image::disk::{Compat, Compression, DiskSpec, Firmware, Qcow2};
use crate::image::finish::{Finish, SEAL};
use crate::image::layers::{Layer, LayerAbout, Store};
use crate::image::manifest::{self, Mirrors, PROVENANCE};
use crate::image::output::{self, Build, HalfBuild, Readable};
use crate::image::room;
use crate::image::seal::{Builder, SealOptions, Stay};
use crate::image::stack::{self, LayerPlan};
use crate::report::{Console, Exit, Paint, PlannedNode, State, refusal_lines, sanitize};
use ostler_roles::author::image::{self as written, AptLists, BakedSecrets, DiskSource, Format, Image};
use ostler_roles::catalog::Step;
use ostler_roles::resource::Desired;
use ostler_roles::words::{Bytes, Digest, NodeName, count};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::watch;

/// What is wanted of a build.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Its files.
    pub formats: Vec<Format>,
    /// Where builds of the image are.
    pub builds: PathBuf,
    /// Whether a shell is opened where a step fails.
    pub shell: bool,
    /// How a qcow2 is written.
    pub qcow2: Qcow2,
}

/// The formats that are asked for; those of the image's file where none is.
///
/// # Errors
/// A word that is none; one for which the image's file lacks something.
pub fn formats(image: &Image, asked: &[String]) -> Result<Vec<Format>, CommandError> {
    let mut formats = Vec::new();
    for word in asked {
        let Some(format) = Format::ALL.into_iter().find(|format| format.word() == word) else {
            let known = Format::ALL.map(Format::word).join(", ");
            return Err(CommandError::Usage { what: format!("no format is called `{word}`"), hint: format!("there are {known}") });
        };
        if !formats.contains(&format) {
            formats.push(format);
        }
    }
    if formats.is_empty() {
        formats.clone_from(&image.formats);
    }
    has_size(image, &formats)?;
    Ok(formats)
}

/// Whether the image's file says what these formats want to know.
///
/// # Errors
/// When it says no size.
pub fn has_size(image: &Image, formats: &[Format]) -> Result<(), CommandError> {
    let Some(format) = formats.iter().find(|format| format.wants_size() && image.size.is_none()) else { return Ok(()) };
    let what = format!("the image {} has no `size`, and a {} is a disk of a size", image.name.value, format.word());
    Err(CommandError::Usage { what, hint: format!("write `size: 20 GiB` in images/{}.yaml", image.name.value) })
}

/// What the image stands on, as layers are made of it.
pub fn base(workshop: &Workshop) -> Result<Base, CommandError> {
    let root = &workshop.workspace.inventory.root;
    Ok(match &workshop.image.base.value {
        written::Base::Debootstrap { suite, mirrors, components } => {
            Base::Debootstrap { suite: suite.clone(), mirrors: mirrors.clone(), components: components.clone(), head: None }
        }
        written::Base::Tree { path, sha256 } => Base::Tree { path: root.join(path), sha256: *sha256 },
        written::Base::CloudImage { from, .. } => {
            let (DiskSource::Url(place) | DiskSource::File(place)) = from;
            let what =
                format!("the image {} stands on a cloud's disk, {place}, which this release does not read", workshop.image.name.value);
            return Err(CommandError::Usage { what, hint: "begin with `debootstrap: {suite: bookworm}`, or with `tree:`".to_owned() });
        }
        written::Base::Image(name) => Base::Image { layers: layers_of(workshop, name)? },
    })
}

/// What another image's current build was made of, without its sealing: whoever stands on it is sealed itself.
fn layers_of(workshop: &Workshop, name: &str) -> Result<Vec<Digest>, CommandError> {
    let dir = workshop.builds.with_file_name(name);
    let about = output::current(&dir, name)?.and_then(|build| provenance(&dir, name, build));
    let layers = about.as_ref().and_then(|about| about.get("layers")?.as_array()).map(Vec::as_slice).unwrap_or_default();
    let word = |layer: &Value, key: &str| layer.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let kept = layers.iter().filter(|layer| word(layer, "name") != SEAL);
    let keys: Vec<Digest> = kept.filter_map(|layer| Digest::parse(&word(layer, "key")).ok()).collect();
    if keys.is_empty() {
        let what = format!("the image {} stands on the image {name}, which has no build", workshop.image.name.value);
        return Err(CommandError::Usage { what, hint: format!("ostler image build {name}") });
    }
    Ok(keys)
}

/// How the tree is finished.
pub fn finish(workshop: &Workshop, wanted: &Wanted, epoch: u32) -> Finish {
    let image = &workshop.image;
    let firmware = match image.firmware.as_slice() {
        [written::Firmware::Bios] => Firmware::Bios,
        [written::Firmware::Uefi] => Firmware::Uefi,
        _ => Firmware::Both,
    };
    let name = &image.name.value;
    let disk = wanted.formats.iter().any(|format| format.is_disk()).then(|| DiskSpec {
        // A raw is as large as its content.
        size: image.size.as_ref().map_or(16 << 40, |size| size.value.count()),
        epoch,
        firmware,
        console: std::iter::once("tty0".to_owned()).chain(image.console.clone()).collect(),
        seed: name.clone(),
    });
    let secrets = workshop.workspace.secrets.opened().map(<[u8]>::to_vec).collect();
    let seal = SealOptions {
        builder: Builder::of_this_machine(),
        apt_lists: if image.apt_lists == AptLists::Keep { Stay::Keep } else { Stay::Drop },
        apt_archives: Stay::Drop,
        paths: image.seal.iter().map(|path| path.value.to_string()).collect(),
        secrets: if image.secrets == BakedSecrets::Baked { Vec::new() } else { secrets },
        private_keys: if image.secrets == BakedSecrets::Baked { Stay::Keep } else { Stay::Drop },
    };
    Finish { disk, seal, epoch, qcow2: wanted.qcow2, tag: format!("{name}:latest") }
}

/// A compressed qcow2 as any qemu since 5.1 reads it.
pub const PACKED: Qcow2 = Qcow2 { compression: Compression::Zstd, compat: Compat::V1 };

/// The base of an image in the store.
pub fn ensure_base(context: &Context, workshop: &Workshop, store: &Store) -> Result<Vec<Layer>, CommandError> {
    let say = |line: &str| {
        if context.printer.verbose > 0 {
            context.printer.aside(&sanitize(line, false));
        }
    };
    Ok(base::ensure(store, &base(workshop)?, &context.environment, &say)?)
}

/// Makes the tree of an image, and tells what went wrong.
///
/// # Errors
/// What is wrong with the site or this machine. Inner: what a role's steps came to, which was told.
pub async fn tree(
    context: &Context,
    workshop: &Workshop,
    (store, found, before): (&Store, &[Layer], &[LayerPlan]),
    shell: bool,
) -> Result<Result<Tree, Exit>, CommandError> {
    let base = match found {
        [] => tokio::task::block_in_place(|| ensure_base(context, workshop, store))?,
        found => found.to_vec(),
    };
    let (sender, events) = EventSender::channel();
    let console = Console::start(context.printer.clone(), events, None);
    // Ctrl-C ends this process, and with it all that it has begun; layers that are whole stay.
    let (_keep, cancel) = watch::channel(false);
    let baker = workshop.baker(context, &sender, cancel)?;
    let tell = |progress: Progress| tell(context, progress);
    let open: &(dyn Fn(&crate::image::root::Root) + Sync) = &|root| super::shell::open(context, root);
    let baking =
        Baking { setup: &workshop.setup, store, baker: &baker, source: workshop, before, tell: &tell, shell: shell.then_some(open) };
    let made = baking.bake(&base).await;
    let state = console.finish(&sender).await.state;
    match made {
        Ok(tree) => Ok(Ok(tree)),
        Err(BuildError::Image(error)) => Err(error.into()),
        Err(BuildError::Compile(error)) => {
            context.printer.lines(&error.rendered.lines().map(str::to_owned).collect::<Vec<_>>());
            Ok(Err(Exit::Site))
        }
        Err(BuildError::Steps { role, baked }) => Ok(Err(failed(context, &workshop.node()?, &role, &baked, &state))),
    }
}

fn tell(context: &Context, progress: Progress) {
    let printer = &context.printer;
    match progress {
        Progress::Kept(name) => printer.details(&[format!("  {name}: kept")]),
        Progress::Making(name, why) => printer.details(&[format!("  {name}: {why}")]),
        Progress::Line(text) if printer.verbose > 0 => printer.aside(&sanitize(&text, false)),
        Progress::Line(_) => {}
    }
}

/// Tells how steps came out that did not come through.
fn failed(context: &Context, image: &NodeName, role: &str, baked: &Baked, state: &State) -> Exit {
    let printer = &context.printer;
    let exit = match baked {
        Baked::Good(_) => Exit::Good,
        Baked::Cancelled => Exit::Interrupted,
        Baked::Refused(not_begun) => {
            let NotBegun { prepared, plan } = not_begun.as_ref();
            let planned = PlannedNode { node: image, catalog: &prepared.catalog, plan, blob: prepared.blob.as_ref() };
            printer.lines(&refusal_lines(&planned, printer.style));
            Exit::Refused
        }
        Baked::Failed(end) => {
            print_cards(context, None, end, &state.nodes.get(image).cloned().unwrap_or_default());
            Exit::NodeFailed
        }
        Baked::Lost(trouble) => {
            prepare::print_lost(context, &[(image.clone(), trouble.as_ref().clone())]);
            prepare::exit_of(trouble)
        }
    };
    printer.say(
        Paint::Bad,
        &format!("{image} is not built: {role} did not come through. The layers below it stay; the next build goes on from there."),
    );
    exit
}

/// A build that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// `NAME@BUILD`.
    pub name: String,
    /// Its files.
    pub files: Vec<PathBuf>,
    /// Whether it had been made before: nothing was to be done.
    pub unchanged: bool,
    /// Bytes that came from other machines.
    pub fetched: u64,
}

/// A tree that may be written in any format, and how it came to be.
#[derive(Debug)]
pub struct Sealed {
    tree: Tree,
    layers: Vec<Layer>,
    finish: Finish,
    store: Store,
}

/// Makes the sealed tree of an image.
///
/// # Errors
/// What is wrong with the site or this machine. Inner: what a role's steps came to, which was told.
pub async fn sealed(context: &Context, workshop: &Workshop, wanted: &Wanted) -> Result<Result<Sealed, Exit>, CommandError> {
    let store = workshop.setup.store()?;
    let outlook = tokio::task::block_in_place(|| Outlook::of(context, workshop, &store, wanted))?;
    room::check(&outlook.disks)?;
    let tree = match tree(context, workshop, (&store, &outlook.base.layers, &stack::last(&wanted.builds)), wanted.shell).await? {
        Ok(tree) => tree,
        Err(exit) => return Ok(Err(exit)),
    };
    let finish = finish(workshop, wanted, workshop.epoch());
    let top = finish.seal(&workshop.setup, &store, &tree.layers)?;
    let layers = [tree.layers.as_slice(), &[top]].concat();
    Ok(Ok(Sealed { tree, layers, finish, store }))
}

/// What decides what is in the files, by the digest of the uppermost layer.
pub fn content(finish: &Finish, top: Option<Digest>) -> Digest {
    let disk = finish.disk.as_ref().map(|disk| (&disk.seed, disk.size, disk.epoch));
    Digest::of_value(&(top, disk, format!("{:?}", finish.qcow2)))
}

/// What went into a layer, as everybody may read it: a mirror's address may have a password in it, and is told as its digest.
pub fn told_inputs(about: &LayerAbout) -> BTreeMap<String, String> {
    let told = |name: &str, value: &str| if name == "sources" { Digest::of(value.as_bytes()).to_string() } else { value.to_owned() };
    about.inputs.iter().map(|(name, value)| (name.clone(), told(name, value))).collect()
}

/// The current build, where its files are those of this content in all these formats.
pub fn same_build(wanted: &Wanted, name: &str, content: &Digest) -> Result<Option<Build>, CommandError> {
    let Some(current) = output::current(&wanted.builds, name)? else { return Ok(None) };
    let build = output::builds(&wanted.builds, name)?.into_iter().find(|build| build.number == current);
    let is_same = |build: &Build| {
        let about = provenance(&wanted.builds, name, build.number);
        let has_all = wanted.formats.iter().all(|format| build.formats.iter().any(|one| one == format.word()));
        has_all && about.is_some_and(|about| about["content"] == content.to_string().as_str())
    };
    Ok(build.filter(is_same))
}

/// What layers may take on the disk, those of the last build apart: half a dozen machines with all their steps.
const LAYERS: Bytes = Bytes(20 << 30);

impl Sealed {
    /// Removes layers that nothing has used for longest, beyond what they may take; those of this build stay.
    fn trim(&self, context: &Context) -> Result<(), CommandError> {
        let ours = self.layers.iter().map(|layer| layer.key).collect();
        let removed = self.store.trim(LAYERS.count(), &ours)?;
        if !removed.is_empty() {
            context.printer.details(&[format!("  {} removed from the cache, which may have {LAYERS}", count(removed.len(), "layer"))]);
        }
        Ok(())
    }

    /// What decides what is in the files.
    fn digest(&self) -> Digest {
        content(&self.finish, self.layers.last().map(|layer| layer.key))
    }

    /// Writes its files and manifests into a build that was begun.
    ///
    /// # Errors
    /// When something cannot be written; nothing of it is there then.
    pub fn write(&self, context: &Context, workshop: &Workshop, half: HalfBuild, formats: &[Format]) -> Result<Vec<PathBuf>, CommandError> {
        let mirrors = self.mirrors();
        let of = (self.layers.as_slice(), mirrors.as_slice());
        let mut manifests = self.finish.write((&workshop.setup, &self.store), of, formats, &|format| half.aside(format))?;
        let names: Vec<&str> = formats.iter().map(|format| format.word()).collect();
        manifests.push((PROVENANCE, self.provenance(context, workshop, half.build())));
        Ok(half.commit(&names, &manifests)?)
    }

    /// How the layers above the base were made.
    fn stack(&self) -> Vec<LayerPlan> {
        let below = self.tree.layers.last().map(|layer| self.finish.layer(&layer.key));
        self.tree.stack.iter().cloned().chain(below).collect()
    }

    /// The mirrors that its steps made.
    fn mirrors(&self) -> Vec<Mirrors> {
        let steps = self.tree.recipe.prepared.catalog.steps.iter();
        let cache = |step: &Step| match &step.desired {
            Desired::GitCache(cache) => {
                Some(Mirrors { root: cache.root.to_string(), repositories: cache.repositories.keys().cloned().collect() })
            }
            _ => None,
        };
        steps.filter_map(cache).collect()
    }

    /// Where a build comes from.
    fn provenance(&self, context: &Context, workshop: &Workshop, build: &str) -> Value {
        let layer = |layer: &Layer| json!({ "name": layer.about.name, "key": layer.key.to_string(), "bytes": layer.bytes, "inputs": told_inputs(&layer.about) });
        let left = |one: &LeftOut| json!({ "what": one.what, "role": one.role, "why": one.why });
        json!({
            "v": 1,
            "image": workshop.image.name.value,
            "build": build,
            "content": self.digest().to_string(),
            "site": workshop.revision(),
            "catalog": self.tree.recipe.prepared.catalog.digest().to_string(),
            "system": format!("{}-{}", self.tree.facts.system.id, self.tree.facts.system.version),
            "kernel": self.tree.facts.kernel.release.as_str(),
            "by": prepare::controller(context),
            "time": workshop.epoch(),
            "made": SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
            "layers": self.layers.iter().map(layer).collect::<Vec<_>>(),
            "left_out": self.tree.recipe.left_out.iter().map(left).collect::<Vec<_>>(),
        })
    }
}

/// What a build says of itself; none: it has no such manifest.
pub fn provenance(dir: &Path, name: &str, build: u64) -> Option<Value> {
    manifest::load(dir, name, build, PROVENANCE).ok().flatten()
}

/// Makes an image and its files, unless the last build is the same.
///
/// # Errors
/// What is wrong with the site or this machine. Inner: what a role's steps came to, which was told.
pub async fn make(context: &Context, workshop: &Workshop, wanted: &Wanted) -> Result<Result<Made, Exit>, CommandError> {
    let sealed = match sealed(context, workshop, wanted).await? {
        Ok(sealed) => sealed,
        Err(exit) => return Ok(Err(exit)),
    };
    let (dir, name, fetched) = (&wanted.builds, workshop.image.name.value.as_str(), sealed.tree.fetched);
    if let Some(build) = same_build(wanted, name, &sealed.digest())? {
        let file = |format: &Format| dir.join(format!("{name}-{}.{}", build.number, format.word()));
        let files = wanted.formats.iter().map(file).collect();
        return Ok(Ok(Made { name: format!("{name}@{}", build.number), files, unchanged: true, fetched }));
    }
    let readable = match workshop.image.secrets {
        BakedSecrets::Baked => Readable::Owner,
        BakedSecrets::Refused => Readable::All,
    };
    let half = HalfBuild::next(dir, name, readable)?;
    let build = half.build().to_owned();
    let files = sealed.write(context, workshop, half, &wanted.formats)?;
    stack::keep(dir, &sealed.stack())?;
    if let Ok(number) = build.parse() {
        output::set_current(dir, name, number)?;
    }
    for gone in output::retain(dir, name, usize::try_from(workshop.image.keep).unwrap_or(usize::MAX))? {
        context.printer.details(&[format!("  {name}@{gone}: removed, `keep: {}`", workshop.image.keep)]);
    }
    sealed.trim(context)?;
    Ok(Ok(Made { name: format!("{name}@{build}"), files, unchanged: false, fetched }))
}
