//! What else is wrong with a site that has faults already: all of them are told in one go, and none that only comes of another.

use std::collections::BTreeSet;

use super::image::image_roles;
use super::lint::{lint, node_roles};
use super::{KnownFacts, Secrets, Site, SiteContent};
use crate::author::diagnostic::Faults;
use crate::author::graph::Roles;
use crate::author::image::{Image, Like};
use crate::author::role::{Name, Need};

/// Compiles what was read whole: nodes without the roles that were not, and those roles by themselves as far as they were. `site` is none
/// where its files have faults: then every role is proved by itself.
///
/// What holds on some systems only is left out: which of them a node has is not asked here.
#[must_use]
pub fn rest(roles: &Roles, site: Option<&Site>, content: &SiteContent, secrets: &Secrets) -> Faults {
    let mut roles = roles.clone();
    let doubtful = roles.doubt();
    let site = site.map(|site| without(&roles, site, &doubtful)).unwrap_or_default();
    let mut found = Faults::new();
    let all = lint(&roles, &site, content, &KnownFacts::default(), secrets, &[]);
    found.extend(all.into_iter().filter(|fault| fault.on.systems.is_empty()));
    found
}

/// The site without these roles, and without values for what its nodes only had because of them.
fn without(roles: &Roles, site: &Site, doubtful: &BTreeSet<String>) -> Site {
    let keep = |names: &mut Vec<Name>| names.retain(|name| roles.get(&name.value).is_some() && !doubtful.contains(&name.value));
    let mut less = site.clone();
    less.nodes.groups.iter_mut().for_each(|group| keep(&mut group.roles));
    less.nodes.nodes.iter_mut().for_each(|node| keep(&mut node.roles));
    let had = |site: &Site, node: &str| -> BTreeSet<String> {
        node_roles(roles, site, node).iter().map(|role| role.name.value.clone()).collect()
    };
    // Whom an image is like that is not there was told.
    less.images.retain(|image| match &image.like {
        Some(Like::Group(like)) => less.nodes.groups.iter().any(|group| group.name.value == like.value),
        Some(Like::Node(like)) => less.nodes.nodes.iter().any(|node| node.name.value == like.value),
        None => true,
    });
    less.images.iter_mut().for_each(|image| keep(&mut image.roles));
    let baked = |site: &Site, image: &Image| -> BTreeSet<String> {
        image_roles(roles, site, image).iter().map(|role| role.name.value.clone()).collect()
    };
    let mut lost: BTreeSet<String> = doubtful.clone();
    for image in &site.images {
        let name = &image.name.value;
        if let Some(left) = less.images.iter().find(|left| left.name.value == *name) {
            lost.extend(baked(site, image).difference(&baked(&less, left)).cloned());
        }
    }
    for node in &site.nodes.nodes {
        let name = &node.name.value;
        lost.extend(had(site, name).difference(&had(&less, name)).cloned());
    }
    let keep = |vars: &mut Vec<Need>| vars.retain(|need| !lost.contains(&need.role.value));
    keep(&mut less.file.vars);
    less.nodes.groups.iter_mut().for_each(|group| keep(&mut group.vars));
    less.nodes.nodes.iter_mut().for_each(|node| keep(&mut node.vars));
    less.images.iter_mut().for_each(|image| keep(&mut image.vars));
    less
}
