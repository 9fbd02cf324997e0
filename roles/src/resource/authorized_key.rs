//! `authorized_key`: one public key that may log in to an account (sshd(8), AUTHORIZED_KEYS FILE FORMAT).

use super::{AtRest, Contradiction, Describe, Effect, Resource, Shown};
use crate::words::AccountName;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// One key of one account as it shall be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desired {
    /// Whose login.
    pub user: AccountName,
    /// Algorithm and base64 blob: what identifies the key. None: no key, but that others go; then it is `absent`, with `only`.
    pub key: Option<KeyBlob>,
    /// The comment written behind it.
    pub comment: String,
    /// Options written before it, joined with commas; empty for none.
    pub options: String,
    /// The key shall not be there.
    pub absent: bool,
    /// When set, keys of the account that are not in it go: the keys that any role of this node declares.
    pub only: Option<BTreeSet<KeyBlob>>,
}

/// Algorithm and base64 blob of a public key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KeyBlob {
    /// `ssh-ed25519`, ...
    pub algorithm: String,
    /// Base64.
    pub blob: String,
}

impl KeyBlob {
    /// The last twelve characters of the blob: enough for people to tell keys apart.
    pub fn short(&self) -> String {
        let tail: String = self.blob.trim_end_matches('=').chars().rev().take(12).collect();
        format!("{} ...{}", self.algorithm, tail.chars().rev().collect::<String>())
    }
}

/// What a key of an account is called among those of the node; none: that others go.
pub fn name(user: &AccountName, key: Option<&KeyBlob>) -> String {
    key.map_or_else(|| format!("{user}/no others"), |key| format!("{user}/{}", key.short()))
}

/// The account's keys as found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    /// Whether the account exists.
    pub user_exists: bool,
    /// Every key with its options and comment.
    pub keys: Vec<ObservedKey>,
    /// What is wrong with owner or mode of the file or its directory, so that sshd would ignore it (StrictModes).
    pub unsafe_modes: Option<String>,
}

/// One line of the files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedKey {
    /// Algorithm and blob.
    pub key: KeyBlob,
    /// Options; empty for none.
    pub options: String,
    /// Comment.
    pub comment: String,
    /// It stands in a further file that sshd reads as well (sshd_config(5), AuthorizedKeysFile) and nothing is written into: its name.
    #[serde(default)]
    pub elsewhere: Option<String>,
}

/// The end of the options: the first blank outside of quotes.
fn split_options(line: &str) -> Option<(&str, &str)> {
    let end = unquoted(line, |byte| matches!(byte, b' ' | b'\t'))?;
    Some((&line[..end], line[end..].trim_start()))
}

/// Where the first such byte stands outside of quotes. A backslash means something before a quote alone, in quotes or not (OpenSSH sshkey.c,
/// `sshkey_advance_past_options`).
fn unquoted(text: &str, wanted: impl Fn(u8) -> bool) -> Option<usize> {
    let mut quoted = false;
    let mut bytes = text.bytes().enumerate().peekable();
    while let Some((index, byte)) = bytes.next() {
        match byte {
            b'\\' if bytes.next_if(|(_, next)| *next == b'"').is_some() => {}
            b'"' => quoted = !quoted,
            byte if !quoted && wanted(byte) => return Some(index),
            _ => {}
        }
    }
    None
}

fn is_algorithm(word: &str) -> bool {
    ["ssh-", "rsa-sha2-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-", "webauthn-sk-"].iter().any(|start| word.starts_with(start))
}

impl ObservedKey {
    /// A key's line (sshd(8), AUTHORIZED_KEYS FILE FORMAT); none for comments and what is no key. The one reader, for roles and nodes.
    pub fn parse(line: &str, elsewhere: Option<&str>) -> Option<Self> {
        let line = told(line)?;
        let first = line.split_whitespace().next()?;
        let (options, rest) = if is_algorithm(first) { ("", line) } else { split_options(line)? };
        let (algorithm, rest) = rest.split_once(char::is_whitespace).filter(|(algorithm, _)| is_algorithm(algorithm))?;
        let rest = rest.trim_start();
        let (blob, comment) = rest.split_once([' ', '\t']).unwrap_or((rest, ""));
        // sshd takes the names of RSA's signatures for the key's own (OpenSSH sshkey.c, `peek_type_nid`), and reads base64 with blanks.
        let algorithm = if algorithm.starts_with("rsa-sha2-") { "ssh-rsa" } else { algorithm };
        let key = KeyBlob { algorithm: algorithm.to_owned(), blob: blob.split_whitespace().collect() };
        let (options, comment) = (options.to_owned(), comment.trim().to_owned());
        Some(Self { key, options, comment, elsewhere: elsewhere.map(str::to_owned) })
    }

    /// The same, and what we cannot read stands for itself: this node's sshd may read it.
    pub fn read(line: &str, elsewhere: Option<&str>) -> Option<Self> {
        let unread = |line: &str| Self {
            key: KeyBlob { algorithm: "line".to_owned(), blob: line.to_owned() },
            options: String::new(),
            comment: String::new(),
            elsewhere: elsewhere.map(str::to_owned),
        };
        Self::parse(line, elsewhere).or_else(|| told(line).map(unread))
    }
}

/// What a line says, up to its NUL; none where that is nothing, or a comment.
fn told(line: &str) -> Option<&str> {
    let line = line.split('\0').next().unwrap_or_default().trim();
    (!line.is_empty() && !line.starts_with('#')).then_some(line)
}

/// Options of a key that stand alone (OpenSSH auth2-pubkeyfile.c, auth-options.c); upper and lower case are one.
const FLAGS: [&str; 14] = [
    "agent-forwarding",
    "cert-authority",
    "no-agent-forwarding",
    "no-port-forwarding",
    "no-pty",
    "no-touch-required",
    "no-user-rc",
    "no-x11-forwarding",
    "port-forwarding",
    "pty",
    "restrict",
    "user-rc",
    "verify-required",
    "x11-forwarding",
];
/// Options of a key with a text in quotes.
const VALUED: [&str; 8] = ["command", "environment", "expiry-time", "from", "permitlisten", "permitopen", "principals", "tunnel"];

/// Every option's name.
pub fn option_names() -> impl Iterator<Item = &'static str> {
    FLAGS.into_iter().chain(VALUED)
}

/// Which option of a list with commas sshd would refuse, and with it the whole key; none: it takes all of them.
pub fn wrong_option(options: &str) -> Option<&str> {
    let mut rest = options;
    loop {
        let end = unquoted(rest, |byte| byte == b',').unwrap_or(rest.len());
        let option = &rest[..end];
        if !is_option(option) {
            return Some(option);
        }
        match rest.get(end + 1..) {
            Some(more) => rest = more,
            None => return None,
        }
    }
}

fn is_option(option: &str) -> bool {
    match option.split_once('=') {
        None => FLAGS.contains(&option.to_ascii_lowercase().as_str()),
        Some((name, value)) => {
            // In quotes, and nothing behind them: a quote that is left open would take what follows.
            let inner = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
            let closed = |inner: &str| !inner.ends_with('\\') && !inner.replace("\\\"", "").contains('"');
            VALUED.contains(&name.to_ascii_lowercase().as_str()) && inner.is_some_and(closed)
        }
    }
}

impl Desired {
    /// Its line.
    pub fn written(&self) -> String {
        let key = self.key.as_ref().map_or(["", ""], |key| [&key.algorithm, &key.blob]);
        [&self.options, key[0], key[1], &self.comment].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
    }
    /// Whether its line is read as what it says: another would not be found again, and be written in every run.
    pub fn is_read_back(&self) -> bool {
        ObservedKey::parse(&self.written(), None).is_some_and(|read| {
            (Some(read.key), read.options, read.comment) == (self.key.clone(), self.options.clone(), self.comment.clone())
        })
    }
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// Add the key.
    Add,
    /// Other options or comment.
    Rewrite {
        /// Options and comment found.
        from: String,
        /// Options and comment wanted.
        to: String,
    },
    /// Take this key away.
    Remove(KeyBlob),
    /// Take it away from a further file that sshd reads.
    RemoveElsewhere {
        /// Which key.
        key: KeyBlob,
        /// The file's name.
        file: String,
    },
    /// Owner and mode as sshd wants them.
    Modes(String),
}

impl Describe for Change {
    fn shown(&self) -> Shown {
        match self {
            Self::Add => Shown::new("key", "absent", "present"),
            Self::Rewrite { from, to } => Shown::new("options", from, to),
            Self::Remove(key) => Shown::new("key", key.short(), "absent"),
            Self::RemoveElsewhere { key, file } => Shown::new(&format!("key in {file}"), key.short(), "absent"),
            Self::Modes(found) => Shown::new("modes", found, "private to the account"),
        }
    }
}

impl Resource for Desired {
    type Observed = Observed;
    type Change = Change;
    const AT_REST: &'static str = "Whole.";

    fn key(&self) -> String {
        name(&self.user, self.key.as_ref())
    }

    fn at_rest(&self) -> AtRest<Self> {
        AtRest::Whole
    }

    fn diff(&self, observed: &Observed) -> Result<Vec<Change>, Contradiction> {
        let mut changes = Vec::new();
        let is_own = |found: &ObservedKey| self.key.as_ref() == Some(&found.key);
        // sshd takes the first line that lets the key in: one that is wrong counts before one that is right.
        let same = || observed.keys.iter().filter(|found| is_own(found) && found.elsewhere.is_none());
        let found = same().find(|found| found.options != self.options || found.comment != self.comment).or_else(|| same().next());
        match (self.absent, found) {
            (true, Some(found)) => changes.push(Change::Remove(found.key.clone())),
            (false, None) => changes.push(Change::Add),
            (false, Some(found)) if found.options != self.options || found.comment != self.comment => changes.push(Change::Rewrite {
                from: format!("{} {}", found.options, found.comment).trim().to_owned(),
                to: format!("{} {}", self.options, self.comment).trim().to_owned(),
            }),
            (true, None) | (false, Some(_)) => {}
        }
        let is_foreign = |found: &ObservedKey| self.only.as_ref().is_some_and(|only| !only.contains(&found.key) && !is_own(found));
        let foreign = observed.keys.iter().filter(|found| is_foreign(found) && found.elsewhere.is_none());
        changes.extend(foreign.map(|found| Change::Remove(found.key.clone())));
        // What further files hold lets in too: there a key is foreign, or our own without the options that restrict it.
        let open = |found: &ObservedKey| is_own(found) && (self.absent || found.options != self.options);
        let further = observed.keys.iter().filter(|found| is_foreign(found) || open(found));
        let further: BTreeSet<(&KeyBlob, &String)> = further.filter_map(|found| Some((&found.key, found.elsewhere.as_ref()?))).collect();
        changes.extend(further.into_iter().map(|(key, file)| Change::RemoveElsewhere { key: key.clone(), file: file.clone() }));
        if let (false, Some(found)) = (self.absent, &observed.unsafe_modes) {
            changes.push(Change::Modes(found.clone()));
        }
        Ok(changes)
    }

    fn provides(&self) -> Vec<Effect> {
        Vec::new()
    }

    fn needs(&self) -> Vec<Effect> {
        vec![Effect::User(self.user.clone())]
    }

    fn unchanged(&self, _observed: &Observed) -> String {
        match &self.key {
            None => format!("nobody else may log in as {}", self.user),
            Some(_) if self.absent => "is not there".to_owned(),
            Some(_) => format!("may log in as {}", self.user),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_with_options_and_comments() {
        let key = ObservedKey::parse(r#"from="10.0.0.0/8",command="echo \"a b\"" ssh-ed25519 AAAAC3 who@where it is"#, None).unwrap();
        assert_eq!(key.options, r#"from="10.0.0.0/8",command="echo \"a b\"""#);
        assert_eq!((key.key.algorithm.as_str(), key.key.blob.as_str(), key.comment.as_str()), ("ssh-ed25519", "AAAAC3", "who@where it is"));
        assert_eq!(ObservedKey::parse("sk-ssh-ed25519@openssh.com AAAA", None).unwrap().comment, "");
        assert_eq!(ObservedKey::parse("# ssh-rsa AAAA", None), None);
        assert_eq!(ObservedKey::parse("restrict ssh-rsa", None), None);
        assert_eq!(ObservedKey::parse("garbage", None), None);
        assert_eq!(ObservedKey::parse("rsa-sha2-512 AAAA", None).unwrap().key.algorithm, "ssh-rsa", "sshd lets it in as well");
    }

    #[test]
    fn options_end_where_sshd_ends_them() {
        // A backslash is one before a quote alone, whatever stands before it (OpenSSH misc.c, `opt_dequote`).
        for line in [r#"environment="A=\\" x " ssh-ed25519 AAAA who"#, r#"a\" ssh-ed25519 AAAA who"#, "no-pty\tssh-ed25519 \t AAAA\twho"] {
            let read = ObservedKey::parse(line, None).unwrap_or_else(|| panic!("{line}"));
            assert_eq!(
                (read.key.algorithm.as_str(), read.key.blob.as_str(), read.comment.as_str()),
                ("ssh-ed25519", "AAAA", "who"),
                "{line}"
            );
        }
        // base64 may be broken by what is a blank in C, and a line ends at a NUL.
        for line in ["ssh-ed25519 AA\u{b}AA", "ssh-ed25519 AAAA\0 BBBB", "ssh-ed25519 AA\u{c}AA\r"] {
            assert_eq!(ObservedKey::parse(line, None).unwrap().key.blob, "AAAA", "{line:?}");
        }
    }

    #[test]
    fn only_options_that_sshd_takes_are_options() {
        for good in [
            "no-pty",
            "restrict,PTY",
            r#"from="10.0.0.0/8,!10.1.0.0/16",command="echo \"a b\"",no-X11-forwarding"#,
            r#"command="""#,
            r#"command="a\\\" b""#,
        ] {
            assert_eq!(wrong_option(good), None, "{good}");
        }
        for (options, wrong) in [
            ("no-ptty", "no-ptty"),
            ("", ""),
            ("no-pty,", ""),
            ("no-pty, restrict", " restrict"),
            ("command=ls", "command=ls"),
            (r#"command="ls" -l"#, r#"command="ls" -l"#),
            (r#"command="ls,no-pty"#, r#"command="ls,no-pty"#),
            (r#"no-pty="yes""#, r#"no-pty="yes""#),
            (r#"command="C:\\""#, r#"command="C:\\""#),
        ] {
            assert_eq!(wrong_option(options), Some(wrong), "{options}");
        }
    }
}
