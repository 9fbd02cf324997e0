//! Which files of keys this node's sshd reads for an account: what it says itself (sshd(8), `-T -C`), remembered with the digest of its
//! program and its configuration. Where that names none of what decides it, nobody is asked.

use super::super::fault::{hinted, unmade, unread};
use super::super::known::sshd::{DECIDING, PROGRAM, setting};
use super::super::node::Node;
use crate::host::accounts::Account;
use crate::host::child::{Finished, Program};
use crate::host::{OsError, Writing};
use ostler_roles::outcome::{Failure, FailureKind};
use ostler_roles::words::Digest;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What it remembers, a file an account.
const RECORDS: &str = "/var/lib/ostler/sshd";
/// No configuration is larger.
const CAP: u64 = 4 << 20;
/// Keys of the moment, one an account; in memory.
const KEYS: &str = "/run/ostler/sshd";
/// Where its children that nobody has logged in to yet are locked up; made when it starts (Debian: RuntimeDirectory= of ssh.service).
const SEPARATION: &str = "/run/sshd";
/// What it says where nobody has started it yet (OpenSSH sshd.c, main).
const WANTING: [&str; 2] = ["no hostkeys available", "Missing privilege separation directory"];
/// It reads files and answers.
const PATIENCE: Duration = Duration::from_secs(20);

/// What sshd reads for one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::resource) struct KeyFiles {
    /// Files of keys of this account alone, in its order.
    pub(super) files: Vec<PathBuf>,
    /// Files of keys that open more accounts than this one.
    pub(super) shared: Vec<PathBuf>,
    /// A program that it asks for keys too.
    pub(super) command: Option<String>,
    /// Whether it takes keys at all.
    pub(super) takes_keys: bool,
}

/// What sshd reads for this account. Writes nothing but what it remembers, which is no part of the node.
///
/// # Errors
/// When its configuration cannot be read, or it does not say.
pub(super) fn reads(node: &Node, account: &Account) -> Result<KeyFiles, Failure> {
    let configuration = node.sshd_configuration().map_err(unread)?;
    if !configuration.decides {
        let usual = ["authorized_keys", "authorized_keys2"].map(|name| Path::new(&account.home).join(".ssh").join(name));
        return Ok(KeyFiles { files: usual.into(), shared: Vec::new(), command: None, takes_keys: true });
    }
    if configuration.by_origin {
        let message = format!("where sshd reads the keys of {} depends on where a login comes from", account.name);
        let hint = "see the `Match` lines of /etc/ssh/sshd_config and what it includes, or leave the step out";
        return Err(hinted(FailureKind::Contradiction, message, hint));
    }
    let key = key_of(node, account)?;
    if configuration.more {
        return Ok(parse(&ask(node, account)?, account));
    }
    if let Some((_, said)) = node.sshd_said.of(&key).filter(|(digest, _)| *digest == configuration.digest) {
        return Ok(parse(&said, account));
    }
    let known = node.host.read(&record(account), CAP).map_err(unread)?.unwrap_or_default();
    let known = String::from_utf8_lossy(&known).into_owned();
    // Of groups that no file here has nobody can tell whether they are still the same.
    let may_hold = !node.accounts()?.may_have_more_groups();
    let kept = known.split_once('\n').filter(|(head, _)| may_hold && *head == format!("{} {key}", configuration.digest));
    let said = match kept {
        Some((_, said)) => said.to_owned(),
        None => ask(node, account)?,
    };
    node.sshd_said.put(&key, (configuration.digest.clone(), said.clone()));
    if kept.is_none() {
        // A run that changes nothing is its plan alone. Where it cannot be kept, the next one asks again, and nothing is wrong.
        let _ = remember(node, account);
    }
    Ok(parse(&said, account))
}

/// Keeps what it said for runs to come, which then ask nobody. Nothing is kept where nobody could tell whether it still holds.
///
/// # Errors
/// When the kernel says no.
fn remember(node: &Node, account: &Account) -> Result<(), Failure> {
    let configuration = node.sshd_configuration().map_err(unread)?;
    if configuration.more || node.accounts()?.may_have_more_groups() {
        return Ok(());
    }
    let key = key_of(node, account)?;
    let Some((digest, said)) = node.sshd_said.of(&key).filter(|(digest, _)| *digest == configuration.digest) else { return Ok(()) };
    let (user, group) = node.host.default_owner();
    node.host.make_parents(&record(account)).map_err(unmade)?;
    let text = format!("{digest} {key}\n{said}");
    node.host.write::<OsError>(&record(account), text.as_bytes(), Writing { user, group, mode: 0o600 }, None).map_err(unmade)
}

/// What its answer rests on beside the configuration: a `Match` may name any of it.
pub(super) fn key_of(node: &Node, account: &Account) -> Result<String, Failure> {
    let accounts = node.accounts()?;
    let mut groups = String::new();
    // A number is a group by its first name (getgrgid(3)), as sshd asks.
    for (name, gid) in accounts.groups_of(&account.name).into_iter().chain([(String::new(), account.gid)]) {
        let first = accounts.group_name(&node.host, gid).map_err(unread)?;
        groups.push_str(&format!("{name}:{gid}:{first},"));
    }
    Ok(format!("{} {} {} {} {}", account.name, account.uid, account.gid, account.home, groups))
}

fn record(account: &Account) -> PathBuf {
    Path::new(RECORDS).join(Digest::of(account.name.as_bytes()).short())
}

/// Asks it, for a login from somewhere else: an address of documentation (RFC 5737), which no `Match` names.
fn ask(node: &Node, account: &Account) -> Result<String, Failure> {
    let about = format!("user={},host=node.invalid,addr=192.0.2.1", account.name);
    let hint = format!("on the node: {PROGRAM} -T -C {about}");
    let untold = |cause: String| Failure {
        causes: vec![cause],
        ..hinted(FailureKind::Observe, format!("sshd does not tell where it reads the keys of {}", account.name), hint.clone())
    };
    if !node.host.is_running() {
        return Err(untold("this is not the running system".to_owned()));
    }
    let question = [PROGRAM, "-T", "-C", &about];
    let mut finished = Program::new(question).run_to_end(Instant::now() + PATIENCE).map_err(unread)?;
    if !finished.is_good() && WANTING.iter().any(|words| finished.tail.mentions(words)) {
        finished = ask_with_key(node, account, &question).map_err(unread)?;
    }
    if !finished.is_good() {
        let status = finished.status;
        return Err(untold(finished.tail.into_lines().pop().unwrap_or_else(|| format!("sshd: {status}"))));
    }
    let text = String::from_utf8_lossy(finished.said().map_err(unread)?);
    let deciding = text.lines().filter(|line| setting(line).is_some_and(|(word, _)| DECIDING.contains(&word.as_str())));
    Ok(deciding.map(|line| format!("{line}\n")).collect())
}

/// Asks it with a key of the moment, where it would not even say how it is configured without one: an image's host keys are made at its
/// first boot.
fn ask_with_key(node: &Node, account: &Account, question: &[&str]) -> Result<Finished, OsError> {
    let key = Path::new(KEYS).join(Digest::of(account.name.as_bytes()).short());
    let public = key.with_extension("pub");
    let forget = || node.host.remove(&key).and_then(|()| node.host.remove(&public));
    node.host.make_parents(&key)?;
    node.host.make_parent(Path::new(SEPARATION))?;
    forget()?;
    let name = key.display().to_string();
    let until = Instant::now() + PATIENCE;
    let made = Program::new(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", &name]).run_to_end(until)?;
    let finished = if made.is_good() { Program::new(question.iter().chain(&["-h", &name]).copied()).run_to_end(until)? } else { made };
    forget()?;
    Ok(finished)
}

/// What it said, for an account (sshd_config(5), AuthorizedKeysFile and TOKENS).
fn parse(said: &str, account: &Account) -> KeyFiles {
    let mut reads = KeyFiles { files: Vec::new(), shared: Vec::new(), command: None, takes_keys: true };
    let is_none = |text: &str| text.eq_ignore_ascii_case("none");
    for (word, rest) in said.lines().filter_map(setting) {
        match word.as_str() {
            "authorizedkeysfile" if !is_none(rest) => {
                let is_own = |pattern: &&str| !pattern.starts_with('/') || ["%u", "%U", "%h"].iter().any(|token| pattern.contains(token));
                let (own, shared): (Vec<&str>, Vec<&str>) = rest.split_whitespace().partition(is_own);
                let paths = |patterns: Vec<&str>| patterns.into_iter().map(|pattern| expanded(pattern, account)).collect();
                (reads.files, reads.shared) = (paths(own), paths(shared));
            }
            "authorizedkeyscommand" if !is_none(rest) => reads.command = Some(rest.to_owned()),
            "pubkeyauthentication" => reads.takes_keys = rest != "no",
            _ => {}
        }
    }
    reads
}

fn expanded(pattern: &str, account: &Account) -> PathBuf {
    let mut path = String::new();
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        match (character, if character == '%' { characters.next() } else { None }) {
            ('%', Some('h')) => path.push_str(&account.home),
            ('%', Some('u')) => path.push_str(&account.name),
            ('%', Some('U')) => path.push_str(&account.uid.to_string()),
            ('%', Some('%')) => path.push('%'),
            ('%', Some(other)) => path.extend(['%', other]),
            (character, _) => path.push(character),
        }
    }
    Path::new(&account.home).join(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Host;
    use crate::resource::known::SshdConfiguration;

    fn account() -> Account {
        Account {
            name: "ci".to_owned(),
            uid: 1001,
            gid: 1001,
            comment: String::new(),
            home: "/home/ci".to_owned(),
            shell: "/bin/sh".to_owned(),
        }
    }

    #[test]
    fn what_it_says_becomes_paths_of_the_account() {
        let said =
            "pubkeyauthentication yes\nauthorizedkeyscommand none\nauthorizedkeysfile .ssh/authorized_keys /etc/ssh/keys/%u %h/k%U%%\n";
        let reads = parse(said, &account());
        assert_eq!(reads.files, ["/home/ci/.ssh/authorized_keys", "/etc/ssh/keys/ci", "/home/ci/k1001%"].map(PathBuf::from));
        assert_eq!((reads.command, reads.takes_keys, reads.shared.len()), (None, true, 0));
        let shared = parse("authorizedkeysfile /etc/ssh/admins .ssh/authorized_keys\n", &account());
        assert_eq!((shared.files, shared.shared), (vec!["/home/ci/.ssh/authorized_keys".into()], vec!["/etc/ssh/admins".into()]));
        let none = parse("AuthorizedKeysFile none\npubkeyauthentication no\nauthorizedkeyscommand /bin/keys %u\n", &account());
        assert_eq!((none.files.len(), none.command.as_deref(), none.takes_keys), (0, Some("/bin/keys %u"), false));
    }

    #[test]
    fn only_a_configuration_that_decides_it_is_asked_about() {
        let tree = tempfile::tempdir().unwrap();
        let node = || Node::new(Host::at(tree.path()).unwrap(), None);
        let write = |path: &str, text: &str| {
            let path = tree.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let decides = || SshdConfiguration::read(&Host::at(tree.path()).unwrap()).unwrap().decides;
        assert!(!decides(), "no sshd is there");
        write("usr/sbin/sshd", "");
        write("etc/ssh/sshd_config", "Include /etc/ssh/sshd_config.d/*.conf\n#AuthorizedKeysFile none\nUsePAM yes\n");
        assert!(!decides());
        let before = SshdConfiguration::read(&Host::at(tree.path()).unwrap()).unwrap().digest;
        write("etc/ssh/sshd_config.d/keys.conf.off", "AuthorizedKeysFile none\n");
        assert!(!decides());
        write("etc/ssh/sshd_config.d/1.conf", "Include more/[ab]*\n");
        write("etc/ssh/more/b", "Match User ci\n\tauthorizedkeysfile=/x/%u\n");
        assert!(decides());
        assert_ne!(SshdConfiguration::read(&Host::at(tree.path()).unwrap()).unwrap().digest, before);
        // Where it depends on the login's origin, no one answer is right.
        let by_origin = || SshdConfiguration::read(&Host::at(tree.path()).unwrap()).unwrap().by_origin;
        assert!(!by_origin());
        write("etc/ssh/sshd_config.d/2.conf", "Match Address 10.0.0.0/8\nPubkeyAuthentication no\nMatch all\n");
        assert!(by_origin());
        assert_eq!(reads(&node(), &account()).unwrap_err().message, "where sshd reads the keys of ci depends on where a login comes from");
        write("etc/ssh/sshd_config.d/2.conf", "Match Address 10.0.0.0/8\nX11Forwarding no\n");
        assert!(!by_origin());
        // A pattern may name directories too.
        write("etc/ssh/sshd_config", "Include sites/*/[a-k]*.conf\n");
        write("etc/ssh/sites/file", "");
        assert!(!decides());
        write("etc/ssh/sites/ci/keys.conf", "AuthorizedKeysFile /x/%u\n");
        assert!(decides());
        let before = SshdConfiguration::read(&Host::at(tree.path()).unwrap()).unwrap();
        write("etc/ssh/sites/ci/keys.conf", "AuthorizedKeysFile /y/%u\n");
        let after = SshdConfiguration::read(&Host::at(tree.path()).unwrap()).unwrap();
        assert!(before.digest != after.digest && !before.more);
        // What is no running system cannot be asked, and is not guessed at.
        let failed = reads(&node(), &account()).unwrap_err();
        assert_eq!(failed.message, "sshd does not tell where it reads the keys of ci");
    }

    #[test]
    fn nothing_is_remembered_that_files_which_were_not_found_could_change() {
        let tree = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = tree.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("usr/sbin/sshd", "");
        std::fs::create_dir_all(tree.path().join("var/lib")).unwrap();
        for (include, kept) in [
            ("Include \"sites/*/keys.conf\" # all\nAuthorizedKeysFile /x\n", true),
            ("Include \"my sites/keys.conf\"\n", false),
            ("Include sites\\*/keys.conf\n", false),
            ("Include sites/[]a]/keys.conf\n", false),
        ] {
            write("etc/ssh/sshd_config", include);
            let node = || Node::new(Host::at(tree.path()).unwrap(), None);
            let asked = node();
            let configuration = asked.sshd_configuration().unwrap();
            assert!(configuration.decides, "{include}");
            asked
                .sshd_said
                .put(&key_of(&asked, &account()).unwrap(), (configuration.digest.clone(), "authorizedkeysfile /x/%u\n".to_owned()));
            let _ = std::fs::remove_dir_all(tree.path().join("var/lib/ostler"));
            remember(&asked, &account()).unwrap();
            assert_eq!(tree.path().join(record(&account()).strip_prefix("/").unwrap()).exists(), kept, "{include}");
            // What was kept answers in the next run; else sshd itself is asked, which a tree has none of.
            assert_eq!(reads(&node(), &account()).is_ok(), kept, "{include}");
            assert_eq!(reads(&asked, &account()).is_ok(), kept, "{include}: nor in this one");
        }
    }

    #[test]
    fn what_it_said_holds_for_the_groups_that_the_account_had() {
        let tree = tempfile::tempdir().unwrap();
        for directory in ["usr/sbin", "etc/ssh", "var/lib"] {
            std::fs::create_dir_all(tree.path().join(directory)).unwrap();
        }
        std::fs::write(tree.path().join("usr/sbin/sshd"), "").unwrap();
        std::fs::write(tree.path().join("etc/ssh/sshd_config"), "Match Group staff\nAuthorizedKeysFile /x/%u\n").unwrap();
        let groups = |text: &str| std::fs::write(tree.path().join("etc/group"), text).unwrap();
        let node = || Node::new(Host::at(tree.path()).unwrap(), None);
        groups("staff:x:50:\nadm:x:4:ci\n");
        let asked = node();
        let digest = asked.sshd_configuration().unwrap().digest.clone();
        asked.sshd_said.put(&key_of(&asked, &account()).unwrap(), (digest, "authorizedkeysfile .ssh/authorized_keys\n".to_owned()));
        remember(&asked, &account()).unwrap();
        assert!(reads(&node(), &account()).is_ok(), "remembered");
        groups("staff:x:50:ci\nadm:x:4:ci\n");
        assert_eq!(reads(&node(), &account()).unwrap_err().message, "sshd does not tell where it reads the keys of ci", "asked again");
        // Another number of a group, another name of the account's own, or of a number that it has.
        groups("staff:x:50:\nadm:x:4:ci\n");
        assert!(reads(&node(), &account()).is_ok(), "remembered");
        for others in ["staff:x:50:\nadm:x:7:ci\n", "staff:x:50:\nadm:x:4:ci\nstaff:x:1001:\n", "staff:x:4:\nadm:x:4:ci\n"] {
            groups(others);
            assert!(reads(&node(), &account()).is_err(), "{others}");
        }
        // Where a directory service knows of groups, no answer is kept, and none that was kept holds.
        groups("staff:x:50:\nadm:x:4:ci\n");
        std::fs::write(tree.path().join("etc/nsswitch.conf"), "group: files sss\n").unwrap();
        assert!(reads(&node(), &account()).is_err(), "asked again");
        std::fs::remove_dir_all(tree.path().join("var/lib/ostler")).unwrap();
        let asked = node();
        let digest = asked.sshd_configuration().unwrap().digest.clone();
        asked.sshd_said.put(&key_of(&asked, &account()).unwrap(), (digest, "authorizedkeysfile .ssh/authorized_keys\n".to_owned()));
        remember(&asked, &account()).unwrap();
        assert!(!tree.path().join("var/lib/ostler").exists());
    }
}
