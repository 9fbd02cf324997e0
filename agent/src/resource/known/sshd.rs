//! The configuration of this node's sshd: which files it has, and whether they say where keys are read (sshd_config(5)).

use crate::host::{Host, OsError};
use ostler_roles::words::Digest;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

pub(in super::super) const PROGRAM: &str = "/usr/sbin/sshd";
const DIRECTORY: &str = "/etc/ssh";
/// No configuration is larger.
const CAP: u64 = 4 << 20;
/// Files that include each other (OpenSSH servconf.c, SERVCONF_MAX_DEPTH).
const DEPTH: usize = 16;
/// Words of the configuration that decide where keys are read, in lower case.
pub(in super::super) const DECIDING: [&str; 3] = ["authorizedkeysfile", "authorizedkeyscommand", "pubkeyauthentication"];

/// Criteria of `Match` that are about where a login comes from, or where it arrives.
const ORIGINS: [&str; 5] = ["address", "host", "localaddress", "localport", "rdomain"];

/// The configuration of a node's sshd.
#[derive(Debug, Default)]
pub(in super::super) struct SshdConfiguration {
    /// Of the program and all its files.
    pub(in super::super) digest: String,
    /// Whether a file names what decides it.
    pub(in super::super) decides: bool,
    /// Whether it names that for logins from some places only.
    pub(in super::super) by_origin: bool,
    /// Whether files may be included that we did not find: the digest knows nothing of those, and what sshd says is right for that moment.
    pub(in super::super) more: bool,
}

impl SshdConfiguration {
    /// Reads it.
    ///
    /// # Errors
    /// When a file is there and cannot be read.
    pub(in super::super) fn read(host: &Host) -> Result<Self, OsError> {
        let Some(program) = host.look_through(Path::new(PROGRAM))? else { return Ok(Self::default()) };
        let mut seen = format!("{} {} {:?}\n", program.inode, program.length, program.changed);
        let (mut decides, mut by_origin, mut more) = (false, false, false);
        let mut ahead = vec![(Path::new(DIRECTORY).join("sshd_config"), 0, false)];
        while let Some((path, depth, mut of_origin)) = ahead.pop() {
            let Some(bytes) = host.read_through(&path, CAP)? else { continue };
            seen.push_str(&format!("{} {}\n", path.display(), Digest::of(&bytes).hex()));
            for (word, rest) in String::from_utf8_lossy(&bytes).lines().filter_map(setting) {
                if word == "match" {
                    of_origin = rest.to_ascii_lowercase().split([' ', '\t', '=']).any(|criterion| ORIGINS.contains(&criterion));
                }
                decides |= DECIDING.contains(&word.as_str());
                by_origin |= of_origin && DECIDING.contains(&word.as_str());
                if word == "include" && depth < DEPTH {
                    let (patterns, hidden) = patterns(rest);
                    more |= hidden;
                    for pattern in patterns {
                        let (found, hidden) = matching(host, &Path::new(DIRECTORY).join(pattern))?;
                        more |= hidden;
                        ahead.extend(found.into_iter().map(|path| (path, depth + 1, of_origin)));
                    }
                }
            }
        }
        Ok(Self { digest: Digest::of(seen.as_bytes()).hex(), decides: decides || more, by_origin, more })
    }
}

/// A line's first word in lower case, and the rest (sshd_config(5)).
pub(in super::super) fn setting(line: &str) -> Option<(String, &str)> {
    let line = line.trim();
    let (word, rest) = line.split_once(|sign: char| sign.is_whitespace() || sign == '=').unwrap_or((line, ""));
    (!word.is_empty() && !word.starts_with('#')).then(|| (word.to_ascii_lowercase(), rest.trim_start_matches(['=', ' ', '\t'])))
}

/// The patterns behind `Include`, and whether one is written in a way that we do not read: quoted with blanks, escaped, a set with brackets
/// in it (glob(7)).
fn patterns(rest: &str) -> (Vec<&str>, bool) {
    let quoted = |word: &str| word.len() > 1 && word.starts_with('"') && word.ends_with('"');
    let plain = |word: &str| if quoted(word) { word.trim_matches('"').to_owned() } else { word.to_owned() };
    let strange = |word: &str| ["\"", "'", "\\", "[]", "[!]", "[^]", "[["].iter().any(|sign| plain(word).contains(sign));
    let (strange, words): (Vec<&str>, Vec<&str>) =
        rest.split_whitespace().take_while(|word| !word.starts_with('#')).partition(|word| strange(word));
    (words.into_iter().map(|word| word.trim_matches('"')).collect(), !strange.is_empty())
}

/// The files that a pattern names, as in `/etc/ssh/*/*.conf`, and whether a directory could not be looked into.
fn matching(host: &Host, pattern: &Path) -> Result<(Vec<PathBuf>, bool), OsError> {
    let (mut found, mut hidden) = (vec![PathBuf::from("/")], false);
    for part in pattern.components().skip(1) {
        let name = part.as_os_str().to_string_lossy();
        if !name.contains(['*', '?', '[']) {
            found.iter_mut().for_each(|path| path.push(part));
            continue;
        }
        for directory in std::mem::take(&mut found) {
            // A set of letters is taken for any: a file too many is read, and none is missed.
            match host.list(&directory) {
                Ok(names) => {
                    let names = names.unwrap_or_default();
                    found.extend(names.iter().filter(|found| fits(&name, &found.to_string_lossy())).map(|found| directory.join(found)));
                }
                Err(error) if error.source.kind() == ErrorKind::NotADirectory => {}
                // Led there by a link that we do not follow, and sshd does.
                Err(error) if error.is_loop() => hidden = true,
                Err(error) => return Err(error),
            }
        }
    }
    Ok((found, hidden))
}

fn fits(pattern: &str, name: &str) -> bool {
    match pattern.chars().next() {
        None => name.is_empty(),
        Some('*') => (0..=name.len()).filter(|at| name.is_char_boundary(*at)).any(|at| fits(&pattern[1..], &name[at..])),
        Some('[') => pattern.find(']').is_none_or(|end| fits(&format!("?{}", &pattern[end + 1..]), name)),
        Some(sign) => name
            .chars()
            .next()
            .is_some_and(|first| (sign == '?' || sign == first) && fits(&pattern[sign.len_utf8()..], &name[first.len_utf8()..])),
    }
}
