//! A base from a directory or an archive, with owners, extended attributes and hard links.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Seek};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ChildStderr, Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use ostler_roles::words::Digest;
use rustix::process::Signal;
use sha2::{Digest as _, Sha256};

use super::super::error::ImageError;
use super::super::layers::{Layer, LayerAbout, Store, remove};
use crate::lab::LabError;
use crate::lab::child;

/// How long a tree may take to be copied: from a slow disk, or unpacked.
const COPY_LIMIT: Duration = Duration::from_secs(3600);

/// What both ends of a copy keep. Marks of overlayfs are not a tree's own: they would hide files of it.
const KEPT: &[&str] = &[
    "--xattrs",
    "--xattrs-include=*",
    "--xattrs-exclude=trusted.overlay.*",
    "--xattrs-exclude=user.overlay.*",
    "--acls",
    "--numeric-owner",
];

/// What is mounted on, and would be of the machine that the tree comes from.
const EMPTIED: &[&str] = &["proc", "sys", "dev", "run"];

/// Returns the layer, making it where it is missing.
pub(super) fn ensure(store: &Store, path: &Path, sha256: Option<Digest>) -> Result<Layer, ImageError> {
    let (key, about, archive) = wanted(path, sha256)?;
    store.ensure(&key, &about, |half| {
        match archive {
            // The very file that was hashed.
            Some(archive) => unpack(archive, path, &half.upper())?,
            None => copy(path, &half.upper())?,
        }
        check(&half.upper(), path)
    })
}

/// By which digest the layer is found, what it is made of, and the archive; none where it is a directory.
pub(super) fn wanted(path: &Path, sha256: Option<Digest>) -> Result<(Digest, LayerAbout, Option<File>), ImageError> {
    let data = fs::metadata(path).map_err(ImageError::file("read the base", path))?;
    if data.is_dir() {
        if sha256.is_some() {
            let what = format!("the base {} is a directory, and only an archive has a digest", path.display());
            return Err(ImageError::refused(what, "leave sha256 out"));
        }
        let digest = surveyed(path)?;
        return Ok((key(digest), about(path, digest), None));
    }
    let mut archive = File::open(path).map_err(ImageError::file("read the base", path))?;
    let digest = hashed(&mut archive).map_err(ImageError::file("read the base", path))?;
    if let Some(wanted) = sha256.filter(|wanted| *wanted != digest) {
        let what = format!("the base {} has the digest {digest}, and the image says {wanted}", path.display());
        return Err(ImageError::refused(what, "fetch it again, or correct the base's sha256 if this is the one"));
    }
    Ok((key(digest), about(path, digest), Some(archive)))
}

fn key(digest: Digest) -> Digest {
    Digest::of_value(&("tree", 1, digest))
}

fn about(path: &Path, digest: Digest) -> LayerAbout {
    let inputs = [("kind", "tree".to_owned()), ("path", path.display().to_string()), ("digest", digest.to_string())];
    let inputs = inputs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    LayerAbout { name: format!("base {}", path.display()), parent: None, inputs }
}

fn hashed(file: &mut File) -> std::io::Result<Digest> {
    let (mut hasher, mut buffer) = (Sha256::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            count => hasher.update(&buffer[..count]),
        }
    }
    file.rewind()?;
    Ok(Digest::from_bytes(hasher.finalize().into()))
}

/// The digest of a directory's state: what changes a file changes its times, and nobody sets ctime.
fn surveyed(root: &Path) -> Result<Digest, ImageError> {
    let (mut seen, mut left) = (BTreeMap::new(), vec![root.to_owned()]);
    let device = fs::metadata(root).map_err(ImageError::file("look at", root))?.dev();
    while let Some(dir) = left.pop() {
        for entry in fs::read_dir(&dir).map_err(ImageError::file("read directory", &dir))? {
            let path = entry.map_err(ImageError::file("read directory", &dir))?.path();
            let data = fs::symlink_metadata(&path).map_err(ImageError::file("look at", &path))?;
            let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
            let times = [data.mtime(), data.mtime_nsec(), data.ctime(), data.ctime_nsec()];
            seen.insert(name, (data.mode(), data.uid(), data.gid(), data.size(), data.ino(), times));
            if data.is_dir() && data.dev() == device {
                left.push(path);
            }
        }
    }
    Ok(Digest::of_value(&seen))
}

/// Copies a directory, and nothing that is mounted in it.
fn copy(from: &Path, to: &Path) -> Result<(), ImageError> {
    let mut pack = Command::new("tar");
    pack.arg("--create").args(KEPT).args(["--one-file-system", "--sort=name", "--file=-", "--directory"]).arg(from);
    pack.args(EMPTIED.iter().map(|dir| format!("--exclude=./{dir}/*"))).args(["--anchored", "."]);
    pack.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let shown = child::shown(&pack);
    let mut packing = child::Running(pack.spawn().map_err(|error| start(error, &shown))?);
    let (packed, said) = (packing.0.stdout.take(), listen(packing.0.stderr.take())?);
    let unpacked = extract(packed.map_or_else(Stdio::null, Stdio::from), None, to);
    let status = child::wait(&mut packing.0, &shown, COPY_LIMIT)?;
    // A reader that failed is why nobody read on.
    if !status.success() && status.signal() != Some(Signal::PIPE.as_raw()) {
        return Err(LabError::Command { command: shown, status: status.to_string(), output: said.join().unwrap_or_default() }.into());
    }
    unpacked
}

/// Reads what a program says to its end, or it would wait for us; returns the last lines.
fn listen(errors: Option<ChildStderr>) -> Result<JoinHandle<String>, ImageError> {
    let listening = child::thread("start a thread for a program's errors", move || {
        let mut said = String::new();
        if let Some(mut errors) = errors {
            // No text: nothing was said.
            let _ = (&mut errors).take(64 << 10).read_to_string(&mut said);
            let _ = std::io::copy(&mut errors, &mut std::io::sink());
        }
        child::tail(&said)
    });
    Ok(listening?)
}

/// Unpacks an archive, whatever packed it.
fn unpack(mut archive: File, path: &Path, to: &Path) -> Result<(), ImageError> {
    let mut start = [0; 6];
    let read =
        archive.read(&mut start).and_then(|count| archive.rewind().map(|()| count)).map_err(ImageError::file("read the base", path))?;
    // RFC 1952; the .xz file format 2.1.1.1; RFC 8878, 3.1.1.
    let packer = match &start[..read] {
        [0x1f, 0x8b, ..] => Some("--gzip"),
        [0xfd, b'7', b'z', b'X', b'Z', 0] => Some("--xz"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some("--zstd"),
        _ => None,
    };
    extract(archive.into(), packer, to)
}

fn extract(archive: Stdio, packer: Option<&str>, to: &Path) -> Result<(), ImageError> {
    let mut command = Command::new("tar");
    command.arg("--extract").args(packer).args(KEPT).args(["--same-owner", "--preserve-permissions", "--delay-directory-restore"]);
    command.args(["--file=-", "--directory"]).arg(to).env("LC_ALL", "C.UTF-8");
    command.args(EMPTIED.iter().flat_map(|dir| [format!("--exclude=./{dir}/*"), format!("--exclude={dir}/*")])).arg("--anchored");
    command.stdin(archive).stdout(Stdio::null()).stderr(Stdio::piped());
    let shown = child::shown(&command);
    let mut unpacking = child::Running(command.spawn().map_err(|error| start(error, &shown))?);
    let said = listen(unpacking.0.stderr.take())?;
    let status = child::wait(&mut unpacking.0, &shown, COPY_LIMIT)?;
    if status.success() {
        return Ok(());
    }
    Err(LabError::Command { command: shown, status: status.to_string(), output: said.join().unwrap_or_default() }.into())
}

fn start(error: std::io::Error, shown: &str) -> ImageError {
    match error.kind() {
        std::io::ErrorKind::NotFound => ImageError::MissingProgram { program: "tar", package: "tar" },
        _ => LabError::Start { command: shown.to_owned(), source: error }.into(),
    }
}

/// Refuses what no image can be made of, and makes the places that are mounted on.
fn check(tree: &Path, path: &Path) -> Result<(), ImageError> {
    let has = |file: &str| fs::symlink_metadata(tree.join(file)).is_ok();
    let what = if !has("etc/os-release") && !has("usr/lib/os-release") {
        Some(("is no system: it has no /etc/os-release", "name a directory or archive whose top is the system's root directory"))
    } else if !has("usr/bin/dpkg") {
        Some(("is neither Debian nor Ubuntu: it has no dpkg", "use a base of Debian or Ubuntu"))
    } else if has("etc/selinux/config") && fs::read_to_string(tree.join("etc/selinux/config")).is_ok_and(|text| is_enforced(&text)) {
        Some(("uses SELinux, whose labels a build does not keep", "use a base without, or set SELINUX=disabled in its /etc/selinux/config"))
    } else {
        None
    };
    if let Some((what, hint)) = what {
        return Err(ImageError::refused(format!("the base {} {what}", path.display()), hint));
    }
    for dir in EMPTIED.iter().filter(|dir| !has(dir)) {
        fs::create_dir(tree.join(dir)).map_err(ImageError::file("create directory", &tree.join(dir)))?;
    }
    // Of another build, whose agent began there.
    let agents = tree.join("var/lib/ostler");
    remove(&agents).map_err(ImageError::file("remove", &agents))
}

fn is_enforced(config: &str) -> bool {
    config.lines().any(|line| matches!(line.trim().strip_prefix("SELINUX="), Some("enforcing" | "permissive")))
}
