//! Looks for what must not be in an image, all of it in one walk: every name, every link, every byte.

use std::collections::{BTreeSet, HashSet};
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path};

use aho_corasick::AhoCorasick;
use rustix::fs::FileType;

use super::super::error::ImageError;
use super::super::tree::{Tree, Visit};
use super::{INITIATOR, Remains, SealOptions, Stay, UNNAMED, rules};

/// What is shorter is in any tree somewhere.
const SHORTEST: usize = 6;
/// Read at a time.
const CHUNK: usize = 1 << 20;

const SECRET: &str = "a secret of the site";
const SECRET_NAME: &str = "a name in it has a secret of the site";
const PRIVATE_KEY: &str = "a private key (the image may say that such are baked)";

/// Returns how many secrets are too short to be looked for.
pub(super) fn unsearched(secrets: &[Vec<u8>]) -> usize {
    secrets.iter().filter(|secret| secret.len() < SHORTEST).count()
}

/// Returns what remains of what must not be in an image.
///
/// # Errors
/// When the tree cannot be read.
pub fn check(tree: &Path, options: &SealOptions) -> Result<Vec<Remains>, ImageError> {
    let opened = Tree::open(tree)?;
    let mut remains = BTreeSet::new();
    let mut add = |path: String, what| {
        remains.insert(Remains { path, what });
    };
    for (pattern, what) in rules::gone(options.apt_lists == Stay::Drop, options.apt_archives == Stay::Drop) {
        rules::expand(&opened, pattern)?.into_iter().for_each(|path| add(path, what));
    }
    for pattern in &options.paths {
        rules::expand(&opened, pattern)?.into_iter().for_each(|path| add(path, "a path that the image is sealed of"));
    }
    if opened
        .stat("/etc/machine-id")?
        .is_none_or(|stat| stat.st_size != 0 || FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile)
    {
        add("/etc/machine-id".into(), "not there with zero bytes");
    }
    let bus = "/var/lib/dbus/machine-id";
    if opened.stat(bus)?.is_some() && opened.target(bus)?.is_none_or(|target| target != "/etc/machine-id") {
        add(bus.into(), "no link to /etc/machine-id");
    }
    if opened.read(INITIATOR)?.is_some_and(|name| name != UNNAMED) {
        add(INITIATOR.into(), "an initiator's name");
    }
    if options.builder.owns_hosts(&opened.read("/etc/hosts")?.unwrap_or_default()) {
        add("/etc/hosts".into(), "the builder's");
    }
    let links = opened.target("/etc/resolv.conf")?.is_some();
    if !links && options.builder.owns_resolver(&opened.read("/etc/resolv.conf")?.unwrap_or_default()) {
        add("/etc/resolv.conf".into(), "a name server of the builder's");
    }
    walk(&opened, options, &mut add)?;
    Ok(remains.into_iter().collect())
}

fn walk(tree: &Tree, options: &SealOptions, add: &mut dyn FnMut(String, &'static str)) -> Result<(), ImageError> {
    let searched = options.secrets.iter().filter(|secret| secret.len() >= SHORTEST);
    let longest = searched.clone().map(Vec::len).max().unwrap_or_default();
    let finder = if longest == 0 {
        None
    } else {
        Some(AhoCorasick::new(searched).map_err(|error| {
            ImageError::refused(format!("the site's secrets cannot be looked for: {error}"), "build with fewer of them")
        })?)
    };
    let (mut seen, mut buffer) = (HashSet::new(), Vec::new());
    tree.walk("/", &mut |visit| {
        let name = visit.path.file_name().unwrap_or_default().as_bytes();
        let shown = match &finder {
            Some(finder) => {
                if finder.is_match(name) {
                    add(shown(visit.path.parent().unwrap_or(Path::new("")), finder), SECRET_NAME);
                }
                shown(visit.path, finder)
            }
            None => format!("/{}", visit.path.display()),
        };
        if visit.kind() == FileType::Symlink
            && let Some(finder) = &finder
            && finder.is_match(&visit.target()?.unwrap_or_default())
        {
            add(shown, SECRET);
            return Ok(());
        }
        if visit.kind() != FileType::RegularFile || visit.stat.st_size == 0 {
            return Ok(());
        }
        if visit.path.starts_with("etc/apt") && options.builder.owns_apt(&whole(visit)?) {
            add(shown.clone(), "a proxy of the builder's");
        }
        if options.private_keys == Stay::Drop && place_of_keys(visit.path) && is_private_key(&whole(visit)?) {
            add(shown.clone(), PRIVATE_KEY);
        }
        if let Some(finder) = &finder {
            let first = visit.stat.st_nlink == 1 || seen.insert((visit.stat.st_dev, visit.stat.st_ino));
            if first && contains(visit, finder, longest, &mut buffer)? {
                add(shown, SECRET);
            }
        }
        Ok(())
    })
}

/// A path as it may be shown: up to the first name that has a secret in it.
fn shown(path: &Path, finder: &AhoCorasick) -> String {
    let mut shown = String::new();
    for part in path.components() {
        let Component::Normal(name) = part else { continue };
        if finder.is_match(name.as_bytes()) {
            shown.push_str("/[masked]");
            break;
        }
        shown.push('/');
        shown.push_str(&name.to_string_lossy());
    }
    if shown.is_empty() { "/".to_owned() } else { shown }
}

/// Where accounts and the ssh server have keys.
fn place_of_keys(path: &Path) -> bool {
    let home = path.starts_with("home") && path.components().nth(2).is_some_and(|part| part.as_os_str() == ".ssh");
    home || path.starts_with("root/.ssh") || path.starts_with("etc/ssh")
}

fn is_private_key(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(1 << 16)]);
    text.lines().any(|line| line.starts_with("-----BEGIN ") && line.contains("PRIVATE KEY-----"))
        || text.starts_with("PuTTY-User-Key-File-")
}

/// The beginning of a file, enough for any key or configuration.
fn whole(visit: &Visit<'_>) -> Result<Vec<u8>, ImageError> {
    let mut bytes = Vec::new();
    visit.open()?.take(CHUNK as u64).read_to_end(&mut bytes).map_err(ImageError::file("read", visit.path))?;
    Ok(bytes)
}

/// Whether a file has one of these in it, also where it lies across two chunks.
fn contains(visit: &Visit<'_>, finder: &AhoCorasick, longest: usize, buffer: &mut Vec<u8>) -> Result<bool, ImageError> {
    let mut file = visit.open()?;
    buffer.resize(CHUNK + longest, 0);
    let mut kept = 0;
    loop {
        let count = file.read(&mut buffer[kept..]).map_err(ImageError::file("read", visit.path))?;
        if count == 0 {
            return Ok(false);
        }
        let there = kept + count;
        if finder.is_match(&buffer[..there]) {
            return Ok(true);
        }
        kept = there.min(longest - 1);
        buffer.copy_within(there - kept..there, 0);
    }
}
