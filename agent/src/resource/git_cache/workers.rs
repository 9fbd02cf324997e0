//! Workers: threads that take the next of a list, with only the owner's rights; what they find is taken in on our own thread.

use super::Cache;
use crate::host::child::Identity;
use ostler_roles::outcome::Failure;
use rustix::process::{Gid, Uid};
use std::collections::VecDeque;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How often the onlooker looks while nothing ends.
const TICK: Duration = Duration::from_millis(500);

/// Does `act` for each of `list` in workers, and `take`s each outcome here, in the order of their ends.
///
/// # Errors
/// The first that `take` gives; the workers end their present work and take no more.
pub(super) fn run<T: Send, R: Send>(
    cache: &Cache<'_>,
    list: Vec<T>,
    act: impl Fn(&T) -> R + Sync,
    take: impl FnMut(T, R) -> Result<(), Failure>,
) -> Result<(), Failure> {
    watched(cache, list, act, take, || {})
}

/// The same, with an onlooker called now and then.
pub(super) fn watched<T: Send, R: Send>(
    cache: &Cache<'_>,
    list: Vec<T>,
    act: impl Fn(&T) -> R + Sync,
    mut take: impl FnMut(T, R) -> Result<(), Failure>,
    mut look: impl FnMut(),
) -> Result<(), Failure> {
    let workers = cache.workers().min(list.len());
    let waiting = Mutex::new(VecDeque::from(list));
    let (send, receive) = mpsc::channel();
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    std::thread::scope(|scope| {
        for _ in 0..workers {
            let (send, next, act) = (send.clone(), &next, &act);
            scope.spawn(move || {
                let allowed = cache.identity.as_ref().map_or(Ok(()), become_owner);
                while let Some(item) = next() {
                    let done = allowed.as_ref().map(|()| act(&item)).map_err(|error| *error);
                    // The receiver is gone when the first failure ended it all.
                    if send.send((item, done)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(send);
        loop {
            match receive.recv_timeout(TICK) {
                Ok((item, Ok(done))) => {
                    if let Err(failed) = take(item, done) {
                        waiting.lock().unwrap_or_else(PoisonError::into_inner).clear();
                        return Err(failed);
                    }
                }
                Ok((_, Err(error))) => {
                    waiting.lock().unwrap_or_else(PoisonError::into_inner).clear();
                    let who = cache.desired.owner.as_str();
                    let source = crate::host::OsError::new(crate::host::Operation::Start, format_args!("a lane as {who}"), error);
                    return Err(super::super::fault::unmade(source));
                }
                Err(RecvTimeoutError::Timeout) => look(),
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    })
}

/// Gives this thread the owner's rights for good: the calls are the kernel's own and change one thread alone (credentials(7)); a lane
/// ends with its work.
fn become_owner(identity: &Identity) -> Result<(), rustix::io::Errno> {
    let groups: Vec<Gid> = identity.groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
    rustix::thread::set_thread_groups(&groups)?;
    rustix::thread::set_thread_gid(Gid::from_raw(identity.gid))?;
    rustix::thread::set_thread_uid(Uid::from_raw(identity.uid))
}
