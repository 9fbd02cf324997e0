//! What one run remembers of mirrors between two looks at them.

use ostler_roles::words::Digest;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Something known of each place.
#[derive(Debug)]
pub(in super::super) struct Remembered<T>(Mutex<BTreeMap<String, T>>);

impl<T> Default for Remembered<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Remembered<T> {
    fn held(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
    pub(in super::super) fn put(&self, place: &str, known: T) {
        self.held().insert(place.to_owned(), known);
    }
    pub(in super::super) fn of(&self, place: &str) -> Option<T> {
        self.held().get(place).cloned()
    }
    /// What was known, and is no longer.
    pub(in super::super) fn take(&self, place: &str) -> Option<T> {
        self.held().remove(place)
    }
}

/// The mirrors of one run, by their places.
#[derive(Debug, Default)]
pub(in super::super) struct Mirrors {
    /// Could not be filled, and why: not tried twice, and the others are done.
    pub(in super::super) failed: Remembered<String>,
    /// What origins had when their mirrors were just filled: what was made is held against that, without asking them again. Good for one look.
    pub(in super::super) filled: Remembered<Digest>,
}
