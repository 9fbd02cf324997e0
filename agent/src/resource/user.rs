//! `user` at work: useradd(8), usermod(8), userdel(8).

use super::Act;
use super::fault::{unmade, unread};
use super::node::Node;
use crate::engine::ApplyContext;
use crate::host::accounts::Account;
use crate::host::{EntryKind, OsError, Writing};
use ostler_roles::outcome::Failure;
use ostler_roles::resource::Effect;
use ostler_roles::resource::user::{Change, Desired, Observed, Present, UNFINISHED, UNFINISHED_WITHOUT_HOME};
use ostler_roles::words::{AbsPath, AccountName};
use std::collections::BTreeSet;
use std::path::Path;

/// What a new home holds (useradd(8)).
const SKELETON: &str = "/etc/skel";

impl Act for Desired {
    fn observe(&self, node: &Node) -> Result<Observed, Failure> {
        let accounts = node.accounts()?;
        let Some(account) = accounts.account(&node.host, self.name.as_str()).map_err(unread)? else { return Ok(Observed::Absent) };
        let home = self.present.as_ref().and_then(|present| present.home.as_ref());
        let home = home.map_or_else(|| Path::new(&account.home), |home| home.as_path());
        let home_exists = node.host.look(home).map_err(unread)?.is_some();
        let being_made = [UNFINISHED, UNFINISHED_WITHOUT_HOME].contains(&account.comment.as_str());
        // Two names of one number are one group: it is called as the role calls it.
        let number = |name: &AccountName| -> Result<Option<u32>, Failure> {
            Ok(accounts.group(&node.host, name.as_str()).map_err(unread)?.map(|group| group.gid))
        };
        let mut group = accounts.group_name(&node.host, account.gid).map_err(unread)?;
        let member_of = accounts.groups_of(self.name.as_str());
        let mut groups: BTreeSet<String> = member_of.iter().map(|(name, _)| name.clone()).collect();
        if let Some(present) = &self.present {
            if let Some(wanted) = &present.group
                && number(wanted)? == Some(account.gid)
            {
                group = wanted.to_string();
            }
            for wanted in present.groups.iter().filter(|wanted| !groups.contains(wanted.as_str())).collect::<Vec<_>>() {
                if number(wanted)?.is_some_and(|gid| member_of.iter().any(|(_, own)| *own == gid)) {
                    groups.insert(wanted.to_string());
                }
            }
        }
        Ok(Observed::Present {
            uid: account.uid,
            group,
            groups,
            unfinished: account.comment == UNFINISHED,
            half_made: being_made && is_half_made(node, &account)?,
            marked: account.comment == UNFINISHED_WITHOUT_HOME,
            home: account.home,
            home_exists,
            shell: account.shell,
        })
    }

    fn apply(&self, node: &Node, changes: Vec<Change>, work: &ApplyContext<'_>) -> Result<Vec<String>, Failure> {
        let name = self.name.as_str();
        let mut options = Vec::new();
        let (mut make_home, mut brought, mut finish) = (None, None, false);
        for change in changes {
            match change {
                Change::Create => {
                    brought = create(self, node, work)?;
                    finish = true;
                }
                Change::Remake => {
                    // Nobody has used it: it never had all that a login needs.
                    node.shadow("userdel", Vec::new(), name, work)?;
                    for effect in [Effect::User(self.name.clone()), Effect::Group(self.name.clone())] {
                        node.forget(&effect);
                    }
                    brought = create(self, node, work)?;
                    finish = true;
                }
                Change::Unmark => finish = true,
                Change::Group { to, .. } => options.push(format!("--gid={to}")),
                Change::AddGroups(groups) => options.extend(["--append".to_owned(), format!("--groups={}", joined(&groups))]),
                Change::Home { to, .. } => options.push(format!("--home={to}")),
                Change::Shell { to, .. } => options.push(format!("--shell={to}")),
                Change::MakeHome(home) => make_home = Some(home),
                Change::Finish(home) => (make_home, finish) = (Some(home), true),
                Change::Remove => node.shadow("userdel", Vec::new(), name, work)?,
            }
        }
        if !options.is_empty() {
            node.shadow("usermod", options, name, work)?;
        }
        if let Some(home) = &make_home {
            node.make_home(name, home)?;
        }
        if finish {
            // Only behind the home that was made, on the disk too: that may be another one than the one of /etc.
            if let Some(home) = make_home.or(brought) {
                node.host.sync_below(home.as_path(), work.deadline).map_err(unmade)?;
            }
            node.shadow("usermod", vec!["--comment=".to_owned()], name, work)?;
        }
        Ok(Vec::new())
    }
}

/// Makes an account that says of itself that it is being made. Returns the home that came with it; one that was there before is its owner's.
fn create(desired: &Desired, node: &Node, work: &ApplyContext<'_>) -> Result<Option<AbsPath>, Failure> {
    let name = desired.name.as_str();
    let present = desired.present.clone().unwrap_or_default();
    let home = desired.new_home();
    if let Some(above) = &home {
        node.make_parents(above)?;
    }
    let own_group = node.accounts()?.group(&node.host, name).map_err(unread)?.is_some();
    // A home that is there is left as it is, also by useradd.
    let brings_home = match &home {
        Some(home) => node.host.look(home.as_path()).map_err(unmade)?.is_none(),
        None => false,
    };
    let mark = if brings_home { UNFINISHED } else { UNFINISHED_WITHOUT_HOME };
    node.shadow("useradd", creating(&present, home.as_ref(), own_group, mark, name), name, work)?;
    Ok(home.filter(|_| brings_home))
}

/// Whether useradd was ended between two of its files: it writes passwd(5) first, then shadow(5), then group(5).
fn is_half_made(node: &Node, account: &Account) -> Result<bool, Failure> {
    let shadow = node.host.read(Path::new("/etc/shadow"), 16 << 20).map_err(unread)?.unwrap_or_default();
    let has_line = shadow.split(|byte| *byte == b'\n').any(|line| line.split(|byte| *byte == b':').next() == Some(account.name.as_bytes()));
    let group = node.accounts()?.group_name(&node.host, account.gid).map_err(unread)?;
    Ok(!has_line || group == account.gid.to_string())
}

fn joined(groups: &BTreeSet<AccountName>) -> String {
    groups.iter().map(AccountName::as_str).collect::<Vec<_>>().join(",")
}

/// The options of useradd for a new account with this home. It is named: the one of /etc/default/useradd may be another than was planned.
/// `mark`: useradd writes one file after the other and the home last, so whatever ends it in between leaves an account that says what it is.
fn creating(present: &Present, home: Option<&AbsPath>, own_group: bool, mark: &str, name: &str) -> Vec<String> {
    // `*` is no password's hash. `!` would also lock the account, and sshd without PAM refuses a locked one (sshd(8)).
    let mut options = vec!["--password=*".to_owned()];
    match &present.group {
        Some(group) => options.push(format!("--gid={group}")),
        None if own_group => options.push(format!("--gid={name}")),
        None => options.push("--user-group".to_owned()),
    }
    options.extend(present.uid.map(|uid| format!("--uid={uid}")));
    if !present.groups.is_empty() {
        options.push(format!("--groups={}", joined(&present.groups)));
    }
    options.extend(home.map(|home| format!("--home-dir={home}")));
    options.push(if home.is_some() { "--create-home" } else { "--no-create-home" }.to_owned());
    options.extend(present.shell.as_ref().map(|shell| format!("--shell={shell}")));
    if present.system {
        options.push("--system".to_owned());
    }
    options.push(format!("--comment={mark}"));
    options
}

impl Node {
    /// Makes a missing home as useradd would: private, with the skeleton's files.
    fn make_home(&self, name: &str, home: &AbsPath) -> Result<(), Failure> {
        let account = self.account(name)?;
        self.make_parents(home)?;
        let owned = |mode: u32| Writing { user: account.uid, group: account.gid, mode };
        self.host.make_directory(home.as_path(), owned(0o700)).map_err(unmade)?;
        self.copy_skeleton(Path::new(SKELETON), home.as_path(), &owned).map_err(unmade)
    }

    /// Copies what is in a directory of the skeleton, directories and links too; what stands there already stays.
    fn copy_skeleton(&self, from: &Path, to: &Path, owned: &dyn Fn(u32) -> Writing) -> Result<(), OsError> {
        for name in self.host.list(from)?.unwrap_or_default() {
            let (source, target) = (from.join(&name), to.join(&name));
            let (Some(entry), there) = (self.host.look(&source)?, self.host.look(&target)?) else { continue };
            match entry.kind {
                EntryKind::Directory => {
                    if there.is_none() {
                        self.host.make_directory(&target, owned(entry.mode))?;
                    }
                    self.copy_skeleton(&source, &target, owned)?;
                }
                EntryKind::File if there.is_none() => {
                    let bytes = self.host.read(&source, 1 << 20)?.unwrap_or_default();
                    self.host.write::<OsError>(&target, &bytes, owned(entry.mode), None)?;
                }
                EntryKind::Link if there.is_none() => {
                    let leads_to = self.host.read_link(&source)?.unwrap_or_default();
                    self.host.link(&target, &leads_to.to_string_lossy())?;
                }
                EntryKind::File | EntryKind::Link | EntryKind::Special(_) => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_account_has_no_password_that_works() {
        let home = AbsPath::parse("/var/lib/ci").unwrap();
        let present = Present { home: Some(home.clone()), system: true, uid: Some(900), ..Present::default() };
        let options = creating(&present, Some(&home), false, UNFINISHED, "ci");
        let mark = format!("--comment={UNFINISHED}");
        let wanted = ["--password=*", "--user-group", "--uid=900", "--home-dir=/var/lib/ci", "--create-home", "--system", &mark];
        assert_eq!(options, wanted);
        let options = creating(&Present { system: true, ..Present::default() }, None, true, UNFINISHED_WITHOUT_HOME, "ci");
        let mark = format!("--comment={UNFINISHED_WITHOUT_HOME}");
        assert_eq!(options, ["--password=*", "--gid=ci", "--no-create-home", "--system", &mark]);
    }
}
