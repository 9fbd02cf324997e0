//! `authorized_key` at work: in the first file that this node's sshd reads for the account, with owner and mode as sshd(8) wants them. Of
//! further ones that it reads, `authorized_keys2` usually, keys are only taken away.

mod place;
mod sshd;

use super::Act;
use super::fault::unread;
use super::node::Node;
use crate::engine::ApplyContext;
use ostler_roles::outcome::Failure;
use ostler_roles::resource::Effect;
use ostler_roles::resource::authorized_key::{Change, Desired, KeyBlob, Observed, ObservedKey};
use ostler_roles::words::AbsPath;
use place::Place;

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
fn parse(line: &str, elsewhere: Option<&str>) -> Option<ObservedKey> {
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
    Some(ObservedKey { key, options: options.to_owned(), comment: comment.trim().to_owned(), elsewhere: elsewhere.map(str::to_owned) })
}

fn written(desired: &Desired) -> String {
    let parts = [&desired.options, &desired.key.algorithm, &desired.key.blob, &desired.comment];
    parts.into_iter().map(|part| part.as_str()).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Whether some key shall not let in.
fn promises(desired: &Desired) -> bool {
    desired.absent || desired.only.is_some()
}

impl Act for Desired {
    fn observe(&self, node: &Node) -> Result<Observed, Failure> {
        let Some(account) = node.accounts()?.account(&node.host, self.user.as_str()).map_err(unread)? else {
            return Ok(Observed { user_exists: false, keys: Vec::new(), unsafe_modes: None });
        };
        let place = Place::of(node, self, account)?;
        let mut keys = Vec::new();
        let mut take = |bytes: &[u8], elsewhere: Option<&str>| {
            let lines = String::from_utf8_lossy(bytes).into_owned();
            keys.extend(lines.lines().filter_map(|line| parse(line, elsewhere)));
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
            let here: Vec<&KeyBlob> = gone.iter().filter(|(_, file)| *file == name).map(|(key, _)| *key).collect();
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

/// A further file's new bytes: lines that are no keys stay.
fn without(gone: &[&KeyBlob], bytes: &[u8]) -> Vec<u8> {
    let stays = |line: &&[u8]| parse(&String::from_utf8_lossy(line), None).is_none_or(|found| !gone.contains(&&found.key));
    bytes.split_inclusive(|byte| *byte == b'\n').filter(stays).flatten().copied().collect()
}

/// The file's new bytes: lines that are no keys stay, and so do comments in whatever encoding.
fn edited(desired: &Desired, bytes: &[u8], changes: &[Change]) -> Vec<u8> {
    let goes = |key: &KeyBlob| changes.iter().any(|change| matches!(change, Change::Remove(gone) if gone == key));
    let mut new = Vec::with_capacity(bytes.len() + 200);
    let mut wanted = !desired.absent;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = match parse(&String::from_utf8_lossy(line), None) {
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
        let key = parse(r#"from="10.0.0.0/8",command="echo \"a b\"" ssh-ed25519 AAAAC3 who@where it is"#, None).unwrap();
        assert_eq!(key.options, r#"from="10.0.0.0/8",command="echo \"a b\"""#);
        assert_eq!((key.key.algorithm.as_str(), key.key.blob.as_str(), key.comment.as_str()), ("ssh-ed25519", "AAAAC3", "who@where it is"));
        assert_eq!(parse("sk-ssh-ed25519@openssh.com AAAA", None).unwrap().comment, "");
        assert_eq!(parse("# ssh-rsa AAAA", None), None);
        assert_eq!(parse("restrict ssh-rsa", None), None);
        assert_eq!(parse("garbage", None), None);
        assert_eq!(parse("rsa-sha2-512 AAAA", None).unwrap().key.algorithm, "ssh-rsa", "sshd lets it in as well");
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
