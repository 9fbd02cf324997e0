//! A lab whose ground is hostile: no descriptors left, no room for a thread, two admins at once, a starter that is interrupted.

use crate::*;
use ostler::lab::Progress;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::sync::{Mutex, mpsc};

/// Longer than a lab takes that is built for the first time.
const LONG: Duration = Duration::from_secs(900);

/// Returns the process of a lab that runs this stage of the holder.
fn stage(dir: &Path, stage: &str) -> String {
    let ours = format!("lab-holder {stage} {}", dir.display());
    let found = traces(dir).into_iter().find(|line| line.contains(&ours) && !line.contains("unshare")).expect("the stage");
    found.split([' ', ':']).nth(1).expect("its number").to_owned()
}

/// Sets a limit of a running process.
fn limit(pid: &str, limit: &str) {
    assert!(Command::new("prlimit").args(["--pid", pid, limit]).status().expect("prlimit").success(), "{limit}");
}

/// What befalls a lab, and what does it.
type Hurt<'a> = (&'a str, &'a (dyn Fn(&Path) + Sync));

/// Does something at the end of a test, however that ends.
struct Finally<F: Fn()>(F);

impl<F: Fn()> Drop for Finally<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

#[test]
fn a_keeper_without_descriptors_or_room_for_threads_keeps_the_lab_and_answers_later() {
    let dir = scratch();
    let lab = up(dir.path(), LabSpec::new([node("n1", 11)])).expect("up");
    let keeper = stage(dir.path(), "keeper");
    limit(&keeper, "--nofile=3:");
    let waiting = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| lab.status());
        std::thread::sleep(Duration::from_millis(500));
        assert!(!waiting.is_finished(), "nobody can answer now: {:?}", waiting.join());
        limit(&keeper, "--nofile=1024:");
        waiting.join().expect("no panic")
    });
    assert_eq!(waiting.expect("answered later")["n1"].state, NodeState::Running);

    // No room for the stack of another thread; those of threads that have ended are used again first.
    let status = std::fs::read_to_string(format!("/proc/{keeper}/status")).expect("its status");
    let size: u64 = status
        .lines()
        .find_map(|line| line.strip_prefix("VmSize:"))
        .expect("its size")
        .trim_end_matches("kB")
        .trim()
        .parse()
        .expect("a number");
    limit(&keeper, &format!("--as={}:", (size + 1500) << 10));
    let mut sleepers = Vec::new();
    let refused = loop {
        assert!(sleepers.len() < 64, "never refused");
        match lab.command(["sleep", "1000"]).spawn() {
            Ok(sleeper) => sleepers.push(sleeper),
            Err(error) => break error,
        }
    };
    // In the keeper's own words: it is there.
    let log = std::fs::read_to_string(dir.path().join("holder.log")).expect("its log");
    assert!(matches!(refused, LabError::Refused(_)), "{refused}: {log}");
    limit(&keeper, "--as=unlimited:");
    drop(sleepers);
    assert_eq!(lab.command(["true"]).output().expect("ran").ended, Ended::Exited(0));
    lab.end().expect("down");
    wait_until_traceless(dir.path());
}

#[test]
fn a_down_while_another_brings_it_up_is_told_so_and_harms_nothing() {
    let dir = scratch();
    let ((coming, is_coming), (go, may_go)) = (mpsc::channel(), mpsc::channel::<()>());
    let (coming, may_go) = (Mutex::new(coming), Mutex::new(may_go));
    let setup = setup(dir.path());
    let lab = std::thread::scope(|scope| {
        // With the channels' ends, so that they go with it where it fails.
        let starter = scope.spawn(move || {
            Lab::up(LabSpec::new([node("n1", 11)]), &setup, &move |progress| {
                if matches!(progress, Progress::NodeUp(_)) {
                    coming.lock().expect("no panic").send(()).expect("heard");
                    may_go.lock().expect("no panic").recv_timeout(LONG).expect("told");
                }
            })
        });
        is_coming.recv_timeout(LONG).expect("it comes up");
        let told = Lab::down(dir.path());
        go.send(()).expect("heard");
        let error = told.expect_err("another is at work").to_string();
        let ours = format!("`lab up` (process {}) is at work in {}", std::process::id(), dir.path().display());
        assert!(error.starts_with(&ours), "{error}");
        starter.join().expect("no panic").expect("up")
    });
    assert_eq!(said(&lab, "admin", "n1", "hostname"), "n1");
}

#[test]
fn many_that_take_it_down_at_once_all_end_well_and_no_lock_is_taken_away() {
    let dir = scratch();
    let mut setup = setup(dir.path());
    setup.outlives = true;
    drop(Lab::up(LabSpec::new([node("n1", 11)]), &setup, &|_| {}).expect("up"));
    let locks = || ["holder.lock", "up.lock"].map(|name| std::fs::metadata(dir.path().join(name)).map(|lock| lock.ino()).ok());
    let before = locks();
    std::thread::scope(|scope| {
        let down = || scope.spawn(|| Lab::down(dir.path()));
        for ended in [down(), down(), down(), down()] {
            ended.join().expect("no panic").expect("down");
        }
    });
    wait_until_traceless(dir.path());
    assert_eq!(locks(), before);
    assert!(before.iter().all(Option::is_some), "{before:?}");
    // Another at once: what those before left stands in nobody's way.
    drop(up(dir.path(), LabSpec::new([node("n1", 11)])).expect("up again"));
    wait_until_traceless(dir.path());
}

#[test]
fn a_lab_whose_starter_is_interrupted_before_it_is_up_goes_with_it() {
    let dir = scratch();
    std::fs::create_dir(dir.path().join("site")).expect("a site");
    let write = |name: &str, text: &str| std::fs::write(dir.path().join("site").join(name), text).expect("written");
    write("ostler.yaml", "edition: 1\nlab:\n  nodes:\n    n1: {suite: bookworm}\n    n2: {suite: bookworm}\n");
    write("nodes.yaml", "nodes:\n  n1: {host: 10.78.0.11}\n  n2: {host: 10.78.0.12}\n");
    let ostler = |verb: &str| {
        let mut command = Command::new(program());
        command.args(["-C", "site", "lab", verb]).current_dir(dir.path()).env("XDG_STATE_HOME", dir.path().join("state"));
        command
    };
    // Its tree is built once, and that may take minutes.
    drop(up(&dir.path().join("warm"), LabSpec::new([node("n1", 11)])).expect("up"));
    wait_until_traceless(&dir.path().join("warm"));
    // Also where this test ends early.
    let _end = Finally(|| drop(ostler("down").status()));
    for signal in ["-INT", "-KILL"] {
        let mut starter = ostler("up").spawn().expect("started");
        let end = Instant::now() + Duration::from_secs(60);
        while !traces(dir.path()).iter().any(|line| line.contains("lab-holder keeper")) {
            assert!(Instant::now() < end && starter.try_wait().expect("asked").is_none(), "no keeper was ever seen");
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(Command::new("kill").args([signal, &starter.id().to_string()]).status().expect("kill").success());
        assert!(!starter.wait().expect("ended").success());
        wait_until_traceless(dir.path());
        assert!(ostler("down").status().expect("ran").success());
    }
    // Once it is up it stays.
    assert!(ostler("up").status().expect("ran").success());
    let status = ostler("status").output().expect("ran");
    assert_eq!(String::from_utf8_lossy(&status.stdout).matches("running").count(), 2);
    assert!(ostler("down").status().expect("ran").success());
    wait_until_traceless(dir.path());
}

#[test]
fn a_machine_whose_qemu_dies_at_once_is_named_at_once_with_its_words() {
    let dir = scratch();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("mode");
        path
    };
    std::fs::create_dir(dir.path().join("bin")).expect("directory");
    write("bin/qemu-system-x86_64", "#!/bin/sh\necho 'qemu: could not open disk image' >&2\nexit 1\n");
    let (bin, real) = (dir.path().join("bin"), program());
    let holder = write("holder", &format!("#!/bin/sh\nPATH={}:$PATH exec {} \"$@\"\n", bin.display(), real.display()));
    // The image is built by the real one, once, and that may take minutes.
    let state = dir.path().join("state");
    let setup = ostler::lab::Setup { program: holder, ..setup(&state) };
    let error = Lab::up(LabSpec::new([node("vm", 31).as_vm()]), &setup, &|_| {}).expect_err("no qemu").to_string();
    assert!(error.starts_with("node vm ended while it booted") && error.ends_with("qemu: could not open disk image"), "{error}");
    let console = std::fs::metadata(state.join("console")).expect("consoles").modified().expect("when its log was made");
    let took = console.elapsed().expect("a clock that goes on");
    assert!(took < Duration::from_secs(45), "{took:?}");
    wait_until_traceless(&state);
}

#[test]
fn a_lab_whose_holder_is_stopped_or_out_of_reach_goes_down_all_the_same() {
    let stop = |dir: &Path| assert!(Command::new("kill").args(["-STOP", &stage(dir, "hold")]).status().expect("kill").success());
    let cut_off = |dir: &Path| std::fs::remove_file(dir.join("holder.sock")).expect("its socket");
    // As somebody who cleans up does it: the lab's mounts are not to be seen from here.
    let forget = |dir: &Path| std::fs::remove_dir_all(dir).expect("its directory");
    let hurts: [Hurt<'_>; 3] = [("stopped", &stop), ("no socket", &cut_off), ("no directory", &forget)];
    let end_after = |(what, hurt): Hurt<'_>| {
        let scratch = scratch();
        let dir = scratch.path().join("state");
        let mut setup = setup(&dir);
        setup.outlives = true;
        let up = || Lab::up(LabSpec::new([node("n1", 11)]), &setup, &|_| {});
        drop(up().expect("up"));
        let holder = stage(&dir, "hold");
        let _end = Finally(|| drop(Command::new("kill").args(["-9", &holder]).stderr(std::process::Stdio::null()).status()));
        hurt(&dir);
        if dir.is_dir() {
            let again = up().expect_err("there is one");
            assert!(matches!(again, LabError::AlreadyUp(_)), "{what}: {again}");
        }
        Lab::down(&dir).unwrap_or_else(|error| panic!("{what}: {error}"));
        wait_until_traceless(&dir);
        assert_eq!(cgroups(&dir), [""; 0], "{what}");
    };
    std::thread::scope(|scope| hurts.map(|hurt| scope.spawn(move || end_after(hurt))).map(|thread| thread.join().expect("no panic")));
}

#[test]
fn a_directory_with_a_blank_and_a_percent_sign_serves_and_one_that_others_misread_is_refused() {
    let dir = scratch();
    let blank = dir.path().join("a b %h$x:y");
    let lab = up(&blank, LabSpec::new([node("n1", 11)])).expect("up");
    assert_eq!(said(&lab, "admin", "n1", "hostname"), "n1");
    assert_eq!(lab.command(["ssh", "n1", "hostname"]).output().expect("ran").text(), "n1");
    lab.end().expect("down");
    // mount(8), ssh_config(5) and overlayfs would each read one of them as something else.
    for (name, character) in [("a,b", ','), ("a\\b", '\\'), ("a\"b", '"'), ("a'b", '\''), ("a\nb", '\n'), ("a${HOME}b", '{')] {
        let refused = up(&dir.path().join(name), LabSpec::new([node("n1", 11)])).expect_err("refused");
        let said = refused.to_string();
        assert!(matches!(refused, LabError::Spec(_)) && said.contains(&format!("must not have {character:?} in its path")), "{said}");
        assert!(!dir.path().join(name).exists(), "{said}");
    }
    let mut setup = setup(&dir.path().join("state"));
    setup.cache_dir = dir.path().join("a:b");
    let refused = Lab::up(LabSpec::new([node("n1", 11)]), &setup, &|_| {}).expect_err("refused").to_string();
    assert!(refused.contains("cache directory") && refused.contains("must not have ':' in its path"), "{refused}");
}

#[test]
fn a_node_outlives_the_full_disk_of_its_consoles_log() {
    let dir = scratch();
    let state = dir.path().join("state");
    std::fs::create_dir(&state).expect("directory");
    let run = |program: &str, words: &[&str]| assert!(Command::new(program).args(words).arg(&state).status().expect("ran").success());
    run("mount", &["-t", "tmpfs", "-o", "size=1m,mode=700", "lab-full"]);
    let _end = Finally(|| drop(Command::new("umount").arg("--lazy").arg(&state).status()));
    let lab = up(&state, LabSpec::new([node("n1", 11)])).expect("up");
    let fill = state.join("fill");
    assert!(std::fs::write(&fill, vec![0; 2 << 20]).is_err(), "the disk is full");
    said(&lab, "root", "n1", "for i in $(seq 2000); do echo 'a word on the console, and one more'; done > /dev/console");
    let boot = |lab: &Lab| said(lab, "root", "n1", "cat /proc/sys/kernel/random/boot_id");
    let first = boot(&lab);
    lab.fault("n1", Fault::PowerCut).expect("cut");
    lab.fault("n1", Fault::PowerOn).expect("on, with nowhere to write what it says");
    assert_ne!(boot(&lab), first);
    std::fs::remove_file(fill).expect("room");
    said(&lab, "root", "n1", "echo there is room again > /dev/console");
    let end = Instant::now() + SHORT;
    while !std::fs::read_to_string(lab.console("n1")).expect("its log").contains("there is room again") {
        assert!(Instant::now() < end, "never logged");
        std::thread::sleep(Duration::from_millis(10));
    }
    lab.end().expect("down");
}

#[test]
fn a_first_boot_that_is_interrupted_while_it_builds_leaves_nothing_in_the_next_ones_way() {
    let dir = scratch();
    for made in ["site", "bin"] {
        std::fs::create_dir(dir.path().join(made)).expect("directory");
    }
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).expect("written");
    write("site/ostler.yaml", "edition: 1\nlab:\n  nodes:\n    n1: {suite: bookworm}\n");
    write("site/nodes.yaml", "nodes:\n  n1: {host: 10.78.0.11}\n");
    // As the real one: mounts below the tree, children of its own, and it takes its time.
    write(
        "bin/mmdebstrap",
        "#!/bin/sh\nfor word; do before=$last; last=$word; case $word in */trees/.*) tree=$word;; esac; done\n\
         mkdir -p $tree/proc && mount -t tmpfs lab-half $tree/proc && echo half of it is there >&2 || exit 9\n\
         trap '' TERM\nsleep 1000 & wait\n",
    );
    let builder = dir.path().join("bin/mmdebstrap");
    std::fs::set_permissions(&builder, std::fs::Permissions::from_mode(0o755)).expect("mode");
    let up = || {
        let mut command = Command::new(program());
        command.args(["-C", "site", "lab", "up"]).current_dir(dir.path()).env("XDG_STATE_HOME", dir.path().join("state"));
        command.env("XDG_CACHE_HOME", dir.path().join("cache")).stderr(std::process::Stdio::piped());
        command.env("PATH", format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", dir.path().join("bin").display()));
        command
    };
    let trees = dir.path().join("cache/ostler/lab/trees");
    let _end = Finally(|| {
        // Nothing is there, unless this test fails.
        for tree in std::fs::read_dir(&trees).into_iter().flatten().filter_map(Result::ok) {
            let _ = Command::new("umount").args(["--quiet", "--lazy"]).arg(tree.path().join("proc")).output();
        }
    });
    for signal in ["-INT", "-KILL"] {
        let mut starter = up().spawn().expect("started");
        let mut said = BufReader::new(starter.stderr.take().expect("piped")).lines();
        let building = said.find(|line| line.as_ref().is_ok_and(|line| line.contains("half of it is there")));
        assert!(building.is_some(), "it builds");
        assert!(Command::new("kill").args([signal, &starter.id().to_string()]).status().expect("kill").success());
        starter.wait().expect("ended");
        wait_until_traceless(dir.path());
    }
    std::fs::write(&builder, "#!/bin/sh\necho nothing was in the way >&2\nexit 3\n").expect("written");
    let next = up().output().expect("ran");
    let said = String::from_utf8_lossy(&next.stderr).into_owned();
    assert!(said.contains("ended with exit status: 3: ") && said.contains("nothing was in the way"), "{said}");
}
