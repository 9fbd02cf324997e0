//! What a text of each type may hold. One place: literals and values computed from expressions are judged alike.

use std::net::IpAddr;

use super::kinds::ScalarType;

/// Judges a text.
///
/// # Errors
/// The reason, a fragment that follows the text: "is relative".
pub fn check(wanted: ScalarType, text: &str) -> Result<(), &'static str> {
    match wanted {
        ScalarType::Text | ScalarType::Secret => ok(!text.contains('\0'), "holds a zero byte"),
        ScalarType::Name => name(text),
        ScalarType::Label => label(text),
        ScalarType::Host => ok(is_host(text), "is no host"),
        ScalarType::Url => url(text),
        ScalarType::Path => path(text),
        ScalarType::SitePath => site_path(text),
        ScalarType::Integer => ok(text.parse::<i64>().is_ok(), "is no whole number"),
        ScalarType::Port => ok(text.parse::<u16>().is_ok_and(|port| port > 0), "is no port"),
        ScalarType::Boolean => ok(matches!(text, "true" | "false"), "is neither `true` nor `false`"),
        ScalarType::Percent => percent(text),
        ScalarType::Bytes => ok(is_size(text), "is no size"),
        ScalarType::Duration => ok(is_duration(text), "is no time"),
        ScalarType::Version => version(text),
        ScalarType::Mode => ok(is_mode(text), "is no mode"),
        ScalarType::Digest => ok(text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()), "is no sha256"),
        ScalarType::PublicKey => public_key(text),
        ScalarType::System => ok(is_system(text), "is no system"),
        ScalarType::Node | ScalarType::Master => name(text),
    }
}

/// The reason unless it holds.
fn ok(holds: bool, reason: &'static str) -> Result<(), &'static str> {
    if holds { Ok(()) } else { Err(reason) }
}

/// A word for accounts, packages, units, modules, parameters of the kernel.
fn name(text: &str) -> Result<(), &'static str> {
    ok(!text.is_empty(), "is empty")?;
    ok(text.len() <= 255, "is longer than 255 bytes")?;
    ok(text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_'), "begins with a sign")?;
    ok(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._+@:-\\".contains(&byte)), "holds a sign that no name may have")
}

/// A label: what every master reads as one word.
fn label(text: &str) -> Result<(), &'static str> {
    ok(!text.is_empty(), "is empty")?;
    ok(text.len() <= 128, "is longer than 128 bytes")?;
    ok(!text.chars().any(|c| c.is_whitespace() || c.is_control()), "holds a blank")?;
    ok(!text.contains(['&', '|', '!', '(', ')', '<', '>', '"', '\'', ',']), "holds a sign that no label may have")
}

/// A name or an address.
fn is_host(text: &str) -> bool {
    let name = |text: &str| {
        !text.is_empty()
            && text.len() <= 253
            && text.split('.').all(|part| {
                !part.is_empty()
                    && part.len() <= 63
                    && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
                    && !part.starts_with('-')
            })
    };
    text.parse::<IpAddr>().is_ok() || name(text)
}

/// A URL with scheme and, unless it is a file's, a host.
fn url(text: &str) -> Result<(), &'static str> {
    ok(!text.chars().any(|c| c.is_whitespace() || c.is_control()), "holds a blank")?;
    let (scheme, rest) = text.split_once("://").ok_or("has no scheme")?;
    ok(
        scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b)),
        "has no scheme",
    )?;
    if scheme == "file" {
        return ok(rest.starts_with('/'), "has no absolute path");
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    ok(!host.is_empty() && !host.starts_with(':'), "has no host")
}

/// An absolute path of a node.
fn path(text: &str) -> Result<(), &'static str> {
    ok(text.starts_with('/'), "is not absolute")?;
    ok(text.len() <= 4095, "is longer than 4095 bytes")?;
    ok(!text.chars().any(char::is_control), "holds a control character")?;
    ok(!text.split('/').any(|part| part == ".."), "holds `..`")?;
    ok(!text.split('/').any(|part| part == "."), "holds `.`")?;
    ok(!text.contains("//"), "holds `//`")?;
    ok(text == "/" || !text.ends_with('/'), "ends with `/`")
}

/// A relative path of the site or the library.
fn site_path(text: &str) -> Result<(), &'static str> {
    ok(!text.is_empty(), "is empty")?;
    ok(!text.starts_with('/'), "is absolute")?;
    ok(!text.chars().any(char::is_control), "holds a control character")?;
    ok(!text.split('/').any(|part| matches!(part, "" | "." | "..")), "holds an empty part, `.` or `..`")
}

/// `34%`.
fn percent(text: &str) -> Result<(), &'static str> {
    let number = text.strip_suffix('%').ok_or("has no `%`")?;
    ok(number.parse::<u8>().is_ok_and(|number| number <= 100), "is no share of 0% to 100%")
}

/// `40 GiB`, `512 MiB`.
fn is_size(text: &str) -> bool {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text[..digits].parse::<u64>().is_ok() && matches!(text[digits..].trim_start(), "B" | "KiB" | "MiB" | "GiB" | "TiB")
}

/// `90s`, `10m`, `3h`, `30d`.
fn is_duration(text: &str) -> bool {
    text.strip_suffix(['s', 'm', 'h', 'd']).is_some_and(|number| number.parse::<u32>().is_ok())
}

/// A version: one word that begins with a letter or digit.
fn version(text: &str) -> Result<(), &'static str> {
    ok(text.starts_with(|c: char| c.is_ascii_alphanumeric()), "is no version")?;
    ok(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".+-~:_*".contains(&byte)), "holds a sign that no version may have")
}

/// `"0644"`: four octal digits, or three.
fn is_mode(text: &str) -> bool {
    matches!(text.len(), 3 | 4) && text.bytes().all(|byte| (b'0'..=b'7').contains(&byte))
}

/// `TYPE BASE64 COMMENT`, one line.
fn public_key(text: &str) -> Result<(), &'static str> {
    ok(!text.trim_end().contains(['\n', '\r']), "has more than one line")?;
    let mut words = text.split_whitespace();
    let kind = words.next().unwrap_or_default();
    let known = ["ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"];
    let known = known.contains(&kind) || (kind.starts_with("sk-") && kind.ends_with("@openssh.com"));
    ok(known, "is no public key")?;
    let body = words.next().ok_or("is a key type without a key")?;
    ok(body.starts_with("AAAA") && body.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b)), "is no public key")
}

/// `ID-VERSION`, `ID` or family: `debian-12`, `ubuntu-24.04`, `redhat`.
#[must_use]
pub fn is_system(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte))
}
