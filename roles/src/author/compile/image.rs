//! An image: what a machine shall be that is made of it, and what it goes without.

use std::sync::Arc;

use super::context::Context;
use super::drafts::Drafts;
use super::{Compiled, Input, KnownFacts, LeftOut, Secrets, Site, SiteContent, compile_in};
use crate::author::diagnostic::{Fault, Faults};
use crate::author::graph::Roles;
use crate::author::image::{BakedSecrets, Base, Image, Like, SUITES};
use crate::author::layers::Override;
use crate::author::role::Role;
use crate::author::site::NodeEntry;
use crate::author::source::Tree;
use crate::facts::Facts;
use crate::resource::Desired;
use crate::words::{Digest, NodeName};

/// Everything an image is compiled from.
#[derive(Clone, Copy, Debug)]
pub struct ImageInput<'a> {
    /// The roles of library and site.
    pub roles: &'a Roles,
    /// The site, with the image.
    pub site: &'a Site,
    /// Its files, and the library's.
    pub content: &'a SiteContent,
    /// The image.
    pub image: &'a Image,
    /// What is known of the tree that it is made in: its system, architecture, package manager, the kernel that it boots by default, what it
    /// begins with. The rest, which is the builder's, is in nothing that is baked.
    pub tree: &'a Arc<Facts>,
    /// Facts of the site's nodes.
    pub facts: &'a KnownFacts,
    /// The secrets.
    pub secrets: &'a Secrets,
    /// `-e ROLE.PARAMETER=VALUE`.
    pub overrides: &'a [Override],
}

/// An image, and what it goes without.
#[derive(Clone, Debug)]
pub struct CompiledImage {
    /// What a machine shall be that has booted from it, without what is left out: of services and settings the running half too. No
    /// executors: a master brings them to a node.
    pub whole: Compiled,
    /// What is left out: executors, then requirements, steps and checks, each in their order.
    pub left_out: Vec<LeftOut>,
}

/// Compiles an image as a node of its name that is like a group or node: everything is judged as for a node. Then goes what is not the same on
/// every machine that is made of it.
///
/// # Errors
/// All that is wrong, each with its place; a secret that would be baked, too, unless the image says `secrets: baked`.
pub fn image(input: &ImageInput<'_>) -> Result<CompiledImage, Faults> {
    with_context(input, |context| {
        let whole = compile_in(context)?;
        Ok(CompiledImage { whole: less(whole), left_out: context.left_out.take() })
    })
}

/// What is wrong with an image on a tree, and whether that may depend on its facts.
pub(super) fn judge(input: &ImageInput<'_>) -> (Faults, bool) {
    let mut read = true;
    let found = with_context(input, |context| {
        let found = compile_in(context).map(drop);
        read = context.has_read_facts();
        found
    });
    (found.err().unwrap_or_default(), read)
}

fn with_context<T>(input: &ImageInput<'_>, work: impl FnOnce(&Context<'_>) -> Result<T, Faults>) -> Result<T, Faults> {
    let ImageInput { roles, site, content, image, tree, facts, secrets, overrides } = *input;
    let node = NodeName::parse(&image.name.value).map_err(|error| Fault::new(&image.name.span, error.to_string()))?;
    let entry = entry(image, site);
    let facts = facts.with(&node, Arc::clone(tree));
    let input = Input { roles, site, content, node: &node, facts: &facts, secrets, overrides };
    let mut context = Context::of_entry(&input, &entry)?;
    context.image = Some(image);
    work(&context)
}

/// The image as a node: none of the inventory, so that no variable that lists machines has it.
pub(super) fn entry(image: &Image, site: &Site) -> NodeEntry {
    let mut entry = NodeEntry { name: image.name.clone(), host: None, groups: Vec::new(), roles: Vec::new(), vars: Vec::new(), ssh: None };
    match &image.like {
        Some(Like::Group(group)) => entry.groups.push(group.clone()),
        Some(Like::Node(like)) => {
            if let Some(node) = site.nodes.nodes.iter().find(|node| node.name.value == like.value) {
                (entry.groups, entry.roles, entry.vars) = (node.groups.clone(), node.roles.clone(), node.vars.clone());
            }
        }
        None => {}
    }
    entry.roles.extend(image.roles.iter().cloned());
    // The image's own are stronger than those of the node that it is like.
    let is_given = |role: &str, name: &str| {
        image.vars.iter().any(|need| need.role.value == role && need.values.iter().any(|value| value.name.value == name))
    };
    for need in &mut entry.vars {
        let role = need.role.value.clone();
        need.values.retain(|value| !is_given(&role, &value.name.value));
    }
    entry.vars.extend(image.vars.iter().cloned());
    entry
}

/// The roles of an image, needed ones included.
pub(super) fn image_roles<'r>(roles: &'r Roles, site: &'r Site, image: &Image) -> Vec<&'r Role> {
    let entry = entry(image, site);
    let groups = entry.groups.iter().filter_map(|name| site.nodes.groups.iter().find(|group| group.name.value == name.value));
    let listed: Vec<String> = groups.flat_map(|group| &group.roles).chain(&entry.roles).map(|name| name.value.clone()).collect();
    let names = listed.iter().filter_map(|name| roles.get(name)).map(|role| role.name.value.as_str());
    roles.ordered(names.collect::<Vec<_>>())
}

/// The system of an image's base, as far as its files say it: `debian-12`.
#[must_use]
pub fn image_system(image: &Image, images: &[Image]) -> Option<&'static str> {
    let mut image = image;
    // Of images that stand on each other none has a system; that is a fault of its own.
    for _ in 0..=images.len() {
        match &image.base.value {
            Base::Debootstrap { suite, .. } => return SUITES.iter().find(|(known, _)| known == suite).map(|(_, system)| *system),
            Base::Image(of) => image = images.iter().find(|other| other.name.value == *of)?,
            Base::CloudImage { .. } | Base::Tree { .. } => return None,
        }
    }
    None
}

/// Without what only a node has, and without contents that the catalog does not name.
fn less(mut whole: Compiled) -> Compiled {
    let (blobs, secrets) = (whole.catalog.blobs(), whole.catalog.secrets());
    let is_named = |digest: &Digest| blobs.iter().any(|blob| blob.digest == *digest);
    whole.blobs.retain(|digest, _| is_named(digest));
    whole.files.retain(|digest, _| is_named(digest));
    whole.secrets.retain(|hmac, _| secrets.contains_key(hmac));
    whole.executors.clear();
    whole
}

impl<'a> Context<'a> {
    /// Tells of each secret that the image would hold.
    pub(super) fn no_secret_is_baked(&self, drafts: &Drafts<'a>, closed: &[Option<Desired>]) {
        let Some(image) = self.image.filter(|image| image.secrets == BakedSecrets::Refused) else { return };
        for (draft, desired) in drafts.list.iter().zip(closed) {
            let Some(secret) = desired.as_ref().and_then(|desired| desired.secrets().first().map(|secret| secret.name.clone())) else {
                continue;
            };
            if drafts.is_withheld(self, &draft.id) {
                continue;
            }
            let message = format!("`{}` would bake a secret into the image {}: {secret}", draft.id, image.name.value);
            let bake = format!("`secrets: baked` in {}, if whoever has the image may have the secret", image.name.span.source().name());
            let hint = match draft.role.tree {
                Tree::Site => format!("write `live: true` beside the step, so that each machine gets it by its first apply; or {bake}"),
                Tree::Library => format!("write {bake}"),
            };
            self.fault(Fault::new(&draft.span, message).also(&image.name.span, "the image").hint(hint));
        }
    }
}
