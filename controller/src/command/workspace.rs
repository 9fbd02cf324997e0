//! A site opened for work: its files, its secrets, what is kept of its nodes; compiles for the fleet.

use super::{CommandError, Context};
use crate::fleet::{Blobs, Content, SiteExecutors};
use crate::inventory::{self, Inventory, ReadSiteError, SiteFile};
use crate::journal::{FactStore, FileStore, Store, site_directory};
use crate::registration::SiteState;
use crate::secret::{self, Identities};
use ostler_roles::author::compile::{self, Input, KnownFacts, Master, Order, Secrets};
use ostler_roles::author::diagnostic::Faults;
use ostler_roles::author::graph::Roles;
use ostler_roles::author::layers::Override;
use ostler_roles::author::library;
use ostler_roles::author::role::Role;
use ostler_roles::facts::Facts;
use ostler_roles::words::{Digest, MasterName, NodeName};
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// A site opened for work.
#[derive(Debug)]
pub struct Workspace {
    /// What was read.
    pub inventory: Inventory,
    /// Its secrets.
    pub secrets: Secrets,
    /// `-e`.
    pub overrides: Vec<Override>,
    /// What is kept of this site.
    pub store: Arc<dyn Store>,
    facts: FactStore,
    known: Mutex<KnownFacts>,
    rendered: Mutex<HashMap<Digest, Arc<[u8]>>>,
}

/// Whether secrets are opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Open {
    /// Their values are needed.
    Values,
    /// Their names are enough.
    Names,
}

impl Workspace {
    /// Reads and checks the site.
    ///
    /// # Errors
    /// All faults at once, or what could not be read.
    pub fn open(context: &Context, set: &[String], open: Open) -> Result<Self, CommandError> {
        let root = root(context)?;
        let reading = inventory::read(&root)?;
        let inventory = reading.whole().map_err(CommandError::Site)?;
        let id = inventory.site.file.id.as_ref().map(|id| id.value.to_string());
        let directory = site_directory(&context.environment.state, id.as_deref(), &inventory.root)?;
        let store: Arc<dyn Store> = Arc::new(FileStore::new(directory));
        let secrets = secrets(context, &inventory, &*store, open)?;
        context.printer.mask.add(secrets.opened());
        let mut overrides = Vec::new();
        for text in set {
            overrides.push(Override::parse(text).map_err(CommandError::Arguments)?);
        }
        let mut unknown = Faults::new();
        overrides.iter().filter_map(|given| given.unknown(&inventory.roles)).for_each(|fault| unknown.push(fault));
        if !unknown.is_empty() {
            return Err(CommandError::Site(unknown));
        }
        let facts = FactStore::new(Arc::clone(&store));
        let names: Vec<NodeName> = inventory.site.nodes.nodes.iter().filter_map(|node| NodeName::parse(&node.name.value).ok()).collect();
        let known = Mutex::new(facts.all(&names));
        Ok(Self { inventory, secrets, overrides, store, facts, known, rendered: Mutex::default() })
    }

    /// Masks what can be opened here of the site's secrets; what cannot is not missed.
    pub fn mask_what_opens(&self, context: &Context) {
        let Ok(Some(identities)) = Identities::read(&identity_file(context)) else { return };
        let root = &self.inventory.root;
        let opened: Vec<_> = self.inventory.secrets.keys().filter_map(|name| secret::open(root, name, &identities).ok()).collect();
        context.printer.mask.add(opened.iter().map(|value| value.expose().as_slice()));
    }

    /// The facts known of every node.
    pub fn facts(&self) -> KnownFacts {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What a node told last of itself.
    pub fn last_facts(&self, node: &NodeName) -> Option<Facts> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(node).map(|facts| Facts::clone(facts))
    }

    /// Keeps what a node tells of itself; false: that was known.
    pub fn learn(&self, node: &NodeName, facts: &Facts) -> bool {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        // Nothing is copied or written while it is the same.
        if known.get(node).is_some_and(|known| **known == *facts) {
            return false;
        }
        known.insert(node.clone(), facts.clone());
        drop(known);
        if let Err(error) = self.facts.keep(node, facts) {
            // Only a memory that saves a round trip next time.
            tracing::warn!(%node, %error, "facts were not kept");
        }
        true
    }

    /// Which nodes come after which, by what their values name.
    pub fn order(&self) -> Order {
        compile::order(&self.inventory.roles, &self.inventory.site, &self.facts(), &self.secrets, &self.overrides)
    }

    /// The roles of a node, in their order: those listed for it and its groups, and what they need.
    pub fn roles_of(&self, node: &NodeName) -> Vec<&Role> {
        let nodes = &self.inventory.site.nodes;
        let Some(entry) = nodes.nodes.iter().find(|entry| entry.name.value == node.as_str()) else { return Vec::new() };
        let groups = nodes.groups.iter().filter(|group| entry.groups.iter().any(|name| name.value == group.name.value));
        let listed = groups.flat_map(|group| &group.roles).chain(&entry.roles).map(|role| role.value.as_str());
        self.inventory.roles.ordered(listed)
    }

    /// Calls `work` with everything a node is compiled from.
    pub fn with_input<T>(&self, node: &NodeName, facts: &KnownFacts, work: impl FnOnce(&Input<'_>) -> T) -> T {
        let input = Input {
            roles: &self.inventory.roles,
            site: &self.inventory.site,
            content: &self.inventory.content,
            node,
            facts,
            secrets: &self.secrets,
            overrides: &self.overrides,
        };
        work(&input)
    }

    /// The site's masters, their values worked out.
    ///
    /// # Errors
    /// All that is wrong with them.
    pub fn masters(&self) -> Result<BTreeMap<MasterName, Master>, CommandError> {
        compile::masters(&self.inventory.roles, &self.inventory.site, &self.facts(), &self.secrets).map_err(CommandError::Site)
    }

    /// All executors of the site, as far as its nodes can be compiled with what is known of them.
    pub fn executors(&self) -> SiteExecutors {
        let (facts, mut all) = (self.facts(), SiteExecutors::default());
        for node in self.inventory.site.nodes.nodes.iter().filter_map(|entry| NodeName::parse(&entry.name.value).ok()) {
            match self.with_input(&node, &facts, compile::compile) {
                Ok(compiled) => all.known.extend(compiled.executors.into_iter().map(|one| (node.clone(), one))),
                Err(_) => all.unknown.push(node),
            }
        }
        all
    }

    /// What registration knows of the site.
    pub fn site_state(&self) -> SiteState {
        let id = self.inventory.site.file.id.as_ref().map(|id| id.value.clone());
        SiteState { key: self.secrets.key().to_vec(), id, store: Arc::clone(&self.store) }
    }

    /// Rendered contents, of which each is kept once, however many nodes have it.
    fn shared(&self, rendered: &BTreeMap<Digest, Arc<[u8]>>) -> BTreeMap<Digest, Arc<[u8]>> {
        let mut known = self.rendered.lock().unwrap_or_else(PoisonError::into_inner);
        let once =
            |(digest, bytes): (&Digest, &Arc<[u8]>)| (*digest, Arc::clone(known.entry(*digest).or_insert_with(|| Arc::clone(bytes))));
        rendered.iter().map(once).collect()
    }

    /// The contents that a catalog names, each found when it is asked for.
    pub fn blobs(self: &Arc<Self>, compiled: &compile::Compiled) -> Blobs {
        let rendered = self.shared(&compiled.blobs);
        let files = compiled.files.clone();
        let site = Arc::clone(self);
        Arc::new(move |digest: &Digest| {
            if let Some(bytes) = rendered.get(digest) {
                return Some(Content::Bytes(Arc::clone(bytes)));
            }
            let (tree, path) = files.get(digest)?;
            // A file that changed since it was read is none of the contents that were planned.
            match site.inventory.open(*tree, path) {
                Ok(SiteFile::Held(bytes)) => Some(Content::Bytes(bytes.into())),
                Ok(SiteFile::Open(file, length)) => Some(Content::File(Arc::new(file), length)),
                Err(error) => {
                    tracing::warn!(%error, "a file of the site is not what it was");
                    None
                }
            }
        })
    }
}

/// The roles of the site and of the library, as far as they can be read; outside of a site those of the library.
///
/// # Errors
/// When the site that was asked for cannot be read.
pub fn roles(context: &Context) -> Result<Roles, CommandError> {
    let root = root(context)?;
    match inventory::read(&root) {
        Err(ReadSiteError::NoSite { .. }) if context.site.is_none() => {
            Ok(Roles::new(library::roles(&mut Faults::new()), &mut Faults::new()))
        }
        read => Ok(read?.inventory.roles),
    }
}

fn root(context: &Context) -> Result<PathBuf, CommandError> {
    if let Some(site) = &context.site {
        return Ok(site.clone());
    }
    let here = std::env::current_dir().map_err(|source| CommandError::File { what: "read the current directory".to_owned(), source })?;
    Ok(inventory::find(&here).unwrap_or(here))
}

fn secrets(context: &Context, inventory: &Inventory, store: &dyn Store, open: Open) -> Result<Secrets, CommandError> {
    if open == Open::Names {
        let mut sealed = Secrets::new(&[]);
        inventory.secrets.keys().for_each(|name| sealed.seal(name.as_str()));
        return Ok(sealed);
    }
    let mut secrets = Secrets::new(&store.secret_key()?);
    if inventory.secrets.is_empty() {
        return Ok(secrets);
    }
    let file = identity_file(context);
    let identities = Identities::read(&file)?.ok_or_else(|| CommandError::Usage {
        what: format!("the site has secrets and {} does not exist", file.display()),
        hint: "copy the identity that opens them there, or name it in OSTLER_IDENTITY".to_owned(),
    })?;
    for name in inventory.secrets.keys() {
        secrets.open(name.as_str(), secret::open(&inventory.root, name, &identities)?.expose());
    }
    Ok(secrets)
}

/// The file with the identities that open secrets.
pub fn identity_file(context: &Context) -> PathBuf {
    context.environment.identity.clone().unwrap_or_else(|| context.environment.config.join("identity.txt"))
}
