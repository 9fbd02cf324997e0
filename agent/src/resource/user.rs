//! `user` at work: useradd(8), usermod(8), userdel(8).

use super::Act;
use super::fault::{unmade, unread};
use super::node::Node;
use crate::engine::ApplyContext;
use crate::host::{EntryKind, Writing};
use ostler_roles::outcome::Failure;
use ostler_roles::resource::user::{Change, Desired, Observed, Present, UNFINISHED};
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
        Ok(Observed::Present {
            uid: account.uid,
            group: accounts.group_name(&node.host, account.gid).map_err(unread)?,
            groups: accounts.groups_of(self.name.as_str()).into_iter().map(|(name, _)| name).collect(),
            unfinished: account.comment == UNFINISHED,
            home: account.home,
            home_exists,
            shell: account.shell,
        })
    }

    fn apply(&self, node: &Node, changes: Vec<Change>, work: &ApplyContext<'_>) -> Result<Vec<String>, Failure> {
        let name = self.name.as_str();
        let mut options = Vec::new();
        let (mut make_home, mut finish) = (None, false);
        for change in changes {
            match change {
                Change::Create => {
                    let present = self.present.clone().unwrap_or_default();
                    let home = self.new_home();
                    if let Some(above) = &home {
                        node.make_parents(above)?;
                    }
                    let own_group = node.accounts()?.group(&node.host, name).map_err(unread)?.is_some();
                    // A home that is there is left as it is, also by useradd.
                    finish = match &home {
                        Some(home) => node.host.look(home.as_path()).map_err(unmade)?.is_none(),
                        None => false,
                    };
                    node.shadow("useradd", creating(&present, home.as_ref(), own_group, finish, name), name, work)?;
                }
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
        if let Some(home) = make_home {
            node.make_home(name, &home)?;
        }
        if finish {
            node.shadow("usermod", vec!["--comment=".to_owned()], name, work)?;
        }
        Ok(Vec::new())
    }
}

fn joined(groups: &BTreeSet<AccountName>) -> String {
    groups.iter().map(AccountName::as_str).collect::<Vec<_>>().join(",")
}

/// The options of useradd for a new account with this home. It is named: the one of /etc/default/useradd may be another than was planned.
/// `marked`: useradd writes the account before its home, so whatever ends it in between leaves an account that says what it lacks.
fn creating(present: &Present, home: Option<&AbsPath>, own_group: bool, marked: bool, name: &str) -> Vec<String> {
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
    if marked {
        options.push(format!("--comment={UNFINISHED}"));
    }
    options
}

impl Node {
    /// Makes a missing home as useradd would: private, with the skeleton's files.
    fn make_home(&self, name: &str, home: &AbsPath) -> Result<(), Failure> {
        let account = self.account(name)?;
        self.make_parents(home)?;
        let owned = |mode: u32| Writing { user: account.uid, group: account.gid, mode };
        self.host.make_directory(home.as_path(), owned(0o700)).map_err(unmade)?;
        let skeleton = Path::new(SKELETON);
        for file in self.host.list(skeleton).map_err(unmade)?.unwrap_or_default() {
            let Some(entry) = self.host.look(&skeleton.join(&file)).map_err(unmade)? else { continue };
            let target = home.as_path().join(&file);
            if entry.kind == EntryKind::File && self.host.look(&target).map_err(unmade)?.is_none() {
                let bytes = self.host.read(&skeleton.join(&file), 1 << 20).map_err(unmade)?.unwrap_or_default();
                self.host.write::<crate::host::OsError>(&target, &bytes, owned(entry.mode), None).map_err(unmade)?;
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
        let options = creating(&present, Some(&home), false, false, "ci");
        assert_eq!(options, ["--password=*", "--user-group", "--uid=900", "--home-dir=/var/lib/ci", "--create-home", "--system"]);
        let options = creating(&Present { system: true, ..Present::default() }, None, true, false, "ci");
        assert_eq!(options, ["--password=*", "--gid=ci", "--no-create-home", "--system"]);
    }
}
