//! `command`, `line`, `authorized_key`, `sysctl`, `kernel_module`.

use super::*;
use ostler_roles::outcome::{Ended, FailureKind};
use ostler_roles::resource::{Effect, authorized_key, command, kernel_module, line, sysctl};
use ostler_roles::words::{ModuleName, Sensitive, SysctlName};

fn command(fixture: &Fixture, script: &str) -> command::Desired {
    command::Desired {
        name: "build".to_owned(),
        run: ["sh", "-c", script, "build", &fixture.tree.path().display().to_string()].map(str::to_owned).to_vec(),
        creates: None,
        unless: None,
        environment: Vec::new(),
        run_as: None,
        directory: Some(at("/srv")),
        stdin: None,
        accept: Vec::new(),
        stdout_to: None,
    }
}

#[test]
fn a_command_runs_until_what_it_creates_is_there() {
    let fixture = Fixture::new();
    let mut desired = command(&fixture, "pwd; touch made");
    desired.creates = Some(at("/srv/made"));
    assert_eq!(fixture.twice(&Desired::Command(desired.clone())), [Shown::new("run", "/srv/made is missing", "done")]);
    std::fs::remove_file(fixture.path("/srv/made")).unwrap();
    desired.run = vec!["true".to_owned()];
    assert_eq!(fixture.apply(&Desired::Command(desired)).unwrap_err().kind, FailureKind::DidNotConverge);
}

/// Its guard is a program that counts: one look in its turn, and one at what was made of it.
#[test]
fn a_changed_step_is_observed_once_before_and_once_after() {
    let fixture = Fixture::new();
    let mut desired = command(&fixture, "touch made");
    desired.unless = Some(["sh", "-c", "echo asked >>asked; test -e made"].map(str::to_owned).to_vec());
    fixture.apply(&Desired::Command(desired)).unwrap();
    assert_eq!(std::fs::read_to_string(fixture.path("/srv/asked")).unwrap().lines().count(), 2);
}

#[test]
fn roots_command_begins_in_no_directory_that_another_account_can_bend() {
    if !crate::host::tests::proves_as_root("root's command begins in no directory of another account") {
        return;
    }
    let fixture = Fixture::new();
    std::fs::set_permissions(fixture.tree.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    for directory in ["home/ci", "etc/cron.d"] {
        std::fs::create_dir_all(fixture.path(directory)).unwrap();
    }
    std::os::unix::fs::chown(fixture.path("/home/ci"), Some(1001), Some(1001)).unwrap();
    std::os::unix::fs::symlink(fixture.path("/etc/cron.d"), fixture.path("/home/ci/ws")).unwrap();
    std::os::unix::fs::lchown(fixture.path("/home/ci/ws"), Some(1001), Some(1001)).unwrap();
    let mut desired = command(&fixture, "pwd >&2; touch made");
    desired.directory = Some(at("/home/ci/ws"));
    desired.unless = Some(["test", "-e", "made"].map(str::to_owned).to_vec());
    for account in [None, Some("root")] {
        desired.run_as = account.map(super::account);
        let refused = fixture.provider.examine(&Desired::Command(desired.clone())).unwrap_err();
        assert_eq!(refused.kind, FailureKind::Contradiction);
        assert!(refused.message.starts_with("root's command would begin in /home/ci/ws, and ci, who owns "), "{}", refused.message);
        assert_eq!(refused.hint.as_deref(), Some("add `as: ci` to the command, or leave its `directory` out"));
        assert_eq!(fixture.apply(&Desired::Command(desired.clone())).unwrap_err(), refused, "in its turn as in the plan");
    }
    // Members of a group that may rename there could do the same.
    std::fs::create_dir_all(fixture.path("/opt/tools")).unwrap();
    std::os::unix::fs::chown(fixture.path("/opt/tools"), Some(0), Some(1001)).unwrap();
    std::fs::set_permissions(fixture.path("/opt/tools"), std::os::unix::fs::PermissionsExt::from_mode(0o775)).unwrap();
    let begun = command::Desired { directory: Some(at("/opt/tools")), run_as: None, ..desired.clone() };
    let refused = fixture.provider.examine(&Desired::Command(begun)).unwrap_err();
    assert!(refused.message.starts_with("root's command would begin in /opt/tools, and members of ci, who may write in "), "{refused:?}");
    // With the account's own rights, which lead it nowhere else.
    desired.run_as = Some(super::account("ci"));
    let failed = fixture.apply(&Desired::Command(desired.clone())).unwrap_err();
    assert!(failed.command.unwrap().tail.concat().contains("Permission denied"));
    assert_eq!(std::fs::read_dir(fixture.path("/etc/cron.d")).unwrap().count(), 0);
    // A directory that only it may enter.
    std::fs::remove_file(fixture.path("/home/ci/ws")).unwrap();
    std::fs::create_dir(fixture.path("/home/ci/ws")).unwrap();
    std::os::unix::fs::chown(fixture.path("/home/ci/ws"), Some(1001), Some(1001)).unwrap();
    fixture.apply(&Desired::Command(desired)).unwrap();
    assert!(fixture.path("/home/ci/ws/made").exists());
}

#[test]
fn a_guard_that_cannot_start_does_not_hold() {
    let fixture = Fixture::new();
    let mut desired = command(&fixture, "exit 3");
    desired.unless = Some(vec!["/no/such/guard".to_owned()]);
    assert_eq!(fields(&fixture.provider.examine(&Desired::Command(desired.clone())).unwrap().changes), ["run"]);
    let failed = fixture.apply(&Desired::Command(desired.clone())).unwrap_err();
    assert_eq!((failed.kind, failed.command.unwrap().status), (FailureKind::Apply, Ended::Exit(3)));
    desired.accept = vec![0, 3];
    desired.unless = Some(["test", "-e", "made"].map(str::to_owned).to_vec());
    desired.run[2] = "touch made; exit 3".to_owned();
    fixture.twice(&Desired::Command(desired));
}

#[test]
fn a_secret_reaches_the_command_and_no_output() {
    let mut fixture = Fixture::new();
    let Content::Secret(secret) = fixture.secret(b"hunter2-hunter2") else { unreachable!() };
    let mut desired = command(&fixture, "cat; echo \"$TOKEN\" >token; echo got $TOKEN; exit 1");
    desired.environment = vec![("TOKEN".to_owned(), Sensitive::Secret(secret.clone()))];
    desired.stdin = Some(Sensitive::Secret(secret));
    desired.creates = Some(at("/srv/done"));
    let failed = fixture.apply(&Desired::Command(desired)).unwrap_err();
    assert_eq!(failed.command.as_ref().unwrap().tail, ["***got ***"]);
    assert!(!format!("{failed:?}").contains("hunter2"));
    assert_eq!(std::fs::read_to_string(fixture.path("/srv/token")).unwrap(), "hunter2-hunter2\n");
}

#[test]
fn output_goes_whole_into_a_file_or_not_at_all() {
    let fixture = Fixture::new();
    let mut desired = command(&fixture, "seq 1 100000");
    desired.stdout_to = Some(at("/srv/out/list"));
    desired.creates = desired.stdout_to.clone();
    fixture.twice(&Desired::Command(desired.clone()));
    assert!(std::fs::read_to_string(fixture.path("/srv/out/list")).unwrap().ends_with("100000\n"));
    desired.run[2] = "echo half; exit 1".to_owned();
    desired.creates = Some(at("/srv/other"));
    fixture.apply(&Desired::Command(desired)).unwrap_err();
    assert!(std::fs::read_to_string(fixture.path("/srv/out/list")).unwrap().ends_with("100000\n"));
    assert_eq!(std::fs::read_dir(fixture.path("/srv/out")).unwrap().count(), 1);
}

#[test]
fn output_in_place_of_a_link_has_not_the_bits_of_the_link() {
    let fixture = Fixture::new();
    std::os::unix::fs::symlink("/etc/passwd", fixture.path("/srv/list")).unwrap();
    let mut desired = command(&fixture, "echo 1");
    desired.stdout_to = Some(at("/srv/list"));
    desired.creates = Some(at("/srv/other"));
    fixture.apply(&Desired::Command(desired)).unwrap_err();
    assert_eq!(bits(&fixture.path("/srv/list")), 0o644);
    assert_eq!(std::fs::read_to_string(fixture.path("/srv/list")).unwrap(), "1\n");
}

#[test]
fn a_deadline_ends_a_command_and_a_cancel_lets_it_finish() {
    let fixture = Fixture::new();
    let mut desired = command(&fixture, "sleep 60");
    desired.creates = Some(at("/srv/made"));
    let desired = Desired::Command(desired);
    let failed = fixture.apply_until(&desired, Instant::now() + Duration::from_millis(200), &|| false).unwrap_err();
    assert_eq!((failed.kind, failed.command.unwrap().status), (FailureKind::Deadline, Ended::Deadline));
    let mut desired = command(&fixture, "touch begun; sleep 0.3; touch made");
    desired.creates = Some(at("/srv/made"));
    fixture.apply_until(&Desired::Command(desired), Instant::now() + Duration::from_secs(60), &|| true).unwrap();
}

#[test]
fn a_triggered_command_runs_without_a_guard() {
    let fixture = Fixture::new();
    let desired = Desired::Command(command(&fixture, "echo ran >>log"));
    assert_eq!(fixture.provider.examine(&desired).unwrap().changes, []);
    let step = step(desired);
    let act = |work: &ApplyContext<'_>| fixture.provider.act(&step, ostler_roles::catalog::Action::Run, work);
    fixture.with_work(Instant::now() + Duration::from_secs(20), &|| false, act).unwrap();
    assert_eq!(std::fs::read_to_string(fixture.path("/srv/log")).unwrap(), "ran\n");
}

#[test]
fn a_line_is_put_replaced_and_removed_and_the_rest_stays() {
    let fixture = Fixture::new();
    std::fs::write(fixture.path("/etc/login.defs"), "A 1\nUMASK 077\nB 2").unwrap();
    let desired = |line: &str, absent| {
        Desired::Line(line::Desired { path: at("/etc/login.defs"), line: line.to_owned(), replaces: Some("UMASK".to_owned()), absent })
    };
    let text = || std::fs::read_to_string(fixture.path("/etc/login.defs")).unwrap();
    assert_eq!(fixture.twice(&desired("UMASK 022", false)), [Shown::new("line", "UMASK 077", "UMASK 022")]);
    assert_eq!(text(), "A 1\nUMASK 022\nB 2\n");
    assert_eq!(fields(&fixture.twice(&desired("UMASK 022", true))), ["line"]);
    assert_eq!(text(), "A 1\nB 2\n");
    assert_eq!(fixture.twice(&desired("UMASK 027", false)), [Shown::new("line", "absent", "UMASK 027")]);
    assert_eq!(text(), "A 1\nB 2\nUMASK 027\n");
}

#[test]
fn a_key_is_added_purged_and_its_file_made_private() {
    if !crate::host::tests::proves_as_root("a key is added purged and its file made private") {
        return;
    }
    let fixture = Fixture::new();
    std::fs::create_dir(fixture.path("/home/ci")).unwrap();
    std::os::unix::fs::chown(fixture.path("/home/ci"), Some(1001), Some(1001)).unwrap();
    let key = authorized_key::KeyBlob { algorithm: "ssh-ed25519".to_owned(), blob: "AAAAC3Nz".to_owned() };
    let desired = |options: &str, only| {
        Desired::AuthorizedKey(authorized_key::Desired {
            user: account("ci"),
            key: Some(key.clone()),
            comment: "ci@site".to_owned(),
            options: options.to_owned(),
            absent: false,
            only,
        })
    };
    assert_eq!(fields(&fixture.twice(&desired("", None))), ["key"]);
    let file = fixture.path("/home/ci/.ssh/authorized_keys");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "ssh-ed25519 AAAAC3Nz ci@site\n");
    assert_eq!((bits(&file), bits(file.parent().unwrap())), (0o600, 0o700));
    std::fs::write(&file, "# kept\nssh-rsa BBBB other\nssh-ed25519 AAAAC3Nz ci@site\nssh-ed25519 AAAAC3Nz twice\n").unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    let changes = fixture.twice(&desired("restrict", Some([key.clone()].into())));
    assert_eq!(fields(&changes), ["options", "key", "modes"]);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "# kept\nrestrict ssh-ed25519 AAAAC3Nz ci@site\n");
}

#[test]
fn the_second_file_of_keys_lets_nobody_in_whom_no_role_names() {
    if !crate::host::tests::proves_as_root("keys of another account in authorized_keys2") {
        return;
    }
    let fixture = Fixture::new();
    let at = |name: &str| fixture.path("/home/ci/.ssh").join(name);
    std::fs::create_dir_all(at("")).unwrap();
    let key = authorized_key::KeyBlob { algorithm: "ssh-ed25519".to_owned(), blob: "AAAAC3Nz".to_owned() };
    let desired = |absent, only: Option<&authorized_key::KeyBlob>| {
        Desired::AuthorizedKey(authorized_key::Desired {
            user: account("ci"),
            key: Some(key.clone()),
            comment: String::new(),
            options: "restrict".to_owned(),
            absent,
            only: only.map(|key| [key.clone()].into()),
        })
    };
    let own = |name: &str| std::os::unix::fs::chown(at(name), Some(1001), Some(1001)).unwrap();
    std::fs::write(at("authorized_keys"), "restrict ssh-ed25519 AAAAC3Nz\n").unwrap();
    std::fs::write(at("authorized_keys2"), "# kept\nssh-ed25519 AAAAC3Nz open\nrsa-sha2-512 BBBB me\nssh-rsa BBBB again").unwrap();
    ["", "authorized_keys", "authorized_keys2"].into_iter().for_each(own);
    std::os::unix::fs::chown(fixture.path("/home/ci"), Some(1001), Some(1001)).unwrap();
    let before = std::fs::metadata(at("authorized_keys")).unwrap();
    let second = "key in authorized_keys2";
    assert_eq!(fields(&fixture.twice(&desired(false, Some(&key)))), [second, second]);
    assert_eq!(std::fs::read_to_string(at("authorized_keys2")).unwrap(), "# kept\n");
    let after = std::fs::metadata(at("authorized_keys")).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::ino(&before), std::os::unix::fs::MetadataExt::ino(&after), "the first is left alone");
    std::fs::write(at("authorized_keys2"), "ssh-ed25519 AAAAC3Nz\n").unwrap();
    assert_eq!(fields(&fixture.twice(&desired(true, None))), ["key", second]);
    assert_eq!(std::fs::read_to_string(at("authorized_keys2")).unwrap(), "");
    // A link to the first holds nothing of its own; one that leads elsewhere is not read, and not passed over either.
    std::fs::remove_file(at("authorized_keys2")).unwrap();
    std::os::unix::fs::symlink("authorized_keys", at("authorized_keys2")).unwrap();
    assert_eq!(fields(&fixture.twice(&desired(false, Some(&key)))), ["key"]);
    std::fs::remove_file(at("authorized_keys2")).unwrap();
    std::os::unix::fs::symlink("/etc/keys", at("authorized_keys2")).unwrap();
    let failed = fixture.apply(&desired(false, Some(&key))).unwrap_err();
    assert_eq!(
        (failed.kind, failed.message.as_str()),
        (FailureKind::Contradiction, "/home/ci/.ssh/authorized_keys2 leads to /etc/keys: sshd may read keys there too")
    );
    // Where no key's absence is promised, nothing is held up by it.
    assert_eq!(fields(&fixture.twice(&desired(false, None))), Vec::<String>::new());
    // Nobody is let in by what is nothing, or by what sshd may not read as the account.
    std::fs::remove_file(at("authorized_keys2")).unwrap();
    std::os::unix::fs::symlink("/dev/null", at("authorized_keys2")).unwrap();
    assert_eq!(fields(&fixture.twice(&desired(false, Some(&key)))), Vec::<String>::new());
    std::fs::remove_file(at("authorized_keys2")).unwrap();
    std::fs::write(at("authorized_keys2"), "ssh-rsa BBBB roots").unwrap();
    let may = |mode| std::fs::set_permissions(at("authorized_keys2"), std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    may(0o600);
    assert_eq!(fields(&fixture.twice(&desired(false, Some(&key)))), Vec::<String>::new());
    // Its group may be one of the account's.
    may(0o640);
    assert_eq!(fields(&fixture.twice(&desired(false, None))), Vec::<String>::new());
    let failed = fixture.apply(&desired(false, Some(&key))).unwrap_err();
    assert!(failed.kind == FailureKind::Contradiction && failed.message.contains("is not given its bytes"), "{failed:?}");
}

#[test]
fn a_link_that_the_account_planted_is_not_followed() {
    if !crate::host::tests::proves_as_root("a link that the account planted is not followed") {
        return;
    }
    let fixture = Fixture::new();
    std::fs::create_dir(fixture.path("/home/ci")).unwrap();
    std::os::unix::fs::chown(fixture.path("/home/ci"), Some(1001), Some(1001)).unwrap();
    std::os::unix::fs::symlink("/etc", fixture.path("/home/ci/.ssh")).unwrap();
    std::os::unix::fs::lchown(fixture.path("/home/ci/.ssh"), Some(1001), Some(1001)).unwrap();
    let desired = Desired::AuthorizedKey(authorized_key::Desired {
        user: account("ci"),
        key: Some(authorized_key::KeyBlob { algorithm: "ssh-ed25519".to_owned(), blob: "AAAAC3Nz".to_owned() }),
        comment: String::new(),
        options: String::new(),
        absent: false,
        only: None,
    });
    let failed = fixture.apply(&desired).unwrap_err();
    assert_eq!(failed.kind, FailureKind::Observe);
    assert!(failed.hint.unwrap().contains("is not followed"));
    assert!(!fixture.path("/etc/authorized_keys").exists());
}

#[test]
fn a_setting_is_set_now_and_at_boot() {
    let fixture = Fixture::new();
    std::fs::create_dir_all(fixture.path("/proc/sys/net/core")).unwrap();
    std::fs::write(fixture.path("/proc/sys/net/core/rmem"), "4096\t87380\t6291456\n").unwrap();
    let name = SysctlName::parse("net.core.rmem").unwrap();
    let desired = |value: &str| Desired::Sysctl(sysctl::Desired { name: name.clone(), value: value.to_owned(), at_rest: false });
    assert_eq!(fields(&fixture.twice(&desired("4096 87380 6291456"))), ["at boot"]);
    assert_eq!(fields(&fixture.twice(&desired("1 2 3"))), ["at boot", "value"]);
    assert_eq!(std::fs::read_to_string(fixture.path("/proc/sys/net/core/rmem")).unwrap(), "1 2 3");
    // Other files have a word in it: the last of them, wherever it stands.
    let other = |name: &str, text: &str| {
        std::fs::write(fixture.path(&format!("/etc/sysctl.d/{name}")), text).unwrap();
        fixture.provider.forget(&[Effect::Everything]);
    };
    std::fs::remove_file(fixture.path("/etc/sysctl.d/99-zz-ostler-net.core.rmem.conf")).unwrap();
    other("60-ostler-net.core.rmem.conf", "net.core.rmem = 4\n");
    other("99-sysctl.conf", "# an administrator's\nnet/core/rmem = 9 9 9\n");
    let changes = fixture.twice(&desired("1 2 3"));
    assert_eq!((fields(&changes), changes[0].from.as_str()), (vec!["at boot"], "9 9 9 (/etc/sysctl.d/99-sysctl.conf:2)"));
    assert!(!fixture.path("/etc/sysctl.d/60-ostler-net.core.rmem.conf").exists(), "what release 0.1 wrote goes");
    other("99-zzz.conf", "net.core.rmem = 9\n");
    let failed = fixture.apply(&desired("1 2 3")).unwrap_err();
    assert!(failed.kind == FailureKind::Contradiction && failed.message.contains("/etc/sysctl.d/99-zzz.conf:1 sets"), "{failed:?}");
    let unknown = Desired::Sysctl(sysctl::Desired { name: SysctlName::parse("net.none").unwrap(), value: "1".to_owned(), at_rest: false });
    let failed = fixture.apply(&unknown).unwrap_err();
    assert_eq!((failed.kind, failed.message.as_str()), (FailureKind::Contradiction, "the running kernel has no setting net.none"));
}

#[test]
fn a_loaded_module_is_stored_and_a_container_loads_none() {
    let fixture = Fixture::new();
    std::fs::create_dir_all(fixture.path("/proc")).unwrap();
    let loaded = |modules: &str| std::fs::write(fixture.path("/proc/modules"), modules).unwrap();
    loaded("br_netfilter 32768 0 - Live 0x0\n");
    let desired = |name: &str, absent| {
        Desired::KernelModule(kernel_module::Desired { name: ModuleName::parse(name).unwrap(), absent, at_rest: false })
    };
    assert_eq!(fields(&fixture.twice(&desired("br-netfilter", false))), ["at boot"]);
    loaded("br_netfilter 32768 1 - Live 0x0\n");
    let used = fixture.apply(&desired("br-netfilter", true)).unwrap_err();
    assert!(used.message.ends_with("is loaded and in use by 1 other use"), "{used:?}");
    loaded("");
    assert_eq!(fields(&fixture.twice(&desired("br-netfilter", true))), ["at boot"]);
    // What others ask for is forbidden; and what others forbid is refused.
    std::fs::write(fixture.path("/etc/modules-load.d/modules.conf"), "loop\n").unwrap();
    fixture.provider.forget(&[Effect::Everything]);
    assert_eq!(fields(&fixture.twice(&desired("loop", true))), ["at boot"]);
    assert_eq!(std::fs::read_to_string(fixture.path("/etc/modprobe.d/ostler-loop.conf")).unwrap(), "blacklist loop\n");
    loaded("loop 4096 0 - Live 0x0\n");
    assert_eq!(fields(&fixture.twice(&desired("loop", false))), ["at boot"], "our own line goes");
    std::fs::write(fixture.path("/etc/modprobe.d/no.conf"), "blacklist loop\n").unwrap();
    fixture.provider.forget(&[Effect::Everything]);
    let refused = fixture.apply(&desired("loop", false)).unwrap_err();
    assert!(refused.message.ends_with("/etc/modprobe.d/no.conf:1 says `blacklist loop`"), "{refused:?}");
    assert!(refused.hint.unwrap().contains("line: {path: /etc/modprobe.d/no.conf, line: \"blacklist loop\", absent: true}"));
    std::fs::write(fixture.path("/.dockerenv"), "").unwrap();
    assert_eq!(fixture.apply(&desired("nbd", false)).unwrap_err().kind, FailureKind::Contradiction);
}

#[test]
fn a_service_that_shall_not_run_is_not_restarted() {
    let fixture = Fixture::new();
    let name = ostler_roles::words::UnitName::parse_service("nginx").unwrap();
    let state = Some(ostler_roles::resource::service::State::Stopped);
    let service = ostler_roles::resource::service::Desired {
        name,
        unit: None,
        state,
        enabled: None,
        check: Some(vec!["false".to_owned()]),
        at_rest: false,
    };
    let step = step(Desired::Service(service));
    for action in [ostler_roles::catalog::Action::Restart, ostler_roles::catalog::Action::Reload] {
        let acted =
            fixture.with_work(Instant::now() + Duration::from_secs(10), &|| false, |work| fixture.provider.act(&step, action, work));
        assert_eq!(acted, Ok(false));
    }
}
