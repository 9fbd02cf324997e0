//! `package`: installed, or offered by the node's sources.

use super::super::fault::unread;
use super::super::node::Node;
use super::super::package::Offers;
use ostler_roles::check::{Evidence, Package, PackageWant};
use ostler_roles::outcome::Failure;
use ostler_roles::resource::package::Observed;
use ostler_roles::words::Version;
use std::time::Instant;

pub(super) fn read(node: &Node, package: &Package, deadline: Instant) -> Result<Evidence, Failure> {
    let installed = match node.packages()?.state(package.name.as_str()) {
        Observed::Installed(version) => Some(version),
        Observed::Absent | Observed::Broken(_) => None,
    };
    let fits = installed.as_ref().is_some_and(|version| package.version.as_ref().is_none_or(|wanted| wanted == version));
    let offered = match package.want {
        PackageWant::Offered if !fits => offered(node, package, deadline)?,
        PackageWant::Offered | PackageWant::Installed => Vec::new(),
    };
    Ok(Evidence::Package { installed, offered })
}

/// The lists are large: they are read only when what is installed is no answer, and read anew only when they are no answer either.
fn offered(node: &Node, package: &Package, deadline: Instant) -> Result<Vec<Version>, Failure> {
    let name = package.name.as_str();
    let known = node.offers.get(|| Offers::read(node, deadline)).map_err(unread)?.of(name);
    if known.iter().any(|version| package.version.as_ref().is_none_or(|wanted| wanted == version)) {
        return Ok(known);
    }
    let fresh = node.fresh_offers.get(|| Offers::anew(node, deadline)).map_err(unread)?.of(name);
    Ok(if fresh.is_empty() { known } else { fresh })
}
