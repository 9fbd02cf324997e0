//! The identifiers of a disk, all from one seed: the same image has the same ones, however often it is built.

use sha2::{Digest, Sha256};
use uuid::Uuid;

/// What an identifier is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Disk,
    RootPartition,
    BiosPartition,
    EspPartition,
    RootFilesystem,
    DirectoryHash,
    EspSerial,
}

/// Returns the identifier of that purpose, in the form that is free for anyone's use (RFC 9562, version 8).
pub(super) fn of(seed: &str, purpose: Purpose) -> Uuid {
    let mut digest = Sha256::new();
    digest.update(format!("ostler disk {purpose:?}\0{seed}"));
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest.finalize()[..16]);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    Uuid::from_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_gives_one_identifier_for_each_purpose() {
        let root = of("noble", Purpose::RootFilesystem);
        assert_eq!(root, of("noble", Purpose::RootFilesystem));
        assert_ne!(root, of("noble", Purpose::RootPartition));
        assert_ne!(root, of("bookworm", Purpose::RootFilesystem));
        assert_eq!(root.get_version_num(), 8);
    }
}
