//! What an answer of `ssh -G` rests on beside the question: the client, its configuration with every file that it includes, and who asks.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ostler_roles::words::Digest;

use super::settings::LocalUser;
use crate::stamp::Stamp;
use crate::transport::files;
use crate::transport::known_hosts::wildcard;

/// Files that include each other deeper than this are a fault to the client (`READCONF_MAX_DEPTH`).
const DEEPEST: usize = 16;
/// Where the client looks by itself, beside the user's own: OpenSSH's place, and that of distributions that keep their defaults elsewhere.
const OF_THE_MACHINE: [&str; 2] = ["/etc/ssh/ssh_config", "/usr/etc/ssh/ssh_config"];

/// The files, and a digest of all that they say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sources {
    files: Vec<PathBuf>,
    seen: Vec<u8>,
    reads_variables: bool,
}

/// The answer hangs on more than these files: on commands, on addresses of this machine, on DNS, or on words that are not read here.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct MoreThanFiles;

impl Sources {
    /// Reads what a client's answers rest on. `file` stands in for the user's and the machine's configuration.
    ///
    /// # Errors
    /// [`MoreThanFiles`]: such an answer must not be kept.
    pub fn read(local_user: &LocalUser, file: Option<&Path>, program: &Path) -> Result<Self, MoreThanFiles> {
        let mut sources = Self { files: Vec::new(), seen: Vec::new(), reads_variables: false };
        let program = find(local_user, program).ok_or(MoreThanFiles)?;
        let stamp = Stamp::of(&program).map_err(|_| MoreThanFiles)?;
        let user = rustix::process::getuid().as_raw();
        let variables = &local_user.variables;
        let who = (&local_user.home, &local_user.user, user, &local_user.machine, variables.get("SSH_SK_PROVIDER"));
        sources.see(&format!("{program:?} {stamp:?} {who:?} {file:?}"));
        let own = local_user.home.join(".ssh");
        match file {
            Some(file) if file == Path::new("none") => {}
            Some(file) => sources.take(file, &own, local_user, 0)?,
            None => {
                sources.take(&own.join("config"), &own, local_user, 0)?;
                for file in OF_THE_MACHINE {
                    sources.take(Path::new(file), Path::new("/etc/ssh"), local_user, 0)?;
                }
            }
        }
        if sources.reads_variables {
            sources.see(&format!("{:?}", variables.iter().collect::<Vec<_>>()));
        }
        Ok(sources)
    }

    /// What they say, in one word.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.seen)
    }

    /// Whether they hold every file that the client has read.
    pub fn hold(&self, read: &[&str]) -> bool {
        read.iter().all(|file| self.files.iter().any(|known| known == Path::new(file)))
    }

    fn see(&mut self, text: &str) {
        self.seen.extend_from_slice(&text.len().to_be_bytes());
        self.seen.extend_from_slice(text.as_bytes());
    }

    /// Takes one file in, and what it includes; relative names are below `base`.
    fn take(&mut self, file: &Path, base: &Path, local_user: &LocalUser, depth: usize) -> Result<(), MoreThanFiles> {
        if depth > DEEPEST {
            return Err(MoreThanFiles);
        }
        let text = match (Stamp::of(file), files::read(file)) {
            // The client reads on without one that it may not read or that is not there; whose it is and its mode may be a fault to it.
            (Ok(stamp), Ok(bytes)) => {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                self.see(&format!("{file:?} {:?} {text}", stamp.access()));
                text
            }
            (Err(error), _) | (_, Err(error)) if error.kind() == io::ErrorKind::NotFound => {
                self.see(&format!("no {file:?}"));
                return Ok(());
            }
            (Err(_), _) | (_, Err(_)) => return Err(MoreThanFiles),
        };
        self.files.push(file.to_owned());
        for line in text.lines() {
            self.line(line, base, local_user, depth)?;
        }
        Ok(())
    }

    fn line(&mut self, line: &str, base: &Path, local_user: &LocalUser, depth: usize) -> Result<(), MoreThanFiles> {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        self.reads_variables |= line.contains('$');
        // As the client cuts a line (`strdelim`): at blanks, `=` and quotes.
        let end = line.find([' ', '\t', '=', '"']).unwrap_or(line.len());
        let (word, rest) = (line[..end].to_ascii_lowercase(), line[end..].to_ascii_lowercase());
        match word.as_str() {
            _ if line[end..].starts_with('"') => Err(MoreThanFiles),
            "match" if ["exec", "localnetwork", "canonical"].iter().any(|kind| rest.contains(kind)) => Err(MoreThanFiles),
            "canonicalizehostname" if rest.trim_start_matches([' ', '\t', '=']) != "no" => Err(MoreThanFiles),
            "include" => self.include(line[end..].trim_start_matches([' ', '\t', '=']), base, local_user, depth),
            _ => Ok(()),
        }
    }

    fn include(&mut self, names: &str, base: &Path, local_user: &LocalUser, depth: usize) -> Result<(), MoreThanFiles> {
        // Tokens, variables, quotes and finer patterns are the client's to read.
        if names.contains(['%', '$', '"', '\'', '\\', '[', '{', '#']) {
            return Err(MoreThanFiles);
        }
        for name in names.split_ascii_whitespace() {
            let name = match name.strip_prefix("~/") {
                Some(rest) => local_user.home.join(rest),
                None if name.starts_with('~') => return Err(MoreThanFiles),
                None => base.join(name),
            };
            for file in self.fitting(&name)? {
                self.take(&file, base, local_user, depth + 1)?;
            }
        }
        Ok(())
    }

    /// The files that a name with `*` and `?` in its last part means, seen anew each time: a new one counts.
    fn fitting(&mut self, name: &Path) -> Result<Vec<PathBuf>, MoreThanFiles> {
        let is_pattern = |text: &str| text.contains(['*', '?']);
        let (Some(parent), Some(last)) = (name.parent(), name.file_name().and_then(|last| last.to_str())) else {
            return Err(MoreThanFiles);
        };
        if is_pattern(&parent.to_string_lossy()) {
            return Err(MoreThanFiles);
        }
        if !is_pattern(last) {
            return Ok(vec![name.to_owned()]);
        }
        self.see(&format!("{name:?}"));
        let entries = match fs::read_dir(parent) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(_) => return Err(MoreThanFiles),
        };
        let mut found = Vec::new();
        for entry in entries {
            let path = entry.map_err(|_| MoreThanFiles)?.path();
            let fits = path.file_name().and_then(|file| file.to_str()).is_some_and(|file| !file.starts_with('.') && wildcard(last, file));
            if fits {
                found.push(path);
            }
        }
        found.sort();
        Ok(found)
    }
}

/// Whether this is the machine's configuration, at a place that is watched.
pub(super) fn is_of_the_machine(file: &str) -> bool {
    OF_THE_MACHINE.contains(&file)
}

/// The client's own file, as the system finds it.
fn find(local_user: &LocalUser, program: &Path) -> Option<PathBuf> {
    if program.components().count() > 1 {
        return Some(program.to_owned());
    }
    let search = local_user.variables.get("PATH")?;
    std::env::split_paths(search).map(|directory| directory.join(program)).find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Desk(tempfile::TempDir, LocalUser);

    impl Desk {
        fn new() -> Self {
            let home = tempfile::tempdir().unwrap();
            let local_user = LocalUser {
                home: home.path().to_owned(),
                user: "ann".into(),
                agent: None,
                machine: "desk".into(),
                variables: Default::default(),
            };
            Self(home, local_user)
        }

        fn write(&self, name: &str, text: &str) {
            let file = self.0.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }

        fn read(&self) -> Result<Sources, MoreThanFiles> {
            Sources::read(&self.1, Some(&self.0.path().join("config")), Path::new("/bin/sh"))
        }

        fn digest(&self) -> Digest {
            self.read().unwrap().digest()
        }
    }

    #[test]
    fn every_file_counts_that_the_client_would_read() {
        let desk = Desk::new();
        desk.write("config", "Include ~/one deep/*.conf\nHost *\n  include=two\n");
        let mut seen = vec![desk.digest()];
        assert_eq!(desk.digest(), seen[0]);
        let steps = [
            ("one", "User a\n"),
            (".ssh/two", "User b\n"),
            (".ssh/two", "User c\n"),
            (".ssh/deep/a.conf", "Include three\n"),
            (".ssh/three", "Port 1\n"),
            (".ssh/deep/b.conf", ""),
        ];
        for (name, text) in steps {
            desk.write(name, text);
            let digest = desk.digest();
            assert!(!seen.contains(&digest), "{name} {text:?} was not seen");
            seen.push(digest);
        }
        desk.write(".ssh/deep/not-included", "Port 2\n");
        desk.write(".ssh/deep/.hidden.conf", "Port 2\n");
        assert_eq!(Some(&desk.digest()), seen.last());
        let sources = desk.read().unwrap();
        let home = desk.0.path().display().to_string();
        assert!(sources.hold(&[&format!("{home}/config"), &format!("{home}/.ssh/three")]));
        assert!(!sources.hold(&[&format!("{home}/elsewhere")]));
    }

    #[test]
    fn a_file_that_changes_its_owner_or_mode_is_another() {
        use std::os::unix::fs::PermissionsExt as _;
        let desk = Desk::new();
        desk.write("config", "Port 1\n");
        let before = desk.digest();
        fs::set_permissions(desk.0.path().join("config"), fs::Permissions::from_mode(0o666)).unwrap();
        assert_ne!(desk.digest(), before);
    }

    #[test]
    fn what_hangs_on_more_than_files_is_not_kept() {
        let desk = Desk::new();
        let lines = [
            "Match exec \"true\"",
            "Match host a !exec=x",
            "match localnetwork 10.0.0.0/8",
            "Match canonical",
            "CanonicalizeHostname yes",
            "CanonicalizeHostname=always",
            "Include %h.conf",
            "Include ${HOME}/x",
            "Include \"a b\"",
            "Include ~other/x",
            "Include */x",
            "Include [ab].conf",
            "\"Include\" x",
            "Include\"x\"",
        ];
        for line in lines {
            desk.write("config", line);
            assert_eq!(desk.read(), Err(MoreThanFiles), "{line}");
        }
        for line in ["Match host a user b", "Match all", "Match final host x", "CanonicalizeHostname no", "# Match exec x", "Host exec"] {
            desk.write("config", line);
            assert!(desk.read().is_ok(), "{line}");
        }
        desk.write("config", "Include ~/config");
        assert_eq!(desk.read(), Err(MoreThanFiles), "a circle");
    }

    #[test]
    fn the_environment_counts_where_a_line_reads_it() {
        let mut desk = Desk::new();
        let mut digests = |text: &str| {
            desk.write("config", text);
            [("A", "1"), ("A", "2")].map(|(name, value)| {
                desk.1.variables = [(name.to_owned(), value.to_owned())].into_iter().collect();
                desk.digest()
            })
        };
        let [one, two] = digests("Port 1");
        assert_eq!(one, two);
        let [one, two] = digests("IdentityFile ${A}/k");
        assert_ne!(one, two);
    }
}
