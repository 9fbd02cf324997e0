//! One line of `known_hosts` and what it says. Pure: text in, entries out.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use russh::keys::{Algorithm, PublicKey};

use super::pattern::Hosts;

/// What stands between the words of a line.
const BLANKS: [char; 2] = [' ', '\t'];
/// An RSA key's own name, and the names of its signatures (RFC 8332), under which OpenSSH reads it too.
const RSA: &str = "ssh-rsa";
const RSA_SIGNATURES: [&str; 2] = ["rsa-sha2-256", "rsa-sha2-512"];

/// What a line's key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marker {
    /// The host's own key.
    Key,
    /// `@cert-authority`: the key signs host certificates.
    CertAuthority,
    /// `@revoked`: the key must never be accepted.
    Revoked,
}

/// A line that says something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What its key is for.
    pub marker: Marker,
    /// Of which hosts it speaks.
    pub hosts: Hosts,
    /// The key's type, as the key itself names it: `ssh-ed25519`.
    pub key_type: String,
    /// The key in its wire form.
    pub key: Vec<u8>,
    /// Its line, from 1.
    pub line: usize,
}

/// A line's reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// Empty, or a comment.
    Nothing,
    /// An entry.
    Entry(Entry),
    /// It cannot be read; OpenSSH skips it as well.
    Unreadable,
}

/// Reads of which hosts a line speaks, and nothing else of it; none where it says nothing or cannot be read.
pub(super) fn hosts(text: &str) -> Option<Hosts> {
    let text = text.trim_matches(BLANKS);
    let mut fields = text.split(BLANKS).filter(|field| !field.is_empty());
    let first = fields.next().filter(|first| !first.starts_with('#'))?;
    Hosts::parse(if first.starts_with('@') { fields.next()? } else { first })
}

/// Reads one line. One that cannot be read can make a host unknown, never known.
pub(super) fn parse_line(text: &str, line: usize) -> Line {
    // Other blanks are part of a word.
    let text = text.trim_matches(BLANKS);
    if text.is_empty() || text.starts_with('#') {
        return Line::Nothing;
    }
    entry(text, line).map_or(Line::Unreadable, Line::Entry)
}

fn entry(text: &str, line: usize) -> Option<Entry> {
    let mut fields = text.split(BLANKS).filter(|field| !field.is_empty()).peekable();
    let marker = match *fields.peek()? {
        "@cert-authority" => Marker::CertAuthority,
        "@revoked" => Marker::Revoked,
        other if other.starts_with('@') => return None,
        _ => Marker::Key,
    };
    if marker != Marker::Key {
        fields.next();
    }
    let hosts = Hosts::parse(fields.next()?)?;
    let written = fields.next()?;
    let key = STANDARD.decode(fields.next()?).ok()?;
    let key_type = inner_type(&key)?.to_owned();
    let same = key_type == written || (key_type == RSA && RSA_SIGNATURES.contains(&written));
    (same && is_whole(&key_type, &key)).then_some(Entry { marker, hosts, key_type, key, line })
}

/// Returns whether a key is all there and nothing behind it. One of a type that we do not know is taken as it stands: it still says that
/// something is recorded.
fn is_whole(key_type: &str, key: &[u8]) -> bool {
    match key_type.parse() {
        Ok(Algorithm::Other(_)) | Err(_) => true,
        Ok(_) => PublicKey::from_bytes(key).is_ok(),
    }
}

/// Returns the type that a key in wire form names itself (RFC 4253, 6.6: a length and the name).
fn inner_type(key: &[u8]) -> Option<&str> {
    let (length, rest) = key.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    std::str::from_utf8(rest.get(..length)?).ok()
}
