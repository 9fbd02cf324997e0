//! Who beside root and us may put something else in the place of what stands somewhere: by owner, mode and ACL, and by who is in a group.

use super::accounts::{self, Account};
use super::acl::{self, ACL, Writers};
use super::{Host, own};
use rustix::fs::{OFlags, Stat};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::path::Path;

/// Another account, or several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rival {
    /// Who owns it.
    Owner(u32),
    /// An account that its ACL names.
    Named(u32),
    /// The members of a group.
    Group(u32),
    /// All.
    Everybody,
}

/// A directory in which nobody may touch names that are not his (inode(7)).
const STICKY: u32 = 0o1000;

impl Host {
    /// Who could put something else in the place of what stands in this directory.
    pub(super) fn rival_in(&self, directory: &OwnedFd, stat: &Stat) -> Option<Rival> {
        if stat.st_mode & STICKY != 0 && !self.is_foreign(stat.st_uid) {
            return None;
        }
        self.writer_of(directory, stat)
    }

    /// Who may write what was opened.
    pub(super) fn writer_of(&self, opened: &OwnedFd, stat: &Stat) -> Option<Rival> {
        if self.is_foreign(stat.st_uid) {
            return Some(Rival::Owner(stat.st_uid));
        }
        if stat.st_mode & 0o002 != 0 {
            return Some(Rival::Everybody);
        }
        // Without this bit the group may not write, nor may whom an ACL names: it is the ACL's mask (acl(5)).
        if stat.st_mode & 0o020 == 0 {
            return None;
        }
        let mut buffer = vec![0; acl::LONGEST];
        let writers = match rustix::fs::getxattr(own::of_descriptor(opened), ACL, &mut buffer) {
            Ok(count) => acl::writers(&buffer[..count]),
            Err(Errno::NODATA | Errno::NOTSUP | Errno::NOSYS) => Some(Writers { users: Vec::new(), groups: vec![None] }),
            Err(_) => None,
        };
        // What cannot be read, or be understood, may name anybody.
        let Some(writers) = writers else { return Some(Rival::Group(stat.st_gid)) };
        let named = writers.users.into_iter().find(|uid| self.is_foreign(*uid)).map(Rival::Named);
        let mut groups = writers.groups.into_iter().map(|gid| gid.unwrap_or(stat.st_gid));
        named.or_else(|| groups.find(|gid| self.group_has_others(*gid)).map(Rival::Group))
    }

    fn is_foreign(&self, uid: u32) -> bool {
        uid != 0 && uid != self.user
    }

    /// Whether nobody but this account, root and us has the rights of this group. What cannot be told counts as somebody.
    pub fn is_alone_in(&self, gid: u32, uid: u32) -> bool {
        !self.has_members(gid, |other| other != uid && self.is_foreign(other))
    }

    /// Whether another account is, or may be, a member of this group. What cannot be told counts as one.
    fn group_has_others(&self, gid: u32) -> bool {
        self.has_members(gid, |uid| self.is_foreign(uid))
    }

    fn has_members(&self, gid: u32, counts: impl Fn(u32) -> bool) -> bool {
        // By no link: what a link leads to is what is being asked here.
        let read = |path: &str| -> io::Result<String> {
            let mut bytes = Vec::new();
            match own::beneath(&self.root, Path::new(path), OFlags::RDONLY, 0) {
                Ok(file) => File::from(file).take(accounts::CAP + 1).read_to_end(&mut bytes)?,
                Err(Errno::NOENT) => 0,
                Err(error) => return Err(error.into()),
            };
            let whole = bytes.len() as u64 <= accounts::CAP;
            if whole { Ok(String::from_utf8_lossy(&bytes).into_owned()) } else { Err(io::ErrorKind::FileTooLarge.into()) }
        };
        let files = || -> io::Result<Files> {
            let [passwd, group] = [read("etc/passwd")?, read("etc/group")?];
            Ok(Files { passwd, group, gshadow: read("etc/gshadow")?, nsswitch: read("etc/nsswitch.conf")? })
        };
        files().map_or(true, |files| files.have_others(gid, counts))
    }
}

/// What says who is in a group.
#[derive(Debug, Default)]
struct Files {
    passwd: String,
    group: String,
    gshadow: String,
    nsswitch: String,
}

impl Files {
    fn have_others(&self, gid: u32, is_foreign: impl Fn(u32) -> bool) -> bool {
        let elsewhere = ["passwd", "group", "initgroups"].into_iter().any(|database| accounts::names_more(&self.nsswitch, database));
        if elsewhere || accounts::has_more(&self.passwd) || accounts::has_more(&self.group) {
            return true;
        }
        let accounts: Vec<Account> = self.passwd.lines().filter_map(accounts::account).collect();
        if accounts.iter().any(|account| account.gid == gid && is_foreign(account.uid)) {
            return true;
        }
        let lines = self.group.lines().filter(|line| accounts::group(line).is_some_and(|group| group.gid == gid));
        lines.map(|line| line.split(':').collect::<Vec<_>>()).any(|line| {
            let named = |shadow: &Vec<&str>| shadow.first() == line.first();
            let shadow: Vec<_> = self.gshadow.lines().map(|line| line.split(':').collect::<Vec<_>>()).filter(named).collect();
            let all = || std::iter::once(&line).chain(&shadow);
            // gshadow(5): its third field are those who may let others in; group(5) has its number there.
            let names =
                all().flat_map(|line| line.get(3)).chain(shadow.iter().flat_map(|line| line.get(2))).flat_map(|names| names.split(','));
            let mut names = names.filter(|name| !name.is_empty());
            // A name that no file knows may be anybody's tomorrow.
            let is_other = |name: &str| {
                let mut same = accounts.iter().filter(|account| account.name == name).peekable();
                same.peek().is_none() || same.any(|account| is_foreign(account.uid))
            };
            names.any(is_other) || all().flat_map(|line| line.get(1)).any(|password| lets_in(password))
        })
    }
}

/// Whether who knows a password may join a group with it (newgrp(1)).
fn lets_in(password: &str) -> bool {
    !matches!(password, "" | "x") && !password.starts_with(['!', '*'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::acl::tests::{NAMED, NOBODY, acl};
    use crate::host::{WorkingDirectory, tests::proves_as_root};
    use std::os::unix::fs::{PermissionsExt as _, chown};

    const STAFF: u32 = 50;

    #[test]
    fn a_group_has_others_unless_every_file_says_that_it_has_none() {
        let debian = || Files {
            passwd: "root:x:0:0::/root:/bin/sh\nci:x:1001:1001::/home/ci:\n".to_owned(),
            group: "root:x:0:\nstaff:x:50:\nci:x:1001:\n".to_owned(),
            gshadow: "root:*::\nstaff:!::\n".to_owned(),
            nsswitch: "passwd: files systemd\ngroup: files systemd\n".to_owned(),
        };
        let others = |files: &Files, gid| files.have_others(gid, |uid| uid != 0);
        assert!(!others(&debian(), STAFF) && !others(&debian(), 0) && others(&debian(), 1001));
        assert!(!others(&debian(), 4242), "a number without a line, and without an account");
        let with = |change: &dyn Fn(&mut Files)| {
            let mut files = debian();
            change(&mut files);
            others(&files, STAFF)
        };
        assert!(with(&|files| files.group = "staff:x:50:root,ci\n".to_owned()), "a member");
        assert!(!with(&|files| files.group = "staff:x:50:root\n".to_owned()), "root is no other");
        assert!(with(&|files| files.group = "staff:x:50:\nsame:x:50:ci\n".to_owned()), "a second name of it");
        assert!(with(&|files| files.group = "staff:x:50:nobody-yet\n".to_owned()), "an account that may come");
        assert!(with(&|files| files.passwd.push_str("job:x:1002:50::/:\n")), "an account's own group");
        assert!(with(&|files| files.gshadow = "staff:$6$x$y::\n".to_owned()), "whoever knows its password");
        assert!(with(&|files| files.gshadow = "staff:!:ci:\n".to_owned()), "who may let others in");
        assert!(with(&|files| files.nsswitch = "passwd: files sss\ngroup: files\n".to_owned()), "a directory service");
        assert!(with(&|files| files.nsswitch = "initgroups: files ldap\n".to_owned()));
        assert!(with(&|files| files.passwd.push_str("+::::::\n")));
    }

    #[test]
    fn where_a_group_may_rename_it_is_asked_who_is_in_it() {
        if !proves_as_root("who may rename in a directory of a group") {
            return;
        }
        let tree = tempfile::tempdir().unwrap();
        let host = Host::at(tree.path()).unwrap();
        let at = |path: &str| tree.path().join(path);
        for directory in ["etc", "usr/local/bin", "srv"] {
            std::fs::create_dir_all(at(directory)).unwrap();
        }
        std::fs::write(at("etc/passwd"), "root:x:0:0::/root:/bin/sh\nci:x:1001:1001::/home/ci:\n").unwrap();
        let members = |names: &str| std::fs::write(at("etc/group"), format!("root:x:0:\nstaff:x:50:{names}\n")).unwrap();
        let mode = |path: &str, bits| std::fs::set_permissions(at(path), std::fs::Permissions::from_mode(bits)).unwrap();
        std::fs::write(at("usr/local/bin/tool"), "").unwrap();
        std::os::unix::fs::symlink("/srv", at("usr/local/link")).unwrap();
        for directory in ["usr/local", "usr/local/bin"] {
            chown(at(directory), Some(0), Some(STAFF)).unwrap();
            mode(directory, 0o2775);
        }
        let enter = || host.enter(Path::new("/usr/local/bin")).unwrap();
        let program = || host.replaceable(Path::new("/usr/local/bin/tool")).unwrap().map(|(_, rival)| rival);
        let link = || host.look(Path::new("/usr/local/link/x")).map(|entry| entry.is_none());
        // As Debian makes it: nobody is in staff.
        members("");
        assert!(matches!(enter(), WorkingDirectory::Ours(_)) && program().is_none() && link().unwrap());
        members("ci");
        assert!(matches!(enter(), WorkingDirectory::Foreign { directory, rival: Rival::Group(STAFF) } if directory.ends_with("local")));
        assert_eq!(program(), Some(Rival::Group(STAFF)));
        assert!(link().unwrap_err().is_loop(), "its link may have been put there by a member");
        // In a sticky one nobody touches what is root's.
        mode("usr/local", 0o3775);
        mode("usr/local/bin", 0o3775);
        assert!(matches!(enter(), WorkingDirectory::Ours(_)) && program().is_none() && link().unwrap());
        // A file is written, whatever its directory is.
        chown(at("usr/local/bin/tool"), Some(0), Some(STAFF)).unwrap();
        mode("usr/local/bin/tool", 0o775);
        assert_eq!(program(), Some(Rival::Group(STAFF)));
        members("");
        assert_eq!(program(), None);
        // Whom an ACL names, the mode shows as the group's right.
        let named = acl(&[(1, 7, NOBODY), (2, 7, NAMED), (4, 5, NOBODY), (0x10, 7, NOBODY), (0x20, 5, NOBODY)]);
        mode("srv", 0o755);
        assert!(matches!(host.enter(Path::new("/srv")).unwrap(), WorkingDirectory::Ours(_)));
        rustix::fs::setxattr(at("srv"), ACL, &named, rustix::fs::XattrFlags::empty()).unwrap();
        assert!(matches!(host.enter(Path::new("/srv")).unwrap(), WorkingDirectory::Foreign { rival: Rival::Named(NAMED), .. }));
    }
}
