//! What a text of each type may hold. One place: literals and values computed from expressions are judged alike, by the words
//! that the catalog is made of.

use std::net::{IpAddr, Ipv6Addr};

use super::scalar::ScalarType;
use crate::words::{
    AbsPath, Bytes, Digest, Label, MasterName, Mode, NameError, NodeName, ParseDigestError, ParseModeError, ParseQuantityError,
};
use crate::words::{PathError, Percent, Span};

/// Why a text is not of a type; says the text, cut to a bounded length.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// No name of its kind.
    #[error(transparent)]
    Name(#[from] NameError),
    /// No path of a node.
    #[error(transparent)]
    Path(#[from] PathError),
    /// No size, time or share.
    #[error(transparent)]
    Quantity(#[from] ParseQuantityError),
    /// No digest.
    #[error(transparent)]
    Digest(#[from] ParseDigestError),
    /// No mode.
    #[error(transparent)]
    Mode(#[from] ParseModeError),
    /// A rule that is the language's own.
    #[error("`{text}` {why}")]
    Rule {
        /// The text, cut.
        text: String,
        /// The rule it breaks.
        why: &'static str,
    },
}

/// Judges a text.
///
/// # Errors
/// The rule that it breaks.
pub fn check(wanted: ScalarType, text: &str) -> Result<(), TextError> {
    match wanted {
        ScalarType::Path => AbsPath::parse(text).map(drop)?,
        ScalarType::Label => Label::parse(text).map(drop)?,
        ScalarType::Bytes => Bytes::parse(text).map(drop)?,
        ScalarType::Duration => Span::parse(text).map(drop)?,
        ScalarType::Percent => Percent::parse(text).map(drop)?,
        ScalarType::Mode => Mode::parse(text).map(drop)?,
        ScalarType::Digest => Digest::parse(text).map(drop)?,
        ScalarType::Node => NodeName::parse(text).map(drop)?,
        ScalarType::Master => MasterName::parse(text).map(drop)?,
        ScalarType::Text | ScalarType::Secret => rule(text, !text.contains('\0'), "holds a zero byte")?,
        ScalarType::Name => name(text)?,
        ScalarType::Host => rule(text, is_host(text), no_host(text))?,
        ScalarType::Url => url(text)?,
        ScalarType::SitePath => site_path(text)?,
        ScalarType::Integer => rule(text, text.parse::<i64>().is_ok(), "is not a whole number")?,
        ScalarType::Port => rule(text, text.parse::<u16>().is_ok_and(|port| port > 0), "is not a port")?,
        ScalarType::Boolean => rule(text, matches!(text, "true" | "false"), "is neither `true` nor `false`")?,
        ScalarType::Version => version(text)?,
        ScalarType::PublicKey => public_key(text)?,
        ScalarType::System => rule(text, is_system(text), "is not a system")?,
    }
    Ok(())
}

/// The broken rule unless it holds.
fn rule(text: &str, holds: bool, why: &'static str) -> Result<(), TextError> {
    if holds { Ok(()) } else { Err(TextError::Rule { text: text.chars().take(60).collect(), why }) }
}

/// A word for accounts, packages, units, modules, parameters of the kernel; each kind narrows it further.
fn name(text: &str) -> Result<(), TextError> {
    rule(text, !text.is_empty(), "is empty")?;
    rule(text, text.len() <= 255, "is longer than 255 bytes")?;
    rule(text, text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_'), "begins with a character that no name may begin with")?;
    rule(
        text,
        text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._+@:-\\".contains(&byte)),
        "holds a character that no name may have",
    )
}

/// What is wrong with a text that is no host: what people write into it that has a place of its own is named.
fn no_host(text: &str) -> &'static str {
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    if text.contains("://") {
        "is not a host: a URL is not wanted here, only its host"
    } else if text.contains('@') {
        "is not a host: the account stands apart (at a node: `ssh: {user: NAME}`)"
    } else if text.starts_with('[') && text.ends_with(']') {
        "is not a host: an IPv6 address is written without brackets"
    } else if text.rsplit_once(':').is_some_and(|(_, port)| is_port(port)) {
        "is not a host: the port stands apart (at a node: `ssh: {port: NUMBER}`)"
    } else {
        "is not a host"
    }
}

/// A name or an address; a link-local one with its zone (RFC 4007, 11: `fe80::1%eth0`).
fn is_host(text: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && part.len() <= 63
            && !part.starts_with('-')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    let zone = |zone: &str| {
        !zone.is_empty() && zone.len() <= 15 && zone.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    };
    let scoped = text.split_once('%').is_some_and(|(address, name)| address.parse::<Ipv6Addr>().is_ok() && zone(name));
    text.parse::<IpAddr>().is_ok() || scoped || (text.len() <= 253 && text.split('.').all(part))
}

/// A URL with scheme and, unless it is a file's, a host.
fn url(text: &str) -> Result<(), TextError> {
    rule(text, !text.chars().any(|c| c.is_whitespace() || c.is_control()), "holds a blank")?;
    let (scheme, rest) = text.split_once("://").unwrap_or_default();
    let letters = scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    rule(text, letters && scheme.starts_with(|c: char| c.is_ascii_alphabetic()), "has no scheme")?;
    if scheme == "file" {
        return rule(text, rest.starts_with('/'), "has no absolute path");
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    rule(text, !host.is_empty() && !host.starts_with(':'), "has no host")
}

/// A relative path of the site or the library.
fn site_path(text: &str) -> Result<(), TextError> {
    rule(text, !text.is_empty(), "is empty")?;
    rule(text, !text.starts_with('/'), "is absolute")?;
    rule(text, !text.chars().any(char::is_control), "holds a control character")?;
    rule(text, !text.split('/').any(|part| matches!(part, "" | "." | "..")), "holds an empty part, `.` or `..`")
}

/// A version: one word that begins with a letter or digit.
fn version(text: &str) -> Result<(), TextError> {
    rule(text, text.starts_with(|c: char| c.is_ascii_alphanumeric()), "is not a version")?;
    rule(
        text,
        text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".+-~:_".contains(&byte)),
        "holds a character that no version may have",
    )
}

/// `TYPE BASE64 COMMENT`, one line.
fn public_key(text: &str) -> Result<(), TextError> {
    rule(text, !text.trim_end().contains(['\n', '\r']), "has more than one line")?;
    let mut words = text.split_whitespace();
    let kind = words.next().unwrap_or_default();
    let known = ["ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"];
    rule(text, known.contains(&kind) || (kind.starts_with("sk-") && kind.ends_with("@openssh.com")), "is not a public key")?;
    let body = words.next().unwrap_or_default();
    let base64 = body.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte));
    // The body names its type once more, behind the type's length in four bytes (RFC 4253, 6.6); and a key follows.
    let named = encoded(&[&[0, 0, 0, u8::try_from(kind.len()).unwrap_or_default()], kind.as_bytes()].concat());
    rule(text, body.starts_with(&named) && body.len() > named.len() + 32 && base64, "has a key type and no key of it")
}

/// The letters of base64 that these bytes alone decide.
fn encoded(bytes: &[u8]) -> String {
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect::<Vec<u8>>();
    bits.chunks_exact(6).map(|six| char::from(letters[six.iter().fold(0usize, |sum, bit| sum << 1 | usize::from(*bit))])).collect()
}

/// `ID-VERSION`, `ID` or family: `debian-12`, `ubuntu-24.04`, `redhat`.
#[must_use]
pub fn is_system(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte))
}

/// Ids and families of systems (os-release(5), `ID` and `ID_LIKE`), ours and those that others have.
const SYSTEMS: [&str; 24] = [
    "almalinux",
    "alpine",
    "amzn",
    "arch",
    "centos",
    "debian",
    "devuan",
    "fedora",
    "gentoo",
    "kali",
    "linuxmint",
    "nixos",
    "ol",
    "opensuse",
    "opensuse-leap",
    "pop",
    "raspbian",
    "redhat",
    "rhel",
    "rocky",
    "sles",
    "suse",
    "ubuntu",
    "void",
];

/// The system that a word like `debain-12` was meant for; none where it is one, or like none.
#[must_use]
pub fn meant(text: &str) -> Option<&'static str> {
    let id = text.rsplit_once('-').filter(|(_, version)| version.starts_with(|c: char| c.is_ascii_digit())).map_or(text, |(id, _)| id);
    if SYSTEMS.contains(&id) { None } else { super::diagnostic::nearest(id, SYSTEMS) }
}
