//! `package` at work: dpkg's own database to read, apt-get to change.

mod apt;
mod lock;

use super::Act;
use super::fault::unread;
use super::known::{Offers, Packages};
use super::node::Node;
use crate::engine::ApplyContext;
use ostler_roles::check::package::Evidence;
use ostler_roles::check::{self, Judge as _, PackageWant};
use ostler_roles::outcome::Failure;
use ostler_roles::resource::package::{Change, Desired, Observed, State};
use ostler_roles::words::Bytes;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long apt's reader may take over its lists: they are files.
const READ_WITHIN: Duration = Duration::from_secs(60);

impl Act for Desired {
    fn observe(&self, node: &Node) -> Result<Observed, Failure> {
        match &self.state {
            State::Installed { .. } => found(node, self.name.as_str(), Instant::now() + READ_WITHIN),
            // What another package provides is that package's, and goes by that package's name.
            State::Removed => Ok(node.packages()?.state(self.name.as_str())),
        }
    }

    fn apply(&self, node: &Node, changes: Vec<Change>, work: &ApplyContext<'_>) -> Result<Vec<String>, Failure> {
        Self::apply_all(node, vec![(self, changes)], work)
    }

    fn apply_all(node: &Node, batch: Vec<(&Self, Vec<Change>)>, work: &ApplyContext<'_>) -> Result<Vec<String>, Failure> {
        apt::apply_all(node, &batch, work)
    }

    /// What it brings is apt's to say, who works for half a second on the answer.
    fn to_write(&self, _node: &Node, changes: &[Change]) -> Option<Bytes> {
        changes.iter().all(|change| matches!(change, Change::Remove | Change::Clear(_))).then_some(Bytes(0))
    }
}

/// How a package that is wanted stands. Where one of its name is offered, apt takes that, whoever else provides the name.
fn found(node: &Node, name: &str, deadline: Instant) -> Result<Observed, Failure> {
    let packages = node.packages()?;
    let own = packages.state(name);
    if own != Observed::Absent {
        return Ok(own);
    }
    let Some((by, version)) = packages.provider(name) else { return Ok(own) };
    Ok(if node.offers(deadline)?.of(name).is_empty() { Observed::Provided { by, version } } else { own })
}

/// What the node shows for a check of a package: the very state that a step sees. The lists are large: they are read only where that state
/// is no answer, and read anew only where they are no answer either.
pub(super) fn evidence(node: &Node, package: &check::Package, deadline: Instant) -> Result<Evidence, Failure> {
    let name = package.name.as_str();
    let found = found(node, name, deadline)?;
    let answer = |offers: Option<&Offers>| Evidence {
        found: found.clone(),
        offered: offers.map(|offers| offers.of(name)).unwrap_or_default(),
        providers: offers.map(|offers| offers.providers(name)).unwrap_or_default(),
    };
    let good = |evidence: &Evidence| package.judge(evidence).passed();
    let unread = answer(None);
    if package.want == PackageWant::Installed || good(&unread) {
        return Ok(unread);
    }
    let known = answer(Some(&*node.offers(deadline)?));
    if good(&known) {
        return Ok(known);
    }
    let fresh = node.fresh_offers(deadline)?;
    let says_nothing = fresh.of(name).is_empty() && fresh.providers(name).is_empty();
    Ok(if says_nothing { known } else { answer(Some(&*fresh)) })
}

impl Node {
    /// What dpkg has, read once.
    pub(super) fn packages(&self) -> Result<Arc<Packages>, Failure> {
        self.packages.get(|| Packages::read(&self.host)).map_err(unread)
    }

    /// What apt's lists offer, read once.
    fn offers(&self, deadline: Instant) -> Result<Arc<Offers>, Failure> {
        self.offers.get(|| Offers::read(&self.host, deadline)).map_err(unread)
    }

    /// What the sources offer that the lists do not, asked for once.
    fn fresh_offers(&self, deadline: Instant) -> Result<Arc<Offers>, Failure> {
        self.fresh_offers.get(|| Offers::anew(&self.host, deadline)).map_err(unread)
    }
}
