//! What is known of a tree at rest: its system, its architecture, the kernel that it would boot.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use ostler_roles::facts::{Facts, Kernel, System};
use ostler_roles::words::{Bytes, Version};

use super::ImageError;

/// The facts of a tree, given as its layers, lowest first. What only a running machine has is empty: no step of an image rests on it.
///
/// # Errors
/// When it has no readable os-release(5).
pub fn read(layers: &[PathBuf]) -> Result<Facts, ImageError> {
    let release = find(layers, "usr/lib/os-release").or_else(|| find(layers, "etc/os-release"));
    let release =
        release.ok_or_else(|| ImageError::refused("the tree has no usr/lib/os-release", "name a base that is a Debian or an Ubuntu"))?;
    let text = fs::read_to_string(&release).map_err(ImageError::file("read", &release))?;
    let words = words(&text);
    let word = |key: &str| words.get(key).cloned().unwrap_or_default();
    let (id, like) = (word("ID"), word("ID_LIKE"));
    let family = if id == "debian" || like.split(' ').any(|one| one == "debian") { "debian".to_owned() } else { id.clone() };
    if family != "debian" {
        return Err(ImageError::refused(format!("the tree is a {id}"), "images are made of Debian and Ubuntu"));
    }
    let system = System { id, version: word("VERSION_ID"), codename: word("VERSION_CODENAME"), family };
    let release = kernels(layers).pop().unwrap_or_default();
    Ok(Facts {
        system,
        arch: arch(layers),
        kernel: Kernel { release: Version(release), shared: false },
        virtualization: "none".to_owned(),
        cpus: 0,
        memory: Bytes(0),
        addresses: Vec::new(),
        host_keys: Vec::new(),
        package_manager: "apt".to_owned(),
        init: "systemd".to_owned(),
        hostname: String::new(),
    })
}

/// The file of the uppermost layer that has it. Links of the tree are followed in it one step: etc/os-release leads to usr/lib.
fn find(layers: &[PathBuf], path: &str) -> Option<PathBuf> {
    layers.iter().rev().map(|layer| layer.join(path)).find(|path| path.symlink_metadata().is_ok_and(|data| data.is_file()))
}

/// `KEY=value` lines of os-release(5).
fn words(text: &str) -> BTreeMap<String, String> {
    let line = |line: &str| {
        let (key, value) = line.trim().split_once('=')?;
        Some((key.to_owned(), value.trim_matches(['"', '\'']).to_owned()))
    };
    text.lines().filter(|line| !line.starts_with('#')).filter_map(line).collect()
}

/// The architecture by dpkg's own list: the packages that every system has are of its own.
fn arch(layers: &[PathBuf]) -> String {
    let known = [("x86_64-linux-gnu", "amd64"), ("aarch64-linux-gnu", "arm64")];
    let has = |triple: &str| layers.iter().any(|layer| layer.join("usr/lib").join(triple).is_dir());
    known.iter().find(|(triple, _)| has(triple)).map(|(_, arch)| (*arch).to_owned()).unwrap_or_default()
}

/// The kernels of the tree, the newest last.
pub fn kernels(layers: &[PathBuf]) -> Vec<String> {
    let mut names: Vec<String> = layers
        .iter()
        .flat_map(|layer| fs::read_dir(layer.join("boot")).into_iter().flatten().flatten())
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
        .filter_map(|entry| Some(entry.file_name().to_str()?.strip_prefix("vmlinuz-")?.to_owned()))
        .filter(|name| uppermost_is_file(layers, &Path::new("boot").join(format!("vmlinuz-{name}"))))
        .collect();
    names.sort_by(|a, b| Version(a.clone()).cmp_release(&Version(b.clone())));
    names.dedup();
    names
}

/// Whether no layer above has taken it away: a whiteout is a character device (overlayfs.rst).
fn uppermost_is_file(layers: &[PathBuf], path: &Path) -> bool {
    layers.iter().rev().find_map(|layer| layer.join(path).symlink_metadata().ok()).is_some_and(|data| data.is_file())
}
