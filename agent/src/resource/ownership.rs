//! Owner, group and mode: read as names, set as numbers.

use super::fault::{no_account, unread};
use super::node::Node;
use crate::host::{Entry, Writing};
use ostler_roles::outcome::Failure;
use ostler_roles::resource::Ownership;
use ostler_roles::resource::ownership::ObservedOwnership;
use ostler_roles::words::Mode;

impl Node {
    /// Who owns an entry, held against who shall.
    pub(super) fn observed_ownership(&self, entry: &Entry, desired: Option<&Ownership>) -> Result<ObservedOwnership, Failure> {
        let accounts = self.accounts()?;
        let primary_group = match desired.filter(|desired| desired.group.is_none()) {
            Some(desired) => match accounts.account(&self.host, desired.owner.as_str()).map_err(unread)? {
                Some(account) => Some(accounts.group_name(&self.host, account.gid).map_err(unread)?),
                None => None,
            },
            None => None,
        };
        Ok(ObservedOwnership {
            owner: accounts.user_name(&self.host, entry.user).map_err(unread)?,
            group: accounts.group_name(&self.host, entry.group).map_err(unread)?,
            mode: Mode::from_bits(entry.mode),
            primary_group,
        })
    }

    /// The numbers of who shall own it.
    pub(super) fn writing(&self, desired: &Ownership) -> Result<Writing, Failure> {
        let account = self.account(desired.owner.as_str())?;
        let group = match &desired.group {
            None => account.gid,
            Some(name) => {
                let found = self.accounts()?.group(&self.host, name.as_str()).map_err(unread)?;
                found.ok_or_else(|| no_account("group", name.as_str()))?.gid
            }
        };
        Ok(Writing { user: account.uid, group, mode: desired.mode.bits() })
    }
}
