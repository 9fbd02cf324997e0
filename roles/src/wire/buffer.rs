//! Bytes on their way that may hold a secret.

use std::ops::Deref;
use zeroize::Zeroizing;

/// A buffer that leaves nothing behind in memory, neither when it goes nor where it lay before it grew.
#[derive(Debug, Default)]
pub struct Buffer(Zeroizing<Vec<u8>>);

impl Buffer {
    /// An empty one with room for so many bytes.
    pub fn with_capacity(room: usize) -> Self {
        Self(Zeroizing::new(Vec::with_capacity(room)))
    }
    /// Appends bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        let needed = self.0.len() + bytes.len();
        if needed > self.0.capacity() {
            // What is moved away from is overwritten, which `Vec` does not do where it grows.
            let mut larger = Self::with_capacity(needed.max(2 * self.0.capacity()));
            larger.0.extend_from_slice(&self.0);
            *self = larger;
        }
        self.0.extend_from_slice(bytes);
    }
    /// Takes the first bytes out.
    pub fn take(&mut self, count: usize) -> Self {
        let mut taken = Self::with_capacity(count);
        taken.push(&self.0[..count]);
        let rest = self.0.len() - count;
        self.0.copy_within(count.., 0);
        self.0[rest..].fill(0);
        self.0.truncate(rest);
        taken
    }
}

impl Deref for Buffer {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl std::io::Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.push(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_out_is_whole_and_nothing_of_it_stays() {
        let mut buffer = Buffer::default();
        for piece in [&b"hun"[..], b"ter2", b" rest"] {
            buffer.push(piece);
        }
        let room = buffer.0.capacity();
        let taken = buffer.take(7);
        assert_eq!((&*taken, &*buffer, buffer.0.capacity()), (&b"hunter2"[..], &b" rest"[..], room));
        buffer.0.resize(12, 1);
        assert_eq!(&*buffer, b" rest\x01\x01\x01\x01\x01\x01\x01");
    }
}
