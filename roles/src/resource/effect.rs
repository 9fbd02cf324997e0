//! What resources provide to and need of each other: the source of "may change" and of stale snapshots.

use crate::words::{AbsPath, AccountName, PackageName, UnitName};

/// Something on a node that one resource makes and another reads.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    /// A path and all below it.
    Path(AbsPath),
    /// A directory itself: made where nothing is, given to somebody, taken away when it is empty. What stands in it stays.
    Directory(AbsPath),
    /// A file that speaks of nothing but what it was made for, beside others of its kind: who reads its directory for something else reads
    /// what was there before.
    Own(AbsPath),
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
    /// What answers when it is asked for something: services of this node among others.
    Answers,
    /// What packages of the distribution may bring, alter or take away: much, but not what is the administrator's.
    Packaged,
    /// Whatever there is: nothing is known of what a program writes.
    Everything,
}

/// How a resource stands before something that it reads is altered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is as desired.
    AsDesired,
    /// Nothing is at its path, and something shall be.
    Absent,
    /// It is not.
    Otherwise,
    /// It could not be read, or cannot be made so as things are.
    Impossible,
}

/// No package puts anything here (FHS 3.0: `/home`, `/root`, `/mnt`, `/media`, `/tmp`, `/var/tmp`).
const NEVER_PACKAGED: [&str; 6] = ["/home", "/root", "/mnt", "/media", "/tmp", "/var/tmp"];
/// A package may make an empty directory here (Debian Policy 9.1.2, for `/usr/local`) or one for its data (FHS 3.0, `/srv`), and leaves
/// alone what is there.
const LEFT_ALONE: [&str; 2] = ["/usr/local", "/srv"];
/// In the account database from the start (base-passwd), and never altered by a package.
const ROOT: &str = "root";

impl Effect {
    /// Whether making this may alter `needed`, for a resource that stands so. The rule for packages and its sources:
    /// `docs/decisions/0010-what-a-package-may-change.md`.
    pub fn alters(&self, needed: &Self, standing: Standing) -> bool {
        match (self, needed) {
            (Self::Packaged, needed) => packages_alter(needed, standing),
            (Self::Everything, _) | (_, Self::Everything | Self::Packaged) => true,
            // Whose it shall be is not compared while there is nothing. The home that an account brings is a path of its own.
            (Self::User(_) | Self::Group(_), _) if standing == Standing::Absent => false,
            // What has answered answers; what has not may be what an earlier step starts.
            (Self::Unit(_), Self::Answers) => standing == Standing::Impossible,
            // What systemd does not know yet may be what an earlier step writes.
            (Self::Path(made), Self::Unit(unit)) => standing == Standing::Impossible && unit.is_made_by(made),
            // What cannot be read may want the directory that it stands in.
            (Self::Directory(made), Self::Path(read)) => made.is_within(read) || standing == Standing::Impossible && read.is_within(made),
            (Self::Own(made), Self::Path(read)) => read.is_within(made),
            (Self::Path(made), Self::Path(read)) => read.is_within(made) || made.is_within(read),
            (made, read) => made == read,
        }
    }
}

/// Whether a package may alter this.
pub(super) fn packages_alter(needed: &Effect, standing: Standing) -> bool {
    let below = |roots: &[&str], path: &AbsPath| roots.iter().any(|root| AbsPath::parse(root).is_ok_and(|root| path.is_within(&root)));
    match needed {
        Effect::Path(path) => !below(&NEVER_PACKAGED, path) && (standing != Standing::AsDesired || !below(&LEFT_ALONE, path)),
        // Packages make accounts that they lack and touch no other (Debian Policy 9.2).
        Effect::User(name) | Effect::Group(name) => !matches!(standing, Standing::AsDesired | Standing::Absent) && name.as_str() != ROOT,
        Effect::Answers => standing == Standing::Impossible,
        Effect::Directory(_)
        | Effect::Own(_)
        | Effect::Unit(_)
        | Effect::Package(_)
        | Effect::Kernel
        | Effect::Packaged
        | Effect::Everything => true,
    }
}

#[cfg(test)]
mod tests {
    use super::Standing::{Absent, AsDesired, Impossible, Otherwise};
    use super::*;

    fn path(text: &str) -> Effect {
        Effect::Path(AbsPath::parse(text).unwrap())
    }

    #[test]
    fn paths_alter_what_is_above_and_below() {
        for standing in [AsDesired, Otherwise] {
            assert!(path("/etc").alters(&path("/etc/motd"), standing));
            assert!(path("/etc/motd").alters(&path("/etc"), standing));
            assert!(!path("/etc/motd").alters(&path("/etc/issue"), standing));
            assert!(Effect::Everything.alters(&path("/home/ci/x"), standing));
            let (user, group) = (AccountName::parse("a").unwrap(), AccountName::parse("a").unwrap());
            assert!(!Effect::User(user).alters(&Effect::Group(group), standing));
        }
    }

    #[test]
    fn whose_a_missing_path_shall_be_is_nothing_to_compare_yet() {
        let account = |name: &str| AccountName::parse(name).unwrap();
        for effect in [Effect::User(account("ci")), Effect::Group(account("ci"))] {
            for made in [&effect, &Effect::Packaged] {
                assert!(made.alters(&effect, Otherwise) && made.alters(&effect, Impossible), "{made:?}");
                assert!(!made.alters(&effect, Absent), "{made:?}");
            }
            assert!(Effect::Everything.alters(&effect, Absent));
        }
        assert!(path("/home/ci").alters(&path("/home/ci/.profile"), Absent), "a home is made with what is in it");
        assert!(Effect::Packaged.alters(&path("/etc/x"), Absent) && Effect::Packaged.alters(&path("/srv/x"), Absent));
    }

    #[test]
    fn a_directory_alters_itself_and_what_holds_it_and_nothing_that_stands_in_it() {
        let directory = Effect::Directory(AbsPath::parse("/srv/a").unwrap());
        for standing in [AsDesired, Absent, Otherwise] {
            assert!(directory.alters(&path("/srv/a"), standing) && directory.alters(&path("/srv"), standing));
            assert!(directory.alters(&Effect::Everything, standing));
            for other in [path("/srv/a/b"), path("/srv/a/b/c"), path("/srv/ab"), Effect::Kernel] {
                assert!(!directory.alters(&other, standing), "{other:?}");
            }
        }
        assert!(directory.alters(&path("/srv/a/b"), Impossible) && !directory.alters(&path("/srv/ab"), Impossible));
    }

    #[test]
    fn a_file_of_its_own_alters_nothing_but_itself() {
        let own = Effect::Own(AbsPath::parse("/etc/sysctl.d/99-a.conf").unwrap());
        for standing in [AsDesired, Otherwise, Impossible] {
            assert!(own.alters(&path("/etc/sysctl.d/99-a.conf"), standing));
            assert!(!own.alters(&path("/etc/sysctl.d"), standing) && !own.alters(&path("/etc/sysctl.d/99-b.conf"), standing));
        }
        assert!(path("/etc/sysctl.d/10-b.conf").alters(&path("/etc/sysctl.d"), AsDesired));
    }

    #[test]
    fn a_unit_may_be_what_did_not_answer() {
        let unit = Effect::Unit(UnitName::parse_service("git-daemon").unwrap());
        for made in [&unit, &Effect::Packaged] {
            assert!(made.alters(&Effect::Answers, Impossible));
            assert!(!made.alters(&Effect::Answers, Otherwise) && !made.alters(&Effect::Answers, AsDesired));
        }
        assert!(!path("/etc/motd").alters(&Effect::Answers, Impossible));
        assert!(Effect::Everything.alters(&Effect::Answers, AsDesired));
    }

    #[test]
    fn a_unit_that_nobody_knows_may_be_one_that_an_earlier_step_writes() {
        let unit = Effect::Unit(UnitName::parse_service("foo@1").unwrap());
        for made in ["/etc/systemd/system/foo@.service", "/etc/systemd/system/foo@1.service.d/install.conf"].map(path) {
            assert!(made.alters(&unit, Impossible), "{made:?}");
            assert!(!made.alters(&unit, AsDesired) && !made.alters(&unit, Otherwise), "it is known: {made:?}");
        }
        assert!(!path("/etc/systemd/system/bar.service").alters(&unit, Impossible));
    }

    #[test]
    fn a_package_alters_what_the_distribution_owns_and_nothing_of_the_administrators() {
        let unit = Effect::Unit(UnitName::parse_service("nginx").unwrap());
        let package = Effect::Package(PackageName::parse("nginx").unwrap());
        for needed in [path("/etc/motd"), path("/usr"), path("/var/lib/x"), path("/opt/x"), path("/"), unit, package, Effect::Kernel] {
            assert!(Effect::Packaged.alters(&needed, AsDesired), "{needed:?}");
        }
        for needed in ["/home", "/home/ci/.ssh", "/root/.profile", "/mnt/x", "/media/x", "/tmp/x", "/var/tmp/x"].map(path) {
            assert!(!Effect::Packaged.alters(&needed, Otherwise), "{needed:?}");
        }
        assert!(Effect::Packaged.alters(&path("/homes"), AsDesired), "another directory");
    }

    #[test]
    fn a_package_may_make_what_is_missing_and_leaves_alone_what_is_there() {
        let account = |name: &str| AccountName::parse(name).unwrap();
        let needed = [path("/srv/tftp"), path("/usr/local/lib/x"), Effect::User(account("jenkins")), Effect::Group(account("docker"))];
        for needed in needed {
            assert!(Effect::Packaged.alters(&needed, Otherwise), "{needed:?}");
            assert!(!Effect::Packaged.alters(&needed, AsDesired), "{needed:?}");
        }
        assert!(!Effect::Packaged.alters(&Effect::User(account("root")), Otherwise), "root is always there");
    }
}
