//! An executor, for tests.

use ostler_roles::executor::{Executor, Jobs};
use ostler_roles::words::{AbsPath, AccountName, MasterName, NodeName, Origin};
use std::collections::BTreeSet;
use std::num::NonZeroU32;

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
