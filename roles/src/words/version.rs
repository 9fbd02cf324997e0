//! Versions, compared as Debian compares them (deb-version(7)).

use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// A version: of a kernel, a package, a system.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(pub String);

impl Version {
    /// The version as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn weight(byte: Option<u8>) -> i32 {
    match byte {
        Some(b'~') => -1,
        None => 0,
        Some(b) if b.is_ascii_digit() => 0,
        Some(b) if b.is_ascii_alphabetic() => i32::from(b),
        Some(b) => i32::from(b) + 256,
    }
}

fn take_digits<'a>(text: &mut &'a [u8]) -> &'a [u8] {
    let end = text.iter().position(|b| !b.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    *text = rest;
    let start = digits.iter().position(|b| *b != b'0').unwrap_or(digits.len());
    &digits[start..]
}

fn compare(mut a: &[u8], mut b: &[u8]) -> Ordering {
    while !a.is_empty() || !b.is_empty() {
        while a.first().is_some_and(|x| !x.is_ascii_digit()) || b.first().is_some_and(|x| !x.is_ascii_digit()) {
            let order = weight(a.first().copied()).cmp(&weight(b.first().copied()));
            if order != Ordering::Equal {
                return order;
            }
            a = a.get(1..).unwrap_or_default();
            b = b.get(1..).unwrap_or_default();
        }
        let (x, y) = (take_digits(&mut a), take_digits(&mut b));
        let order = x.len().cmp(&y.len()).then_with(|| x.cmp(y));
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

impl Version {
    /// Compares kernel releases: dpkg's order of the whole text, since `-` divides nothing in what `uname -r` says.
    pub fn cmp_release(&self, other: &Self) -> Ordering {
        compare(self.0.as_bytes(), other.0.as_bytes())
    }
    /// Whether this release is `start` or goes on behind it with anything but a digit: `6.1.0-1` begins `6.1.0-1-amd64`, not `6.1.0-18-amd64`.
    pub fn begins_with(&self, start: &str) -> bool {
        self.0.strip_prefix(start).is_some_and(|rest| !rest.starts_with(|next: char| next.is_ascii_digit()))
    }
}

fn parts(text: &str) -> (u64, &str, &str) {
    let (epoch, rest) = match text.split_once(':') {
        Some((epoch, rest)) => (epoch.parse().unwrap_or(0), rest),
        None => (0, text),
    };
    let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
    (epoch, upstream, revision)
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        let (a, b) = (parts(&self.0), parts(&other.0));
        a.0.cmp(&b.0).then_with(|| compare(a.1.as_bytes(), b.1.as_bytes())).then_with(|| compare(a.2.as_bytes(), b.2.as_bytes()))
    }
}
impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Version {}
impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_dpkg_does() {
        // Each row was checked with `dpkg --compare-versions A lt B`.
        for (a, b) in [
            ("1.9", "1.10"),
            ("1.0~rc1", "1.0"),
            ("5.15", "6.1.0-18-amd64"),
            ("1.0-1", "1.0-2"),
            ("9", "1:1"),
            ("2.36-9+deb12u4", "2.36-9+deb12u14"),
            ("1.0", "1.0a"),
        ] {
            assert!(Version(a.to_owned()) < Version(b.to_owned()), "{a} < {b}");
        }
        assert_eq!(Version("1.0".to_owned()), Version("1.00".to_owned()));
    }
}
