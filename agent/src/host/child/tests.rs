use super::*;
use ostler_roles::mask::Mask;
use std::time::Duration;

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

fn shell(script: &str) -> Program {
    Program::new(["sh", "-c", script])
}

#[test]
fn what_a_program_says_is_read_whole_or_not_at_all() {
    let mut program = Program::new(["sh", "-c", "echo one; echo two"]);
    program.keep = 8;
    let finished = program.run(soon(), &|| false).unwrap();
    assert_eq!(finished.said().unwrap(), b"one\ntwo\n");
    let mut program = Program::new(["sh", "-c", "echo one; echo two"]);
    program.keep = 7;
    let finished = program.run(soon(), &|| false).unwrap();
    assert!(finished.is_good(), "that is no matter to who does not read it");
    assert!(finished.said().unwrap_err().to_string().contains("sh"));
    // Where nothing is wanted, the most that is read of anything is 16 MiB.
    let finished = Program::new(["head", "-c", "16777217", "/dev/zero"]).run(soon(), &|| false).unwrap();
    assert!(finished.said().is_err());
}

#[test]
fn a_program_ends_with_its_code_and_both_streams() {
    let finished = shell("echo out; echo err >&2; exit 3").run(soon(), &|| false).unwrap();
    assert_eq!(finished.status, Ended::Exit(3));
    assert_eq!(finished.stdout, b"out\n");
    let mut lines = finished.tail.into_lines();
    lines.sort();
    assert_eq!(lines, ["err", "out"]);
}

#[test]
fn a_missing_program_cannot_be_started() {
    let error = Program::new(["/no/such/program"]).run(soon(), &|| false).unwrap_err();
    assert_eq!((error.operation, error.source.kind()), (super::super::Operation::Start, std::io::ErrorKind::NotFound));
}

/// Writes a script, which stays open for writing for so long.
fn busy_script(directory: &std::path::Path, held: Duration) -> (String, std::thread::JoinHandle<()>) {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let path = directory.join("script");
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o755).open(&path).unwrap();
    file.write_all(b"#!/bin/sh\necho ran\n").unwrap();
    let holding = std::thread::spawn(move || {
        std::thread::sleep(held);
        drop(file);
    });
    (path.to_str().unwrap().to_owned(), holding)
}

#[test]
fn a_program_that_is_still_open_for_writing_is_started_a_moment_later() {
    let tree = tempfile::tempdir().unwrap();
    std::fs::set_permissions(tree.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let (script, holding) = busy_script(tree.path(), Duration::from_millis(100));
    assert_eq!(Program::new([&script]).run(soon(), &|| false).unwrap().stdout, b"ran\n");
    holding.join().unwrap();
    let nobody = Identity { uid: 65534, gid: 65534, groups: Vec::new(), name: "nobody".to_owned(), home: "/".to_owned() };
    let (script, holding) = busy_script(tree.path(), Duration::from_millis(100));
    let finished = Program { identity: Some(nobody), directory: "/".into(), ..Program::new([&script]) }.run(soon(), &|| false).unwrap();
    assert_eq!(finished.stdout, b"ran\n");
    holding.join().unwrap();
}

#[test]
fn the_deadline_ends_the_whole_group() {
    let started = Instant::now();
    let finished = shell("sleep 77 & echo $!; wait").run(Instant::now() + Duration::from_millis(300), &|| false).unwrap();
    assert_eq!(finished.status, Ended::Deadline);
    assert!(started.elapsed() < Duration::from_secs(10));
    let sleeper = String::from_utf8(finished.stdout).unwrap().trim().to_owned();
    let until = Instant::now() + Duration::from_secs(5);
    let lives = || std::fs::read_to_string(format!("/proc/{sleeper}/stat")).is_ok_and(|stat| !stat.contains(") Z "));
    while lives() && Instant::now() < until {
        std::thread::yield_now();
    }
    assert!(!lives(), "the grandchild {sleeper} lives");
}

#[test]
fn a_background_child_does_not_delay_the_end() {
    let started = Instant::now();
    let finished = shell("sleep 30 & echo done").run(soon(), &|| false).unwrap();
    assert!(finished.is_good());
    assert_eq!(finished.stdout, b"done\n");
    assert!(started.elapsed() < Duration::from_secs(10));
}

#[test]
fn cancelling_ends_it() {
    let finished = shell("sleep 60").run(soon(), &|| true).unwrap();
    assert!(finished.cancelled);
    assert_eq!(finished.failure("sleep").kind, FailureKind::Cancelled);
}

#[test]
fn input_reaches_it_and_a_large_one_does_not_block() {
    let mut program = Program::new(["wc", "-c"]);
    program.stdin = Some(Secret::new(vec![b'x'; 1 << 20]));
    assert_eq!(String::from_utf8(program.run(soon(), &|| false).unwrap().stdout).unwrap().trim(), "1048576");
    let mut program = Program::new(["true"]);
    program.stdin = Some(Secret::new(vec![b'x'; 1 << 20]));
    assert!(program.run(soon(), &|| false).unwrap().is_good());
}

#[test]
fn output_is_bounded_and_keeps_both_ends() {
    let finished = shell("echo first; seq 1 200000; echo last; exit 1").run(soon(), &|| false).unwrap();
    assert!(finished.tail.mentions("first") && finished.tail.mentions("bytes left out"));
    let lines = finished.tail.into_lines();
    assert!(lines.len() <= 40, "{}", lines.len());
    assert_eq!(lines.last().map(String::as_str), Some("last"));
}

#[test]
fn the_environment_is_ours_alone_and_secrets_are_masked() {
    let mut program = shell("env | sort; echo token=$TOKEN; exit 1");
    program.environment.push(("TOKEN".to_owned(), "hunter2-hunter2".to_owned()));
    program.mask = Mask::of([b"hunter2-hunter2".as_slice()]);
    let failure = program.run(soon(), &|| false).unwrap().failure("print");
    let command = failure.command.unwrap();
    assert!(command.tail.contains(&"token=***".to_owned()), "{:?}", command.tail);
    assert!(command.tail.contains(&"LC_ALL=C.UTF-8".to_owned()));
    assert!(!command.tail.iter().any(|line| line.contains("hunter2") || line.starts_with("CARGO")));
}

/// What a program's output comes to that says a secret behind so many other bytes, in one write and in two.
fn kept(before: usize, mask: &Mask) -> String {
    let mut program =
        shell("head -c $1 /dev/zero | tr '\\0' '.'; printf hunter2-; sleep 0.05; echo hunter2; head -c $2 /dev/zero | tr '\\0' 'x'");
    program.argv.extend(["sh".to_owned(), before.to_string(), (60_000).to_string()]);
    program.mask = mask.clone();
    program.run(soon(), &|| false).unwrap().tail.text()
}

#[test]
fn no_half_of_a_secret_stands_where_output_was_cut() {
    let mask = Mask::of([b"hunter2-hunter2".as_slice()]);
    // The beginning that is kept ends after 4096 bytes.
    for before in [4080, 4085, 4095, 4096] {
        let text = kept(before, &mask);
        assert!(text.contains("bytes left out") && !text.contains("hunt") && !text.contains("ter2"), "{before}: {text}");
        // Not masked here, it is masked by whoever is told: a mark stands where it was cut.
        let told = mask.text(&kept(before, &Mask::default()));
        assert!(!told.contains("hunt") && !told.contains("ter2"), "{before}: {told}");
    }
}

#[test]
fn another_identity_has_its_own_groups_and_none_of_ours() {
    if !crate::host::tests::proves_as_root("another identity has its own groups and none of ours") {
        return;
    }
    let mut program = shell("id -u; id -g; id -G; echo $HOME");
    program.identity =
        Some(Identity { name: "nobody".to_owned(), home: "/nonexistent".to_owned(), uid: 65534, gid: 65534, groups: vec![65534, 4] });
    let out = String::from_utf8(program.run(soon(), &|| false).unwrap().stdout).unwrap();
    assert_eq!(out, "65534\n65534\n65534 4\n/nonexistent\n");
}

#[test]
fn a_variables_value_is_never_in_a_debug_text() {
    let mut program = Program::new(["env"]);
    program.environment.push(("TOKEN".to_owned(), "hunter2-hunter2".to_owned()));
    let text = format!("{program:?}");
    assert!(text.contains("TOKEN") && !text.contains("hunter2"), "{text}");
}

/// What one account does to all that is its own.
fn done_by(uid: u32, script: &str) {
    let mut command = std::process::Command::new("/bin/sh");
    std::os::unix::process::CommandExt::uid(command.args(["-c", script]), uid).status().unwrap();
}

#[test]
fn an_account_that_kills_or_stops_what_is_done_in_its_name_keeps_us_no_longer_than_the_deadline() {
    if !crate::host::tests::proves_as_root("an account that stops what is done in its name does not stop us") {
        return;
    }
    // Nobody else's on this machine.
    let uid = 100_000 + rustix::process::getpid().as_raw_nonzero().get().unsigned_abs() % 100_000;
    for (signal, ends) in [("KILL", Ended::Signal(9)), ("STOP", Ended::Deadline)] {
        let directory = tempfile::tempdir().unwrap();
        let begun = directory.path().join("begun");
        std::os::unix::fs::chown(directory.path(), Some(uid), None).unwrap();
        let mut program = shell(&format!("touch {}; sleep 77", begun.display()));
        program.identity = Some(Identity { name: "job".to_owned(), home: "/".to_owned(), uid, gid: uid, groups: Vec::new() });
        let finished = std::thread::scope(|scope| {
            let within = Duration::from_secs(if signal == "STOP" { 3 } else { 60 });
            let running = scope.spawn(move || program.run_to_end(Instant::now() + within).unwrap());
            while !begun.exists() {
                std::thread::yield_now();
            }
            done_by(uid, &format!("kill -{signal} -1"));
            running.join().unwrap()
        });
        assert_eq!(finished.status, ends, "{signal}");
    }
}

#[test]
fn what_keeps_a_program_from_starting_as_another_account_is_told_as_for_ourselves() {
    if !crate::host::tests::proves_as_root("what keeps a program from starting as another account is told") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    std::fs::set_permissions(directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let nobody = || Some(Identity { name: "nobody".to_owned(), home: "/".to_owned(), uid: 65_534, gid: 65_534, groups: Vec::new() });
    let mut missing = Program::new(["/no/such/program"]);
    missing.identity = nobody();
    let mut private = Program::new(["true"]);
    private.identity = nobody();
    // WorkingDirectory with its rights, not with ours.
    private.directory = directory.path().to_owned();
    for (program, subject, kind) in [
        (missing, "/no/such/program".to_owned(), std::io::ErrorKind::NotFound),
        (private, format!("true in {}", directory.path().display()), std::io::ErrorKind::PermissionDenied),
    ] {
        let error = program.run(soon(), &|| false).unwrap_err();
        assert_eq!((error.operation, error.subject, error.source.kind()), (super::super::Operation::Start, subject, kind));
    }
}

#[test]
fn our_own_tools_are_found_where_the_system_has_them_alone() {
    let finished = Program::new(["/bin/sh", "-c", "echo $PATH"]).run(soon(), &|| false).unwrap();
    assert_eq!(finished.stdout, b"/usr/sbin:/usr/bin:/sbin:/bin\n", "in /usr/local a group may write (Debian Policy 9.1.2)");
}

#[test]
fn a_program_that_no_signal_ends_is_left_behind() {
    let point = tempfile::tempdir().unwrap();
    let Some(taken) = crate::host::tests::Mute::at(point.path()) else { return };
    let (tell, told) = std::sync::mpsc::channel();
    let asks = Program::new(["ls".to_owned(), point.path().display().to_string()]);
    std::thread::spawn(move || {
        // Nobody listens any more: then the test has failed.
        let _ = tell.send(asks.run(Instant::now() + Duration::from_millis(300), &|| false));
    });
    let finished = told.recv_timeout(Duration::from_secs(60)).expect("it is waited for no longer than twice what a child has to end");
    assert_eq!(finished.unwrap().status, Ended::Deadline);
    assert!(taken.has_taken(), "the kernel waits for an answer to what was taken, whatever it is signalled (fs/fuse/dev.c)");
}
