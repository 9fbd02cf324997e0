//! The first field of a `known_hosts` line: names, wildcards, negations, hashed names. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;

/// Bytes of a hashed name's salt and hash: those of a SHA-1 digest. OpenSSH reads no others.
const DIGEST: usize = 20;
/// The longest pattern. One that is longer spoils its whole list, as in OpenSSH (`match_pattern_list`).
const LONGEST: usize = 1022;

/// The hosts a line speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hosts {
    /// A list of patterns, each with its negation.
    Patterns(Vec<(Negated, String)>),
    /// One name, hidden: HMAC-SHA1 under a salt (`|1|salt|hash`).
    Hashed {
        /// The key of the HMAC.
        salt: Vec<u8>,
        /// The HMAC of the name.
        hash: Vec<u8>,
    },
}

/// Whether a pattern excludes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Negated {
    /// `name`
    No,
    /// `!name`
    Yes,
}

impl Hosts {
    /// Reads the field; none for a hashed name of a kind we do not know and for a list with a pattern that is too long.
    pub fn parse(field: &str) -> Option<Self> {
        if let Some(hidden) = field.strip_prefix('|') {
            let mut parts = hidden.strip_prefix("1|")?.split('|');
            let salt = STANDARD.decode(parts.next()?).ok()?;
            let hash = STANDARD.decode(parts.next()?).ok()?;
            let fits = salt.len() == DIGEST && hash.len() == DIGEST && parts.next().is_none();
            return fits.then_some(Hosts::Hashed { salt, hash });
        }
        let patterns = field.split(',').filter(|pattern| !pattern.is_empty()).map(|pattern| match pattern.strip_prefix('!') {
            Some(rest) => (Negated::Yes, rest.to_ascii_lowercase()),
            None => (Negated::No, pattern.to_ascii_lowercase()),
        });
        let patterns: Vec<_> = patterns.collect();
        patterns.iter().all(|(_, pattern)| pattern.len() <= LONGEST).then_some(Hosts::Patterns(patterns))
    }

    /// Returns whether it speaks of more hosts than it names.
    pub fn is_pattern(&self) -> bool {
        match self {
            Hosts::Hashed { .. } => false,
            Hosts::Patterns(patterns) => patterns.iter().any(|(negated, pattern)| *negated == Negated::Yes || pattern.contains(['*', '?'])),
        }
    }

    /// Returns whether `name` (as [`host_names`] writes it) is meant. A negated pattern that fits decides, wherever it stands.
    pub fn matches(&self, name: &str) -> bool {
        match self {
            Hosts::Hashed { salt, hash } => hashed(salt, name).is_some_and(|own| own == *hash),
            Hosts::Patterns(patterns) => {
                let fits = |negated: Negated| patterns.iter().any(|(is, pattern)| *is == negated && wildcard(pattern, name));
                !fits(Negated::Yes) && fits(Negated::No)
            }
        }
    }
}

/// Returns HMAC-SHA1 of a name under a salt.
pub(super) fn hashed(salt: &[u8], name: &str) -> Option<Vec<u8>> {
    let mut mac = Hmac::<Sha1>::new_from_slice(salt).ok()?;
    mac.update(name.as_bytes());
    Some(mac.finalize().into_bytes().to_vec())
}

/// Writes a hashed name as `known_hosts` holds it.
pub(super) fn write_hashed(salt: &[u8], name: &str) -> Option<String> {
    Some(format!("|1|{}|{}", STANDARD.encode(salt), STANDARD.encode(hashed(salt, name)?)))
}

/// Matches `*` (any run) and `?` (any one character), as OpenSSH's `match_pattern` does. Linear in practice: one way back only.
pub(crate) fn wildcard(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&c) if c == b'?' || c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == b'*')
}

/// Returns the names under which a host's key may be recorded: the one to look for (and to write), then the one that OpenSSH
/// accepts as well on another port than 22, the name without its port. An alias stands for itself, whatever the port.
pub fn host_names(host: &str, port: u16, alias: Option<&str>) -> (String, Option<String>) {
    if let Some(alias) = alias {
        return (alias.to_ascii_lowercase(), None);
    }
    let host = host.to_ascii_lowercase();
    if port == 22 { (host, None) } else { (format!("[{host}]:{port}"), Some(host)) }
}
