//! The configuration of this node's sshd: which files it has, and whether they say where keys are read (sshd_config(5)).

use crate::host::{Host, OsError};
use ostler_roles::words::Digest;
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
}

impl SshdConfiguration {
    /// Reads it.
    ///
    /// # Errors
    /// When a file is there and cannot be read.
    pub(in super::super) fn read(host: &Host) -> Result<Self, OsError> {
        let Some(program) = host.look_through(Path::new(PROGRAM))? else { return Ok(Self::default()) };
        let mut seen = format!("{} {} {:?}\n", program.inode, program.length, program.changed);
        let (mut decides, mut by_origin) = (false, false);
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
                    let patterns = rest.split_whitespace().map(|pattern| Path::new(DIRECTORY).join(pattern.trim_matches('"')));
                    for pattern in patterns {
                        // What stands there is not looked for, and may say anything: sshd is asked. The digest does not know those files.
                        decides |= pattern.parent().is_some_and(|above| above.to_string_lossy().contains(['*', '?', '[']));
                        ahead.extend(matching(host, &pattern)?.into_iter().map(|path| (path, depth + 1, of_origin)));
                    }
                }
            }
        }
        Ok(Self { digest: Digest::of(seen.as_bytes()).hex(), decides, by_origin })
    }
}

/// A line's first word in lower case, and the rest (sshd_config(5)).
pub(in super::super) fn setting(line: &str) -> Option<(String, &str)> {
    let line = line.trim();
    let (word, rest) = line.split_once(|sign: char| sign.is_whitespace() || sign == '=').unwrap_or((line, ""));
    (!word.is_empty() && !word.starts_with('#')).then(|| (word.to_ascii_lowercase(), rest.trim_start_matches(['=', ' ', '\t'])))
}

/// The files that a pattern names: `*` and `?` in its last part, as in `/etc/ssh/sshd_config.d/*.conf`.
fn matching(host: &Host, pattern: &Path) -> Result<Vec<PathBuf>, OsError> {
    let name = pattern.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if !name.contains(['*', '?', '[']) {
        return Ok(vec![pattern.to_owned()]);
    }
    let directory = pattern.parent().unwrap_or(Path::new("/"));
    // A set of letters is taken for any: a file too many is read, and none is missed.
    let names = host.list(directory)?.unwrap_or_default();
    Ok(names.into_iter().filter(|found| fits(&name, &found.to_string_lossy())).map(|found| directory.join(found)).collect())
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
