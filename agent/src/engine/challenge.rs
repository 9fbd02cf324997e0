//! Nonces of one conversation: each in a file that root wrote and one account alone may read, gone when it is taken or the conversation
//! ends; what killed ones left goes with the next.

use super::lock::Lock;
use super::stored::Durable;
use super::{EngineError, Facilities, StatePaths};
use crate::host::accounts::Accounts;
use crate::host::{Host, OsError};
use ostler_roles::challenge::Place;
use ostler_roles::wire::message::{Hidden, Refusal};
use ostler_roles::words::AccountName;
use std::time::Duration;

/// No nonce is longer.
const CAP: u64 = 256;
/// Who sweeps is done in a moment.
const PATIENCE: Duration = Duration::from_secs(10);

/// What one conversation has brought.
pub struct Challenges<'a> {
    facilities: &'a dyn Facilities,
    given: Vec<(Place, Hidden)>,
    /// Held while any is there: nobody sweeps.
    held: Option<Lock>,
}

impl<'a> Challenges<'a> {
    /// None yet. What killed agents left is removed, unless another conversation has some there.
    pub fn new(facilities: &'a dyn Facilities) -> Self {
        if facilities.is_root() {
            // In nobody's way, and worth nothing: what is not removed now goes with a boot.
            let _ = sweep(facilities.paths());
        }
        Self { facilities, given: Vec::new(), held: None }
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
        if self.held.is_none() {
            let lock = Lock::share(&self.facilities.paths().proof_lock(), PATIENCE);
            let lock = lock.map_err(|error| Refusal::NoChallenge(error.told()))?;
            self.held = Some(lock.ok_or_else(|| Refusal::NoChallenge("another agent sweeps its place, and comes to no end".to_owned()))?);
        }
        let alone = host.is_alone_in(account.gid, account.uid).then_some(account.gid);
        let written = path.write_readable(&nonce.0, account.uid, alone, Durable::No);
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
        let removed = remove(self.facilities.paths(), place, &nonce).map_err(|error| Refusal::NoChallenge(error.to_string()));
        if self.given.is_empty() {
            self.held = None;
        }
        removed
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

/// Removes all that is there, when no conversation has any.
fn sweep(paths: &StatePaths) -> Result<(), EngineError> {
    let all = paths.all_proofs();
    let names = all.names().map_err(EngineError::read(all.path()))?;
    if names.is_empty() {
        return Ok(());
    }
    let Some(_alone) = Lock::take(&paths.proof_lock(), Duration::ZERO)? else { return Ok(()) };
    // Once more, under the lock: all that is there now is nobody's.
    for name in all.names().map_err(EngineError::read(all.path()))? {
        let left = all.join(name);
        left.remove().map_err(EngineError::write(&left))?;
    }
    Ok(())
}

fn remove(paths: &StatePaths, place: Place, nonce: &Hidden) -> std::io::Result<bool> {
    let path = paths.proof(place);
    let is_there = path.read(CAP)?.is_some_and(|bytes| bytes == nonce.0);
    if is_there {
        path.remove()?;
    }
    Ok(is_there)
}
