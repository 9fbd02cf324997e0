//! Reads a site directory once.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ostler_roles::author::compile::{self, Secrets, Site, SiteContent, SiteEntry, Unread};
use ostler_roles::author::diagnostic::{Fault, Faults};
use ostler_roles::author::graph::Roles;
use ostler_roles::author::image::Image;
use ostler_roles::author::role::Role;
use ostler_roles::author::site::{NodeEntry, NodesFile};
use ostler_roles::author::source::{Source, Span, Tree};
use ostler_roles::author::utf8;
use ostler_roles::author::yaml::MAX_BYTES;
use ostler_roles::author::{library, lower, references};
use ostler_roles::words::{Blob, SecretName};

use super::reach::{circles, reach};
use super::walk::{self, MAX_TEXT};
use super::{ReadSiteError, foreign};
use crate::stamp::Stamp;

/// The file that makes a directory a site.
const SITE_FILE: &str = "ostler.yaml";
/// The inventory's file.
const NODES_FILE: &str = "nodes.yaml";

/// A site and the library, in memory.
#[derive(Debug)]
pub struct Inventory {
    /// The site's directory.
    pub root: PathBuf,
    /// The roles of library and site.
    pub roles: Roles,
    /// `ostler.yaml` and `nodes.yaml`.
    pub site: Site,
    /// Every file below `files/` and `templates/` of site and library.
    pub content: SiteContent,
    /// The secrets that are stored: `secrets/NAME.age`.
    pub secrets: BTreeMap<SecretName, PathBuf>,
    /// The states of the site's files in which they are known to hold what was read.
    stamps: Mutex<HashMap<String, Stamp>>,
}

/// A file that was read and still holds what it held then.
#[derive(Debug)]
pub enum SiteFile {
    /// One of the library.
    Held(&'static [u8]),
    /// One of the site, with its length.
    Open(File, u64),
}

/// What was read, and what is wrong with it. With faults, the inventory holds as much as could be told.
#[derive(Debug)]
pub struct Reading {
    /// What was read.
    pub inventory: Inventory,
    /// What is wrong, sorted.
    pub faults: Faults,
}

impl Reading {
    /// The inventory if nothing is wrong.
    ///
    /// # Errors
    /// All faults.
    pub fn whole(self) -> Result<Inventory, Faults> {
        self.faults.into_result(self.inventory)
    }
}

impl Inventory {
    /// A file that was read, for sending. Whether it still holds what it held is seen from its state; only one in another state is read for that.
    ///
    /// # Errors
    /// When it cannot be read, or changed since.
    pub fn open(&self, tree: Tree, path: &str) -> Result<SiteFile, ReadSiteError> {
        let known = self.content.get(tree, path).map(|entry| entry.blob);
        if tree == Tree::Library {
            let held = library::files().iter().find(|file| file.path == path).map(|file| file.bytes).filter(|_| known.is_some());
            let place = || PathBuf::from(format!("{}{path}", library::PREFIX));
            return held.map(SiteFile::Held).ok_or_else(|| ReadSiteError::Changed { path: place() });
        }
        let changed = || ReadSiteError::Changed { path: self.root.join(path) };
        // Held while a file is read: one look serves all nodes.
        let mut stamps = self.stamps.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut file, mut meta) = walk::open(&self.root, path)?;
        if stamps.get(path) != Some(&Stamp::from(&meta)) {
            let (bytes, stamp) = walk::read(&self.root, path)?;
            (file, meta) = walk::open(&self.root, path)?;
            if known != Some(Blob::of(&bytes)) || stamp != Stamp::from(&meta) {
                return Err(changed());
            }
            stamps.insert(path.to_owned(), stamp);
        }
        Ok(SiteFile::Open(file, meta.len()))
    }
}

/// The nearest directory at or above `from` that is a site.
#[must_use]
pub fn find(from: &Path) -> Option<PathBuf> {
    from.ancestors().find(|dir| dir.join(SITE_FILE).is_file()).map(Path::to_owned)
}

/// Reads the site at `root`, and the library.
///
/// # Errors
/// When files cannot be read. What is wrong in them comes back as faults.
pub fn read(root: &Path) -> Result<Reading, ReadSiteError> {
    let file = root.join(SITE_FILE);
    match std::fs::metadata(&file) {
        Ok(found) if found.is_file() => {}
        Err(source) if !matches!(source.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Err(ReadSiteError::Read { path: file, source });
        }
        Ok(_) | Err(_) if std::fs::metadata(root).is_ok_and(|found| found.is_dir()) => {
            return Err(ReadSiteError::NoSite { path: root.to_owned() });
        }
        Ok(_) | Err(_) => return Err(ReadSiteError::NoDirectory { path: root.to_owned() }),
    }
    let mut faults = Faults::new();
    let site = source(root, SITE_FILE, &mut faults)?.and_then(|source| lower::site_file(&source, &mut faults));
    let nodes = nodes(root, &mut faults)?;
    let (own, unread) = site_roles(root, &mut faults)?;
    let roles = library::roles(&mut faults).into_iter().chain(own);
    // What a file holds that could not be read at all is not missing: names across files wait until each can be read.
    let mut crossing = Faults::new();
    let roles = Roles::new(roles, &mut crossing);
    let (images, names) = images(root, &mut faults)?;
    let read = site.is_some() && nodes.is_some() && !unread;
    let site = Site { file: site.unwrap_or_default(), nodes: nodes.unwrap_or_default(), images };
    if read {
        references::check(&roles, &site.file, &site.nodes, &mut crossing);
        references::images(&roles, &site, &names.iter().map(String::as_str).collect::<Vec<_>>(), &mut crossing);
        faults.extend(crossing);
    }
    let files = [SITE_FILE, NODES_FILE];
    let whole = !faults.iter().any(|fault| files.contains(&fault.span.source().name()));
    if !faults.is_empty() {
        compile::in_scope(&roles, &mut faults);
    }
    one_node_a_machine(&site, &mut faults);
    circles(&site, &mut faults);
    let (content, stamps) = contents(root, &mut faults)?;
    let secrets = secrets(root, &mut faults)?;
    if !faults.is_empty() {
        // Nothing will be compiled for a node: what can be said of the rest is said now, in the same go.
        let mut sealed = Secrets::new(&[]);
        secrets.keys().for_each(|name| sealed.seal(name.as_str()));
        faults.merge(compile::rest(&roles, Some(&site).filter(|_| whole), &content, &sealed));
    }
    let inventory = Inventory { root: root.to_owned(), roles, site, content, secrets, stamps: Mutex::new(stamps) };
    faults.sort();
    Ok(Reading { inventory, faults })
}

/// Two nodes that are reached in one way are one machine: each would undo what the other did, run after run. Behind some gateways the user
/// says which machine is meant; and what stands for a port that is not written is known to ssh's configuration alone.
fn one_node_a_machine(site: &Site, faults: &mut Faults) {
    let mut seen: BTreeMap<_, &NodeEntry> = BTreeMap::new();
    for node in &site.nodes.nodes {
        // What is said twice about the way is told where the way is gone.
        let Ok(way) = reach(site, node) else { continue };
        let name = &node.name.value;
        match seen.entry((way.host, way.port, way.user, way.jump)) {
            Entry::Vacant(free) => _ = free.insert(node),
            Entry::Occupied(first) => faults.push(
                Fault::new(span_of(node), format!("`{name}` is the same machine as `{}`", first.get().name.value))
                    .hint("a machine is one node: give it the groups and roles of both")
                    .also(span_of(first.get()), "the same host, port, user and jump"),
            ),
        }
    }
}

/// Where a node's host is written.
fn span_of(node: &NodeEntry) -> &Span {
    node.host.as_ref().map_or(&node.name.span, |host| &host.span)
}

/// `nodes.yaml`, which a site must have.
fn nodes(root: &Path, faults: &mut Faults) -> Result<Option<NodesFile>, ReadSiteError> {
    if root.join(NODES_FILE).symlink_metadata().is_err() {
        let place = Source::new(Tree::Site, NODES_FILE, "");
        faults.push(Fault::new(&place.span(0..0), "the file is missing").hint("write one with `nodes: {NAME: {host: HOST}}`"));
        return Ok(None);
    }
    Ok(source(root, NODES_FILE, faults)?.and_then(|source| lower::nodes_file(&source, faults)))
}

/// One YAML file's text; none when it is no text.
fn source(root: &Path, name: &str, faults: &mut Faults) -> Result<Option<Arc<Source>>, ReadSiteError> {
    let bytes = walk::bytes(root, name)?;
    if bytes.len() > MAX_BYTES {
        return Err(ReadSiteError::Large { path: root.join(name), length: bytes.len() as u64, limit: MAX_BYTES as u64 });
    }
    Ok(match utf8::text(Tree::Site, name, bytes) {
        Ok(text) => Some(Source::new(Tree::Site, name, text)),
        Err(fault) => {
            faults.push(*fault);
            None
        }
    })
}

/// The roles of the site, `roles/NAME.yaml` and nothing else, and whether one of them could not be read at all.
fn site_roles(root: &Path, faults: &mut Faults) -> Result<(Vec<Role>, bool), ReadSiteError> {
    let (mut roles, mut unread) = (Vec::new(), false);
    for name in walk::files(root, "roles")? {
        let stem = name.strip_prefix("roles/").and_then(|file| file.strip_suffix(".yaml"));
        match stem {
            Some(stem) if !stem.contains('/') => {
                let read = source(root, &name, faults).unwrap_or_else(|error| {
                    faults.push(unreadable(&name, &error));
                    None
                });
                let role = read.and_then(|source| lower::role(&source, faults));
                unread |= role.is_none();
                roles.extend(role);
            }
            _ if hidden(&name) => {}
            _ => {
                let source = Source::new(Tree::Site, name.as_str(), "");
                faults.push(Fault::new(&source.span(0..0), "the file is not a role").expected("`roles/NAME.yaml`, no directories"));
            }
        }
    }
    Ok((roles, unread))
}

/// What editors and git leave behind.
fn hidden(name: &str) -> bool {
    name.rsplit('/').next().is_some_and(|file| file.starts_with('.') || file.ends_with('~'))
}

/// The images of the site, `images/NAME.yaml` as far as they can be read, and the names of all. What is no YAML beside them may be what they
/// stand on.
fn images(root: &Path, faults: &mut Faults) -> Result<(Vec<Image>, Vec<String>), ReadSiteError> {
    let (mut images, mut names) = (Vec::new(), Vec::new());
    for name in walk::files(root, "images")?.into_iter().filter(|name| !hidden(name)) {
        match name.strip_prefix("images/").and_then(|file| file.strip_suffix(".yaml")) {
            Some(stem) if !stem.contains('/') => {
                names.push(stem.to_owned());
                let read = source(root, &name, faults).unwrap_or_else(|error| {
                    faults.push(unreadable(&name, &error));
                    None
                });
                images.extend(read.and_then(|source| lower::image(&source, faults)));
            }
            None if !name.ends_with(".yml") => {}
            _ => {
                let source = Source::new(Tree::Site, name.as_str(), "");
                faults.push(Fault::new(&source.span(0..0), "the file is not an image").expected("`images/NAME.yaml`, no directories"));
            }
        }
    }
    Ok((images, names))
}

/// A file that could not be read is a fault of the site like others: it ends the reading of none.
fn unreadable(name: &str, error: &ReadSiteError) -> Fault {
    let place = Source::new(Tree::Site, name, "").span(0..0);
    match error {
        ReadSiteError::Link { target, .. } => {
            Fault::new(&place, format!("the link leads to {}", target.display())).expected("a file of the site")
        }
        ReadSiteError::Special { .. } => Fault::new(&place, "it is neither a file nor a directory"),
        ReadSiteError::Large { length, limit, .. } => {
            Fault::new(&place, format!("it has {length} bytes")).expected(format!("at most {limit} bytes"))
        }
        ReadSiteError::Read { source, .. } if source.kind() == ErrorKind::NotFound => Fault::new(&place, "the link leads nowhere"),
        ReadSiteError::Read { source, .. } => Fault::new(&place, format!("it cannot be read: {source}")),
        ReadSiteError::NoSite { .. }
        | ReadSiteError::NoDirectory { .. }
        | ReadSiteError::Many { .. }
        | ReadSiteError::Name { .. }
        | ReadSiteError::Changed { .. } => Fault::new(&place, error.to_string()),
    }
}

/// The stored secrets.
fn secrets(root: &Path, faults: &mut Faults) -> Result<BTreeMap<SecretName, PathBuf>, ReadSiteError> {
    let mut secrets = BTreeMap::new();
    for name in walk::files(root, "secrets")? {
        let stem = name.strip_prefix("secrets/").and_then(|file| file.strip_suffix(".age"));
        match stem.map(SecretName::parse) {
            Some(Ok(secret)) => drop(secrets.insert(secret, root.join(&name))),
            _ if hidden(&name) => {}
            _ => {
                let source = Source::new(Tree::Site, name.as_str(), "");
                faults.push(
                    Fault::new(&source.span(0..0), "the file is not a secret")
                        .expected("`secrets/NAME.age`")
                        .hint("a value in clear does not belong here"),
                );
            }
        }
    }
    Ok(secrets)
}

/// Every file below `files/` and `templates/` of site and library, and the states in which those of the site were found.
fn contents(root: &Path, faults: &mut Faults) -> Result<(SiteContent, HashMap<String, Stamp>), ReadSiteError> {
    let (mut all, mut stamps) = (BTreeMap::new(), HashMap::new());
    for dir in ["files", "templates"] {
        for name in walk::files(root, dir)? {
            let entry = match walk::read(root, &name) {
                Ok((bytes, stamp)) => {
                    stamps.insert(name.clone(), stamp);
                    entry(Tree::Site, &name, bytes)
                }
                Err(error) => {
                    let fault = unreadable(&name, &error);
                    faults.push(fault.clone());
                    SiteEntry { blob: Blob::of(b""), text: Err(Unread::Fault(Box::new(fault))), projects: None }
                }
            };
            all.insert((Tree::Site, name), entry);
        }
    }
    for file in library::files().iter().filter(|file| !file.path.starts_with("roles/")) {
        all.insert((Tree::Library, file.path.to_owned()), entry(Tree::Library, file.path, file.bytes.to_vec()));
    }
    Ok((SiteContent::new(all), stamps))
}

/// What is kept of a file.
fn entry(tree: Tree, name: &str, bytes: Vec<u8>) -> SiteEntry {
    let (blob, length) = (Blob::of(&bytes), bytes.len() as u64);
    let text: Result<Arc<str>, Unread> = if length > MAX_TEXT {
        Err(Unread::Large(length, MAX_TEXT))
    } else {
        utf8::text(tree, name, bytes).map(Arc::from).map_err(Unread::NotUtf8)
    };
    let is_yaml = name.ends_with(".yaml") || name.ends_with(".yml");
    let projects = text.as_deref().ok().filter(|_| is_yaml).and_then(foreign::projects).map(Arc::from);
    SiteEntry { blob, text, projects }
}
