//! Framing over byte slices: pure, so that split, merged, oversized and garbage input are plain tests.
//!
//! A stream begins with [`MAGIC`]; what a noisy shell prints before it is skipped up to [`NOISE_CAP`] and kept to be shown. Then
//! frames: a length (u32, big-endian, of what follows), a flag byte (0 plain, 1 zstd), the named MessagePack of one message.

pub use super::buffer::Buffer;
use super::values;
use crate::words::write_named;
use serde::{Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

/// First bytes of each direction: the protocol's name and version, on a line of their own.
pub const MAGIC: &[u8] = b"\n\x00ostler/1\n";
/// How many bytes a shell may print before the magic.
pub const NOISE_CAP: usize = 64 * 1024;
/// Largest frame in bytes, before and after decompression. Larger data travels in several blob frames.
pub const FRAME_CAP: usize = 32 * 1024 * 1024;
/// Payloads of more bytes are compressed (level 1: measured 0.3 ms for 500 KB).
const COMPRESS_ABOVE: usize = 16 * 1024;

/// What is wrong with the bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// No magic within the cap: the other end does not speak the protocol.
    #[error("the other end printed {} bytes and never began the protocol", .0.len())]
    NotOurs(Vec<u8>),
    /// A length above the cap.
    #[error("a frame of {0} bytes is above the limit of {FRAME_CAP}")]
    TooLong(usize),
    /// An empty frame, or an unknown flag.
    #[error("a frame has the unknown flag {0:?}")]
    Flag(Option<u8>),
    /// Compressed bytes that do not decompress within the cap.
    #[error("a frame does not decompress: {0}")]
    Compression(String),
    /// Bytes that are no message.
    #[error("a frame holds no message we know: {0}")]
    Message(String),
    /// A message of ours that is too large to send.
    #[error("a message of {0} bytes is above the limit of {FRAME_CAP}")]
    TooLarge(usize),
}

/// The bytes of one message, framed.
///
/// # Errors
/// When the message is above the cap.
pub fn encode<T: Serialize>(message: &T) -> Result<Buffer, FrameError> {
    let mut plain = Buffer::default();
    write_named(&mut plain, message).map_err(|error| FrameError::Message(error.to_string()))?;
    if plain.len() >= FRAME_CAP {
        return Err(FrameError::TooLarge(plain.len()));
    }
    let mut packed = Zeroizing::new(Vec::new());
    if plain.len() > COMPRESS_ABOVE {
        packed = Zeroizing::new(zstd::bulk::compress(&plain, 1).map_err(|error| FrameError::Compression(error.to_string()))?);
    }
    // What does not become smaller travels as it is: compressed, it might pass the cap.
    let (flag, payload) = if packed.is_empty() || packed.len() >= plain.len() { (0, &*plain) } else { (1, packed.as_slice()) };
    let length = u32::try_from(payload.len() + 1).map_err(|_| FrameError::TooLarge(payload.len()))?;
    let mut framed = Buffer::with_capacity(payload.len() + 5);
    framed.push(&length.to_be_bytes());
    framed.push(&[flag]);
    framed.push(payload);
    Ok(framed)
}

/// Collects bytes as they come and gives messages as they are whole.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Buffer,
    begun: bool,
    noise: Vec<u8>,
    /// How many of the bytes begin no magic.
    looked_at: usize,
}

impl Decoder {
    /// Waits for the magic first.
    pub fn new() -> Self {
        Self::default()
    }
    /// For a stream without magic: a journal's body.
    pub fn begun() -> Self {
        Self { begun: true, ..Self::default() }
    }
    /// What was printed before the magic; all that came, while there is none.
    pub fn noise(&self) -> &[u8] {
        if self.begun { &self.noise } else { &self.buffer }
    }
    /// Whether the magic has come.
    pub fn has_begun(&self) -> bool {
        self.begun
    }
    /// Whether part of a frame is waiting for its rest.
    pub fn is_midway(&self) -> bool {
        !self.buffer.is_empty()
    }
    /// Takes in bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.push(bytes);
    }
    /// The next whole message; none: more bytes are needed.
    ///
    /// # Errors
    /// When the bytes can be no frame; the stream is then of no use any more.
    pub fn message<T: DeserializeOwned>(&mut self) -> Result<Option<T>, FrameError> {
        Ok(self.message_and_frame()?.map(|(message, _)| message))
    }
    /// The next whole message with its frame as it came, for whoever must pass it on; none: more bytes are needed.
    ///
    /// # Errors
    /// As for [`Self::message`].
    pub fn message_and_frame<T: DeserializeOwned>(&mut self) -> Result<Option<(T, Buffer)>, FrameError> {
        if !self.has_magic()? {
            return Ok(None);
        }
        let Some(header) = self.buffer.first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_be_bytes(*header) as usize;
        if length > FRAME_CAP {
            return Err(FrameError::TooLong(length));
        }
        let Some(body) = self.buffer.get(4..4 + length) else { return Ok(None) };
        let message = decode_body(body)?;
        Ok(Some((message, self.buffer.take(4 + length))))
    }
    /// Whether the magic has come, after looking for it in what is there.
    ///
    /// # Errors
    /// When the bytes can be no beginning of ours.
    pub fn has_magic(&mut self) -> Result<bool, FrameError> {
        if self.begun { Ok(true) } else { self.find_magic() }
    }
    /// Bytes taken in that no message was made of yet.
    pub fn into_rest(self) -> Buffer {
        self.buffer
    }

    /// Where the magic may begin: what was looked at is not looked at once more, however small the pieces are that come.
    fn not_looked_at(&self) -> &[u8] {
        self.buffer.get(self.looked_at..).unwrap_or_default()
    }

    fn find_magic(&mut self) -> Result<bool, FrameError> {
        let found = self.not_looked_at().windows(MAGIC.len()).position(|window| window == MAGIC).map(|at| self.looked_at + at);
        self.looked_at = (self.buffer.len() + 1).saturating_sub(MAGIC.len());
        if let Some(at) = found.filter(|at| *at <= NOISE_CAP) {
            self.noise = self.buffer[..at].to_vec();
            self.buffer.take(at + MAGIC.len());
            self.begun = true;
            return Ok(true);
        }
        if self.buffer.len() > NOISE_CAP + MAGIC.len() {
            return Err(FrameError::NotOurs(self.buffer.take(4096).to_vec()));
        }
        Ok(false)
    }
}

fn decode_body<T: DeserializeOwned>(body: &[u8]) -> Result<T, FrameError> {
    let parse = |plain: &[u8]| {
        let message = values::check(plain).and_then(|()| rmp_serde::from_slice(plain));
        message.map_err(|error| FrameError::Message(error.to_string()))
    };
    match body.split_first() {
        Some((0, plain)) => parse(plain),
        Some((1, packed)) => {
            // The frame says its size; whatever it says, the cap holds.
            let said = zstd::zstd_safe::get_frame_content_size(packed).ok().flatten();
            let room = said.and_then(|said| usize::try_from(said).ok()).map_or(FRAME_CAP, |said| said.min(FRAME_CAP));
            let plain = Zeroizing::new(zstd::bulk::decompress(packed, room).map_err(|error| FrameError::Compression(error.to_string()))?);
            parse(&plain)
        }
        other => Err(FrameError::Flag(other.map(|(flag, _)| *flag))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_looked_at_once_however_it_comes_and_no_magic_is_missed() {
        for piece in [1, 3, MAGIC.len() - 1, MAGIC.len(), 1000] {
            // What begins like the magic, and is none, right before it.
            let noise = [vec![b'.'; 20_000], MAGIC[..MAGIC.len() - 2].to_vec()].concat();
            let (mut decoder, mut looked) = (Decoder::new(), 0);
            for bytes in [&noise[..], MAGIC].concat().chunks(piece) {
                decoder.push(bytes);
                looked += decoder.not_looked_at().len();
                let _begun = decoder.has_magic().unwrap();
            }
            assert!(decoder.has_begun() && decoder.noise() == noise && decoder.buffer.is_empty(), "{piece}");
            let pieces = (noise.len() + MAGIC.len()).div_ceil(piece);
            assert!(looked <= noise.len() + pieces * MAGIC.len(), "{looked} bytes in pieces of {piece}");
        }
    }
}
