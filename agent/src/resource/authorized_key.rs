//! `authorized_key` at work: in the first file that this node's sshd reads for the account, with owner and mode as sshd(8) wants them. Of
//! further ones that it reads, `authorized_keys2` usually, keys are only taken away.

mod place;
mod sshd;

use super::Act;
use super::fault::{hinted, unread};
use super::node::Node;
use crate::engine::ApplyContext;
use ostler_roles::outcome::{Failure, FailureKind};
use ostler_roles::resource::Effect;
use ostler_roles::resource::authorized_key::{Change, Desired, KeyBlob, Observed, ObservedKey};
use ostler_roles::words::AbsPath;
use place::Place;
use std::collections::BTreeSet;

/// Whether some key shall not let in.
fn promises(desired: &Desired) -> bool {
    desired.absent || desired.only.is_some()
}

impl Act for Desired {
    fn observe(&self, node: &Node) -> Result<Observed, Failure> {
        let Some(account) = node.accounts()?.account(&node.host, self.user.as_str()).map_err(unread)? else {
            return Ok(Observed { user_exists: false, keys: Vec::new(), unsafe_modes: None });
        };
        if !self.absent && !self.is_read_back() {
            let message =
                format!("the line `{}` is not read as this key with these options: each run would write it once more", self.written());
            return Err(hinted(FailureKind::Contradiction, message, "see `options` and `key` of the role"));
        }
        let place = Place::of(node, self, account)?;
        let mut keys = Vec::new();
        let mut take = |bytes: &[u8], elsewhere: Option<&str>| {
            let lines = String::from_utf8_lossy(bytes).into_owned();
            // Where certain keys alone shall let in, a line that we cannot read is one too many.
            let read = if self.only.is_some() { ObservedKey::read } else { ObservedKey::parse };
            keys.extend(lines.lines().filter_map(|line| read(line, elsewhere)));
        };
        take(&place.bytes(node, &place.file)?, None);
        for (file, bytes) in place.further(node, promises(self))? {
            take(&bytes, Some(&place.name_of(file)));
        }
        Ok(Observed { user_exists: true, keys, unsafe_modes: place.distrusted(node)? })
    }

    fn apply(&self, node: &Node, changes: Vec<Change>, _work: &ApplyContext<'_>) -> Result<Vec<String>, Failure> {
        let place = Place::of(node, self, node.account(self.user.as_str())?)?;
        let gone: Vec<(&KeyBlob, &str)> = changes
            .iter()
            .filter_map(|change| if let Change::RemoveElsewhere { key, file } = change { Some((key, file.as_str())) } else { None })
            .collect();
        // Nothing is written into the first where only another was wrong.
        if gone.len() < changes.len() {
            place.make_way(node)?;
            let bytes = place.bytes(node, &place.file)?;
            place.write(node, &place.file, &edited(self, &bytes, &changes))?;
        }
        for (file, bytes) in place.further(node, promises(self))? {
            let name = place.name_of(file);
            let here: BTreeSet<&KeyBlob> = gone.iter().filter(|(_, file)| *file == name).map(|(key, _)| *key).collect();
            if !here.is_empty() {
                place.write(node, file, &without(&here, &bytes))?;
            }
        }
        Ok(Vec::new())
    }

    fn makes(&self, node: &Node, changes: &[Change]) -> Vec<Effect> {
        if changes.is_empty() {
            return Vec::new();
        }
        // Where the account is not there yet, its home is what the step that makes it provides.
        let account = node.account(self.user.as_str());
        let place = account.and_then(|account| Place::of(node, self, account)).ok();
        let path = place.and_then(|place| AbsPath::parse(&place.file.to_string_lossy()).ok());
        path.into_iter().map(Effect::Path).collect()
    }
}

/// A further file's new bytes: other lines stay.
fn without(gone: &BTreeSet<&KeyBlob>, bytes: &[u8]) -> Vec<u8> {
    let stays = |line: &&[u8]| ObservedKey::read(&String::from_utf8_lossy(line), None).is_none_or(|found| !gone.contains(&found.key));
    bytes.split_inclusive(|byte| *byte == b'\n').filter(stays).flatten().copied().collect()
}

/// The file's new bytes: other lines stay, and so do comments in whatever encoding.
fn edited(desired: &Desired, bytes: &[u8], changes: &[Change]) -> Vec<u8> {
    // Looked up for each line: whoever owns the file may have written hundreds of thousands.
    let gone: BTreeSet<&KeyBlob> =
        changes.iter().filter_map(|change| if let Change::Remove(gone) = change { Some(gone) } else { None }).collect();
    let mut new = Vec::with_capacity(bytes.len() + 200);
    let mut wanted = !desired.absent;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = match ObservedKey::read(&String::from_utf8_lossy(line), None) {
            Some(found) if desired.key.as_ref() == Some(&found.key) => {
                if !std::mem::take(&mut wanted) {
                    continue;
                }
                desired.written().into_bytes()
            }
            Some(found) if gone.contains(&found.key) => continue,
            Some(_) | None => line.to_vec(),
        };
        new.extend(line);
        new.push(b'\n');
    }
    if wanted {
        new.extend(desired.written().into_bytes());
        new.push(b'\n');
    }
    new
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_lines_keep_their_bytes() {
        let desired = Desired {
            user: ostler_roles::words::AccountName::parse("ci").unwrap(),
            key: Some(KeyBlob { algorithm: "ssh-ed25519".to_owned(), blob: "AAAA".to_owned() }),
            comment: String::new(),
            options: String::new(),
            absent: false,
            only: None,
        };
        assert_eq!(edited(&desired, b"ssh-rsa BBBB J\xfcrgen", &[]), b"ssh-rsa BBBB J\xfcrgen\nssh-ed25519 AAAA\n");
    }

    #[test]
    fn a_line_that_is_not_read_back_as_its_key_is_not_written() {
        let key = |blob: &str, options: &str, comment: &str| Desired {
            user: ostler_roles::words::AccountName::parse("ci").unwrap(),
            key: Some(KeyBlob { algorithm: "ssh-ed25519".to_owned(), blob: blob.to_owned() }),
            comment: comment.to_owned(),
            options: options.to_owned(),
            absent: false,
            only: None,
        };
        assert!(key("AAAA", "", "").is_read_back());
        assert!(key("AAAA", r#"command="a b",no-pty"#, "who  is it").is_read_back());
        for wrong in [key("AAAA", "command=a b", ""), key("AAAA", r#"command="a"#, ""), key(" AAAA", "", ""), key("AAAA", "", " who")] {
            assert!(!wrong.is_read_back(), "{wrong:?}");
        }
    }
}
