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
const DEPTH: u32 = 16;
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
    /// `UsePAM`, where a file says it; the program itself does without.
    pub(in super::super) pam: Option<bool>,
}

impl SshdConfiguration {
    /// Reads it.
    ///
    /// # Errors
    /// When a file is there and cannot be read.
    pub(in super::super) fn read(host: &Host) -> Result<Self, OsError> {
        let Some(program) = host.look_through(Path::new(PROGRAM))? else { return Ok(Self::default()) };
        let mut seen = format!("{} {} {:?}\n", program.inode, program.length, program.changed);
        let mut read = Self::default();
        read.file(host, &Path::new(DIRECTORY).join("sshd_config"), (0, false), &mut seen)?;
        Ok(Self { digest: Digest::of(seen.as_bytes()).hex(), decides: read.decides || read.more, ..read })
    }

    /// Reads one file, and those that it includes where it does: of a setting the first counts.
    fn file(&mut self, host: &Host, path: &Path, (depth, mut of_origin): (u32, bool), seen: &mut String) -> Result<(), OsError> {
        let Some(bytes) = host.read_through(path, CAP)? else { return Ok(()) };
        seen.push_str(&format!("{} {}\n", path.display(), Digest::of(&bytes).hex()));
        for (word, rest) in String::from_utf8_lossy(&bytes).lines().filter_map(setting) {
            if word == "match" {
                of_origin = rest.to_ascii_lowercase().split([' ', '\t', '=']).any(|criterion| ORIGINS.contains(&criterion));
            }
            if word == "usepam" {
                self.pam.get_or_insert(rest.trim_matches('"').eq_ignore_ascii_case("yes"));
            }
            self.decides |= DECIDING.contains(&word.as_str());
            self.by_origin |= of_origin && DECIDING.contains(&word.as_str());
            if word == "include" && depth < DEPTH {
                let (patterns, hidden) = patterns(rest);
                self.more |= hidden;
                for pattern in patterns {
                    let (mut found, hidden) = matching(host, &Path::new(DIRECTORY).join(pattern))?;
                    self.more |= hidden;
                    found.sort();
                    for file in found {
                        self.file(host, &file, (depth + 1, of_origin), seen)?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// A line's first word in lower case, and the rest (sshd_config(5)).
pub(in super::super) fn setting(line: &str) -> Option<(String, &str)> {
    let line = line.trim();
    let (word, rest) = line.split_once(|c: char| c.is_whitespace() || c == '=').unwrap_or((line, ""));
    (!word.is_empty() && !word.starts_with('#')).then(|| (word.to_ascii_lowercase(), rest.trim_start_matches(['=', ' ', '\t'])))
}

/// The patterns behind `Include`, and whether one is written in a way that we do not read: quoted with blanks, escaped, a set with brackets
/// in it (glob(7)).
fn patterns(rest: &str) -> (Vec<&str>, bool) {
    let quoted = |word: &str| word.len() > 1 && word.starts_with('"') && word.ends_with('"');
    let plain = |word: &str| if quoted(word) { word.trim_matches('"').to_owned() } else { word.to_owned() };
    let strange = |word: &str| ["\"", "'", "\\", "[]", "[!]", "[^]", "[["].iter().any(|part| plain(word).contains(part));
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
        Some(character) => name.chars().next().is_some_and(|first| {
            (character == '?' || character == first) && fits(&pattern[character.len_utf8()..], &name[first.len_utf8()..])
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_setting_the_first_counts_in_the_order_in_which_sshd_reads_its_files() {
        let tree = tempfile::tempdir().unwrap();
        let host = Host::at(tree.path()).unwrap();
        for directory in ["usr/sbin", "etc/ssh/sshd_config.d", "etc/ssh/other"] {
            std::fs::create_dir_all(tree.path().join(directory)).unwrap();
        }
        std::fs::write(tree.path().join("usr/sbin/sshd"), "").unwrap();
        let pam = |files: &[(&str, &str)]| {
            for (name, text) in files {
                std::fs::write(tree.path().join("etc/ssh").join(name), text).unwrap();
            }
            SshdConfiguration::read(&host).unwrap().pam
        };
        let include = "Include /etc/ssh/sshd_config.d/*.conf\nUsePAM yes\n";
        assert_eq!(pam(&[("sshd_config", "UsePAM yes\n")]), Some(true));
        // A file that nothing includes says nothing, whatever directory it lies in.
        assert_eq!(pam(&[("sshd_config.d/pam.conf", "UsePAM no\n")]), Some(true));
        assert_eq!(pam(&[("sshd_config", include)]), Some(false));
        assert_eq!(pam(&[("sshd_config.d/a.conf", "usepam=\"yes\"\n")]), Some(true));
        // Behind its own setting an include is too late; one elsewhere is read as well.
        assert_eq!(pam(&[("sshd_config", "UsePAM no\nInclude /etc/ssh/sshd_config.d/a.conf\n")]), Some(false));
        assert_eq!(pam(&[("sshd_config", "Include other/*\n"), ("other/pam", "# UsePAM no\nUsePAM yes\n")]), Some(true));
        assert_eq!(pam(&[("sshd_config", "Port 22\n")]), None);
    }
}
