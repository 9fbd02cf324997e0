//! The room that a build needs on the disks of its cache and of its builds, known or estimated before its first byte.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use ostler_roles::author::image::Format;
use ostler_roles::words::Bytes;
use serde_json::Value;

use super::error::ImageError;

/// A base by mmdebstrap of which nothing is known yet: 280 MiB were measured of bookworm, less of others.
const BASE: u64 = 320 << 20;
/// A seal's layer of which nothing is known yet: a new initrd, the host's package lists gone; 37 MiB were measured.
const SEAL: u64 = 64 << 20;
/// A role's layer of which nothing is known yet.
const ROLE: u64 = 64 << 20;
/// The name of the layer of sealing.
const SEALED: &str = "seal";

/// A layer that a build stands on, or makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its name.
    pub name: String,
    /// Its size, where it is there.
    pub there: Option<u64>,
}

/// What a build needs, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    /// For layers that are to be made.
    pub layers: u64,
    /// For the files of the build, those included that are only there while others are written.
    pub files: u64,
}

/// Estimates what a build needs: of layers and files by those of the last build, else by what is below them.
pub fn need(parts: &[Part], formats: &[Format], last: Option<&Value>) -> Need {
    let of_last = |name: &str| {
        let layers = last?["layers"].as_array()?;
        layers.iter().find(|layer| layer["name"] == name)?["bytes"].as_u64()
    };
    let mut need = Need { layers: 0, files: 0 };
    let mut tree = 0;
    for (place, part) in parts.iter().enumerate() {
        let guess = || match part.name.as_str() {
            _ if place == 0 => BASE,
            SEALED => SEAL,
            _ => ROLE,
        };
        let bytes = part.there.unwrap_or_else(|| of_last(&part.name).unwrap_or_else(guess));
        tree += bytes;
        if part.there.is_none() {
            need.layers += bytes;
        }
    }
    need.files = files(tree, formats);
    need
}

/// A raw is its content and a fifth, sparse; what is packed is less than half of it (340 of 746 MB were measured, by zstd). A raw is there while
/// a qcow2 or box is made of it, a tar while an oci is.
fn files(tree: u64, formats: &[Format]) -> u64 {
    let packed = tree / 2;
    let mut bytes = 0;
    if formats.iter().any(|format| format.is_disk()) {
        bytes += tree + tree / 5;
    }
    if formats.iter().any(|format| matches!(format, Format::Tar | Format::Oci)) {
        bytes += tree;
    }
    for format in formats {
        bytes += match format {
            Format::Qcow2 | Format::Oci => packed,
            Format::Box => 2 * packed,
            Format::Raw | Format::Tar => 0,
        };
    }
    bytes
}

/// A disk that a build writes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// A directory on it.
    pub dir: PathBuf,
    /// What is needed there.
    pub need: u64,
    /// What is free there.
    pub free: u64,
}

/// The disks of the cache and of the builds, one where both are on it.
///
/// # Errors
/// When one cannot be asked.
pub fn disks(need: Need, cache: &Path, builds: &Path) -> Result<Vec<Disk>, ImageError> {
    let (cache, builds) = (existing(cache), existing(builds));
    let device = |dir: &Path| std::fs::metadata(dir).map(|data| data.dev()).map_err(ImageError::file("look at", dir));
    let free = |dir: &Path| {
        let at = rustix::fs::statvfs(dir).map_err(|error| ImageError::file("ask for the free room of", dir)(error.into()))?;
        Ok::<_, ImageError>(at.f_bavail.saturating_mul(at.f_frsize))
    };
    if device(&cache)? == device(&builds)? {
        let free = free(&cache)?;
        return Ok(vec![Disk { dir: cache, need: need.layers + need.files, free }]);
    }
    let (of_cache, of_builds) = (free(&cache)?, free(&builds)?);
    Ok(vec![Disk { dir: cache, need: need.layers, free: of_cache }, Disk { dir: builds, need: need.files, free: of_builds }])
}

/// Refuses what does not fit.
///
/// # Errors
/// With the disk that is too small.
pub fn check(disks: &[Disk]) -> Result<(), ImageError> {
    let Some(small) = disks.iter().find(|disk| disk.need > disk.free) else { return Ok(()) };
    let what =
        format!("the build needs about {} on the disk of {}, and {} are free", Bytes(small.need), small.dir.display(), Bytes(small.free));
    Err(ImageError::refused(
        what,
        "make room there (`ostler image rm`), or put it elsewhere: --out DIR for builds, XDG_CACHE_HOME for the cache",
    ))
}

/// The directory, or the next one above it that is there.
fn existing(dir: &Path) -> PathBuf {
    dir.ancestors().find(|dir| dir.is_dir()).filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn part(name: &str, there: Option<u64>) -> Part {
        Part { name: name.to_owned(), there }
    }

    #[test]
    fn what_is_there_needs_no_room_and_the_rest_is_as_it_was_last() {
        let last = json!({ "layers": [{ "name": "base bookworm", "bytes": 1000 }, { "name": "ci", "bytes": 200 }, { "name": "seal", "bytes": 40 }] });
        let parts = [part("base bookworm", Some(900)), part("ci", None), part("seal", None)];
        // A raw of the tree and a fifth, and half of it packed.
        assert_eq!(need(&parts, &[Format::Qcow2], Some(&last)), Need { layers: 240, files: 1140 + 228 + 570 });
        assert_eq!(need(&parts, &[Format::Tar], Some(&last)), Need { layers: 240, files: 1140 });
        assert_eq!(need(&parts, &[Format::Raw], None).layers, ROLE + SEAL);
        assert_eq!(need(&[part("base bookworm", None)], &[], None), Need { layers: BASE, files: 0 });
    }

    #[test]
    fn what_does_not_fit_is_refused_with_where_and_how_much() {
        let dir = tempfile::tempdir().unwrap();
        let need = Need { layers: 1 << 20, files: 1 << 20 };
        let found = disks(need, &dir.path().join("not/there/yet"), dir.path()).unwrap();
        assert_eq!((found.len(), found[0].need, found[0].dir.as_path()), (1, 2 << 20, dir.path()));
        assert!(found[0].free > 0);
        check(&[Disk { need: 5, free: 5, dir: dir.path().to_owned() }]).unwrap();
        let refused = check(&[Disk { need: 2 << 30, free: 1 << 30, dir: "/d".into() }]).expect_err("too small").to_string();
        assert_eq!(refused, "the build needs about 2 GiB on the disk of /d, and 1 GiB are free");
    }
}
