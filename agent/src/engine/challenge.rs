//! Nonces of one conversation: each in a file that root wrote and one account may read, gone when it is taken or the conversation ends.

use super::stored::Durable;
use super::{Facilities, StatePaths};
use crate::host::accounts::Accounts;
use crate::host::{Host, OsError};
use ostler_roles::challenge::Place;
use ostler_roles::wire::message::{Hidden, Refusal};
use ostler_roles::words::AccountName;

/// No nonce is longer.
const CAP: u64 = 256;

/// What one conversation has brought.
pub struct Challenges<'a> {
    facilities: &'a dyn Facilities,
    given: Vec<(Place, Hidden)>,
}

impl<'a> Challenges<'a> {
    /// None yet.
    pub fn new(facilities: &'a dyn Facilities) -> Self {
        Self { facilities, given: Vec::new() }
    }

    /// Lets this account read the nonce.
    ///
    /// # Errors
    /// The refusal; then nothing is there of it.
    pub fn give(&mut self, place: Place, account: &AccountName, nonce: Hidden) -> Result<(), Refusal> {
        if !self.facilities.is_root() {
            return Err(Refusal::NotRoot);
        }
        if nonce.0.len() as u64 > CAP {
            return Err(Refusal::NoChallenge(format!("it is longer than {CAP} bytes")));
        }
        let told = |error: OsError| Refusal::NoChallenge(format!("{error}: {}", error.source));
        let host = Host::running().map_err(told)?;
        let found = Accounts::read(&host).and_then(|accounts| accounts.account(&host, account.as_str())).map_err(told)?;
        let account = found.ok_or_else(|| Refusal::NoChallenge(format!("it has no account `{account}`")))?;
        let path = self.facilities.paths().proof(place);
        // The owner stays root: what a job could alter would prove nothing.
        let written = path.write_readable(&nonce.0, account.gid, Durable::No);
        written.map_err(|error| Refusal::NoChallenge(format!("{}: {error}", path.display())))?;
        self.given.retain(|(given, _)| *given != place);
        self.given.push((place, nonce));
        Ok(())
    }

    /// Removes a nonce. False when it was not there any more, or another conversation's is.
    ///
    /// # Errors
    /// The refusal, when it cannot be removed.
    pub fn take(&mut self, place: Place) -> Result<bool, Refusal> {
        let Some(at) = self.given.iter().position(|(given, _)| *given == place) else { return Ok(false) };
        let (_, nonce) = self.given.remove(at);
        remove(self.facilities.paths(), place, &nonce).map_err(|error| Refusal::NoChallenge(error.to_string()))
    }
}

impl std::fmt::Debug for Challenges<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Challenges").field("given", &self.given).finish_non_exhaustive()
    }
}

impl Drop for Challenges<'_> {
    fn drop(&mut self) {
        for (place, nonce) in std::mem::take(&mut self.given) {
            // Nobody hears it any more, and nobody waits for what it would still prove.
            let _ = remove(self.facilities.paths(), place, &nonce);
        }
    }
}

fn remove(paths: &StatePaths, place: Place, nonce: &Hidden) -> std::io::Result<bool> {
    let path = paths.proof(place);
    let is_there = path.read(CAP)?.is_some_and(|bytes| bytes == nonce.0);
    if is_there {
        path.remove()?;
    }
    Ok(is_there)
}
