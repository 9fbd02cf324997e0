//! What an account may do with what stands somewhere, as the kernel decides it: by owner, ACL, group and all others (acl(5)).

use super::acl::{self, ACL, Member};
use super::{Entry, Host, Operation, OsError, own};
use rustix::io::Errno;
use std::path::Path;

/// A right, as the kernel numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// To read a file.
    Read = 4,
    /// To pass a directory.
    Pass = 1,
}

impl Host {
    /// Whether this account has that right at `path`, where `entry` stands. None where that cannot be told: a group may give it of which it is
    /// not known who is in it, or an ACL that we do not know.
    ///
    /// # Errors
    /// When its ACL cannot be read.
    pub fn gives(&self, path: &Path, entry: &Entry, member: &Member, right: Right) -> Result<Option<bool>, OsError> {
        let right = right as u8;
        let has = |shift: u32| u32::from(right) & (entry.mode >> shift) != 0;
        if member.uid == 0 {
            return Ok(Some(true));
        }
        if member.uid == entry.user {
            return Ok(Some(has(6)));
        }
        let fail = |source: Errno| OsError::new(Operation::Look, path.display(), source);
        let (parent, name) = self.place(path).map_err(fail)?;
        let mut buffer = vec![0; acl::LONGEST];
        match rustix::fs::lgetxattr(own::of_descriptor(&parent).join(name), ACL, &mut buffer) {
            Ok(count) => Ok(acl::gives(&buffer[..count], right, member, entry.group)),
            Err(Errno::NODATA | Errno::NOTSUP | Errno::NOSYS) => Ok(match (has(3), has(0)) {
                (group, _) if member.groups.contains(&entry.group) => Some(group),
                (group, others) if member.are_all || group == others => Some(others),
                _ => None,
            }),
            Err(source) => Err(fail(source)),
        }
    }
}
