//! The cases in `cases/`: what a file says of a host that shows a key; each also put before `ssh-keygen -F`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use russh::keys::PublicKey;

use super::{KnownHostsFile, Presented, Record, Records, Verdict, host_names};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/transport/known_hosts/cases")
}

struct Case {
    name: String,
    text: String,
    names: (String, Option<String>),
    records: Records,
    shows: PublicKey,
    verdict: String,
    /// A line that `ssh-keygen -F` goes by its name alone, and whose key neither `ssh` nor we can read.
    unreadable: Option<usize>,
}

fn key(name: &str) -> String {
    fs::read_to_string(directory().join("keys").join(name)).unwrap().trim().to_owned()
}

fn case(path: &Path) -> Case {
    let whole = fs::read_to_string(path).unwrap();
    let (head, body) = whole.split_once("---\n").unwrap();
    let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
    let mut text = body.to_owned();
    for name in ["ed1", "ed2", "ec1", "rsa1"] {
        text = text.replace(&format!("{{{name}}}"), &key(name)).replace(&format!("{{{name}:tab}}"), &key(name).replace(' ', "\t"));
    }
    let (host, port, alias) = (field("host").unwrap(), field("port").unwrap().parse().unwrap(), field("alias"));
    let names = host_names(host, port, alias);
    let records = Records::of([(Path::new("file"), &KnownHostsFile::new(text.clone()))], &names.0, names.1.as_deref(), host);
    let shows = PublicKey::from_openssh(&key(field("shows").unwrap())).unwrap();
    let name = path.file_stem().unwrap().to_string_lossy().into_owned();
    let unreadable = field("unreadable").map(|line| line.parse().unwrap());
    Case { name, text, names, records, shows, verdict: field("verdict").unwrap().to_owned(), unreadable }
}

fn cases() -> Vec<Case> {
    let mut paths: Vec<_> = fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "case"));
    paths.sort();
    assert!(paths.len() >= 55, "cases are missing");
    paths.iter().map(|path| case(path)).collect()
}

fn lines(records: &[Record]) -> String {
    records.iter().map(|record| record.entry.line.to_string()).collect::<Vec<_>>().join(",")
}

#[test]
fn each_case_has_its_verdict() {
    let mut wrong = Vec::new();
    for case in cases() {
        let verdict = match case.records.judge(Presented::Key(&case.shows), SystemTime::now()) {
            Verdict::Known => "known".to_owned(),
            Verdict::Unknown => "unknown".to_owned(),
            Verdict::Changed { recorded } => format!("changed {}", lines(&recorded)),
            Verdict::Revoked { by } => format!("revoked {}", by.entry.line),
            Verdict::BadCertificate { .. } => "bad certificate".to_owned(),
        };
        if verdict != case.verdict {
            wrong.push(format!("{}: {verdict}, not {}", case.name, case.verdict));
        }
    }
    assert_eq!(wrong, [""; 0]);
}

/// `ssh-keygen -F` finds the lines that speak of a name, whatever their marker.
#[test]
fn ssh_keygen_finds_the_same_lines() {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("known_hosts");
    for case in cases() {
        fs::write(&file, &case.text).unwrap();
        let output = Command::new("ssh-keygen").args(["-F", &case.names.0, "-f"]).arg(&file).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let found = text.lines().filter_map(|line| line.strip_prefix("# Host ")?.rsplit_once("found: line ")?.1.split(' ').next());
        let mut theirs: BTreeSet<usize> = found.map(|line| line.parse().unwrap()).collect();
        assert!(case.unreadable.is_none_or(|line| theirs.remove(&line)), "{}", case.name);
        let all = [&case.records.own, &case.records.revoked, &case.records.authorities];
        let ours: BTreeSet<usize> = all.into_iter().flatten().map(|record| record.entry.line).collect();
        assert_eq!(ours, theirs, "{}", case.name);
    }
}

#[test]
fn recorded_types_are_offered_first_and_without_repetition_of_the_rest() {
    let text = format!("node1 {}\nnode1 {}\n", key("ec1"), key("rsa1"));
    let records = Records::of([(Path::new("file"), &KnownHostsFile::new(text.clone()))], "node1", None, "node1");
    assert_eq!(records.key_types(), ["ecdsa-sha2-nistp256", "ssh-rsa"]);
    assert!(records.only_unverifiable().is_none());
    let preferred = crate::transport::Algorithms::default().preferred(&records.key_types(), false).unwrap();
    let names: Vec<_> = preferred.key.iter().map(|algorithm| algorithm.as_str().to_owned()).collect();
    assert_eq!(names, ["ecdsa-sha2-nistp256", "ssh-ed25519", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"]);
}

#[test]
fn a_host_known_by_rsa_alone_is_named() {
    for text in [format!("node1 {}\n", key("rsa1")), format!("node1 {}\n", key("rsa1").replacen("ssh-rsa", "rsa-sha2-256", 1))] {
        let records = Records::of([(Path::new("file"), &KnownHostsFile::new(text.clone()))], "node1", None, "node1");
        let record = records.only_unverifiable().unwrap();
        assert_eq!((record.place().as_str(), record.entry.key_type.as_str()), ("file:1", "ssh-rsa"));
    }
}

/// Here we are stricter than `ssh`, which goes by the name with its port alone.
#[test]
fn a_key_revoked_under_the_bare_name_is_revoked_on_every_port() {
    let text = format!("@revoked node1 {0}\n[node1]:2222 {0}\n", key("ed1"));
    let names = host_names("node1", 2222, None);
    let records = Records::of([(Path::new("file"), &KnownHostsFile::new(text.clone()))], &names.0, names.1.as_deref(), "node1");
    let shows = PublicKey::from_openssh(&key("ed1")).unwrap();
    let verdict = records.judge(Presented::Key(&shows), SystemTime::now());
    assert!(matches!(&verdict, Verdict::Revoked { by } if by.entry.line == 1), "{verdict:?}");
}

/// Here too: `ssh` skips a line whose type it does not know, and would take a new key beside it.
#[test]
fn a_host_known_by_a_type_of_the_future_is_no_unknown_host() {
    // `ssh-future` and four bytes.
    let records = Records::of(
        [(Path::new("file"), &KnownHostsFile::new("node1 ssh-future AAAACnNzaC1mdXR1cmUAAAAEYWJjZA==\n".to_owned()))],
        "node1",
        None,
        "node1",
    );
    let shows = PublicKey::from_openssh(&key("ed1")).unwrap();
    assert!(matches!(records.judge(Presented::Key(&shows), SystemTime::now()), Verdict::Changed { .. }));
    assert_eq!(records.only_unverifiable().map(Record::place).as_deref(), Some("file:1"));
}

#[test]
fn an_accepted_key_is_appended_once_private_and_readable_by_ssh_keygen() {
    use std::os::unix::fs::PermissionsExt as _;
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("deep/known_hosts");
    let one = PublicKey::from_openssh(&key("ed1")).unwrap();
    for (name, hash) in [("[10.0.0.1]:2222", true), ("node1", false), ("node1", false), ("[10.0.0.1]:2222", true)] {
        super::append(&file, name, &one, hash).unwrap();
    }
    let text = fs::read_to_string(&file).unwrap();
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(text.starts_with("|1|") && text.ends_with(&format!("node1 {}\n", key("ed1"))), "{text}");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(file.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
    let found = Command::new("ssh-keygen").args(["-F", "[10.0.0.1]:2222", "-f"]).arg(&file).output().unwrap();
    assert!(found.status.success());
    // Another key meanwhile is not overwritten and not added to.
    let two = PublicKey::from_openssh(&key("ed2")).unwrap();
    assert!(matches!(super::append(&file, "node1", &two, false), Err(super::AppendError::Raced { .. })));
}

#[test]
fn appending_ends_a_line_that_was_left_open() {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("known_hosts");
    fs::write(&file, "# no line feed").unwrap();
    super::append(&file, "node1", &PublicKey::from_openssh(&key("ed1")).unwrap(), false).unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), format!("# no line feed\nnode1 {}\n", key("ed1")));
}

/// `ssh-keygen -R` takes no lock: it puts a new file in the old one's place.
#[test]
fn a_key_is_in_the_file_that_has_the_name_at_the_end() {
    use std::os::unix::fs::MetadataExt as _;
    let scratch = tempfile::tempdir().unwrap();
    let (file, one) = (scratch.path().join("known_hosts"), PublicKey::from_openssh(&key("ed1")).unwrap());
    fs::write(&file, "# the old one\n").unwrap();
    let held = fs::File::open(&file).unwrap();
    held.lock().unwrap();
    let inode = held.metadata().unwrap().ino();
    let has_opened = || {
        let open = fs::read_dir("/proc/self/fd").unwrap().filter_map(|fd| fs::metadata(fd.unwrap().path()).ok());
        open.filter(|open| open.ino() == inode).count() == 2
    };
    std::thread::scope(|scope| {
        let appending = scope.spawn(|| super::append(&file, "node1", &one, false));
        while !has_opened() && !appending.is_finished() {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        fs::write(scratch.path().join("new"), "# the new one\n").unwrap();
        fs::rename(scratch.path().join("new"), &file).unwrap();
        drop(held);
        appending.join().unwrap().unwrap();
    });
    assert_eq!(fs::read_to_string(&file).unwrap(), format!("# the new one\nnode1 {}\n", key("ed1")));
}

/// A full disk takes the first bytes of a line; `ssh` finds room for another one meanwhile, or does not.
#[test]
fn of_a_line_that_finds_no_room_nothing_stays_and_no_line_of_another_goes() {
    struct Full<'a>(&'a fs::File, &'a str);
    impl std::io::Write for Full<'_> {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            if bytes.starts_with(b"node1") {
                return self.0.write(&bytes[..5]);
            }
            self.0.write_all(self.1.as_bytes())?;
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    for (meanwhile, left) in [("", "# mine\n"), ("\ntheirs ssh-ed25519 AAAA\n", "# mine\nnode1\ntheirs ssh-ed25519 AAAA\n")] {
        let scratch = tempfile::tempdir().unwrap();
        let file = scratch.path().join("known_hosts");
        fs::write(&file, "# mine\n").unwrap();
        let open = fs::OpenOptions::new().append(true).open(&file).unwrap();
        let error = super::append::add_whole(&open, Full(&open, meanwhile), 7, b"node1 ssh-ed25519 BBBB\n").unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
        assert_eq!(fs::read_to_string(&file).unwrap(), left);
    }
}

#[test]
fn many_writers_at_once_leave_whole_lines() {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("known_hosts");
    let one = PublicKey::from_openssh(&key("ed1")).unwrap();
    std::thread::scope(|scope| {
        for n in 0..128 {
            let (file, one) = (&file, &one);
            scope.spawn(move || super::append(file, &format!("node{}", n % 64), one, false).unwrap());
        }
    });
    let text = fs::read_to_string(&file).unwrap();
    let book = KnownHostsFile::new(text.clone());
    let found = (0..64).filter(|n| book.entries(&[&format!("node{n}")]).len() == 1).count();
    assert_eq!((text.lines().count(), found), (64, 64), "{text}");
}

#[test]
fn a_name_that_would_speak_for_other_hosts_is_not_written() {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("known_hosts");
    let one = PublicKey::from_openssh(&key("ed1")).unwrap();
    for name in ["*", "node?", "a,b", "!a", "|1|a|b", "@revoked", "#a", "a b", "a\nb", ""] {
        for hash in [false, true] {
            let written = super::append(&file, name, &one, hash);
            assert!(matches!(&written, Err(super::AppendError::Name { name: named }) if named == name), "{name:?}: {written:?}");
        }
    }
    assert!(!file.exists());
}
