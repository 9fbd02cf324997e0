//! How a job shows which machine it ran on: that node alone is given a nonce, and the job prints it.

use crate::words::{AbsPath, Digest, NodeName};
use serde::{Deserialize, Serialize};

/// Where nonces are on a node, one file each: everybody may pass, nobody may list it.
pub const DIRECTORY: &str = "/run/ostler-proof";

/// The place of one executor's nonce: the same in every run, and another one for every master.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Place(Digest);

impl Place {
    /// That of the executor of this name on the master at this address.
    pub fn of(master: &str, executor: &NodeName) -> Self {
        Self(Digest::of_value(&(master.trim_end_matches('/'), executor.as_str())))
    }

    /// The file's name.
    pub fn name(&self) -> String {
        self.0.short()
    }

    /// The file.
    pub fn path(&self) -> AbsPath {
        #[expect(clippy::expect_used, reason = "hexadecimal digits below a constant directory are a path")]
        AbsPath::parse(&format!("{DIRECTORY}/{}", self.name())).expect("an absolute path")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_the_same_in_every_run_and_no_other_executors() {
        let name = |name| NodeName::parse(name).unwrap();
        let place = Place::of("http://ci:8010/", &name("w1"));
        assert_eq!(place, Place::of("http://ci:8010", &name("w1")));
        assert!(place.path().as_str().starts_with("/run/ostler-proof/"));
        assert_ne!(place.path(), Place::of("http://ci:8010", &name("w2")).path());
        assert_ne!(place.path(), Place::of("http://staging:8010", &name("w1")).path());
    }
}
