//! `file`, `directory`, `link`.

use super::*;
use ostler_roles::outcome::{Ended, FailureKind};
use ostler_roles::resource::{directory, file, link};

fn file(path: &str, content: Content, bits: &str) -> Desired {
    let present = file::Present { content, ownership: owned(bits), validate: None };
    Desired::File(file::Desired { path: at(path), present: Some(present) })
}

#[test]
fn a_file_is_made_with_its_parents_and_then_unchanged() {
    let mut fixture = Fixture::new();
    let content = fixture.blob(b"hello\n");
    let changes = fixture.twice(&file("/opt/a/b/motd", content, "0640"));
    assert_eq!(fields(&changes), ["parent", "parent", "parent", "file"]);
    assert_eq!(std::fs::read(fixture.path("/opt/a/b/motd")).unwrap(), b"hello\n");
    assert_eq!((bits(&fixture.path("/opt/a/b/motd")), bits(&fixture.path("/opt/a"))), (0o640, 0o755));
    assert_eq!(std::fs::read_dir(fixture.path("/opt/a/b")).unwrap().count(), 1, "nothing is left beside it");
}

#[test]
fn drift_of_content_and_mode_is_repaired() {
    let mut fixture = Fixture::new();
    let desired = file("/etc/motd", fixture.blob(b"hello\n"), "0644");
    fixture.twice(&desired);
    std::fs::write(fixture.path("/etc/motd"), "drifted").unwrap();
    assert_eq!(fields(&fixture.twice(&desired)), ["content"]);
    std::fs::set_permissions(fixture.path("/etc/motd"), std::os::unix::fs::PermissionsExt::from_mode(0o4755)).unwrap();
    assert_eq!(fixture.twice(&desired), [Shown::new("mode", "4755", "0644")]);
}

#[test]
fn an_owner_is_set_before_the_name() {
    let mut fixture = Fixture::new();
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let content = fixture.blob(b"x");
    let ownership = Ownership { owner: account("ci"), group: None, mode: mode("0600") };
    let present = file::Present { content, ownership, validate: None };
    fixture.twice(&Desired::File(file::Desired { path: at("/srv/x"), present: Some(present) }));
    let stat = std::fs::metadata(fixture.path("/srv/x")).unwrap();
    use std::os::unix::fs::MetadataExt as _;
    assert_eq!((stat.uid(), stat.gid()), (1001, 1001));
}

#[test]
fn two_names_of_one_number_are_one_owner() {
    let mut fixture = Fixture::new();
    if !crate::host::tests::proves_as_root("two names of one number are one owner") {
        return;
    }
    let add = |path: &str, line: &str| {
        let path = fixture.path(path);
        std::fs::write(&path, std::fs::read_to_string(&path).unwrap() + line).unwrap();
    };
    add("/etc/passwd", "builder:x:1001:1001::/home/ci:/bin/sh\n");
    add("/etc/group", "builders:x:1001:\n");
    let content = fixture.blob(b"x");
    for (group, path) in [(None, "/srv/a"), (Some(account("builders")), "/srv/b")] {
        let ownership = Ownership { owner: account("builder"), group, mode: mode("0644") };
        let present = file::Present { content: content.clone(), ownership: ownership.clone(), validate: None };
        assert_eq!(fields(&fixture.twice(&Desired::File(file::Desired { path: at(path), present: Some(present) }))), ["file"]);
        let directory = directory::Desired { path: at(&format!("{path}.d")), present: Some(ownership) };
        assert_eq!(fields(&fixture.twice(&Desired::Directory(directory))), ["directory"]);
    }
}

#[test]
fn an_unknown_owner_is_named() {
    let mut fixture = Fixture::new();
    let content = fixture.blob(b"x");
    let ownership = Ownership { owner: account("jenkins"), group: None, mode: mode("0600") };
    let present = file::Present { content, ownership, validate: None };
    let failed = fixture.apply(&Desired::File(file::Desired { path: at("/srv/x"), present: Some(present) })).unwrap_err();
    assert_eq!((failed.kind, failed.message.as_str()), (FailureKind::Apply, "there is no user jenkins"));
    assert!(!fixture.path("/srv/x").exists());
}

#[test]
fn a_secret_is_compared_by_hmac_and_never_shown() {
    let mut fixture = Fixture::new();
    let desired = file("/etc/key", fixture.secret(b"hunter2"), "0600");
    assert_eq!(fixture.twice(&desired), [Shown::new("file", "absent", "present, secret")]);
    std::fs::write(fixture.path("/etc/key"), "other").unwrap();
    assert_eq!(fixture.provider.old_content(&desired), None);
    assert_eq!(fixture.twice(&desired), [Shown::new("content", "secret", "secret, changed")]);
    fixture.secrets.clear();
    std::fs::write(fixture.path("/etc/key"), "other").unwrap();
    assert_eq!(fixture.apply(&desired).unwrap_err().kind, FailureKind::NeedsController);
}

#[test]
fn a_proof_that_does_not_hold_leaves_the_old_file() {
    let mut fixture = Fixture::new();
    std::fs::write(fixture.path("/etc/sudoers"), "old").unwrap();
    let present = file::Present {
        content: fixture.blob(b"new"),
        ownership: owned("0440"),
        validate: Some(["sh", "-c", "echo bad line 1; grep -q good \"$1\"", "proof", "%f"].map(str::to_owned).to_vec()),
    };
    let failed = fixture.apply(&Desired::File(file::Desired { path: at("/etc/sudoers"), present: Some(present.clone()) })).unwrap_err();
    let command = failed.command.unwrap();
    assert_eq!((command.status, command.tail), (Ended::Exit(1), vec!["bad line 1".to_owned()]));
    assert_eq!(std::fs::read(fixture.path("/etc/sudoers")).unwrap(), b"old");
    let present = file::Present { content: fixture.blob(b"good"), ..present };
    fixture.twice(&Desired::File(file::Desired { path: at("/etc/sudoers"), present: Some(present) }));
}

#[test]
fn a_directory_in_the_place_of_a_file_is_refused() {
    let mut fixture = Fixture::new();
    let content = fixture.blob(b"x");
    let failed = fixture.apply(&file("/srv", content, "0644")).unwrap_err();
    assert_eq!((failed.kind, failed.message.as_str()), (FailureKind::Contradiction, "/srv is a directory, not a file"));
}

#[test]
fn what_a_crash_left_aside_is_no_hindrance() {
    let mut fixture = Fixture::new();
    std::fs::write(fixture.path("/etc/.motd.ostler-new"), "half").unwrap();
    let content = fixture.blob(b"whole");
    fixture.twice(&file("/etc/motd", content, "0644"));
    assert!(!fixture.path("/etc/.motd.ostler-new").exists());
}

#[test]
fn a_full_file_system_is_named_as_such() {
    let error = crate::host::OsError::new(crate::host::Operation::Write, "/x", rustix::io::Errno::NOSPC);
    assert_eq!(error.failure(FailureKind::Apply).kind, FailureKind::NoSpace);
    let error = crate::host::OsError::new(crate::host::Operation::Write, "/x", rustix::io::Errno::DQUOT);
    assert_eq!(error.failure(FailureKind::Apply).kind, FailureKind::NoSpace);
}

#[test]
fn an_absent_file_goes_and_stays_gone() {
    let fixture = Fixture::new();
    std::fs::write(fixture.path("/etc/old"), "x").unwrap();
    let desired = Desired::File(file::Desired { path: at("/etc/old"), present: None });
    assert_eq!(fixture.twice(&desired), [Shown::new("file", "present", "absent")]);
}

#[test]
fn a_directory_is_made_owned_and_removed_only_when_empty() {
    let fixture = Fixture::new();
    let desired = |present| Desired::Directory(directory::Desired { path: at("/srv/www/x"), present });
    assert_eq!(fields(&fixture.twice(&desired(Some(owned("2750"))))), ["parent", "directory"]);
    assert_eq!(bits(&fixture.path("/srv/www/x")), 0o2750);
    std::fs::write(fixture.path("/srv/www/x/f"), "x").unwrap();
    assert_eq!(fixture.apply(&desired(None)).unwrap_err().kind, FailureKind::Contradiction);
    std::fs::remove_file(fixture.path("/srv/www/x/f")).unwrap();
    assert_eq!(fields(&fixture.twice(&desired(None))), ["directory"]);
}

#[test]
fn a_link_is_made_and_retargeted_in_one_step() {
    let fixture = Fixture::new();
    let desired = |to: &str| Desired::Link(link::Desired { path: at("/opt/java"), to: Some(to.to_owned()) });
    assert_eq!(fields(&fixture.twice(&desired("../usr/java17"))), ["parent", "link"]);
    assert_eq!(fixture.twice(&desired("/usr/java21")), [Shown::new("to", "../usr/java17", "/usr/java21")]);
    assert_eq!(std::fs::read_link(fixture.path("/opt/java")).unwrap(), Path::new("/usr/java21"));
    std::fs::remove_file(fixture.path("/opt/java")).unwrap();
    std::fs::write(fixture.path("/opt/java"), "a file").unwrap();
    assert_eq!(fixture.apply(&desired("/usr/java21")).unwrap_err().message, "/opt/java is a file, not a link");
}

#[test]
fn what_only_some_may_read_here_is_shown_to_nobody_elsewhere() {
    let mut fixture = Fixture::new();
    let present = file::Present { content: fixture.blob(b"public"), ownership: owned("0644"), validate: None };
    let desired = Desired::File(file::Desired { path: at("/etc/was-secret"), present: Some(present) });
    std::fs::create_dir_all(fixture.path("/etc")).unwrap();
    let place = fixture.path("/etc/was-secret");
    std::fs::write(&place, "a value that the site knows no more").unwrap();
    for (mode, from, old) in [(0o600, "private", None), (0o640, "private", None), (0o644, "", Some("a value that the site knows no more"))]
    {
        std::fs::set_permissions(&place, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        let found = fixture.provider.examine(&desired).unwrap();
        let content = found.changes.iter().find(|change| change.field == "content").unwrap();
        assert_eq!(content.from == "private", from == "private", "{mode:o}: {content:?}");
        assert_eq!(fixture.provider.old_content(&desired).as_deref(), old, "{mode:o}");
    }
}
