//! Accounts and groups: from the files themselves, else from `getent`. Never through libc: its modules crash a static program.

use super::child::Program;
use super::{Host, OsError};
use ostler_roles::words::PasswdLine;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::time::{Duration, Instant};

/// No account database is larger than this without being a directory service.
pub(super) const CAP: u64 = 32 << 20;
/// A directory service that takes longer is down.
const PATIENCE: Duration = Duration::from_secs(10);

/// A line of passwd(5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Login name.
    pub name: String,
    /// Number.
    pub uid: u32,
    /// Primary group's number.
    pub gid: u32,
    /// Comment, `GECOS` in passwd(5).
    pub comment: String,
    /// Home directory.
    pub home: String,
    /// Login shell; `/bin/sh` where the field is empty.
    pub shell: String,
}

/// A line of group(5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Name.
    pub name: String,
    /// Number.
    pub gid: u32,
    /// Accounts that have it as a supplementary group.
    pub members: Vec<String>,
}

/// The files of one moment.
#[derive(Debug, Default)]
pub struct Accounts {
    accounts: Vec<Account>,
    groups: Vec<Group>,
    account_by_name: HashMap<String, usize>,
    account_by_uid: HashMap<u32, usize>,
    group_by_name: HashMap<String, usize>,
    group_by_gid: HashMap<u32, usize>,
    /// Whether nsswitch.conf(5) names another source for accounts, for groups.
    elsewhere: (bool, bool),
    /// Whether another source may know more groups of an account.
    more_groups: bool,
}

pub(super) fn account(line: &str) -> Option<Account> {
    let PasswdLine { name, uid, gid, comment, home, shell } = PasswdLine::read(line)?;
    let shell = shell.unwrap_or("/bin/sh").to_owned();
    Some(Account { name: name.to_owned(), uid, gid, comment: comment.to_owned(), home: home.to_owned(), shell })
}

pub(super) fn group(line: &str) -> Option<Group> {
    let mut fields = line.split(':');
    let name = fields.next().filter(|name| !name.is_empty())?;
    let gid = fields.nth(1)?.parse().ok()?;
    let members = fields.next().unwrap_or("").split(',').filter(|member| !member.is_empty()).map(str::to_owned).collect();
    Some(Group { name: name.to_owned(), gid, members })
}

/// Whether a line of nsswitch.conf names more than the files. `systemd` only adds accounts of running services, which no role
/// names, and root and nobody, which the files have too.
pub(super) fn names_more(nsswitch: &str, database: &str) -> bool {
    let line = nsswitch.lines().find_map(|line| line.trim().strip_prefix(database)?.trim_start().strip_prefix(':'));
    let sources = line.unwrap_or("files").split('#').next().unwrap_or("");
    let known = ["files", "compat", "systemd"];
    sources.split_whitespace().any(|source| !source.starts_with('[') && !source.ends_with(']') && !known.contains(&source))
}

/// Whether lines bring in a directory service (nsswitch.conf(5), compat).
pub(super) fn has_more(lines: &str) -> bool {
    lines.lines().any(|line| line.starts_with('+'))
}

impl Accounts {
    /// Reads passwd, group and nsswitch.conf.
    ///
    /// # Errors
    /// When one is there and cannot be read.
    pub fn read(host: &Host) -> Result<Self, OsError> {
        let text = |path: &str| -> Result<String, OsError> {
            Ok(String::from_utf8_lossy(&host.read(Path::new(path), CAP)?.unwrap_or_default()).into_owned())
        };
        let nsswitch = text("/etc/nsswitch.conf")?;
        let group = text("/etc/group")?;
        let mut accounts = Self::of(&text("/etc/passwd")?, &group);
        accounts.elsewhere = (names_more(&nsswitch, "passwd"), names_more(&nsswitch, "group"));
        accounts.more_groups = accounts.elsewhere.1 || names_more(&nsswitch, "initgroups") || has_more(&group);
        Ok(accounts)
    }

    fn of(passwd: &str, groups: &str) -> Self {
        let mut found = Self { accounts: passwd.lines().filter_map(account).collect(), ..Self::default() };
        found.groups = groups.lines().filter_map(group).collect();
        // The first line wins, as in getpwnam(3).
        for (index, account) in found.accounts.iter().enumerate() {
            found.account_by_name.entry(account.name.clone()).or_insert(index);
            found.account_by_uid.entry(account.uid).or_insert(index);
        }
        for (index, group) in found.groups.iter().enumerate() {
            found.group_by_name.entry(group.name.clone()).or_insert(index);
            found.group_by_gid.entry(group.gid).or_insert(index);
        }
        found
    }

    /// The account of this name, also from a directory service.
    ///
    /// # Errors
    /// When the service does not answer.
    pub fn account(&self, host: &Host, name: &str) -> Result<Option<Account>, OsError> {
        if let Some(index) = self.account_by_name.get(name) {
            return Ok(self.accounts.get(*index).cloned());
        }
        Ok(if self.elsewhere.0 { ask(host, "passwd", name)?.as_deref().and_then(account) } else { None })
    }

    /// The group of this name, also from a directory service.
    ///
    /// # Errors
    /// When the service does not answer.
    pub fn group(&self, host: &Host, name: &str) -> Result<Option<Group>, OsError> {
        if let Some(index) = self.group_by_name.get(name) {
            return Ok(self.groups.get(*index).cloned());
        }
        Ok(if self.elsewhere.1 { ask(host, "group", name)?.as_deref().and_then(group) } else { None })
    }

    /// The account of this uid, as the files have it.
    pub fn of_uid(&self, uid: u32) -> Option<&Account> {
        self.account_by_uid.get(&uid).and_then(|index| self.accounts.get(*index))
    }

    /// The name of this uid, or its number.
    ///
    /// # Errors
    /// When a directory service does not answer.
    pub fn user_name(&self, host: &Host, uid: u32) -> Result<String, OsError> {
        if let Some(account) = self.of_uid(uid) {
            return Ok(account.name.clone());
        }
        let found = if self.elsewhere.0 { ask(host, "passwd", &uid.to_string())?.as_deref().and_then(account) } else { None };
        Ok(found.map_or_else(|| uid.to_string(), |account| account.name))
    }

    /// The name of this gid, or its number.
    ///
    /// # Errors
    /// When a directory service does not answer.
    pub fn group_name(&self, host: &Host, gid: u32) -> Result<String, OsError> {
        if let Some(group) = self.group_by_gid.get(&gid).and_then(|index| self.groups.get(*index)) {
            return Ok(group.name.clone());
        }
        let found = if self.elsewhere.1 { ask(host, "group", &gid.to_string())?.as_deref().and_then(group) } else { None };
        Ok(found.map_or_else(|| gid.to_string(), |group| group.name))
    }

    /// Whether an account may be in groups that the files do not have.
    pub fn may_have_more_groups(&self) -> bool {
        self.more_groups
    }

    /// The supplementary groups of an account, as the files have them: names and numbers.
    pub fn groups_of(&self, name: &str) -> BTreeSet<(String, u32)> {
        let member = |group: &&Group| group.members.iter().any(|member| member == name);
        self.groups.iter().filter(member).map(|group| (group.name.clone(), group.gid)).collect()
    }
}

/// One line of getent(1); none: no such entry (exit status 2).
fn ask(host: &Host, database: &str, key: &str) -> Result<Option<String>, OsError> {
    if !host.is_running() {
        return Ok(None);
    }
    let finished = Program::new(["getent", "--", database, key]).run_to_end(Instant::now() + PATIENCE)?;
    if finished.exit_code() == Some(2) {
        return Ok(None);
    }
    if !finished.is_good() {
        let why = std::io::Error::other(finished.status.to_string());
        return Err(OsError::new(super::Operation::Ask, format_args!("getent {database} {key}"), why));
    }
    Ok(String::from_utf8_lossy(finished.said()?).lines().next().map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_are_read_as_getpwnam_reads_them() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\n# a comment\nci:x:1001:1001:,,,:/home/ci:\nroot:x:5:5::/:/bin/sh\nbroken\n+\n";
        let group = "root:x:0:\nadm:*:4:syslog,ci\nci:x:1001:\n";
        let accounts = Accounts::of(passwd, group);
        let host = Host::at(Path::new("/")).unwrap();
        let ci = accounts.account(&host, "ci").unwrap().unwrap();
        assert_eq!(
            ci,
            Account {
                name: "ci".to_owned(),
                uid: 1001,
                gid: 1001,
                comment: ",,,".to_owned(),
                home: "/home/ci".to_owned(),
                shell: "/bin/sh".to_owned()
            }
        );
        assert_eq!(accounts.account(&host, "root").unwrap().unwrap().uid, 0);
        assert_eq!(accounts.account(&host, "nobody-here").unwrap(), None);
        assert_eq!(accounts.user_name(&host, 4242).unwrap(), "4242");
        assert_eq!(accounts.group_name(&host, 4).unwrap(), "adm");
        assert_eq!(accounts.groups_of("ci").into_iter().collect::<Vec<_>>(), [("adm".to_owned(), 4)]);
    }

    #[test]
    fn only_a_directory_service_is_asked_by_a_child() {
        assert!(!names_more("passwd:         files systemd\ngroup: files\n", "passwd"));
        assert!(!names_more("passwd: files [NOTFOUND=return] systemd", "passwd"));
        assert!(names_more("passwd:\tcompat ldap # people\n", "passwd"));
        assert!(names_more("group: files sss", "group"));
        assert!(!names_more("", "group"));
    }
}
