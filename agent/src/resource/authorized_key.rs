//! `authorized_key` at work: `~/.ssh/authorized_keys`, with owner and mode as sshd(8) wants them. Of `authorized_keys2`, which sshd reads as
//! well, keys are only taken away.

use super::Act;
use super::fault::{failure, hinted, unmade, unread};
use super::node::Node;
use crate::engine::ApplyContext;
use crate::host::accounts::Account;
use crate::host::{Entry, EntryKind, OsError, Writing};
use ostler_roles::outcome::{Failure, FailureKind};
use ostler_roles::resource::authorized_key::{Change, Desired, KeyBlob, Observed, ObservedKey};
use ostler_roles::words::AbsPath;
use std::path::{Path, PathBuf};

/// Ten thousand keys.
const CAP: u64 = 8 << 20;

/// The end of the options: the first blank outside of quotes.
fn split_options(line: &str) -> Option<(&str, &str)> {
    let mut quoted = false;
    let mut escaped = false;
    for (index, byte) in line.bytes().enumerate() {
        match byte {
            b'\\' if quoted => {
                escaped = !escaped;
                continue;
            }
            b'"' if !escaped => quoted = !quoted,
            b' ' | b'\t' if !quoted => return Some((&line[..index], line[index..].trim_start())),
            _ => {}
        }
        escaped = false;
    }
    None
}

fn is_algorithm(word: &str) -> bool {
    ["ssh-", "rsa-sha2-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-", "webauthn-sk-"].iter().any(|start| word.starts_with(start))
}

/// A key's line (sshd(8), AUTHORIZED_KEYS FILE FORMAT); none for comments and what is no key.
fn parse(line: &str, second: bool) -> Option<ObservedKey> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let first = line.split_whitespace().next()?;
    let (options, rest) = if is_algorithm(first) { ("", line) } else { split_options(line)? };
    let (algorithm, rest) = rest.split_once(char::is_whitespace).filter(|(algorithm, _)| is_algorithm(algorithm))?;
    let rest = rest.trim_start();
    let (blob, comment) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    // sshd takes the names of RSA's signatures for the key's own (OpenSSH sshkey.c, `peek_type_nid`).
    let algorithm = if algorithm.starts_with("rsa-sha2-") { "ssh-rsa" } else { algorithm };
    let key = KeyBlob { algorithm: algorithm.to_owned(), blob: blob.to_owned() };
    Some(ObservedKey { key, options: options.to_owned(), comment: comment.trim().to_owned(), second })
}

fn written(desired: &Desired) -> String {
    let parts = [&desired.options, &desired.key.algorithm, &desired.key.blob, &desired.comment];
    parts.into_iter().map(|part| part.as_str()).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// What sshd would not trust (sshd_config(5), StrictModes).
fn distrusted(path: &Path, entry: &Entry, uid: u32) -> Option<String> {
    if entry.user != uid && entry.user != 0 {
        return Some(format!("{} belongs to uid {}", path.display(), entry.user));
    }
    (entry.mode & 0o022 != 0).then(|| format!("{} is {:04o}", path.display(), entry.mode))
}

/// Whether some key shall not let in.
fn promises(desired: &Desired) -> bool {
    desired.absent || desired.only.is_some()
}

struct Place {
    account: Account,
    home: PathBuf,
    directory: PathBuf,
    file: PathBuf,
    second: PathBuf,
}

impl Place {
    fn of(account: Account) -> Result<Self, Failure> {
        let home = AbsPath::parse(&account.home)
            .map_err(|error| failure(FailureKind::Observe, format!("the home of {} is unusable: {error}", account.name)))?;
        let directory = home.as_path().join(".ssh");
        Ok(Self {
            home: home.as_path().to_owned(),
            file: directory.join("authorized_keys"),
            second: directory.join("authorized_keys2"),
            directory,
            account,
        })
    }

    /// The second file as it is; none: no such file, a link to the first, as it was made for old servers, or nothing that sshd could read
    /// there as the account. Where no key's absence is promised, what cannot be told apart holds nothing up.
    fn second(&self, node: &Node, promised: bool) -> Result<Option<Vec<u8>>, Failure> {
        match node.host.look(&self.second).map_err(unread)? {
            None => Ok(None),
            Some(entry) if entry.kind == EntryKind::Link => {
                let target = node.host.read_link(&self.second).map_err(unread)?.unwrap_or_default();
                if !promised || self.directory.join(&target) == self.file || target == Path::new("/dev/null") {
                    return Ok(None);
                }
                let message = format!("{} leads to {}: sshd may read keys there too", self.second.display(), target.display());
                Err(hinted(FailureKind::Contradiction, message, format!("on the node: rm {}", self.second.display())))
            }
            Some(entry) if entry.user != self.account.uid && entry.mode & 0o004 == 0 && (!promised || entry.mode & 0o040 == 0) => Ok(None),
            Some(_) => self.bytes(node, &self.second).map(Some),
        }
    }

    /// A file as it is. It will belong to the account: bytes that the account may not read already are not written into it.
    fn bytes(&self, node: &Node, file: &Path) -> Result<Vec<u8>, Failure> {
        let Some((bytes, entry)) = node.host.read_to_edit(file, CAP).map_err(unread)? else { return Ok(Vec::new()) };
        if entry.user != self.account.uid && entry.mode & 0o004 == 0 {
            let file = file.display();
            let message =
                format!("{file} belongs to uid {} and {} may not read it: it is not given its bytes", entry.user, self.account.name);
            return Err(hinted(FailureKind::Contradiction, message, format!("on the node: ls -l {file}; chown or remove it")));
        }
        Ok(bytes)
    }
}

impl Act for Desired {
    fn observe(&self, node: &Node) -> Result<Observed, Failure> {
        let Some(account) = node.accounts()?.account(&node.host, self.user.as_str()).map_err(unread)? else {
            return Ok(Observed { user_exists: false, keys: Vec::new(), unsafe_modes: None });
        };
        let place = Place::of(account)?;
        let mut unsafe_modes = None;
        for path in [&place.home, &place.directory, &place.file] {
            if let Some(entry) = node.host.look(path).map_err(unread)? {
                unsafe_modes = unsafe_modes.or_else(|| distrusted(path, &entry, place.account.uid));
            }
        }
        let (first, second) = (place.bytes(node, &place.file)?, place.second(node, promises(self))?.unwrap_or_default());
        let mut keys = Vec::new();
        for (bytes, second) in [(first, false), (second, true)] {
            keys.extend(String::from_utf8_lossy(&bytes).lines().filter_map(|line| parse(line, second)));
        }
        Ok(Observed { user_exists: true, keys, unsafe_modes })
    }

    fn apply(&self, node: &Node, changes: Vec<Change>, _work: &ApplyContext<'_>) -> Result<Vec<String>, Failure> {
        let place = Place::of(node.account(self.user.as_str())?)?;
        let owned = |mode| Writing { user: place.account.uid, group: place.account.gid, mode };
        let Some(home) = node.host.look(&place.home).map_err(unread)?.filter(|entry| entry.kind == EntryKind::Directory) else {
            return Err(failure(FailureKind::Apply, format!("{} has no home directory {}", self.user, place.home.display())));
        };
        if let Some(found) = distrusted(&place.home, &home, place.account.uid) {
            if home.user != place.account.uid {
                return Err(failure(FailureKind::Apply, format!("sshd would ignore the keys of {}: {found}", self.user)));
            }
            node.host.set_ownership(&place.home, Writing { group: home.group, ..owned(home.mode & !0o022) }).map_err(unmade)?;
        }
        node.host.make_directory(&place.directory, owned(0o700)).map_err(unmade)?;
        let gone: Vec<&KeyBlob> =
            changes.iter().filter_map(|change| if let Change::RemoveSecond(key) = change { Some(key) } else { None }).collect();
        if !gone.is_empty() {
            let bytes = place.second(node, promises(self))?.unwrap_or_default();
            node.host.write::<OsError>(&place.second, &without(&gone, &bytes), owned(0o600), None).map_err(unmade)?;
        }
        // Nothing is written into the first where only the second was wrong.
        if gone.len() < changes.len() {
            let bytes = place.bytes(node, &place.file)?;
            node.host.write::<OsError>(&place.file, &edited(self, &bytes, &changes), owned(0o600), None).map_err(unmade)?;
        }
        Ok(Vec::new())
    }
}

/// The second file's new bytes: lines that are no keys stay.
fn without(gone: &[&KeyBlob], bytes: &[u8]) -> Vec<u8> {
    let stays = |line: &&[u8]| parse(&String::from_utf8_lossy(line), true).is_none_or(|found| !gone.contains(&&found.key));
    bytes.split_inclusive(|byte| *byte == b'\n').filter(stays).flatten().copied().collect()
}

/// The file's new bytes: lines that are no keys stay, and so do comments in whatever encoding.
fn edited(desired: &Desired, bytes: &[u8], changes: &[Change]) -> Vec<u8> {
    let goes = |key: &KeyBlob| changes.iter().any(|change| matches!(change, Change::Remove(gone) if gone == key));
    let mut new = Vec::with_capacity(bytes.len() + 200);
    let mut wanted = !desired.absent;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = match parse(&String::from_utf8_lossy(line), false) {
            Some(found) if found.key == desired.key => {
                if !std::mem::take(&mut wanted) {
                    continue;
                }
                written(desired).into_bytes()
            }
            Some(found) if goes(&found.key) => continue,
            Some(_) | None => line.to_vec(),
        };
        new.extend(line);
        new.push(b'\n');
    }
    if wanted {
        new.extend(written(desired).into_bytes());
        new.push(b'\n');
    }
    new
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_with_options_and_comments() {
        let key = parse(r#"from="10.0.0.0/8",command="echo \"a b\"" ssh-ed25519 AAAAC3 who@where it is"#, false).unwrap();
        assert_eq!(key.options, r#"from="10.0.0.0/8",command="echo \"a b\"""#);
        assert_eq!((key.key.algorithm.as_str(), key.key.blob.as_str(), key.comment.as_str()), ("ssh-ed25519", "AAAAC3", "who@where it is"));
        assert_eq!(parse("sk-ssh-ed25519@openssh.com AAAA", false).unwrap().comment, "");
        assert_eq!(parse("# ssh-rsa AAAA", false), None);
        assert_eq!(parse("restrict ssh-rsa", false), None);
        assert_eq!(parse("garbage", false), None);
        assert_eq!(parse("rsa-sha2-512 AAAA", false).unwrap().key.algorithm, "ssh-rsa", "sshd lets it in as well");
    }

    #[test]
    fn other_lines_keep_their_bytes() {
        let desired = Desired {
            user: ostler_roles::words::AccountName::parse("ci").unwrap(),
            key: KeyBlob { algorithm: "ssh-ed25519".to_owned(), blob: "AAAA".to_owned() },
            comment: String::new(),
            options: String::new(),
            absent: false,
            only: None,
        };
        assert_eq!(edited(&desired, b"ssh-rsa BBBB J\xfcrgen", &[]), b"ssh-rsa BBBB J\xfcrgen\nssh-ed25519 AAAA\n");
    }
}
