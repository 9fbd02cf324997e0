//! The right to bring a lab up or to take it down: one at a time in each state directory.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::FlockOperation;

use super::error::LabError;
use super::paths::LabPaths;

/// What somebody does with a lab while nobody else may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Up,
    Down,
}

impl Operation {
    fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// Held while a lab comes up or goes down; the kernel gives it back at any death.
#[derive(Debug)]
pub(crate) struct UpDownLock {
    file: File,
}

impl UpDownLock {
    /// Takes the turn. A lab that goes down is waited for; one that comes up may take long: who does that is told at once.
    pub(crate) fn take(place: &LabPaths, limit: Duration) -> Result<Self, LabError> {
        let path = place.up_lock();
        // Never emptied here: it holds the words of whoever has it.
        let open = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = open.map_err(LabError::file("create", &path))?;
        let end = Instant::now() + limit;
        loop {
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {
                    // What a killed one left.
                    let _ = file.set_len(0);
                    return Ok(Self { file });
                }
                Err(rustix::io::Errno::WOULDBLOCK) => {}
                Err(error) => return Err(LabError::file("lock", &path)(error.into())),
            }
            let (work, who) = at_work(&path);
            if work == Some(Operation::Up) || Instant::now() >= end {
                return Err(LabError::AtWork { who, dir: place.dir().to_owned() });
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Tells whoever comes meanwhile what is done here. Unsaid it matters little: on a full disk, say.
    pub(crate) fn tell(&self, work: Operation) {
        let _ = (&self.file).write_all(format!("{} {}\n", work.word(), std::process::id()).as_bytes());
    }
}

impl Drop for UpDownLock {
    fn drop(&mut self) {
        let _ = self.file.set_len(0);
        // Closing is not enough: a child between its fork and its exec has the file open too.
        let _ = rustix::fs::flock(&self.file, FlockOperation::Unlock);
    }
}

/// Returns what the words in the lock say, if the process that wrote them lives.
fn at_work(path: &Path) -> (Option<Operation>, String) {
    let said = std::fs::read_to_string(path).unwrap_or_default();
    let known = [Operation::Up, Operation::Down].into_iter().find_map(|work| {
        let process: u32 = said.trim_end().strip_prefix(work.word())?.trim_start().parse().ok()?;
        let lives = Path::new("/proc").join(process.to_string()).exists();
        lives.then(|| (Some(work), format!("`lab {}` (process {process})", work.word())))
    });
    known.unwrap_or_else(|| (None, "another `lab up` or `lab down`".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_comes_up_is_told_of_at_once_and_one_that_goes_down_is_waited_for() {
        let dir = tempfile::tempdir().expect("scratch");
        let place = LabPaths::create(&dir.path().join("lab")).expect("place");
        let first = UpDownLock::take(&place, Duration::ZERO).expect("free");
        first.tell(Operation::Up);
        let refused = UpDownLock::take(&place, Duration::from_secs(600)).expect_err("taken").to_string();
        let ours = format!("`lab up` (process {}) is at work in {}", std::process::id(), place.dir().display());
        assert!(refused.starts_with(&ours), "{refused}");
        drop(first);

        let second = UpDownLock::take(&place, Duration::ZERO).expect("free");
        second.tell(Operation::Down);
        let late = UpDownLock::take(&place, Duration::from_millis(30)).expect_err("taken").to_string();
        assert!(late.starts_with(&ours.replace("lab up", "lab down")), "{late}");
        thread::scope(|scope| {
            let waiting = scope.spawn(|| UpDownLock::take(&place, Duration::from_secs(60)).map(drop));
            drop(second);
            waiting.join().expect("no panic").expect("in turn");
        });
    }

    #[test]
    fn it_is_given_back_though_a_child_has_the_file_open() {
        let dir = tempfile::tempdir().expect("scratch");
        let place = LabPaths::create(&dir.path().join("lab")).expect("place");
        let first = UpDownLock::take(&place, Duration::ZERO).expect("free");
        let _of_the_child = first.file.try_clone().expect("a second descriptor");
        drop(first);
        UpDownLock::take(&place, Duration::ZERO).expect("free again");
    }

    #[test]
    fn the_words_of_one_that_was_killed_are_not_believed() {
        let dir = tempfile::tempdir().expect("scratch");
        let place = LabPaths::create(&dir.path().join("lab")).expect("place");
        let lock = UpDownLock::take(&place, Duration::ZERO).expect("free");
        // No process has this number (proc(5), pid_max).
        std::fs::write(place.up_lock(), "up 4194305\n").expect("written");
        let late = UpDownLock::take(&place, Duration::from_millis(30)).expect_err("taken").to_string();
        assert!(late.starts_with("another `lab up` or `lab down` is at work"), "{late}");
        drop(lock);
        assert_eq!(std::fs::read_to_string(place.up_lock()).expect("there"), "");
    }
}
