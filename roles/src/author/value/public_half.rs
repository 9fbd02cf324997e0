//! The public half of an OpenSSH private key: it stands unencrypted in the container (openssh PROTOCOL.key), nothing is decrypted.

/// The line before the body.
const BEGIN: &str = "-----BEGIN OPENSSH PRIVATE KEY-----";
/// The line after it.
const END: &str = "-----END OPENSSH PRIVATE KEY-----";
/// What the decoded body begins with.
const MAGIC: &[u8] = b"openssh-key-v1\0";

/// Why a secret has no public half. Says nothing of what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PublicHalfError {
    /// It is something else, or an older PEM form.
    #[error("it is not a private key in OpenSSH's own form")]
    NotOpenSsh,
    /// The body is cut or garbled.
    #[error("it is a damaged private key")]
    Damaged,
}

/// The public key line, `ALGORITHM BASE64`, of a private key.
///
/// # Errors
/// When it is no whole `openssh-key-v1` file.
pub fn public_half(private: &str) -> Result<String, PublicHalfError> {
    let (_, rest) = private.split_once(BEGIN).ok_or(PublicHalfError::NotOpenSsh)?;
    let (body, _) = rest.split_once(END).ok_or(PublicHalfError::Damaged)?;
    let bytes = decode(body).ok_or(PublicHalfError::Damaged)?;
    let mut rest = bytes.strip_prefix(MAGIC).ok_or(PublicHalfError::NotOpenSsh)?;
    for _cipher_kdf_options in 0..3 {
        take(&mut rest)?;
    }
    if number(&mut rest)? < 1 {
        return Err(PublicHalfError::Damaged);
    }
    let blob = take(&mut rest)?;
    let mut inner = blob;
    let algorithm = std::str::from_utf8(take(&mut inner)?).map_err(|_| PublicHalfError::Damaged)?;
    if algorithm.is_empty() || !algorithm.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(PublicHalfError::Damaged);
    }
    Ok(format!("{algorithm} {}", encode(blob)))
}

/// A length in four bytes, then so many bytes (RFC 4251 section 5, `string`).
fn take<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], PublicHalfError> {
    let length = usize::try_from(number(rest)?).map_err(|_| PublicHalfError::Damaged)?;
    let (taken, left) = rest.split_at_checked(length).ok_or(PublicHalfError::Damaged)?;
    *rest = left;
    Ok(taken)
}

/// Four bytes, the highest first.
fn number(rest: &mut &[u8]) -> Result<u32, PublicHalfError> {
    let (taken, left) = rest.split_first_chunk::<4>().ok_or(PublicHalfError::Damaged)?;
    *rest = left;
    Ok(u32::from_be_bytes(*taken))
}

/// The alphabet of base64 (RFC 4648 section 4).
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let (mut bits, mut held) = (0u32, 0u32);
    for byte in text.bytes().filter(|byte| !byte.is_ascii_whitespace() && *byte != b'=') {
        let value = u32::try_from(ALPHABET.iter().position(|letter| *letter == byte)?).ok()?;
        held = (held << 6 | value) & 0xff_ffff;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(held >> bits & 0xff).ok()?);
        }
    }
    Some(bytes)
}

fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let held = chunk.iter().fold(0usize, |held, byte| held << 8 | usize::from(*byte)) << (8 * (3 - chunk.len()));
        for index in 0..4 {
            text.push(if index <= chunk.len() { char::from(ALPHABET[held >> (18 - 6 * index) & 63]) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    // Made with `ssh-keygen -t ed25519 -N '' -C test`; the public line is what it wrote beside it.
    const PRIVATE: &str = include_str!("../../../tests/data/keys/ed25519");
    const PUBLIC: &str = include_str!("../../../tests/data/keys/ed25519.pub");
    const LOCKED: &str = include_str!("../../../tests/data/keys/ecdsa-with-passphrase");
    const LOCKED_PUBLIC: &str = include_str!("../../../tests/data/keys/ecdsa-with-passphrase.pub");

    #[test]
    fn the_public_half_is_what_ssh_keygen_wrote() {
        for (private, public) in [(PRIVATE, PUBLIC), (LOCKED, LOCKED_PUBLIC)] {
            let line = public_half(private).unwrap();
            assert!(public.starts_with(&line), "{line}\n{public}");
        }
    }

    #[test]
    fn what_is_no_key_is_refused_without_showing_it() {
        assert_eq!(public_half("hunter2"), Err(PublicHalfError::NotOpenSsh));
        let cut = format!("{BEGIN}\nb3BlbnNzaC1rZXktdjEAAAAA\n{END}\n");
        assert_eq!(public_half(&cut), Err(PublicHalfError::Damaged));
        for length in 0..PRIVATE.len() {
            let _whatever = public_half(&PRIVATE[..length]);
        }
        assert_eq!(public_half(&PRIVATE[..PRIVATE.len() / 2]), Err(PublicHalfError::Damaged));
    }

    proptest::proptest! {
        #[test]
        fn base64_reads_what_it_writes(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..64)) {
            proptest::prop_assert_eq!(decode(&encode(&bytes)), Some(bytes));
        }
    }
}
