//! Workers: threads that take the next of a list; what they make of it is taken in on our own thread.

use std::collections::VecDeque;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How often the onlooker looks while nothing ends.
const TICK: Duration = Duration::from_millis(200);

/// Does `act` for each of `list` in so many workers, and `take`s each outcome here, in the order of their ends. `look` is called now and then.
///
/// # Errors
/// The first that `take` gives; the workers end their present work and take no more.
pub(super) fn run<T: Send, R: Send, E>(
    workers: usize,
    list: Vec<T>,
    act: impl Fn(T) -> R + Sync,
    mut take: impl FnMut(R) -> Result<(), E>,
    mut look: impl FnMut(),
) -> Result<(), E> {
    let workers = workers.min(list.len());
    let waiting = Mutex::new(VecDeque::from(list));
    let (send, receive) = mpsc::channel();
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    std::thread::scope(|scope| {
        for _ in 0..workers {
            let (send, next, act) = (send.clone(), &next, &act);
            scope.spawn(move || {
                while let Some(item) = next() {
                    // The receiver is gone when the first failure ended it all.
                    if send.send(act(item)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(send);
        loop {
            match receive.recv_timeout(TICK) {
                Ok(done) => {
                    if let Err(failed) = take(done) {
                        waiting.lock().unwrap_or_else(PoisonError::into_inner).clear();
                        return Err(failed);
                    }
                }
                Err(RecvTimeoutError::Timeout) => look(),
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    })
}
