//! An executor, and who registers it, for tests.

use super::{Registrar, SiteState};
use crate::fleet::fake::FakeNode;
use crate::journal::FileStore;
use crate::masters::Cancellation;
use ostler_roles::executor::{Executor, Jobs};
use ostler_roles::words::{AbsPath, AccountName, MasterName, NodeName, Origin};
use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;

/// One of this name on the master `ci`.
pub fn executor(name: &str) -> Executor {
    Executor {
        name: NodeName::parse(name).unwrap(),
        master: MasterName::parse("ci").unwrap(),
        user: AccountName::parse("job").unwrap(),
        count: NonZeroU32::MIN,
        alone: false,
        jobs: Jobs::Any,
        labels: BTreeSet::new(),
        remote_fs: AbsPath::parse("/srv").unwrap(),
        launch: None,
        java: None,
        smoke: Vec::new(),
        origin: Origin::generated("tests"),
    }
}

/// One that nobody stops, of a site of which nothing is kept.
pub fn registrar() -> Registrar {
    let (preparation, _told) = FakeNode::new(Vec::new()).preparation();
    let site = SiteState { key: Vec::new(), id: None, store: Arc::new(FileStore::new("nowhere".into())) };
    Registrar { site, preparation, dial: None, controller: "ada@desk".to_owned(), stop: Cancellation::default(), wait: None }
}
