//! `package`: installed, or offered by the node's sources.

use super::super::fault::unread;
use super::super::node::Node;
use super::super::package::Offers;
use ostler_roles::check::{Evidence, Package, PackageWant};
use ostler_roles::outcome::Failure;
use ostler_roles::resource::package::Observed;
use std::time::Instant;

pub(super) fn read(node: &Node, package: &Package, deadline: Instant) -> Result<Evidence, Failure> {
    let installed = match node.packages()?.state(package.name.as_str()) {
        Observed::Installed(version) => Some(version),
        Observed::Absent | Observed::Broken(_) => None,
    };
    let fits = installed.as_ref().is_some_and(|version| package.version.as_ref().is_none_or(|wanted| wanted == version));
    // The lists are large: they are read only when what is installed is no answer.
    let offered = match package.want {
        PackageWant::Offered if !fits => node.offers.get(|| Offers::read(node, deadline)).map_err(unread)?.of(package.name.as_str()),
        PackageWant::Offered | PackageWant::Installed => Vec::new(),
    };
    Ok(Evidence::Package { installed, offered })
}
