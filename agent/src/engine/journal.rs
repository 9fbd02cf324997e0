//! The journal of one run: a file that only grows, written by one thread, read by any number of tails.

use super::{EngineError, stored};
use crate::host::own::OwnPath;
use ostler_roles::outcome::Event;
use ostler_roles::wire::frame::{self, Decoder};
use ostler_roles::words::Bytes;
use rustix::fs::FallocateFlags;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

/// Room kept for the story of a full disk.
pub(super) const RESERVE: Bytes = Bytes(256 << 10);

/// One event as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Counts from 1.
    pub seq: u64,
    /// When, in milliseconds since 1970 by the node's clock.
    pub at: u64,
    /// What happened.
    pub event: Event,
}

/// Appends to a new journal.
#[derive(Debug)]
pub(super) struct JournalFile {
    path: OwnPath,
    file: File,
    last: u64,
}

impl JournalFile {
    /// Makes the journal of a run; one that is there already is an error: no run begins twice.
    pub(super) fn create(path: &OwnPath) -> Result<Self, EngineError> {
        let mut file = path.create_to_append(0o600).map_err(EngineError::write(path))?;
        // A file system that cannot reserve (EOPNOTSUPP) still journals.
        let _ = rustix::fs::fallocate(&file, FallocateFlags::KEEP_SIZE, 0, RESERVE.count());
        file.write_all(stored::header("journal").as_bytes()).map_err(EngineError::write(path))?;
        Ok(Self { path: path.clone(), file, last: 0 })
    }
    /// Number of the last event.
    pub(super) fn last(&self) -> u64 {
        self.last
    }
    /// Appends one event; it is in the kernel's hands when this returns, whatever becomes of us.
    pub(super) fn append(&mut self, event: Event) -> Result<(), EngineError> {
        let at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
        let record = Record { seq: self.last + 1, at, event };
        let wrong = |error: frame::FrameError| EngineError::Content { path: self.path.to_path_buf(), why: error.to_string() };
        let bytes = frame::encode(&record).map_err(wrong)?;
        self.file.write_all(&bytes).map_err(EngineError::write(&self.path))?;
        self.last += 1;
        Ok(())
    }
    /// Makes everything appended durable; behind the first event also that there is a journal.
    pub(super) fn sync(&self) -> Result<(), EngineError> {
        let synced = self.file.sync_data().and_then(|()| if self.last == 1 { self.path.sync_names() } else { Ok(()) });
        synced.map_err(EngineError::write(&self.path))
    }
}

/// Reads a journal from its beginning, also while it grows.
#[derive(Debug)]
pub struct JournalReader {
    path: PathBuf,
    file: File,
    header: Vec<u8>,
    decoder: Decoder,
    torn: bool,
}

impl JournalReader {
    /// Opens a journal; none where there is none.
    ///
    /// # Errors
    /// When it is there and cannot be opened.
    pub fn open(path: &OwnPath) -> Result<Option<Self>, EngineError> {
        let Some(file) = path.open().map_err(EngineError::read(path))? else { return Ok(None) };
        Ok(Some(Self { path: path.to_path_buf(), file, header: Vec::new(), decoder: Decoder::begun(), torn: false }))
    }
    /// The next whole record; none: there is no more yet. Bytes that are no record are a torn end: nothing behind them counts.
    ///
    /// # Errors
    /// When the file cannot be read, or is of another kind or number.
    pub fn next_record(&mut self) -> Result<Option<Record>, EngineError> {
        let mut bytes = vec![0; 64 * 1024];
        loop {
            if self.torn {
                return Ok(None);
            }
            match self.decoder.message::<Record>() {
                Ok(Some(record)) => return Ok(Some(record)),
                Ok(None) => {}
                Err(_) => {
                    self.torn = true;
                    return Ok(None);
                }
            }
            let count = self.file.read(&mut bytes).map_err(EngineError::read(&self.path))?;
            if count == 0 {
                return Ok(None);
            }
            self.take_in(&bytes[..count])?;
        }
    }
    /// How many events there are, and whether the last one is the run's end.
    ///
    /// # Errors
    /// As for [`Self::next_record`].
    pub fn count(&mut self) -> Result<(u64, bool), EngineError> {
        let mut last = (0, false);
        while let Some(record) = self.next_record()? {
            last = (record.seq, matches!(record.event, Event::Ended { .. }));
        }
        Ok(last)
    }
    fn take_in(&mut self, bytes: &[u8]) -> Result<(), EngineError> {
        let header = stored::header("journal").into_bytes();
        let missing = header.len() - self.header.len();
        let (head, body) = bytes.split_at(missing.min(bytes.len()));
        self.header.extend_from_slice(head);
        let written = self.header.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        if written < self.header.len() && header.starts_with(&self.header[..written]) {
            // The power went before its first bytes were on the disk (a file's length may be there before them): no event was made durable,
            // so none counts.
            self.torn = true;
            return Ok(());
        }
        if !header.starts_with(&self.header) {
            let why = format!("it does not begin with `{}`", String::from_utf8_lossy(&header).trim_end());
            return Err(EngineError::Content { path: self.path.clone(), why });
        }
        self.decoder.push(body);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::own::OwnDirectory;

    #[test]
    fn a_journal_of_which_a_power_cut_left_the_length_alone_holds_no_event_and_another_file_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let state = OwnDirectory::new(directory.path().join("state"), 0o755);
        let header = stored::header("journal");
        let half = [&header.as_bytes()[..7], [0; 4096].as_slice()].concat();
        for (name, bytes) in [("nothing", vec![0; 5000]), ("half", half), ("empty", Vec::new())] {
            let path = state.join(name);
            path.write(&bytes, 0o600, stored::Durable::No).unwrap();
            assert_eq!(JournalReader::open(&path).unwrap().unwrap().count().unwrap(), (0, false), "{name}");
        }
        let path = state.join("other");
        path.write(b"another kind of file", 0o600, stored::Durable::No).unwrap();
        assert!(JournalReader::open(&path).unwrap().unwrap().count().is_err());
    }
}
