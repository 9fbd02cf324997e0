//! A stream without secrets: bytes that may belong to one are held back until that is known.

use super::MASK;
use super::decoding::{Decoding, FORMS};
use super::trie::Trie;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

/// So much of a secret may show where a text was cut: not worth a mark at every word's end.
const TOLERATED: usize = 2;

/// Some texts, looked for in every reading of the bytes.
#[derive(Clone)]
struct Search {
    trie: Arc<Trie>,
    readings: Vec<Decoding>,
}

impl Search {
    fn new(trie: Arc<Trie>) -> Self {
        Self { trie, readings: FORMS.map(Decoding::new).to_vec() }
    }
}

/// Takes bytes in as they come and gives them out masked.
#[derive(Clone)]
pub struct Stream {
    searches: Vec<Search>,
    /// Bytes that may belong to a secret, and whether they do.
    held: VecDeque<(u8, bool)>,
    /// The place in the stream of the first of them.
    base: u64,
    /// What was given out last is the mask.
    is_masking: bool,
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream").field("base", &self.base).finish_non_exhaustive()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.held.iter_mut().for_each(|(byte, _)| zeroize::Zeroize::zeroize(byte));
    }
}

impl Stream {
    pub(super) fn new(tries: &[Arc<Trie>]) -> Self {
        let searches = tries.iter().cloned().map(Search::new).collect();
        Self { searches, held: VecDeque::new(), base: 0, is_masking: false }
    }

    /// Takes bytes in; what is sure by now goes behind `out`.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let mut rest = bytes;
        loop {
            if self.held.is_empty() {
                let plain = rest.iter().position(|byte| self.may_begin(*byte)).unwrap_or(rest.len());
                if plain > 0 {
                    out.extend_from_slice(&rest[..plain]);
                    self.base += plain as u64;
                    self.is_masking = false;
                    rest = &rest[plain..];
                }
            }
            let Some((byte, more)) = rest.split_first() else { return };
            rest = more;
            self.take(*byte, out);
        }
    }

    /// Nothing more comes: gives out the rest.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        let found = self.end();
        self.mark(&found);
        self.give(u64::MAX, out);
        self.reset();
    }

    /// What comes next is not known, for it was cut off: the beginning of a secret that stands here is masked as the whole would be.
    pub fn cut(&mut self, out: &mut Vec<u8>) {
        let mut found = self.end();
        let end = self.base + self.held.len() as u64;
        let begun = self.readings().filter(|reading| reading.depth() > TOLERATED).filter_map(Decoding::holds_from);
        found.extend(begun.map(|from| from..end));
        self.mark(&found);
        self.give(u64::MAX, out);
        self.reset();
    }

    fn readings(&self) -> impl Iterator<Item = &Decoding> {
        self.searches.iter().flat_map(|search| &search.readings)
    }

    /// Ends all readings, and returns what that finds.
    fn end(&mut self) -> Vec<Range<u64>> {
        let mut found = Vec::new();
        for Search { trie, readings } in &mut self.searches {
            readings.iter_mut().for_each(|reading| reading.end(trie, &mut found));
        }
        found
    }

    fn reset(&mut self) {
        for search in &mut self.searches {
            *search = Search::new(Arc::clone(&search.trie));
        }
    }

    /// Whether a secret may begin with this byte, in any reading.
    fn may_begin(&self, byte: u8) -> bool {
        self.searches.iter().any(|search| search.trie.begins(byte))
            || (!self.searches.is_empty() && FORMS.iter().any(|form| form.opens(byte)))
    }

    fn take(&mut self, byte: u8, out: &mut Vec<u8>) {
        let at = self.base + self.held.len() as u64;
        self.held.push_back((byte, false));
        let mut found = Vec::new();
        for Search { trie, readings } in &mut self.searches {
            readings.iter_mut().for_each(|reading| reading.take(trie, byte, at, &mut found));
        }
        self.mark(&found);
        let sure = self.readings().filter_map(Decoding::holds_from).min().unwrap_or(u64::MAX);
        self.give(sure, out);
    }

    fn mark(&mut self, found: &[Range<u64>]) {
        for range in found {
            let place = |at: u64| usize::try_from(at.saturating_sub(self.base)).unwrap_or(usize::MAX).min(self.held.len());
            let (start, end) = (place(range.start), place(range.end));
            self.held.range_mut(start..end).for_each(|(_, is_secret)| *is_secret = true);
        }
    }

    /// Gives out what stands before a place of the stream.
    fn give(&mut self, until: u64, out: &mut Vec<u8>) {
        while self.base < until {
            let Some((byte, is_secret)) = self.held.pop_front() else { return };
            self.base += 1;
            match (is_secret, self.is_masking) {
                (true, false) => out.extend_from_slice(MASK.as_bytes()),
                (true, true) => {}
                (false, _) => out.push(byte),
            }
            self.is_masking = is_secret;
        }
    }
}
