//! Owner, group and mode: read as names, set as numbers.

use super::fault::{no_account, unread};
use super::node::Node;
use crate::host::{Entry, Writing};
use ostler_roles::outcome::Failure;
use ostler_roles::resource::Ownership;
use ostler_roles::resource::ownership::ObservedOwnership;
use ostler_roles::words::Mode;

impl Node {
    /// Who owns an entry, held against who shall. A number has the name that the role gives it: it may have several.
    pub(super) fn observed_ownership(&self, entry: &Entry, desired: Option<&Ownership>) -> Result<ObservedOwnership, Failure> {
        let (accounts, host) = (self.accounts()?, &self.host);
        let owner = match desired {
            Some(desired) => accounts.account(host, desired.owner.as_str()).map_err(unread)?,
            None => None,
        };
        let group = match desired.and_then(|desired| desired.group.as_ref()) {
            Some(group) => accounts.group(host, group.as_str()).map_err(unread)?,
            None => None,
        };
        let primary_group = match owner.as_ref().filter(|_| group.is_none()) {
            Some(owner) => Some(accounts.group_name(host, owner.gid).map_err(unread)?),
            None => None,
        };
        Ok(ObservedOwnership {
            owner: match owner.filter(|owner| owner.uid == entry.user) {
                Some(owner) => owner.name,
                None => accounts.user_name(host, entry.user).map_err(unread)?,
            },
            group: match group.filter(|group| group.gid == entry.group) {
                Some(group) => group.name,
                None => accounts.group_name(host, entry.group).map_err(unread)?,
            },
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
