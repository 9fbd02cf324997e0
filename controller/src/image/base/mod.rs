//! Bases: what an image begins with, as layers of the store.

mod debootstrap;
mod tree;

use std::path::PathBuf;

use ostler_roles::words::Digest;

use super::error::ImageError;
use super::layers::{Layer, LayerAbout, Store};
use crate::environment::Environment;

/// What an image begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Base {
    /// A small Debian or Ubuntu, put together from packages: an init, apt and what fetches over https.
    Debootstrap {
        /// Its code name.
        suite: String,
        /// Addresses of archives, or whole lines of sources.list(5); none: the archive that this machine's apt uses.
        mirrors: Vec<String>,
        /// Components of addresses; none: `main`.
        components: Vec<String>,
        /// What the archives' indices must be, where it is fixed: `head` of [`super::layers::LayerAbout::inputs`]. Nobody is asked then.
        head: Option<Digest>,
    },
    /// A directory, or a tar archive (plain, gz, xz, zstd).
    Tree {
        /// Where it is.
        path: PathBuf,
        /// The archive's digest.
        sha256: Option<Digest>,
    },
    /// What another image was made of, lowest first.
    Image {
        /// Its layers.
        layers: Vec<Digest>,
    },
}

/// A base that is asked for, there or not.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// What would be made, and of what.
    pub about: LayerAbout,
    /// Its layers, lowest first; empty where they have to be made.
    pub layers: Vec<Layer>,
}

/// Looks which layers a base has; nothing is made. An archive is asked what it offers.
///
/// # Errors
/// When that cannot be told.
pub fn look(store: &Store, base: &Base, environment: &Environment, progress: &(dyn Fn(&str) + Sync)) -> Result<Wanted, ImageError> {
    let (key, about) = match base {
        Base::Debootstrap { suite, mirrors, components, head } => {
            let lines = debootstrap::lines(suite, mirrors, components, environment)?;
            debootstrap::wanted(store, suite, &lines, *head, progress)?
        }
        Base::Tree { path, sha256 } => {
            let (key, about, _archive) = tree::wanted(path, *sha256)?;
            (key, about)
        }
        Base::Image { .. } => {
            let layers = ensure(store, base, environment, progress)?;
            return Ok(Wanted { about: layers.last().map(|layer| layer.about.clone()).unwrap_or_default(), layers });
        }
    };
    Ok(Wanted { about, layers: store.get(&key).into_iter().collect() })
}

/// Returns the layers of a base, lowest first, making them where they are missing; `progress` hears what the builder says.
///
/// # Errors
/// When it cannot be had; nothing of it is in the store then.
pub fn ensure(store: &Store, base: &Base, environment: &Environment, progress: &(dyn Fn(&str) + Sync)) -> Result<Vec<Layer>, ImageError> {
    let user = rustix::process::geteuid();
    if !user.is_root() {
        return Err(ImageError::NeedsRoot(user.as_raw()));
    }
    match base {
        Base::Debootstrap { suite, mirrors, components, head } => {
            let lines = debootstrap::lines(suite, mirrors, components, environment)?;
            debootstrap::ensure(store, suite, &lines, *head, progress).map(|layer| vec![layer])
        }
        Base::Tree { path, sha256 } => tree::ensure(store, path, *sha256).map(|layer| vec![layer]),
        Base::Image { layers } => {
            let lost = |key: &Digest| {
                let what = format!("the layer {} of the image that this one begins with is not there any more", key.short());
                ImageError::refused(what, "build that image again: ostler image build NAME")
            };
            layers.iter().map(|key| store.get(key).ok_or_else(|| lost(key))).collect()
        }
    }
}
