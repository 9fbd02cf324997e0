//! What an account, or a power cut, does to what root looks at and starts.

use super::*;
use crate::host::tests::{SmallDisk, proves_as_root};
use ostler_roles::outcome::FailureKind;
use ostler_roles::resource::{authorized_key, command, download};
use ostler_roles::words::Sensitive;

fn named(run: &[&str]) -> command::Desired {
    command::Desired {
        name: "build".to_owned(),
        run: run.iter().map(ToString::to_string).collect(),
        creates: Some(at("/srv/made")),
        unless: None,
        environment: Vec::new(),
        run_as: None,
        directory: None,
        stdin: None,
        accept: Vec::new(),
        stdout_to: None,
    }
}

#[test]
fn a_line_of_keys_that_we_cannot_read_goes_where_only_certain_keys_let_in() {
    if !proves_as_root("a line of keys that we cannot read") {
        return;
    }
    let fixture = Fixture::new();
    let file = fixture.path("/home/ci/.ssh/authorized_keys");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let key = authorized_key::KeyBlob { algorithm: "ssh-ed25519".to_owned(), blob: "AAAAC3Nz".to_owned() };
    let desired = |only: bool| {
        Desired::AuthorizedKey(authorized_key::Desired {
            user: account("ci"),
            key: Some(key.clone()),
            comment: String::new(),
            options: String::new(),
            absent: false,
            only: only.then(|| [key.clone()].into()),
        })
    };
    // Short names were taken by old servers, and new ones will know algorithms that we do not.
    let text = "# kept\n\nED25519 BBBB me\nssh-ed25519 AAAAC3Nz\nenvironment=\"A=\\\\\" x \" ssh-ed25519 CCCC me\n";
    std::fs::write(&file, text).unwrap();
    for path in ["/home/ci", "/home/ci/.ssh", "/home/ci/.ssh/authorized_keys"] {
        std::os::unix::fs::chown(fixture.path(path), Some(1001), Some(1001)).unwrap();
    }
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    assert_eq!(fields(&fixture.twice(&desired(false))), Vec::<String>::new(), "it is nobody's business here");
    let shown: Vec<String> = fixture.twice(&desired(true)).into_iter().map(|shown| shown.from).collect();
    assert_eq!(shown, ["line ...5519 BBBB me".to_owned(), "ssh-ed25519 ...CCCC".to_owned()]);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "# kept\n\nssh-ed25519 AAAAC3Nz\n");
}

#[test]
fn a_bare_name_is_a_program_like_its_path() {
    if !proves_as_root("a program by a bare name that another account can replace") {
        return;
    }
    let fixture = Fixture::new();
    std::fs::set_permissions(fixture.tree.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let put = |path: &str, owner: u32, mode: u32| {
        let path = fixture.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, "").unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        std::os::unix::fs::chown(path, Some(owner), Some(owner)).unwrap();
    };
    put("/usr/local/bin/theirs", 1001, 0o755);
    put("/usr/bin/theirs", 0, 0o755);
    put("/usr/bin/sh", 0, 0o755);
    let refusal = |desired: &command::Desired| {
        let refused = fixture.provider.examine(&Desired::Command(desired.clone())).unwrap_err();
        assert_eq!(fixture.apply(&Desired::Command(desired.clone())).unwrap_err(), refused, "in its turn as in the plan");
        assert_eq!(refused.kind, FailureKind::Contradiction);
        refused.message
    };
    let begins = "root would start /usr/local/bin/theirs, and ci, who owns ";
    assert!(refusal(&named(&["theirs", "sync"])).starts_with(begins));
    let guarded = command::Desired { unless: Some(vec!["theirs".to_owned()]), creates: None, ..named(&["true"]) };
    assert!(refusal(&guarded).starts_with(begins));
    // A search path of the role's own is no way round; one that passes that directory by is.
    let path = |path: &str| vec![("PATH".to_owned(), Sensitive::Plain(path.to_owned()))];
    assert!(refusal(&command::Desired { environment: path("/opt:/usr/local/bin"), ..named(&["theirs"]) }).starts_with(begins));
    let elsewhere = command::Desired { environment: path("/usr/bin:/usr/local/bin"), ..named(&["theirs"]) };
    fixture.provider.examine(&Desired::Command(elsewhere)).unwrap();
    // Where it may put a name in front of others, nothing is looked for, whatever a script asks for.
    put("/usr/local/bin/theirs", 0, 0o644);
    let says = |desired: &command::Desired| {
        let failed = fixture.apply(&Desired::Command(desired.clone())).unwrap_err();
        (failed.command.unwrap().tail.concat(), failed.hint)
    };
    let script = named(&["sh", "-c", "echo $PATH; exit 1"]);
    assert_eq!(says(&script), ("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned(), None));
    std::os::unix::fs::chown(fixture.path("/usr/local/bin"), Some(1001), Some(1001)).unwrap();
    let (path, hint) = says(&script);
    assert_eq!(path, "/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin");
    assert_eq!(hint.as_deref(), Some("it was looked for no program in /usr/local/bin: another account may put one there"));
    assert!(says(&command::Desired { run_as: Some(account("ci")), ..script }).0.contains("/usr/local/bin"), "its own rights");
}

#[test]
fn a_file_that_no_role_could_mean_is_not_read() {
    let fixture = Fixture::new();
    std::fs::create_dir(fixture.path("/opt")).unwrap();
    // As large as it may be here: nothing of it is on a disk.
    let file = std::fs::File::create(fixture.path("/opt/image")).unwrap();
    let largest = (33..=44).rev().find(|bits| file.set_len(1 << bits).is_ok()).unwrap();
    assert!(largest > 36, "this file system holds no file of 128 GiB: {largest}");
    let desired = |wanted: Digest| {
        let url = "http://127.0.0.1:9/image".to_owned();
        Desired::Download(download::Desired { path: at("/opt/image"), url, sha256: wanted, ownership: owned("0644") })
    };
    std::thread::scope(|scope| {
        let (tell, told) = std::sync::mpsc::channel();
        let fixture = &fixture;
        scope.spawn(move || {
            for wanted in [Digest::of(b"image"), Digest::of(b"")] {
                let _ = tell.send(fixture.provider.examine(&desired(wanted)).unwrap());
            }
        });
        for _ in 0..2 {
            let examined = told.recv_timeout(Duration::from_secs(60));
            // Whoever still reads comes to an end.
            if examined.is_err() {
                file.set_len(0).unwrap();
            }
            assert_eq!(fields(&examined.expect("at once").changes), ["sha256"]);
        }
    });
}

#[test]
fn what_a_command_wrote_wherever_is_on_the_disk_before_it_is_called_done() {
    if !proves_as_root("what a command wrote survives a power cut") {
        return;
    }
    for elsewhere in [false, true] {
        let (directory, later) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let disk = SmallDisk::at(directory.path());
        for made in ["etc", "usr", "srv"] {
            std::fs::create_dir(disk.path().join(made)).unwrap();
        }
        // What it names lies on another file system than what it writes.
        let named = elsewhere.then(|| at("/srv"));
        if elsewhere {
            rustix::mount::mount("none", disk.path().join("srv"), "tmpfs", rustix::mount::MountFlags::empty(), None).unwrap();
        }
        let provider = NodeProvider::at(disk.path(), None).unwrap();
        let script = format!("echo made > {0}/etc/map.new; mv {0}/etc/map.new {0}/etc/map", disk.path().display());
        let creates = named.as_ref().map(|place| place.join("made").unwrap());
        let desired = command::Desired { directory: named, creates, ..super::hostile::named(&["sh", "-c", &script]) };
        let step = step(Desired::Command(desired));
        let fixture = Fixture::new();
        let act = |work: &ApplyContext<'_>| provider.act(&step, ostler_roles::catalog::Action::Run, work);
        fixture.with_work(Instant::now() + Duration::from_secs(20), &|| false, act).unwrap();
        provider.sync().unwrap();
        let found = disk.after_a_power_cut(later.path());
        let written = std::fs::read_to_string(found.path().join("etc/map")).unwrap_or_default();
        assert_eq!(written, "made\n", "elsewhere: {elsewhere}");
    }
}

/// Runs it because of what it watches.
fn act(fixture: &Fixture, desired: &command::Desired) -> Result<bool, Failure> {
    let step = step(Desired::Command(desired.clone()));
    let act = |work: &ApplyContext<'_>| fixture.provider.act(&step, ostler_roles::catalog::Action::Run, work);
    fixture.with_work(Instant::now() + Duration::from_secs(20), &|| false, act)
}

#[test]
fn where_nothing_can_have_been_written_holds_no_command_up() {
    if !proves_as_root("a place that cannot be opened, of which a command says nothing") {
        return;
    }
    let fixture = Fixture::new();
    // As a boot file system whose disk is gone: it is there, and cannot be opened.
    std::os::unix::fs::symlink("/nonexistent", fixture.path("/boot")).unwrap();
    std::os::unix::fs::lchown(fixture.path("/boot"), Some(1001), Some(1001)).unwrap();
    act(&fixture, &command::Desired { creates: None, ..named(&["true"]) }).unwrap();
    fixture.provider.sync().unwrap();
    let told = std::mem::take(&mut *fixture.told.lock().unwrap());
    let [Event::Note { text, .. }, Event::Note { text: below, .. }] = &told[..] else { panic!("{told:?}") };
    assert!(text.contains("/boot: Too many levels of symbolic links") && below.contains("/boot/efi: "), "{text} {below}");
    // What it says itself is another thing.
    act(&fixture, &command::Desired { creates: Some(at("/boot/made")), ..named(&["true"]) }).unwrap();
    fixture.provider.sync().unwrap_err();
}

#[test]
fn what_root_writes_is_not_whose_name_was_there_first() {
    if !proves_as_root("an output in a directory in which others make names") {
        return;
    }
    let mut fixture = Fixture::new();
    let Content::Secret(secret) = fixture.secret(b"hunter2-hunter2") else { unreachable!() };
    let own = |path: &str, user: u32| std::os::unix::fs::chown(fixture.path(path), Some(user), Some(user)).unwrap();
    let may =
        |path: &str, mode: u32| std::fs::set_permissions(fixture.path(path), std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    std::fs::create_dir(fixture.path("/home/ci")).unwrap();
    own("/home/ci", 1001);
    may("/tmp", 0o1777);
    for (path, kept) in [("/tmp/list", false), ("/home/ci/list", false), ("/srv/list", true)] {
        std::fs::write(fixture.path(path), "").unwrap();
        own(path, 1001);
        may(path, 0o666);
        let stdin = Some(Sensitive::Secret(secret.clone()));
        act(&fixture, &command::Desired { creates: None, stdout_to: Some(at(path)), stdin, ..named(&["cat"]) }).unwrap();
        let owner = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(fixture.path(path)).unwrap());
        assert_eq!((owner, bits(&fixture.path(path))), if kept { (1001, 0o666) } else { (0, 0o600) }, "{path}");
        assert_eq!(std::fs::read_to_string(fixture.path(path)).unwrap(), "hunter2-hunter2");
    }
    // Whoever it was closed to, it is closed to still, also where no secret is known.
    for (before, after) in [(0o600, 0o600), (0o440, 0o640), (0o666, 0o644)] {
        std::fs::write(fixture.path("/home/ci/token"), "").unwrap();
        own("/home/ci/token", 1001);
        may("/home/ci/token", before);
        let desired = command::Desired { creates: None, stdout_to: Some(at("/home/ci/token")), ..named(&["true"]) };
        act(&fixture, &desired).unwrap();
        assert_eq!(bits(&fixture.path("/home/ci/token")), after, "{before:o}");
    }
}

#[test]
fn a_script_is_a_program_of_its_interpreter() {
    if !proves_as_root("a script that another account can replace") {
        return;
    }
    let fixture = Fixture::new();
    std::fs::write(fixture.path("/srv/sync"), "").unwrap();
    std::os::unix::fs::chown(fixture.path("/srv/sync"), Some(1001), Some(1001)).unwrap();
    let examined = |run: &[&str]| fixture.provider.examine(&Desired::Command(named(run)));
    for run in [&["sh", "/srv/sync"][..], &["/bin/bash", "-eu", "/srv/sync", "now"], &["env", "/srv/sync"]] {
        let refused = examined(run).unwrap_err();
        assert!(refused.message.starts_with("root would start /srv/sync, and ci, who owns "), "{run:?}: {}", refused.message);
    }
    for run in [&["sh", "-c", "cat", "/srv/sync"][..], &["bash", "-ec", "true", "/srv/sync"], &["cat", "/srv/sync"]] {
        examined(run).unwrap();
    }
    // A word that is no path is one where it begins; a program's text is none.
    for run in [&["./sync"][..], &["python3", "sync"]] {
        let began = command::Desired { directory: Some(at("/srv")), ..named(run) };
        let refused = fixture.provider.examine(&Desired::Command(began)).unwrap_err();
        assert!(refused.message.starts_with("root would start /srv/"), "{run:?}: {}", refused.message);
    }
    examined(&["perl", "-e", &"1;".repeat(5000)]).unwrap();
    // A text, a setting or a directory is no script, and no flag hides one.
    std::fs::create_dir(fixture.path("/srv/build")).unwrap();
    std::os::unix::fs::chown(fixture.path("/srv/build"), Some(1001), Some(1001)).unwrap();
    for run in [
        &["perl", "-ni", "-e", "/srv/build/ or print", "/etc/fstab"][..],
        &["perl", "-ne", "/srv/sync"],
        &["python3", "-m", "/srv/sync"],
        &["python3", "-", "/srv/sync"],
        &["sh", "-s", "/srv/sync"],
        &["env", "-C", "/srv/build", "make"],
        &["env", "-u", "/srv/sync", "make"],
        &["env", "cat", "/srv/sync"],
    ] {
        examined(run).unwrap();
    }
    for run in [
        &["bash", "--norc", "/srv/sync"][..],
        &["bash", "--rcfile", "/etc/bashrc", "/srv/sync"],
        &["perl", "-Mstrict", "-pie", "/srv/sync"],
        &["perl", "-I", "/usr/lib/perl5", "/srv/sync"],
        &["python3", "-Wonce", "-X", "dev", "/srv/sync"],
        &["sh", "-o", "errexit", "/srv/sync"],
        &["sh", "-", "+u", "/srv/sync"],
        &["env", "A=c", "/srv/sync"],
        &["env", "-i", "--chdir", "/etc", "A=c", "sh", "--", "/srv/sync"],
    ] {
        let refused = examined(run).expect_err(&run.join(" "));
        assert!(refused.message.starts_with("root would start /srv/sync, and ci, who owns "), "{run:?}: {}", refused.message);
    }
    // What `env` starts by a name is looked for as the first word is.
    std::fs::create_dir_all(fixture.path("/usr/bin")).unwrap();
    std::fs::write(fixture.path("/usr/bin/theirs"), "").unwrap();
    std::fs::set_permissions(fixture.path("/usr/bin/theirs"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    std::os::unix::fs::chown(fixture.path("/usr/bin/theirs"), Some(1001), Some(1001)).unwrap();
    assert!(examined(&["env", "theirs"]).unwrap_err().message.starts_with("root would start /usr/bin/theirs, "));
}
