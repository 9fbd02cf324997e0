//! What resources provide to and need of each other: the source of "may change" and of stale snapshots.

use crate::words::{AbsPath, AccountName, PackageName, UnitName};

/// Something on a node that one resource makes and another reads.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Thing {
    /// A path and all below it.
    Path(AbsPath),
    /// An account.
    User(AccountName),
    /// A group.
    Group(AccountName),
    /// A systemd unit.
    Unit(UnitName),
    /// A package's state.
    Package(PackageName),
    /// The kernel's modules and settings.
    Kernel,
    /// Whatever there is: nothing is known of what a program writes or a package brings.
    Everything,
}

impl Thing {
    /// Whether making this may alter `needed`.
    pub fn alters(&self, needed: &Self) -> bool {
        match (self, needed) {
            (Self::Everything, _) | (_, Self::Everything) => true,
            (Self::Path(made), Self::Path(read)) => read.is_within(made) || made.is_within(read),
            (made, read) => made == read,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_alter_what_is_above_and_below() {
        let path = |text| Thing::Path(AbsPath::parse(text).unwrap());
        assert!(path("/etc").alters(&path("/etc/motd")));
        assert!(path("/etc/motd").alters(&path("/etc")));
        assert!(!path("/etc/motd").alters(&path("/etc/issue")));
        assert!(Thing::Everything.alters(&path("/x")));
        assert!(!Thing::User(AccountName::parse("a").unwrap()).alters(&Thing::Group(AccountName::parse("a").unwrap())));
    }
}
