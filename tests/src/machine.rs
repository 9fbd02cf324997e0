//! A machine that a smoke job runs on, with the nonce that it is given: a directory of this one.

#![expect(clippy::expect_used, reason = "a test that cannot be set up has failed")]

use ostler::masters::driver::Cause;
use ostler::masters::witness::{Nonce, Unkept, Witness};
use std::sync::Mutex;

/// What becomes of what it is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Given {
    /// It stays until it is taken.
    Kept,
    /// Another machine has the same file, with something else in it.
    Elsewhere,
    /// Other machines have no such file.
    Nowhere,
    /// It is lost with the line to the node, this many times.
    Lost(u32),
}

/// What it says when it is to keep that a job passed on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// It keeps it.
    Yes,
    /// Another run has changed it since.
    Changed,
    /// It cannot.
    Owed,
}

/// One machine.
#[derive(Debug)]
pub struct Machine {
    directory: tempfile::TempDir,
    given: Mutex<Given>,
    kept: Mutex<Kept>,
    taken: Mutex<Option<String>>,
    nonces: Mutex<Vec<Nonce>>,
}

impl Default for Machine {
    fn default() -> Self {
        Self::that(Given::Kept)
    }
}

impl Machine {
    /// One where this becomes of what it is given.
    ///
    /// # Panics
    /// Without a scratch directory.
    pub fn that(given: Given) -> Self {
        let directory = tempfile::tempdir().expect("a scratch directory");
        Self { directory, given: Mutex::new(given), kept: Mutex::new(Kept::Yes), taken: Mutex::default(), nonces: Mutex::default() }
    }

    /// What it says from now on when it is to keep a proof.
    ///
    /// # Panics
    /// Never.
    pub fn keeps(&self, kept: Kept) {
        *self.kept.lock().expect("a lock") = kept;
    }

    /// Another run has it from now on, or none.
    ///
    /// # Panics
    /// Never.
    pub fn is_taken_by(&self, run: Option<&str>) {
        *self.taken.lock().expect("a lock") = run.map(str::to_owned);
    }

    /// How many nonces it was given; each is another.
    ///
    /// # Panics
    /// When one came twice, or is still there.
    pub fn nonces(&self) -> usize {
        let nonces = self.nonces.lock().expect("a lock");
        for (at, nonce) in nonces.iter().enumerate() {
            assert!(!nonces[..at].contains(nonce), "given twice");
        }
        assert!(!std::path::Path::new(&self.path()).exists() || *self.given.lock().expect("a lock") == Given::Elsewhere);
        nonces.len()
    }
}

impl Witness for Machine {
    fn node(&self) -> String {
        "p06".to_owned()
    }

    fn path(&self) -> String {
        self.directory.path().join("nonce").display().to_string()
    }

    fn give(&self, nonce: &Nonce) -> Result<(), Cause> {
        self.nonces.lock().expect("a lock").push(nonce.clone());
        match *self.given.lock().expect("a lock") {
            Given::Kept => std::fs::write(self.path(), nonce.content())?,
            Given::Elsewhere => std::fs::write(self.path(), Nonce::fresh()?.content())?,
            Given::Nowhere | Given::Lost(_) => {}
        }
        Ok(())
    }

    fn take(&self) -> Result<bool, Cause> {
        let mut given = self.given.lock().expect("a lock");
        match *given {
            Given::Kept => std::fs::remove_file(self.path())?,
            Given::Elsewhere | Given::Nowhere => {}
            Given::Lost(times) => {
                *given = if times > 1 { Given::Lost(times - 1) } else { Given::Kept };
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn keep(&self) -> Result<(), Unkept> {
        match &*self.kept.lock().expect("a lock") {
            Kept::Yes => Ok(()),
            Kept::Changed => Err(Unkept::Changed("the node was changed again".into())),
            Kept::Owed => Err(Unkept::Owed("no space left on device".into())),
        }
    }

    fn taken_by(&self) -> Result<Option<String>, Cause> {
        Ok(self.taken.lock().expect("a lock").clone())
    }
}
