//! What a catalog is compiled from, and what comes out.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::KnownFacts;
use crate::author::diagnostic::Fault;
use crate::author::graph::Roles;
use crate::author::image::Image;
use crate::author::layers::Override;
use crate::author::site::{NodesFile, SiteFile};
use crate::author::source::{Source, Tree};
use crate::author::template::Template;
use crate::catalog::Catalog;
use crate::executor::Executor;
use crate::words::{Blob, Digest, NodeName, Secret};

/// What people wrote of a site's machines, lowered and checked.
#[derive(Clone, Debug, Default)]
pub struct Site {
    /// `ostler.yaml`.
    pub file: SiteFile,
    /// `nodes.yaml`.
    pub nodes: NodesFile,
    /// `images/NAME.yaml`, by name.
    pub images: Vec<Image>,
}

/// Why a file has no text.
#[derive(Clone, Debug)]
pub enum Unread {
    /// It is longer than a template may be: its length in bytes, and the limit.
    Large(u64, u64),
    /// It is not UTF-8, at the place that the fault shows.
    NotUtf8(Box<Fault>),
    /// It could not be read at all, as was told already.
    Fault(Box<Fault>),
}

/// One file below `files/` or `templates/`, as whoever reads the trees found it.
#[derive(Clone, Debug)]
pub struct SiteEntry {
    /// Digest and length of its bytes.
    pub blob: Blob,
    /// Its text, wanted of templates and lists; or why it has none, which is told where its text is wanted.
    pub text: Result<Arc<str>, Unread>,
    /// The names in it, when it is a projects.yaml: a list of `project: NAME`.
    pub projects: Option<Arc<[String]>>,
}

/// Every file below `files/` and `templates/` of the site and of the library, by its path in its tree (`files/motd`).
#[derive(Clone, Debug, Default)]
pub struct SiteContent {
    /// The files.
    entries: ByPath<SiteEntry>,
    /// Templates, each read once.
    templates: Arc<Mutex<ByPath<Arc<Template>>>>,
}

/// By tree and path in it.
type ByPath<T> = BTreeMap<(Tree, String), T>;

impl SiteContent {
    /// These files, by tree and path.
    #[must_use]
    pub fn new(entries: BTreeMap<(Tree, String), SiteEntry>) -> Self {
        Self { entries, templates: Arc::default() }
    }

    /// A template of a tree; none when it is not there or no text.
    pub(crate) fn template(&self, tree: Tree, path: &str) -> Option<Arc<Template>> {
        let text = self.get(tree, path)?.text.as_ref().ok()?;
        let mut known = self.templates.lock().unwrap_or_else(PoisonError::into_inner);
        let template = known.entry((tree, path.to_owned())).or_insert_with(|| {
            let name = if tree == Tree::Library { format!("{}{path}", crate::author::library::PREFIX) } else { path.to_owned() };
            Template::parse(&Source::new(tree, name, &**text))
        });
        Some(Arc::clone(template))
    }

    /// The file at that path of that tree.
    #[must_use]
    pub fn get(&self, tree: Tree, path: &str) -> Option<&SiteEntry> {
        self.entries.get(&(tree, path.to_owned()))
    }

    /// The paths of one tree below a directory.
    pub(crate) fn paths(&self, tree: Tree) -> impl Iterator<Item = &str> {
        self.entries.keys().filter(move |(other, _)| *other == tree).map(|(_, path)| path.as_str())
    }
}

/// The secrets of a site.
#[derive(Clone, Default)]
pub struct Secrets {
    /// The site's key: references carry the HMAC of a value under it.
    key: Vec<u8>,
    /// Values by name; none where a secret is stored but was not opened (`lint` needs no values).
    values: BTreeMap<String, Option<Secret<Vec<u8>>>>,
}

impl Secrets {
    /// No secrets yet, and the site's key for their HMACs.
    #[must_use]
    pub fn new(key: &[u8]) -> Self {
        Self { key: key.to_vec(), values: BTreeMap::new() }
    }

    /// Adds an opened secret.
    pub fn open(&mut self, name: &str, value: &[u8]) {
        self.values.insert(name.to_owned(), Some(Secret::new(value.to_vec())));
    }

    /// Adds one that is stored but was not opened: enough for `lint`; a catalog with it is not for a node.
    pub fn seal(&mut self, name: &str) {
        self.values.insert(name.to_owned(), None);
    }

    /// The names, opened or not.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    /// The value: none when there is no such secret, inner none when it was not opened.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Option<&Secret<Vec<u8>>>> {
        self.values.get(name).map(Option::as_ref)
    }

    /// All values that were opened.
    pub fn opened(&self) -> impl Iterator<Item = &[u8]> {
        self.values.values().flatten().map(|value| value.expose().as_slice())
    }

    /// The site's key.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        &self.key
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

/// Everything one catalog is compiled from.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// The roles of library and site.
    pub roles: &'a Roles,
    /// The site.
    pub site: &'a Site,
    /// Its files, and the library's.
    pub content: &'a SiteContent,
    /// Whose catalog.
    pub node: &'a NodeName,
    /// Facts of every node that has any; this node's must be among them.
    pub facts: &'a KnownFacts,
    /// The secrets.
    pub secrets: &'a Secrets,
    /// `-e ROLE.PARAMETER=VALUE`.
    pub overrides: &'a [Override],
}

/// A catalog and what must be at hand beside it.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// For the agent.
    pub catalog: Catalog,
    /// What the masters may run there.
    pub executors: Vec<Executor>,
    /// Secret contents the catalog names, by HMAC: sent in their own frame, stored nowhere.
    pub secrets: BTreeMap<Digest, Arc<Secret<Vec<u8>>>>,
    /// What no output of a run with this catalog may show: the secrets that it was made of, and what was made of them.
    pub masked: Vec<Arc<Secret<Vec<u8>>>>,
    /// Public contents that were rendered, by digest.
    pub blobs: BTreeMap<Digest, Arc<[u8]>>,
    /// Public contents that are files of a tree, by digest: tree and path.
    pub files: BTreeMap<Digest, (Tree, String)>,
    /// The node's roles, in order.
    pub roles: Vec<crate::words::RoleName>,
}
