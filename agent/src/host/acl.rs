//! POSIX ACLs as the kernel keeps them (acl(5), linux/posix_acl_xattr.h).

/// The extended attribute that holds a file's ACL.
pub(super) const ACL: &str = "system.posix_acl_access";
/// An ACL has at most so many bytes where the kernel takes it from a program.
pub(super) const LONGEST: usize = 64 << 10;
/// Bytes of an entry behind the version: tag, rights, number.
const ENTRY: usize = 8;
const VERSION: usize = 4;

const OWNER: u16 = 0x01;
const NAMED_USER: u16 = 0x02;
const GROUP: u16 = 0x04;
const NAMED_GROUP: u16 = 0x08;
const MASK: u16 = 0x10;
const OTHER: u16 = 0x20;
const WRITE: u8 = 2;

/// An account, and all groups that a process of it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its number.
    pub uid: u32,
    /// Those of its groups, its own among them.
    pub groups: Vec<u32>,
    /// Whether those are all. A directory service may know others.
    pub are_all: bool,
}

/// Whom an ACL lets write beside the owner and all, what its mask takes away from them taken away.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Writers {
    /// Accounts by number.
    pub(super) users: Vec<u32>,
    /// Groups by number; none is the file's own.
    pub(super) groups: Vec<Option<u32>>,
}

fn tag(entry: &[u8]) -> u16 {
    u16::from_le_bytes([entry[0], entry[1]])
}

/// Who may write; none where it is no ACL that we know.
pub(super) fn writers(acl: &[u8]) -> Option<Writers> {
    let (version, entries) = acl.split_at_checked(VERSION)?;
    if *version != [2, 0, 0, 0] || entries.len() % ENTRY != 0 {
        return None;
    }
    let mut writers = Writers::default();
    let masked = entries.chunks(ENTRY).any(|entry| tag(entry) == MASK && entry[2] & WRITE == 0);
    for entry in entries.chunks(ENTRY).filter(|entry| !masked && entry[2] & WRITE != 0) {
        let number = u32::from_le_bytes([entry[4], entry[5], entry[6], entry[7]]);
        match tag(entry) {
            NAMED_USER => writers.users.push(number),
            NAMED_GROUP => writers.groups.push(Some(number)),
            GROUP => writers.groups.push(None),
            _ => {}
        }
    }
    Some(writers)
}

/// Whether it gives such a right to an account that does not own the file (acl(5), ACCESS CHECK ALGORITHM). None where it is no ACL that we
/// know, or where that hangs on groups of which it is not known who is in them.
pub(super) fn gives(acl: &[u8], right: u8, member: &Member, own_group: u32) -> Option<bool> {
    let (version, entries) = acl.split_at_checked(VERSION)?;
    if *version != [2, 0, 0, 0] || entries.len() % ENTRY != 0 {
        return None;
    }
    let number = |entry: &[u8]| u32::from_le_bytes([entry[4], entry[5], entry[6], entry[7]]);
    let of = |wanted: u16| entries.chunks(ENTRY).find(|entry| tag(entry) == wanted);
    let masked = of(MASK).is_some_and(|mask| mask[2] & right == 0);
    let gives = |entry: &[u8]| entry[2] & right != 0;
    if let Some(named) = entries.chunks(ENTRY).find(|entry| tag(entry) == NAMED_USER && number(entry) == member.uid) {
        return Some(!masked && gives(named));
    }
    // By its groups, and by those that it may be in.
    let (mut known, mut others) = (None, false);
    for entry in entries.chunks(ENTRY).filter(|entry| matches!(tag(entry), GROUP | NAMED_GROUP)) {
        let (given, group) = (!masked && gives(entry), if tag(entry) == GROUP { own_group } else { number(entry) });
        if member.groups.contains(&group) {
            known = Some(given || known == Some(true));
        } else {
            others |= given;
        }
    }
    let told = known.or_else(|| of(OTHER).map(gives));
    let is_sure = member.are_all || known == Some(true) || (told == Some(false) && !others);
    told.filter(|_| is_sure)
}

/// One that lets the owner and one account more read, and nobody else anything.
pub(super) fn read_by(uid: u32) -> Vec<u8> {
    const READ: u16 = 4;
    // Only entries of somebody named have a number.
    const NONE: u32 = u32::MAX;
    let entries = [(OWNER, READ, NONE), (NAMED_USER, READ, uid), (GROUP, 0, NONE), (MASK, READ, NONE), (OTHER, 0, NONE)];
    let mut acl = vec![2, 0, 0, 0];
    for (tag, rights, number) in entries {
        acl.extend([tag.to_le_bytes(), rights.to_le_bytes()].concat());
        acl.extend(number.to_le_bytes());
    }
    acl
}

/// The ACL as chmod(2) would leave it: who is named keeps the rights that the mask lets through. None where it is none that we know.
pub(super) fn with_mode(acl: &[u8], mode: u32) -> Option<Vec<u8>> {
    let mut acl = acl.to_vec();
    let (version, entries) = acl.split_at_mut_checked(VERSION)?;
    if *version != [2, 0, 0, 0] || entries.len() % ENTRY != 0 {
        return None;
    }
    let has_mask = entries.chunks(ENTRY).any(|entry| tag(entry) == MASK);
    for entry in entries.chunks_mut(ENTRY) {
        let bits = match tag(entry) {
            OWNER => mode >> 6,
            GROUP if !has_mask => mode >> 3,
            MASK => mode >> 3,
            OTHER => mode,
            _ => continue,
        };
        entry[2] = u8::try_from(bits & 0o7).unwrap_or(0);
        entry[3] = 0;
    }
    Some(acl)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::host) const NOBODY: u32 = u32::MAX;
    pub(in crate::host) const NAMED: u32 = 4242;

    /// Tag, rights, number; in the order that the kernel wants.
    pub(in crate::host) fn acl(entries: &[(u16, u16, u32)]) -> Vec<u8> {
        let entry =
            |(tag, rights, id): &(u16, u16, u32)| [tag.to_le_bytes().to_vec(), rights.to_le_bytes().to_vec(), id.to_le_bytes().to_vec()];
        [vec![2, 0, 0, 0]].into_iter().chain(entries.iter().flat_map(entry)).flatten().collect()
    }

    pub(in crate::host) fn with_named(group: u16, mask: u16) -> Vec<u8> {
        acl(&[(1, 6, NOBODY), (2, 6, NAMED), (4, group, NOBODY), (0x10, mask, NOBODY), (0x20, 0, NOBODY)])
    }

    #[test]
    fn a_mode_leaves_who_is_named_behind_the_mask() {
        assert_eq!(with_mode(&with_named(4, 6), 0o640), Some(with_named(4, 4)));
        let plain = acl(&[(1, 6, NOBODY), (4, 4, NOBODY), (0x20, 4, NOBODY)]);
        assert_eq!(with_mode(&plain, 0o600), Some(acl(&[(1, 6, NOBODY), (4, 0, NOBODY), (0x20, 0, NOBODY)])));
        assert_eq!(with_mode(&[1, 0, 0, 0], 0o600), None, "of another version");
        assert_eq!(with_mode(&[2, 0, 0, 0, 9], 0o600), None);
    }

    #[test]
    fn the_first_entry_that_speaks_of_an_account_decides() {
        let of = |uid, groups: &[u32], are_all| Member { uid, groups: groups.to_vec(), are_all };
        let may = |acl: &[u8], uid, groups: &[u32]| gives(acl, 4, &of(uid, groups, true), 50).unwrap();
        assert!(may(&with_named(0, 6), NAMED, &[]) && !may(&with_named(0, 2), NAMED, &[]), "what the mask lets through");
        assert!(may(&with_named(4, 6), 7, &[50]) && !may(&with_named(4, 6), 7, &[51]));
        let others = acl(&[(1, 6, NOBODY), (4, 0, NOBODY), (8, 0, 60), (0x10, 7, NOBODY), (0x20, 4, NOBODY)]);
        assert!(may(&others, 7, &[]) && !may(&others, 7, &[60]), "who is in a group is no other");
        assert_eq!(gives(&[1, 0, 0, 0], 4, &of(7, &[], true), 50), None, "of another version");
        // Who may be in more groups than are known.
        let perhaps = |acl: &[u8], groups: &[u32]| gives(acl, 4, &of(7, groups, false), 50);
        assert_eq!((perhaps(&with_named(4, 6), &[]), perhaps(&with_named(4, 6), &[50])), (None, Some(true)));
        assert_eq!((perhaps(&with_named(0, 6), &[]), perhaps(&with_named(4, 2), &[])), (Some(false), Some(false)), "no group is given it");
        assert_eq!((perhaps(&others, &[]), perhaps(&others, &[60])), (None, Some(false)), "a group may be what keeps it out");
    }

    #[test]
    fn who_may_write_is_whom_the_mask_lets() {
        assert_eq!(writers(&with_named(4, 6)), Some(Writers { users: vec![NAMED], groups: vec![] }));
        assert_eq!(writers(&with_named(6, 6)).unwrap().groups, [None]);
        assert_eq!(writers(&with_named(6, 5)), Some(Writers::default()));
        assert_eq!(writers(&acl(&[(4, 6, NOBODY), (8, 3, 7)])).unwrap().groups, [None, Some(7)]);
        assert_eq!(writers(&[1, 0, 0, 0]), None, "of another version");
    }
}
