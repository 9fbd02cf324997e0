//! What a file has beside its bytes: owner and mode, its ACL, capabilities and other extended attributes (xattr(7)). Whoever replaces a file
//! gives them to the new one, and gives nobody rights that the old one did not.

use super::acl::{self, ACL};
use super::{Host, Operation, OsError};
use ostler_roles::words::Bytes;
use rustix::fs::{FileType, Mode, OFlags, XattrFlags};
use rustix::io::Errno;
use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::PoisonError;

/// Other forms of rights: an ACL of NFS is the file's mode too, and the old one's would bring the old mode back.
const BY_THE_SYSTEM: &str = "system.";
const CAPABILITIES: &str = "security.capability";
/// Signatures of the very bytes, which the kernel makes itself (evmctl(1)), and a union file system's notes on its own layers.
const OF_THE_OLD: [&str; 3] = ["security.ima", "security.evm", "trusted.overlay."];

/// What a file shall be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Writing {
    /// Owner.
    pub user: u32,
    /// Group.
    pub group: u32,
    /// Permission bits.
    pub mode: u32,
}

/// What is kept of a file that is replaced.
#[derive(Debug, Default)]
pub(super) struct Attributes {
    acl: Option<Vec<u8>>,
    /// By name. Capabilities come last: a change of owner takes them away (capabilities(7)).
    others: Vec<(CString, Vec<u8>)>,
}

/// Bytes of all extended attributes of a file that is replaced. Some file systems take thousands of 64 KiB each from whoever owns it.
const MOST: usize = 1 << 20;

/// All of them, names and values; more than `most` bytes are refused, for they would have to be held and written again.
fn values_of(file: BorrowedFd<'_>, most: usize) -> io::Result<Vec<(CString, Vec<u8>)>> {
    let names = match grown(|buffer| rustix::fs::flistxattr(file, buffer)) {
        Ok(names) => names,
        Err(Errno::NOTSUP | Errno::NOSYS) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let mut values = Vec::new();
    let mut left = most;
    for name in names.split(|byte| *byte == 0).filter_map(|name| CString::new(name).ok()).filter(|name| !name.is_empty()) {
        match grown(|buffer| rustix::fs::fgetxattr(file, &name, buffer)) {
            Ok(value) => {
                let Some(less) = left.checked_sub(name.count_bytes() + value.len()) else {
                    let why = format!("it has more than {} of them (getfattr -m- names them)", Bytes(most as u64));
                    return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
                };
                left = less;
                values.push((name, value));
            }
            Err(Errno::NODATA) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(values)
}

/// Asks with a buffer that is large enough for most, and then with the largest that there may be (xattr(7)).
fn grown(mut ask: impl FnMut(&mut [u8]) -> Result<usize, Errno>) -> Result<Vec<u8>, Errno> {
    let mut buffer = vec![0; 1024];
    let count = match ask(&mut buffer) {
        Err(Errno::RANGE) => {
            buffer.resize(64 << 10, 0);
            ask(&mut buffer)?
        }
        told => told?,
    };
    buffer.truncate(count);
    Ok(buffer)
}

/// What of it is given to the new file, in the order in which that is done.
fn sorted(values: Vec<(CString, Vec<u8>)>, capabilities_stay: bool) -> Attributes {
    let (mut kept, mut last) = (Attributes::default(), None);
    for (name, value) in values {
        let text = name.to_string_lossy();
        if text == ACL {
            kept.acl = Some(value);
        } else if text == CAPABILITIES {
            last = capabilities_stay.then_some((name, value));
        } else if !text.starts_with(BY_THE_SYSTEM) && !OF_THE_OLD.iter().any(|own| text.starts_with(own)) {
            kept.others.push((name, value));
        }
    }
    kept.others.extend(last);
    kept
}

impl Attributes {
    /// Gives an opened file its ACL. To be done behind its owner and before its mode, which would open it to others than the ACL does.
    pub(super) fn give_acl(&self, file: &File, mode: u32) -> Result<(), Errno> {
        let Some(acl) = &self.acl else { return Ok(()) };
        rustix::fs::fsetxattr(file, ACL, &acl::with_mode(acl, mode).ok_or(Errno::INVAL)?, XattrFlags::empty())
    }

    /// Gives it the rest, behind everything else.
    pub(super) fn give_rest(&self, file: &File) -> Result<(), Errno> {
        self.others.iter().try_for_each(|(name, value)| rustix::fs::fsetxattr(file, name, value, XattrFlags::empty()))
    }
}

impl Host {
    /// What the file that `name` stands for has, to be given to the one that takes its place. `new` loses what it has of its directory's
    /// default ACL where the old one did not have it, or where another account than root or the owner-to-be could have made that.
    ///
    /// Such an account's file is no file to take anything from.
    pub(super) fn attributes_for(
        &self,
        new: &impl std::os::fd::AsFd,
        (parent, name): (&OwnedFd, &OsStr),
        path: &Path,
        writing: Writing,
    ) -> Result<Attributes, OsError> {
        self.inherited(new.as_fd(), (parent, name), path, writing).map_err(|source| OsError::new(Operation::Keep, path.display(), source))
    }

    /// What replaced files had and their new ones have not, since this was last asked.
    pub fn take_lost(&self) -> Vec<String> {
        std::mem::take(&mut *self.lost.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Says of what the file at `path` has that its new one does not get it: its ACL, its capabilities.
    fn tell_lost(&self, old: &OwnedFd, path: &Path, acl: bool, capabilities: bool) {
        let has = |name: &str| rustix::fs::fgetxattr(old, name, &mut [0u8; 0][..]).is_ok();
        for (name, word, goes) in [(ACL, "ACL", acl), (CAPABILITIES, "set of capabilities", capabilities)] {
            if goes && has(name) {
                let text = format!("{}: its {word} was not kept, as another account could have put it there", path.display());
                self.lost.lock().unwrap_or_else(PoisonError::into_inner).push(text);
            }
        }
    }

    fn inherited(&self, new: BorrowedFd<'_>, (parent, name): (&OwnedFd, &OsStr), path: &Path, writing: Writing) -> io::Result<Attributes> {
        let is_shared = self.is_shared(&rustix::fs::fstat(parent)?);
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        let old = match rustix::fs::openat(parent, name, flags, Mode::empty()) {
            Ok(old) => Some((rustix::fs::fstat(&old)?, old)),
            Err(Errno::NOENT | Errno::LOOP | Errno::NXIO | Errno::OPNOTSUPP) => None,
            Err(error) => return Err(error.into()),
        };
        let old = old.filter(|(stat, _)| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile);
        if old.is_some() || is_shared {
            match rustix::fs::fremovexattr(new, ACL) {
                Ok(()) | Err(Errno::NODATA | Errno::NOTSUP | Errno::NOSYS) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let trusted = |stat: &rustix::fs::Stat| !is_shared || (stat.st_nlink == 1 && [0, self.user, writing.user].contains(&stat.st_uid));
        let Some((stat, old)) = old else { return Ok(Attributes::default()) };
        let (is_trusted, is_own) = (trusted(&stat), stat.st_uid == writing.user);
        self.tell_lost(&old, path, !is_trusted, !is_trusted || (is_shared && is_own));
        if !is_trusted {
            return Ok(Attributes::default());
        }
        // Where another account makes the names, it could have moved capabilities here from another program.
        Ok(sorted(values_of(old.as_fd(), MOST)?, !is_shared && is_own))
    }

    /// Gives the file `aside` owner, mode and the place of what stands at `path`, whose attributes it takes over.
    ///
    /// # Errors
    /// When the kernel says no; then `path` is as it was.
    pub fn put_in_place(&self, aside: &Path, path: &Path, writing: Writing) -> Result<(), OsError> {
        let fail = |source: Errno| OsError::new(Operation::Own, path.display(), source);
        let (parent, name) = self.place(path).map_err(fail)?;
        let file = self.opened_to_own(aside)?;
        let kept = self.attributes_for(&file, (&parent, &name), path, writing)?;
        self.own(&file, path, writing, &kept)?;
        self.wrote(&file);
        self.rename(aside, path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::acl::tests::{NAMED, NOBODY, acl, with_named};
    use crate::host::tests::SmallDisk;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    use std::path::PathBuf;

    /// CAP_NET_RAW, permitted and effective (linux/capability.h, version 2).
    const RAW: [u8; 20] = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

    fn tree() -> (tempfile::TempDir, Host, PathBuf) {
        let tree = tempfile::tempdir().unwrap();
        let host = Host::at(tree.path()).unwrap();
        let file = tree.path().join("file");
        std::fs::write(&file, "old").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
        (tree, host, file)
    }

    fn attribute(path: &Path, name: &str) -> Option<Vec<u8>> {
        let mut buffer = vec![0; 4096];
        let count = rustix::fs::lgetxattr(path, name, &mut buffer).ok()?;
        buffer.truncate(count);
        Some(buffer)
    }

    fn set(path: &Path, name: &str, value: &[u8]) {
        rustix::fs::lsetxattr(path, name, value, XattrFlags::empty()).unwrap();
    }

    fn writing(host: &Host, mode: u32) -> Writing {
        let (user, group) = host.default_owner();
        Writing { user, group, mode }
    }

    #[test]
    fn a_replaced_file_keeps_its_acl_and_its_group_gains_nothing() {
        let (_tree, host, file) = tree();
        set(&file, ACL, &with_named(4, 6));
        set(&file, "user.note", b"kept");
        // What stat(2) shows as the group's is the mask.
        let found = host.look(Path::new("/file")).unwrap().unwrap();
        assert_eq!(found.mode, 0o660);
        host.write::<OsError>(Path::new("/file"), b"new", writing(&host, found.mode), None).unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"new");
        assert_eq!((attribute(&file, ACL), attribute(&file, "user.note")), (Some(with_named(4, 6)), Some(b"kept".to_vec())));
        // A narrower mode narrows the mask, as chmod(1) would; a private one leaves nobody anything.
        host.write::<OsError>(Path::new("/file"), b"new", writing(&host, 0o600), None).unwrap();
        assert_eq!(attribute(&file, ACL), Some(with_named(4, 0)));
        // A file made beside it and put in its place is no other case.
        host.create_private(Path::new("/aside")).unwrap();
        host.put_in_place(Path::new("/aside"), Path::new("/file"), writing(&host, 0o640)).unwrap();
        assert_eq!((attribute(&file, ACL), attribute(&file, "user.note")), (Some(with_named(4, 4)), Some(b"kept".to_vec())));
    }

    #[test]
    fn a_replaced_file_gains_nothing_from_its_directorys_default_acl() {
        let (tree, host, file) = tree();
        let default = acl(&[(1, 7, NOBODY), (2, 7, NAMED), (4, 5, NOBODY), (0x10, 7, NOBODY), (0x20, 0, NOBODY)]);
        set(tree.path(), "system.posix_acl_default", &default);
        host.write::<OsError>(Path::new("/file"), b"new", writing(&host, 0o640), None).unwrap();
        assert_eq!((attribute(&file, ACL), std::fs::metadata(&file).unwrap().mode() & 0o777), (None, 0o640));
        // A new one is made as the directory says, like any other.
        host.write::<OsError>(Path::new("/other"), b"new", writing(&host, 0o640), None).unwrap();
        assert!(attribute(&tree.path().join("other"), ACL).is_some());
    }

    #[test]
    fn capabilities_stay_with_the_owner_they_were_given_to() {
        let (_tree, host, file) = tree();
        if !crate::host::tests::proves_as_root("capabilities stay with the owner they were given to") {
            return;
        }
        set(&file, CAPABILITIES, &RAW);
        host.write::<OsError>(Path::new("/file"), b"new", writing(&host, 0o755), None).unwrap();
        assert_eq!(attribute(&file, CAPABILITIES), Some(RAW.to_vec()));
        host.write::<OsError>(Path::new("/file"), b"new", Writing { user: NAMED, ..writing(&host, 0o755) }, None).unwrap();
        assert_eq!(attribute(&file, CAPABILITIES), None, "as chown(2) does it");
    }

    #[test]
    fn nothing_is_taken_from_what_another_account_put_there() {
        let (tree, host, file) = tree();
        if !crate::host::tests::proves_as_root("nothing is taken from what another account put there") {
            return;
        }
        std::os::unix::fs::chown(tree.path(), Some(NAMED), None).unwrap();
        std::os::unix::fs::chown(&file, Some(NAMED), None).unwrap();
        set(&file, ACL, &with_named(4, 6));
        set(
            tree.path(),
            "system.posix_acl_default",
            &acl(&[(1, 7, NOBODY), (2, 7, NAMED), (4, 5, NOBODY), (0x10, 7, NOBODY), (0x20, 0, NOBODY)]),
        );
        host.write::<OsError>(Path::new("/file"), b"root's", writing(&host, 0o640), None).unwrap();
        assert_eq!((attribute(&file, ACL), std::fs::metadata(&file).unwrap().mode() & 0o777), (None, 0o640));
        assert_eq!(host.take_lost(), ["/file: its ACL was not kept, as another account could have put it there"]);
        // Nor capabilities of root's own file, where that account makes the names.
        set(&file, CAPABILITIES, &[1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        host.write::<OsError>(Path::new("/file"), b"root's", writing(&host, 0o755), None).unwrap();
        assert_eq!(attribute(&file, CAPABILITIES), None);
        assert_eq!(host.take_lost(), ["/file: its set of capabilities was not kept, as another account could have put it there"]);
        host.write::<OsError>(Path::new("/new"), b"root's", writing(&host, 0o640), None).unwrap();
        assert!(host.take_lost().is_empty());
        assert_eq!(attribute(&tree.path().join("new"), ACL), None);
    }

    #[test]
    fn more_attributes_than_a_file_may_bring_are_refused_and_it_stays() {
        if !crate::host::tests::proves_as_root("a file with many large attributes") {
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let disk = SmallDisk::made(directory.path(), &["-O", "ea_inode"]);
        let host = Host::at(disk.path()).unwrap();
        let file = disk.path().join("file");
        std::fs::write(&file, "old").unwrap();
        let large = vec![b'x'; 60 << 10];
        let put = |count: usize| (0..count).for_each(|number| set(&file, &format!("user.{number}"), &large));
        put(16);
        host.write::<OsError>(Path::new("/file"), b"new", writing(&host, 0o640), None).unwrap();
        let mut buffer = vec![0; 64 << 10];
        assert_eq!(rustix::fs::lgetxattr(&file, "user.15", &mut buffer), Ok(large.len()), "what is no danger is kept");
        put(20);
        let refused = host.write::<OsError>(Path::new("/file"), b"newer", writing(&host, 0o640), None).unwrap_err();
        assert_eq!(refused.to_string(), "keep the ACL and extended attributes of /file");
        assert_eq!(refused.source.to_string(), "it has more than 1 MiB of them (getfattr -m- names them)");
        assert_eq!(std::fs::read(&file).unwrap(), b"new");
        assert_eq!(std::fs::read_dir(disk.path()).unwrap().count(), 2, "nothing is left beside it and lost+found");
    }

    #[test]
    fn an_acl_of_another_kind_does_not_bring_the_old_mode_back() {
        let of = |names: &[&str], capabilities_stay| {
            let values = names.iter().map(|name| (CString::new(*name).unwrap(), b"x".to_vec())).collect();
            sorted(values, capabilities_stay).others.into_iter().map(|(name, _)| name.into_string().unwrap()).collect::<Vec<_>>()
        };
        let all = [CAPABILITIES, "system.nfs4_acl", "user.a", "security.ima", "system.richacl", "trusted.overlay.origin"];
        assert_eq!(of(&all, true), ["user.a", CAPABILITIES], "capabilities last");
        assert_eq!(of(&all, false), ["user.a"]);
    }

    #[test]
    fn no_capabilities_stay_where_another_account_makes_the_names() {
        let (tree, host, file) = tree();
        if !crate::host::tests::proves_as_root("no capabilities stay where another account makes the names") {
            return;
        }
        set(&file, "user.note", b"kept");
        set(&file, CAPABILITIES, &RAW);
        std::os::unix::fs::chown(tree.path(), Some(NAMED), None).unwrap();
        host.write::<OsError>(Path::new("/file"), b"new", writing(&host, 0o755), None).unwrap();
        assert_eq!(attribute(&file, "user.note"), Some(b"kept".to_vec()), "root's own file is one to take from");
        assert_eq!(attribute(&file, CAPABILITIES), None, "which that account could have moved here");
    }
}
