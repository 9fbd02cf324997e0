//! The mask of a run: what no output may show is replaced in texts and in streams, before anything is cut, kept or sent.
//!
//! A value is found as it is and in base64 (`forms`); each of these also percent-encoded, with escapes of JSON, C and the shell, in
//! quotes of the shell, with entities of XML (`reading`), broken over lines at any place, and in as many writes as it came in (`stream`).

mod decoding;
mod forms;
mod stream;
mod trie;

pub use stream::Stream;

use crate::texts::{Text, Texts};
use std::sync::Arc;
use trie::Trie;

/// Characters that a secret has at least. A shorter one stands in ordinary words, and masking it would mask them.
pub const SHORTEST: usize = 6;
/// What stands for a secret.
pub const MASK: &str = "***";
/// What whoever cuts a text puts in place of the rest: what stands right before it may be the beginning of a secret.
pub const CUT: char = '…';

/// Whether a value is long enough for a secret. Blanks around it do not count.
pub fn is_long_enough(value: &[u8]) -> bool {
    String::from_utf8_lossy(value).trim().chars().count() >= SHORTEST
}

/// What no output of a run may show. Clones share it; the default one masks nothing.
#[derive(Clone, Default)]
pub struct Mask(Arc<[Arc<Trie>]>);

impl std::fmt::Debug for Mask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mask")
    }
}

impl Mask {
    /// Masks these values, each of their lines too: a private key's lines come one by one. Those that are too short are left out.
    pub fn of<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut trie = Trie::default();
        for value in values {
            forms::each(value, &mut |form| trie.insert(form));
        }
        if trie.is_empty() { Self::default() } else { Self(Arc::new([Arc::new(trie.linked())])) }
    }

    /// One that masks what either does, also where a value of one is in one of the other or overlaps it.
    pub fn joined(&self, other: &Self) -> Self {
        Self(self.0.iter().chain(&*other.0).cloned().collect())
    }

    /// Whether it masks nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// For bytes that come piece by piece.
    pub fn stream(&self) -> Stream {
        Stream::new(&self.0)
    }

    /// The text without secrets, also without half of one where it was cut.
    pub fn text(&self, text: &str) -> String {
        if self.is_empty() {
            return text.to_owned();
        }
        let mut stream = self.stream();
        let mut out = Vec::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once(CUT) {
            stream.push(before.as_bytes(), &mut out);
            stream.cut(&mut out);
            stream.push(CUT.encode_utf8(&mut [0; 4]).as_bytes(), &mut out);
            rest = after;
        }
        stream.push(rest.as_bytes(), &mut out);
        stream.finish(&mut out);
        String::from_utf8(out).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }

    /// Masks a text in its place. In lines of one output a secret may go from one to the next.
    pub fn hide(&self, text: Text<'_>) {
        match text {
            _ if self.is_empty() => {}
            Text::One(text) => *text = self.text(text),
            Text::Lines(lines) => *lines = self.text(&lines.join("\n")).lines().map(str::to_owned).collect(),
        }
    }

    /// Masks every text of a message.
    pub fn hide_in<T: Texts + ?Sized>(&self, message: &mut T) {
        if !self.is_empty() {
            message.texts(&mut |text| self.hide(text));
        }
    }
}

#[cfg(test)]
mod tests;
