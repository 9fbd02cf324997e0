//! From a tree with all its roles to the files of a build: made bootable and sealed in a layer of its own, then written in each format.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Output;

use ostler_roles::author::image::Format;
use ostler_roles::words::Digest;
use serde_json::Value;

use super::build::{Setup, about, blocking, trees};
use super::disk::{self, Compat, Compression, Config, DiskSpec, Qcow2};
use super::error::ImageError;
use super::inside::Inside;
use super::layers::{Layer, Store};
use super::manifest::{self, Mirrors};
use super::root::{Root, RootSpec};
use super::seal::{self, SealOptions, Stay};
use super::stack::LayerPlan;

impl Inside for Root {
    fn run(&self, argv: &[&str], env: &[(&str, &str)]) -> Result<Output, ImageError> {
        Self::run(self, argv, env)
    }

    fn tree(&self) -> PathBuf {
        Self::tree(self)
    }
}

/// The name of the layer that makes a tree an image.
pub const SEAL: &str = "seal";

/// How a tree is finished.
#[derive(Debug, Clone)]
pub struct Finish {
    /// The disk that it will be on; none: no format is a disk.
    pub disk: Option<DiskSpec>,
    /// How it is sealed.
    pub seal: SealOptions,
    /// Nothing in a file of a build is newer: seconds since 1970.
    pub epoch: u32,
    /// How a qcow2 is written.
    pub qcow2: Qcow2,
    /// What a container of it is called.
    pub tag: String,
}

impl Finish {
    /// The layer that finishing makes upon this one.
    pub fn layer(&self, below: &Digest) -> LayerPlan {
        let stay = |stay: Stay| stay == Stay::Keep;
        let SealOptions { builder, apt_lists, apt_archives, paths, secrets, private_keys } = &self.seal;
        let kept = (stay(*apt_lists), stay(*apt_archives), stay(*private_keys), paths);
        let secrets: Vec<Digest> = secrets.iter().map(|value| Digest::of(value)).collect();
        let disk = self.disk.as_ref().map(|disk| (disk.seed.clone(), disk.console.clone(), format!("{:?}", disk.firmware), disk.size));
        let inputs = BTreeMap::from([
            ("this version of ostler".to_owned(), Digest::of(env!("CARGO_PKG_VERSION").as_bytes())),
            ("the disk".to_owned(), Digest::of_value(&disk)),
            ("what is taken out".to_owned(), Digest::of_value(&kept)),
            ("the site's secrets".to_owned(), Digest::of_value(&secrets)),
            ("the builder".to_owned(), Digest::of_value(&(&builder.hostname, &builder.hosts, &builder.resolvers, &builder.proxies))),
            ("the time of the site".to_owned(), Digest::of_value(&self.epoch)),
        ]);
        LayerPlan::new(Some(below), SEAL, inputs, 0..0)
    }

    /// Makes the tree bootable and seals it, in a layer of its own.
    ///
    /// # Errors
    /// When it could not be booted, a program of the tree fails, or something remains that must not.
    pub fn seal(&self, setup: &Setup, store: &Store, layers: &[Layer]) -> Result<Layer, ImageError> {
        let Some(top) = layers.last() else { return Err(ImageError::refused("a tree without a layer", "name another base")) };
        let plan = self.layer(&top.key);
        if let Some(made) = store.get(&plan.key) {
            return Ok(made);
        }
        let half = blocking(|| store.begin(&plan.key))?;
        let spec = RootSpec { layers: trees(layers), upper: Some((half.upper(), half.work())), binds: Vec::new(), bare: false };
        if let Some(disk) = &self.disk {
            let root = blocking(|| Root::enter(&spec, &setup.root(store)))?;
            blocking(|| disk::prepare(&root, disk))?;
            blocking(|| root.leave())?;
        }
        // By its own, without what is mounted in a root that runs programs: each place is looked at.
        let root = blocking(|| Root::enter(&RootSpec { bare: true, ..spec }, &setup.root(store)))?;
        blocking(|| seal::seal(&root.tree(), &self.seal))?;
        blocking(|| root.leave())?;
        blocking(|| half.commit(&about(&plan)))
    }

    /// Writes a sealed tree in these formats, each where `at` says for its name; returns its manifests.
    ///
    /// # Errors
    /// When something cannot be written; what is there then is to be thrown away.
    pub fn write(
        &self,
        (setup, store): (&Setup, &Store),
        (layers, mirrors): (&[Layer], &[Mirrors]),
        formats: &[Format],
        at: &dyn Fn(&str) -> PathBuf,
    ) -> Result<Vec<(&'static str, Value)>, ImageError> {
        let spec = RootSpec { layers: trees(layers), upper: None, binds: Vec::new(), bare: true };
        let root = blocking(|| Root::enter(&spec, &setup.root(store)))?;
        let written = blocking(|| {
            self.disks(&root.tree(), formats, at)?;
            self.archives(&root.tree(), formats, at)?;
            manifest::read(&root.tree(), mirrors)
        });
        blocking(|| root.leave())?;
        written
    }

    fn disks(&self, tree: &Path, formats: &[Format], at: &dyn Fn(&str) -> PathBuf) -> Result<(), ImageError> {
        let has = |format: Format| formats.contains(&format);
        let Some(disk) = self.disk.as_ref().filter(|_| formats.iter().any(|format| format.is_disk())) else { return Ok(()) };
        let raw = at(Format::Raw.word());
        disk::make(tree, disk, &raw)?;
        if has(Format::Qcow2) {
            disk::qcow2(&raw, disk, self.qcow2, &at(Format::Qcow2.word()))?;
        }
        if has(Format::Box) {
            let packed = at("boxed");
            // Vagrant's own qemu-img may be older than zstd.
            disk::qcow2(&raw, disk, Qcow2 { compression: Compression::Zlib, compat: Compat::V1 }, &packed)?;
            let user = disk::BoxUser { name: "root".to_owned(), private_key: None };
            disk::vagrant_box(&packed, disk, &user, &at(Format::Box.word()))?;
            gone(&packed)?;
        }
        if has(Format::Raw) { Ok(()) } else { gone(&raw) }
    }

    fn archives(&self, tree: &Path, formats: &[Format], at: &dyn Fn(&str) -> PathBuf) -> Result<(), ImageError> {
        let has = |format: Format| formats.contains(&format);
        if !has(Format::Tar) && !has(Format::Oci) {
            return Ok(());
        }
        let tar = at(Format::Tar.word());
        disk::tar(tree, self.epoch, &tar)?;
        if has(Format::Oci) {
            let config = Config { tag: self.tag.clone(), command: vec!["/sbin/init".to_owned()] };
            disk::oci(&tar, &config, self.epoch, &at(Format::Oci.word()))?;
        }
        if has(Format::Tar) { Ok(()) } else { gone(&tar) }
    }
}

fn gone(path: &Path) -> Result<(), ImageError> {
    std::fs::remove_file(path).map_err(ImageError::file("remove", path))
}
