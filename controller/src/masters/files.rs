//! Masters that are configured by files on their machine: whoever wants a file there waits for the next go, and one go writes all that is
//! wanted by then and has the master load it once.

use super::driver::Cause;
use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a go waits at most for others who are on their way, too: one that is slow holds nobody up for longer.
const TOGETHER_WITHIN: Duration = Duration::from_secs(2);

/// The machine of a master that is configured by files, as far as registration needs it.
pub trait Install<F>: Send {
    /// Puts these files where the master reads them, and then has it load them, once.
    ///
    /// # Errors
    /// When any file is not in place or the master was not told.
    fn install(&mut self, files: &[F]) -> Result<(), InstallError>;
}

impl<F, I: Install<F> + ?Sized> Install<F> for &mut I {
    fn install(&mut self, files: &[F]) -> Result<(), InstallError> {
        (**self).install(files)
    }
}

/// Why files did not get to a master's machine. All who waited for that go are told the same.
#[derive(Debug, Clone, thiserror::Error)]
#[error("write files on the master's machine")]
pub struct InstallError(#[source] Arc<dyn std::error::Error + Send + Sync>);

impl InstallError {
    /// For this reason.
    pub fn new(cause: Cause) -> Self {
        Self(Arc::from(cause))
    }
}

/// What is wanted, and what came of it.
struct Queue<F> {
    next: u64,
    wanted: Vec<(u64, F)>,
    done: BTreeMap<u64, Result<(), InstallError>>,
    is_busy: bool,
    /// How many are on their way and may want a file soon, those who want one now among them.
    expected: usize,
}

/// The files of one master.
pub struct Files<'a, F> {
    machine: Mutex<Box<dyn Install<F> + 'a>>,
    queue: Mutex<Queue<F>>,
    turned: Condvar,
    together_within: Duration,
}

impl<F> std::fmt::Debug for Files<'_, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Files")
    }
}

impl<'a, F> Files<'a, F> {
    /// The files on this machine.
    pub fn on(machine: impl Install<F> + 'a) -> Self {
        let queue = Queue { next: 0, wanted: Vec::new(), done: BTreeMap::new(), is_busy: false, expected: 0 };
        let (machine, queue) = (Mutex::new(Box::new(machine) as Box<dyn Install<F> + 'a>), Mutex::new(queue));
        Self { machine, queue, turned: Condvar::new(), together_within: TOGETHER_WITHIN }
    }

    /// So many more are on their way: a go waits for them, for a moment.
    pub fn expect(&self, more: usize) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).expected += more;
    }

    /// One of those wants nothing more.
    pub fn expect_no_more(&self) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.expected = queue.expected.saturating_sub(1);
        self.turned.notify_all();
    }

    /// Waits until a go has taken this file along. The first who finds none under way makes one, for all who wait by then and all who are on
    /// their way and come within moments. Blocks for as long as two goes take; each has the machine's own deadlines.
    ///
    /// # Errors
    /// [`InstallError`].
    pub fn write(&self, file: F) -> Result<(), InstallError> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let mine = queue.next;
        queue.next += 1;
        queue.wanted.push((mine, file));
        self.turned.notify_all();
        loop {
            if let Some(done) = queue.done.remove(&mine) {
                return done;
            }
            if queue.is_busy {
                queue = self.turned.wait(queue).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            queue.is_busy = true;
            let end = Instant::now() + self.together_within;
            while queue.wanted.len() < queue.expected {
                let left = end.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    break;
                }
                queue = self.turned.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner).0;
            }
            let (tickets, files): (Vec<u64>, Vec<F>) = std::mem::take(&mut queue.wanted).into_iter().unzip();
            drop(queue);
            let done = self.machine.lock().unwrap_or_else(PoisonError::into_inner).install(&files);
            queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
            queue.is_busy = false;
            queue.done.extend(tickets.into_iter().map(|ticket| (ticket, done.clone())));
            self.turned.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// Tells what it was given and then waits for a word.
    struct Slow {
        given: mpsc::Sender<Vec<u32>>,
        go_on: mpsc::Receiver<bool>,
    }

    impl Install<u32> for Slow {
        fn install(&mut self, files: &[u32]) -> Result<(), InstallError> {
            self.given.send(files.to_vec()).unwrap();
            if self.go_on.recv().unwrap() { Ok(()) } else { Err(InstallError::new("no room".into())) }
        }
    }

    #[test]
    fn what_is_wanted_while_one_go_is_under_way_goes_together_in_the_next() {
        let (given, goes) = mpsc::channel();
        let (word, go_on) = mpsc::channel();
        let files = Files::on(Slow { given, go_on });
        std::thread::scope(|scope| {
            let first = scope.spawn(|| files.write(1));
            assert_eq!(goes.recv().unwrap(), [1]);
            let others: Vec<_> = (2..10)
                .map(|number| {
                    scope.spawn({
                        let files = &files;
                        move || files.write(number)
                    })
                })
                .collect();
            while files.queue.lock().unwrap().wanted.len() < others.len() {
                std::thread::yield_now();
            }
            word.send(true).unwrap();
            let mut second = goes.recv().unwrap();
            second.sort_unstable();
            assert_eq!(second, (2..10).collect::<Vec<_>>());
            word.send(false).unwrap();
            assert!(first.join().unwrap().is_ok());
            // Each hears what came of its own go.
            assert!(others.into_iter().all(|one| one.join().unwrap().is_err()));
        });
        assert!(goes.try_recv().is_err(), "a go for nobody");
    }

    #[test]
    fn who_is_on_the_way_is_waited_for_and_who_leaves_it_or_is_late_is_not() {
        let (given, goes) = mpsc::channel();
        let (word, go_on) = mpsc::channel();
        let mut files = Files::on(Slow { given, go_on });
        files.together_within = Duration::from_secs(3600);
        (0..9).for_each(|_| word.send(true).unwrap());
        files.expect(3);
        std::thread::scope(|scope| {
            let one = scope.spawn(|| files.write(1));
            let two = scope.spawn(|| files.write(2));
            assert!(goes.recv_timeout(Duration::from_millis(50)).is_err(), "the third was not waited for");
            files.expect_no_more();
            let mut both = goes.recv().unwrap();
            both.sort_unstable();
            assert_eq!(both, [1, 2]);
            assert!(one.join().unwrap().is_ok() && two.join().unwrap().is_ok());
        });
        files.together_within = Duration::from_millis(1);
        files.write(1).unwrap();
        assert_eq!(goes.recv().unwrap(), [1], "the other one is slow");
    }
}
