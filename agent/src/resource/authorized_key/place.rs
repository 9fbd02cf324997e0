//! Where the keys of an account stand, and what sshd thinks of those files (sshd_config(5), StrictModes).

use super::super::fault::{failure, hinted, unmade, unread};
use super::super::node::Node;
use super::sshd;
use super::{Desired, promises};
use crate::host::accounts::Account;
use crate::host::{Entry, EntryKind, Member, OsError, Right, Writing};
use ostler_roles::outcome::{Failure, FailureKind};
use ostler_roles::words::AbsPath;
use std::path::{Path, PathBuf};

/// Ten thousand keys.
const CAP: u64 = 8 << 20;

/// What sshd would not trust.
fn distrusted(path: &Path, entry: &Entry, uid: u32) -> Option<String> {
    if entry.user != uid && entry.user != 0 {
        return Some(format!("{} belongs to uid {}", path.display(), entry.user));
    }
    (entry.mode & 0o022 != 0).then(|| format!("{} is {:04o}", path.display(), entry.mode))
}

pub(super) struct Place {
    pub(super) account: Account,
    /// As whom sshd reads the file (OpenSSH auth2-pubkey.c, `temporarily_use_uid`).
    reader: Member,
    home: PathBuf,
    /// The file that keys are written into.
    pub(super) file: PathBuf,
    /// Others that sshd reads.
    further: Vec<PathBuf>,
}

impl Place {
    /// Where sshd reads the keys of this account.
    pub(super) fn of(node: &Node, desired: &Desired, account: Account) -> Result<Self, Failure> {
        let home = AbsPath::parse(&account.home)
            .map_err(|error| failure(FailureKind::Observe, format!("the home of {} is unusable: {error}", account.name)))?;
        let reads = sshd::reads(node, &account)?;
        let name = &account.name;
        let refuse = |why: String, hint: &str| Err(hinted(FailureKind::Contradiction, why, hint));
        let settings = "see /etc/ssh/sshd_config and what it includes, or leave the step out";
        if !desired.absent && !reads.takes_keys {
            return refuse(format!("sshd takes no keys of {name}: PubkeyAuthentication is `no` there"), settings);
        }
        if let Some(command) = reads.command.filter(|_| promises(desired)) {
            let why =
                format!("sshd asks a program for keys of {name} too (AuthorizedKeysCommand {command}): which it lets in is not known");
            return refuse(why, settings);
        }
        if let Some(all) = reads.shared.first().filter(|_| promises(desired) || reads.files.is_empty()) {
            let why = format!("sshd reads {} for other accounts too: no key of {name} is written there or taken out", all.display());
            return refuse(why, settings);
        }
        let mut files = reads.files.into_iter();
        let file = match files.next() {
            Some(file) => file,
            None if desired.absent => home.as_path().join(".ssh/authorized_keys"),
            None => return refuse(format!("sshd reads no file of keys for {name}: AuthorizedKeysFile is `none` there"), settings),
        };
        // A file that is named twice is one.
        let mut further = Vec::new();
        for other in files {
            if other != file && !further.contains(&other) {
                further.push(other);
            }
        }
        let accounts = node.accounts()?;
        let groups = accounts.groups_of(name).into_iter().map(|(_, gid)| gid).chain([account.gid]).collect();
        let reader = Member { uid: account.uid, groups, are_all: !accounts.may_have_more_groups() };
        Ok(Self { home: home.as_path().to_owned(), file, further, account, reader })
    }

    /// What keeps the account, as whom sshd reads, from passing this directory. What cannot be told is left to sshd.
    fn closed(&self, node: &Node, path: &Path) -> Result<Option<String>, Failure> {
        let Some((end, entry)) = node.host.end_of(path).map_err(unread)? else { return Ok(None) };
        if node.host.gives(&end, &entry, &self.reader, Right::Pass).map_err(unread)? != Some(false) {
            return Ok(None);
        }
        let (path, name) = (path.display(), &self.account.name);
        Ok(Some(format!("{path} is {:04o} and belongs to uid {}: {name}, as whom sshd reads, may not pass", entry.mode, entry.user)))
    }

    /// None where that cannot be told.
    fn is_readable(&self, node: &Node, file: &Path, entry: &Entry) -> Result<Option<bool>, Failure> {
        node.host.gives(file, entry, &self.reader, Right::Read).map_err(unread)
    }

    fn directory(&self) -> &Path {
        self.file.parent().unwrap_or(Path::new("/"))
    }

    fn is_at_home(&self) -> bool {
        self.file.starts_with(&self.home)
    }

    /// Directories that sshd looks at: from the file's to the home's, or to the root where it stands elsewhere.
    fn above(&self) -> Vec<&Path> {
        let mut above: Vec<&Path> = self.file.ancestors().skip(1).collect();
        if let Some(home) = above.iter().position(|directory| *directory == self.home) {
            above.truncate(home + 1);
        }
        above.reverse();
        above
    }

    /// What sshd would not trust of them, or could not read as the account.
    pub(super) fn distrusted(&self, node: &Node) -> Result<Option<String>, Failure> {
        for path in self.above().into_iter().chain([self.file.as_path()]) {
            if let Some(entry) = node.host.look(path).map_err(unread)?
                && let Some(found) = distrusted(path, &entry, self.account.uid)
            {
                return Ok(Some(found));
            }
        }
        for path in self.file.ancestors().skip(1) {
            if let Some(closed) = self.closed(node, path)? {
                return Ok(Some(closed));
            }
        }
        Ok(match node.host.look(&self.file).map_err(unread)? {
            Some(entry) if self.is_readable(node, &self.file, &entry)? == Some(false) => {
                Some(format!("{} is {:04o}", self.file.display(), entry.mode))
            }
            Some(_) | None => None,
        })
    }

    /// Makes the way to the file one that sshd trusts. What is so already stays as it is.
    pub(super) fn make_way(&self, node: &Node) -> Result<(), Failure> {
        let Account { name, uid, gid, .. } = &self.account;
        if self.is_at_home() && node.host.look(&self.home).map_err(unread)?.is_none_or(|entry| entry.kind != EntryKind::Directory) {
            return Err(failure(FailureKind::Apply, format!("{name} has no home directory {}", self.home.display())));
        }
        for path in self.above() {
            let below_home = self.is_at_home() && path != self.home;
            let Some(entry) = node.host.look(path).map_err(unread)? else {
                let own = Writing { user: *uid, group: *gid, mode: 0o700 };
                let made = if below_home { node.host.make_directory(path, own) } else { node.host.make_parent(path) };
                made.map_err(unmade)?;
                continue;
            };
            let closed = self.closed(node, path)?;
            let Some(found) = distrusted(path, &entry, *uid).or(closed.clone()) else { continue };
            let mode = entry.mode & !0o022 | if closed.is_some() { 0o700 } else { 0 };
            let writing = match entry.user {
                _ if below_home => Writing { user: *uid, group: *gid, mode },
                user if user == *uid && path == self.home => Writing { user, group: entry.group, mode },
                _ if closed.is_some() => break,
                _ => return Err(failure(FailureKind::Apply, format!("sshd would ignore the keys of {name}: {found}"))),
            };
            node.host.set_ownership(path, writing).map_err(unmade)?;
        }
        // What is not the account's own is nobody's but the admin's to open.
        for path in self.file.ancestors().skip(1) {
            if let Some(closed) = self.closed(node, path)? {
                let hint = format!("on the node: chmod o+x {}; or a `directory` step before this one", path.display());
                return Err(hinted(FailureKind::Apply, format!("sshd could not read the keys of {name}: {closed}"), hint));
            }
        }
        Ok(())
    }

    /// Writes the file of keys, or a further one: as it was where sshd trusts that; else the account's own at home, root's elsewhere.
    pub(super) fn write(&self, node: &Node, file: &Path, bytes: &[u8]) -> Result<(), Failure> {
        let Account { uid, gid, .. } = self.account;
        let mut writing = if file.starts_with(&self.home) {
            Writing { user: uid, group: gid, mode: 0o600 }
        } else {
            let (user, group) = node.host.default_owner();
            Writing { user, group, mode: 0o644 }
        };
        if let Some(entry) = node.host.look(file).map_err(unread)?.filter(|entry| entry.kind == EntryKind::File)
            && distrusted(file, &entry, uid).is_none()
            && self.is_readable(node, file, &entry)? != Some(false)
        {
            writing = Writing { user: entry.user, group: entry.group, mode: entry.mode };
        }
        node.host.write::<OsError>(file, bytes, writing, None).map_err(unmade)
    }

    /// The further files as they are, each with its name for people. None of one that is not there, that is a link to the first, as it was
    /// made for old servers, or that holds nothing that sshd could read as the account. Where no key's absence is promised, what cannot be
    /// told apart holds nothing up.
    pub(super) fn further(&self, node: &Node, promised: bool) -> Result<Vec<(&Path, Vec<u8>)>, Failure> {
        let mut all = Vec::new();
        for file in &self.further {
            match node.host.look(file).map_err(unread)? {
                None => {}
                Some(entry) if entry.kind == EntryKind::Link => {
                    let target = node.host.read_link(file).map_err(unread)?.unwrap_or_default();
                    let leads = file.parent().unwrap_or(Path::new("/")).join(&target);
                    if promised && leads != self.file && target != Path::new("/dev/null") {
                        let message = format!("{} leads to {}: sshd may read keys there too", file.display(), target.display());
                        return Err(hinted(FailureKind::Contradiction, message, format!("on the node: rm {}", file.display())));
                    }
                }
                // Nothing that sshd could read keys in, or nothing of which a promise is made.
                Some(entry) if entry.kind != EntryKind::File || (!promised && entry.names > 1) => {}
                Some(entry) if entry.user != self.account.uid && entry.mode & 0o004 == 0 && (!promised || entry.mode & 0o040 == 0) => {}
                Some(_) => all.push((file.as_path(), self.bytes(node, file)?)),
            }
        }
        Ok(all)
    }

    /// The name of a further file, for people.
    pub(super) fn name_of(&self, file: &Path) -> String {
        match file.file_name() {
            Some(name) if file.parent() == Some(self.directory()) => name.to_string_lossy().into_owned(),
            _ => file.display().to_string(),
        }
    }

    /// A file as it is. At home it will belong to the account, unless it stays as it is: bytes that the account may not read already are not
    /// written into it.
    pub(super) fn bytes(&self, node: &Node, file: &Path) -> Result<Vec<u8>, Failure> {
        let Some((bytes, entry)) = node.host.read_to_edit(file, CAP).map_err(unread)? else { return Ok(Vec::new()) };
        let may_read = self.is_readable(node, file, &entry)?;
        let may_read = may_read.unwrap_or_else(|| distrusted(file, &entry, self.account.uid).is_none());
        if file.starts_with(&self.home) && entry.user != self.account.uid && !may_read {
            let file = file.display();
            let message =
                format!("{file} belongs to uid {} and {} may not read it: it is not given its bytes", entry.user, self.account.name);
            return Err(hinted(FailureKind::Contradiction, message, format!("on the node: ls -l {file}; chown or remove it")));
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Host;
    use crate::host::tests::proves_as_root;
    use ostler_roles::resource::authorized_key::KeyBlob;
    use ostler_roles::words::AccountName;
    use std::collections::BTreeSet;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};

    /// A node with an sshd.
    fn node(tree: &Path) -> Node {
        for directory in ["usr/sbin", "etc/ssh"] {
            std::fs::create_dir_all(tree.join(directory)).unwrap();
        }
        std::fs::write(tree.join("usr/sbin/sshd"), "").unwrap();
        std::fs::write(tree.join("etc/ssh/sshd_config"), "AuthorizedKeysFile as told below\n").unwrap();
        Node::new(Host::at(tree).unwrap(), None)
    }

    /// Where the keys of ci are, as sshd says.
    fn place(node: &Node, home: &str, said: &str) -> Place {
        let account = Account {
            name: "ci".to_owned(),
            uid: 1001,
            gid: 1001,
            comment: String::new(),
            home: home.to_owned(),
            shell: "/bin/sh".to_owned(),
        };
        let digest = node.sshd_configuration().unwrap().digest.clone();
        node.sshd_said.put(&sshd::key_of(node, &account).unwrap(), (digest, said.to_owned()));
        let desired = Desired {
            user: AccountName::parse("ci").unwrap(),
            key: Some(KeyBlob { algorithm: "ssh-ed25519".to_owned(), blob: "AAAAC3Nz".to_owned() }),
            comment: String::new(),
            options: String::new(),
            absent: false,
            only: Some(BTreeSet::new()),
        };
        Place::of(node, &desired, account).unwrap()
    }

    #[test]
    fn a_file_of_keys_that_is_named_twice_is_one() {
        let tree = tempfile::tempdir().unwrap();
        let said = "authorizedkeysfile .ssh/keys %h/.ssh/keys /etc/ssh/%u /home/%u/.ssh/keys /etc/ssh/%u\n";
        let place = place(&node(tree.path()), "/home/ci", said);
        assert_eq!((place.file, place.further), ("/home/ci/.ssh/keys".into(), vec![PathBuf::from("/etc/ssh/ci")]));
    }

    /// Makes a directory, or a file of keys, of this owner, group and mode.
    fn put(tree: &Path, path: &str, (user, group, mode): (u32, u32, u32)) {
        let path = tree.join(path);
        if path.file_name().unwrap() == "authorized_keys" {
            std::fs::write(&path, "keys\n").unwrap();
        } else {
            std::fs::create_dir_all(&path).unwrap();
        }
        chown(&path, Some(user), Some(group)).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn what_a_group_of_a_directory_service_lets_pass_is_not_called_closed() {
        if !proves_as_root("directories of a group that a directory service knows") {
            return;
        }
        for (nsswitch, is_known) in [("group: files sss\n", false), ("group: files\ninitgroups: files ldap\n", false), ("", true)] {
            let tree = tempfile::tempdir().unwrap();
            let node = node(tree.path());
            std::fs::write(tree.path().join("etc/nsswitch.conf"), nsswitch).unwrap();
            let at = tree.path();
            std::fs::set_permissions(at, std::fs::Permissions::from_mode(0o755)).unwrap();
            put(at, "srv/devs", (0, 60, 0o750));
            put(at, "srv/devs/ci", (1001, 1001, 0o700));
            put(at, "srv/devs/ci/.ssh", (0, 60, 0o710));
            put(at, "srv/devs/ci/.ssh/authorized_keys", (0, 60, 0o640));
            let place = place(&node, "/srv/devs/ci", "authorizedkeysfile .ssh/authorized_keys\n");
            assert_eq!(place.distrusted(&node).unwrap().is_some(), is_known, "{nsswitch}");
            assert_eq!(place.make_way(&node).is_err(), is_known, "{nsswitch}");
            let of = |path: &str| at.join(path).metadata().map(|found| (found.uid(), found.gid(), found.mode() & 0o7777)).unwrap();
            assert_eq!(of("srv/devs/ci/.ssh"), if is_known { (1001, 1001, 0o710) } else { (0, 60, 0o710) }, "{nsswitch}");
            if is_known {
                continue;
            }
            // As it was, so that nobody reads what he could not read before.
            let keys = Path::new("/srv/devs/ci/.ssh/authorized_keys");
            assert_eq!(place.bytes(&node, keys).unwrap(), b"keys\n");
            place.write(&node, keys, b"more\n").unwrap();
            assert_eq!(of("srv/devs/ci/.ssh/authorized_keys"), (0, 60, 0o640));
            put(at, "srv/devs/ci/.ssh/authorized_keys", (1002, 60, 0o640));
            assert!(place.bytes(&node, keys).unwrap_err().message.contains("is not given its bytes"));
            // What no group is given is closed, whoever is in it.
            put(at, "srv/devs/ci/.ssh/authorized_keys", (0, 60, 0o640));
            put(at, "srv/devs", (0, 60, 0o700));
            assert!(place.distrusted(&node).unwrap().unwrap().contains("may not pass"));
        }
    }

    #[test]
    fn the_acl_that_counts_is_that_of_what_a_link_leads_to() {
        if !proves_as_root("an ACL behind a link") {
            return;
        }
        let tree = tempfile::tempdir().unwrap();
        let node = node(tree.path());
        let at = tree.path();
        std::fs::set_permissions(at, std::fs::Permissions::from_mode(0o755)).unwrap();
        put(at, "data/home", (0, 0, 0o710));
        std::os::unix::fs::symlink("/data/home", at.join("home")).unwrap();
        put(at, "data/home/ci", (1001, 1001, 0o700));
        let place = place(&node, "/home/ci", "authorizedkeysfile .ssh/authorized_keys\n");
        assert!(place.distrusted(&node).unwrap().unwrap().contains("may not pass"));
        // As `setfacl -m u:1001:--x` makes it (linux/posix_acl_xattr.h).
        let mut acl = vec![2, 0, 0, 0];
        for (tag, rights, number) in [(1_u16, 7_u16, u32::MAX), (2, 1, 1001), (4, 0, u32::MAX), (0x10, 1, u32::MAX), (0x20, 0, u32::MAX)] {
            acl.extend([tag.to_le_bytes(), rights.to_le_bytes()].concat());
            acl.extend(number.to_le_bytes());
        }
        rustix::fs::setxattr(at.join("data/home"), "system.posix_acl_access", &acl, rustix::fs::XattrFlags::empty()).unwrap();
        assert_eq!(place.distrusted(&node).unwrap(), None);
    }
}
