//! The lab itself, on this machine: nodes, faults, and its end without a trace.

#![expect(clippy::expect_used, reason = "a test stops where its ground gives way")]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use ostler::lab::{BRIDGE, Ended, Fault, Lab, LabError, LabNode, LabPaths, LabSpec, NodeState, Suite};
use ostler_tests::lab::{program, setup, up};

mod lab {
    mod faults;
    mod hostile;
}

const SHORT: Duration = Duration::from_secs(5);

fn node(name: &str, last: u8) -> LabNode {
    LabNode::new(name, Suite::Bookworm, Ipv4Addr::new(10, 78, 0, last))
}

fn scratch() -> tempfile::TempDir {
    // As the lab wants a state directory that is there.
    let closed = std::fs::Permissions::from_mode(0o700);
    tempfile::Builder::new().prefix("lab-").permissions(closed).tempdir().expect("scratch directory")
}

fn ssh_address(lab: &Lab, name: &str) -> SocketAddr {
    SocketAddr::from((lab.node(name).expect("node").address, 22))
}

fn banner(lab: &Lab, name: &str) -> String {
    let mut stream = lab.connect(ssh_address(lab, name), SHORT).expect("connected");
    stream.set_read_timeout(Some(SHORT)).expect("deadline");
    let mut start = [0; 8];
    stream.read_exact(&mut start).expect("banner");
    String::from_utf8_lossy(&start).into_owned()
}

fn said(lab: &Lab, user: &str, name: &str, command: &str) -> String {
    let output = lab.ssh(user, name, [command]).output().expect("ssh ran");
    assert!(output.ended.is_success(), "{command}: {}", output.all());
    output.text()
}

/// Everything of a lab that this machine could still show: processes, mounts, cgroups.
fn traces(dir: &Path) -> Vec<String> {
    let dir = dir.to_str().expect("utf-8");
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").expect("/proc").filter_map(Result::ok) {
        let read = |file: &str| std::fs::read(entry.path().join(file)).unwrap_or_default();
        let (line, mounts) = (read("cmdline"), read("mounts"));
        let pid = entry.file_name().into_string().unwrap_or_default();
        if pid.parse::<u32>().is_ok() && pid != std::process::id().to_string() {
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            if line.contains(dir) || String::from_utf8_lossy(&mounts).contains(dir) {
                found.push(format!("process {pid}: {line}"));
            }
        }
    }
    let mounts = std::fs::read_to_string("/proc/self/mounts").expect("mounts");
    found.extend(mounts.lines().filter(|line| line.contains(dir)).map(str::to_owned));
    let links = Command::new("ip").args(["-o", "link"]).output().expect("ip");
    let links = String::from_utf8_lossy(&links.stdout).into_owned();
    found.extend(links.lines().filter(|line| line.contains("labbr0") || line.contains(" lv0")).map(str::to_owned));
    found
}

/// Returns the lab's cgroups, wherever the unified hierarchy is mounted: the one thing that outlives its processes until swept.
fn cgroups(dir: &Path) -> Vec<String> {
    let id = LabPaths::create(dir).expect("place").id();
    let mounts = std::fs::read_to_string("/proc/self/mounts").expect("mounts");
    let hierarchies = mounts.lines().filter(|line| line.contains(" cgroup2 ")).filter_map(|line| line.split(' ').nth(1));
    hierarchies.map(|root| format!("{root}/ostler-lab/{id}")).filter(|path| Path::new(path).exists()).collect()
}

fn wait_until_traceless(dir: &Path) {
    // Clearly longer than what the holder itself allows for it.
    let end = Instant::now() + Duration::from_secs(45);
    loop {
        let left = traces(dir);
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < end, "left behind: {left:#?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn three_nodes_come_up_answer_inside_and_outside_and_go_without_a_trace() {
    let dir = scratch();
    let lab = up(dir.path(), LabSpec::new([node("n1", 11), node("n2", 12), node("n3", 13)])).expect("up");
    for name in ["n1", "n2", "n3"] {
        assert_eq!(said(&lab, "admin", name, "hostname; sudo -n id -u"), format!("{name}\n0"));
        assert_eq!(said(&lab, "root", name, "systemctl is-system-running --wait"), "running");
        assert!(banner(&lab, name).starts_with("SSH-2.0-"));
    }
    let plain = lab.command(["ssh", "n2", "hostname; id -un"]).output().expect("ran");
    assert_eq!(plain.text(), "n2\nadmin", "{}", plain.all());
    let other = lab.node_command("n1", ["getent", "hosts", "n2"]).output().expect("ran");
    assert_eq!(other.text().split_whitespace().next(), Some("10.78.0.12"), "{}", other.all());
    assert!(!traces(dir.path()).is_empty(), "the search for traces finds a lab that is up");
    assert!(!cgroups(dir.path()).is_empty(), "and its cgroups");
    // Sources that look newer than the lists would have every first install read the lists anew.
    let newer = "find /etc/apt/sources.list -newer /var/lib/apt/lists";
    assert_eq!(said(&lab, "root", "n1", newer), "");
    lab.end().expect("down");
    wait_until_traceless(dir.path());
    assert_eq!(cgroups(dir.path()), [""; 0]);
    Lab::down(dir.path()).expect("down again");
}

#[test]
fn a_killed_holder_takes_everything_along_twice_in_a_row() {
    let dir = scratch();
    for _ in 0..2 {
        let lab = up(dir.path(), LabSpec::new([node("n1", 11)])).expect("up");
        let sleeper = lab.command(["sleep", "1000"]).spawn().expect("started");
        let holder = lab.holder().expect("ours").to_string();
        assert!(Command::new("kill").args(["-9", &holder]).status().expect("kill").success());
        wait_until_traceless(dir.path());
        assert!(matches!(lab.status(), Err(LabError::NotUp(_))));
        assert!(matches!(sleeper.output(SHORT), Err(LabError::HolderGone(_))));
        drop(lab);
        Lab::down(dir.path()).expect("down");
        Lab::down(dir.path()).expect("and down again");
        assert_eq!(cgroups(dir.path()), [""; 0]);
    }
}

/// Returns the loop devices whose file lies in this directory, and what is in its `disks`.
fn disks(dir: &Path) -> Vec<String> {
    let loops = std::fs::read_dir("/sys/block").expect("/sys/block").filter_map(Result::ok);
    let files = loops.filter_map(|one| std::fs::read_to_string(one.path().join("loop/backing_file")).ok());
    let mut found: Vec<String> = files.filter(|file| file.contains(dir.to_str().expect("utf-8"))).collect();
    let entries = std::fs::read_dir(dir.join("disks")).into_iter().flatten().filter_map(Result::ok);
    found.extend(entries.map(|entry| entry.path().display().to_string()));
    found
}

#[test]
fn a_node_that_really_syncs_leaves_nothing_on_the_disk_after_down_and_after_a_kill() {
    let dir = scratch();
    let spec = || LabSpec { real_sync: true, ..LabSpec::new([node("n1", 11)]) };
    for kill in [false, true] {
        let lab = up(dir.path(), spec()).expect("up");
        assert_eq!(said(&lab, "root", "n1", "echo kept > /root/kept; sync /root/kept; cat /root/kept"), "kept");
        let layer = dir.path().join("disks/n1/up/root/kept");
        assert_eq!(std::fs::read_to_string(&layer).expect("its written layer is on the disk"), "kept\n");
        if kill {
            let holder = lab.holder().expect("ours").to_string();
            assert!(Command::new("kill").args(["-9", &holder]).status().expect("kill").success());
            wait_until_traceless(dir.path());
            drop(lab);
        } else {
            lab.end().expect("down");
        }
        Lab::down(dir.path()).expect("down again");
        wait_until_traceless(dir.path());
        assert_eq!(disks(dir.path()), [""; 0]);
    }
}

#[test]
fn a_lab_of_another_version_is_named_and_can_be_ended() {
    let dir = scratch();
    let lab = up(dir.path(), LabSpec::new([node("n1", 11)])).expect("up");
    let plan = dir.path().join("lab.json");
    let text = std::fs::read_to_string(&plan).expect("plan");
    for other in [text.replace("\"wire\": 1,", "\"wire\": 2,"), "{\"a later\": \"form\"}".to_owned()] {
        assert_ne!(other, text);
        std::fs::write(&plan, &other).expect("plan");
        let error = Lab::attach(dir.path()).expect_err("another version's");
        assert!(matches!(&error, LabError::OtherVersion(_)), "{error:?}");
        assert!(error.to_string().contains("`ostler lab down` ends it"), "{error}");
    }
    // Its keeper does not answer any more: the holder is killed, and all goes with it.
    let ours = format!("lab-holder keeper {}", dir.path().display());
    let keeper = traces(dir.path()).into_iter().find(|line| line.contains(&ours)).expect("the keeper");
    let pid = keeper.split([' ', ':']).nth(1).expect("its number").to_owned();
    assert!(Command::new("kill").args(["-STOP", &pid]).status().expect("kill").success());
    Lab::down(dir.path()).expect("down");
    wait_until_traceless(dir.path());
    assert!(matches!(Lab::attach(dir.path()), Err(LabError::NotUp(_))));
    drop(lab);
}

#[test]
fn of_two_that_bring_up_one_lab_one_is_told_and_harms_nothing() {
    let dir = scratch();
    let (first, second) = std::thread::scope(|scope| {
        let bring_up = || scope.spawn(|| up(dir.path(), LabSpec::new([node("n1", 11)])));
        let (first, second) = (bring_up(), bring_up());
        (first.join().expect("no panic"), second.join().expect("no panic"))
    });
    let (lab, error) = match (first, second) {
        (Ok(lab), Err(error)) | (Err(error), Ok(lab)) => (lab, error),
        other => panic!("{other:?}"),
    };
    assert!(matches!(error, LabError::AtWork { .. } | LabError::AlreadyUp(_)), "{error:?}");
    assert_eq!(said(&lab, "admin", "n1", "hostname"), "n1");
}

#[test]
fn the_death_of_any_process_of_the_chain_is_the_end_of_all() {
    let dir = scratch();
    for stage in ["init", "keeper"] {
        let lab = up(dir.path(), LabSpec::new([node("n1", 11)])).expect("up");
        let ours = format!("lab-holder {stage} {}", dir.path().display());
        let found = traces(dir.path()).into_iter().filter(|line| line.contains(&ours) && !line.contains("unshare"));
        let pids: Vec<String> = found.filter_map(|line| Some(line.split([' ', ':']).nth(1)?.to_owned())).collect();
        assert_eq!(pids.len(), 1, "{stage}");
        assert!(Command::new("kill").args(["-9", &pids[0]]).status().expect("kill").success());
        wait_until_traceless(dir.path());
        lab.end().expect("down");
        assert_eq!(cgroups(dir.path()), [""; 0]);
    }
}

#[test]
fn a_lab_that_outlives_its_starter_is_found_again_and_only_once_up() {
    let dir = scratch();
    let mut setup = setup(dir.path());
    setup.outlives = true;
    let spec = LabSpec::new([node("n1", 11)]);
    drop(Lab::up(spec.clone(), &setup, &|_| {}).expect("up"));
    let again = Lab::up(spec, &setup, &|_| {}).expect_err("already up");
    assert!(matches!(again, LabError::AlreadyUp(_)), "{again}");
    let lab = Lab::attach(dir.path()).expect("attached");
    assert_eq!(lab.status().expect("status")["n1"].state, NodeState::Running);
    drop(lab);
    assert!(banner(&Lab::attach(dir.path()).expect("still up"), "n1").starts_with("SSH-"));
    Lab::down(dir.path()).expect("down");
    wait_until_traceless(dir.path());
    assert!(matches!(Lab::attach(dir.path()), Err(LabError::NotUp(_))));
}

#[test]
fn two_labs_run_at_once_on_the_same_addresses() {
    let (left, right) = (scratch(), scratch());
    let one = up(left.path(), LabSpec::new([node("left", 11)])).expect("up");
    let two = up(right.path(), LabSpec::new([node("right", 11)])).expect("up");
    assert_eq!(said(&one, "root", "left", "hostname"), "left");
    assert_eq!(said(&two, "root", "right", "hostname"), "right");
    one.end().expect("down");
    assert_eq!(said(&two, "root", "right", "hostname"), "right");
}

#[test]
fn a_command_inside_has_its_status_its_output_and_no_longer_life_than_its_client() {
    let dir = scratch();
    let lab = up(dir.path(), LabSpec::new([node("n1", 11)])).expect("up");
    let output = lab.command(["sh", "-c", "cat; echo oops >&2; exit 7"]).input("some text").output().expect("ran");
    assert_eq!((output.ended, output.text().as_str(), output.stderr.as_slice()), (Ended::Exited(7), "some text", &b"oops\n"[..]));
    // As large as a variable may be, more than fits into a packet.
    let large = lab.command(["sh", "-c", "printf %s \"$LARGE\" | wc -c"]).env("LARGE", "v".repeat(100 << 10)).output().expect("ran");
    assert_eq!(large.text(), (100 << 10).to_string());
    assert_eq!(lab.command(["sh", "-c", "kill -TERM $$"]).output().expect("ran").ended, Ended::Killed(15));
    let late = lab.command(["sleep", "1000"]).limit(Duration::from_millis(200)).output().expect_err("deadline");
    assert!(matches!(late, LabError::Deadline { .. }), "{late}");

    let marker = dir.path().join("marker");
    let started = dir.path().join("started");
    let script = format!("(touch {}; sleep 0.5; touch {}) & sleep 1000", started.display(), marker.display());
    let child = lab.command(["sh", "-c", &script]).spawn().expect("started");
    let end = Instant::now() + SHORT;
    while !started.exists() {
        assert!(Instant::now() < end, "the background child never started");
        std::thread::sleep(Duration::from_millis(5));
    }
    drop(child);
    let gone = lab.node_command("n1", ["sleep", "1"]).output().expect("ran");
    assert!(gone.ended.is_success() && !marker.exists(), "its background child was killed too");

    let unknown = lab.node_command("n9", ["true"]).output().expect_err("no such node");
    assert_eq!(unknown.to_string(), "no node `n9` in this lab; it has: n1");
}

#[test]
fn apt_installs_from_the_machines_own_mirror_through_the_gateway_and_nothing_else_passes() {
    let dir = scratch();
    let lab = up(dir.path(), LabSpec::new([node("n1", 11)])).expect("up");
    let script = "apt-get -q update && apt-get -qy install hello >/dev/null && hello";
    let output = lab.node_command("n1", ["sh", "-c", script]).output().expect("ran");
    assert!(output.text().ends_with("Hello, world!"), "{}", output.all());

    std::fs::write(lab.www().join("part.bin"), "0123456789").expect("write");
    let part = ask(&lab, 8088, "GET /part.bin HTTP/1.1\r\nRange: bytes=4-6\r\nConnection: close\r\n\r\n");
    assert!(part.starts_with("HTTP/1.1 206 ") && part.ends_with("\r\n\r\n456"), "{part}");
    let stranger = ask(&lab, 3142, "GET http://stranger.invalid/ HTTP/1.1\r\nConnection: close\r\n\r\n");
    assert!(stranger.starts_with("HTTP/1.1 403 "), "{stranger}");
}

/// Speaks to a service on the bridge; returns the whole answer.
fn ask(lab: &Lab, port: u16, request: &str) -> String {
    let mut stream = lab.connect(SocketAddr::from((BRIDGE, port)), SHORT).expect("connected");
    stream.set_read_timeout(Some(SHORT)).expect("deadline");
    stream.write_all(request.as_bytes()).expect("asked");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    answer
}

#[test]
fn a_node_reboots_loses_its_power_and_keeps_its_disk() {
    let dir = scratch();
    let lab = up(dir.path(), LabSpec::new([node("n1", 11)])).expect("up");
    let boot = |lab: &Lab| said(lab, "root", "n1", "cat /proc/sys/kernel/random/boot_id");
    said(&lab, "root", "n1", "echo kept > /root/note");
    let first = boot(&lab);
    let _ = lab.ssh("admin", "n1", ["sudo systemctl reboot"]).output().expect("asked");
    let end = Instant::now() + Duration::from_secs(30);
    let second = loop {
        let output = lab.ssh("root", "n1", ["cat /proc/sys/kernel/random/boot_id"]).output().expect("ssh ran");
        if output.ended.is_success() && output.text() != first {
            break output.text();
        }
        assert!(Instant::now() < end, "no second boot: {}", output.all());
        std::thread::sleep(Duration::from_millis(50));
    };

    // Frozen first: neither the cut nor the next boot may hang on it.
    lab.fault("n1", Fault::Freeze).expect("frozen");
    lab.fault("n1", Fault::PowerCut).expect("cut");
    assert_eq!(lab.status().expect("status")["n1"].state, NodeState::Off);
    assert!(lab.connect(ssh_address(&lab, "n1"), Duration::from_millis(300)).is_err(), "nobody answers without power");
    assert!(lab.node_command("n1", ["true"]).output().expect_err("off").to_string().contains("is off"));
    lab.fault("n1", Fault::PowerOn).expect("on");
    assert_ne!(boot(&lab), second);
    assert_eq!(said(&lab, "root", "n1", "cat /root/note"), "kept");
}

#[test]
fn the_disk_the_sudo_and_the_shell_are_those_asked_for() {
    let dir = scratch();
    let small = node("small", 11).with_disk_mb(200);
    let strict = node("strict", 12).with_sudo_password("open sesame").with_noisy_shell();
    let lab = up(dir.path(), LabSpec::new([small, strict])).expect("up");
    assert_eq!(said(&lab, "admin", "small", "df --output=size -m / | tail -1").trim(), "200");

    let silent = lab.ssh("admin", "strict", ["sudo -n true"]).output().expect("ssh ran");
    assert_eq!(silent.ended, Ended::Exited(1), "{}", silent.all());
    let ask =
        |password: &str| lab.ssh("admin", "strict", ["sudo -S -p '' id -u"]).input(format!("{password}\n")).output().expect("ssh ran");
    assert!(ask("open sesame").text().ends_with("\n0"), "{}", ask("open sesame").all());
    assert!(!ask("wrong").ended.is_success());
    assert!(said(&lab, "admin", "strict", "true").starts_with("Welcome"));
    assert_eq!(said(&lab, "root", "strict", "true"), "");
}

#[test]
fn a_node_that_fills_its_disk_takes_nothing_from_another() {
    let dir = scratch();
    let lab = up(dir.path(), LabSpec::new([node("n1", 11), node("n2", 12)])).expect("up");
    let free = |name| said(&lab, "root", name, "df --output=avail -m / | tail -1").trim().parse::<u64>().expect("megabytes");
    let before = (free("n1"), free("n2"));
    said(&lab, "root", "n1", "head -c 300M /dev/zero >/srv/much");
    let after = (free("n1"), free("n2"));
    assert!(before.0 - after.0 >= 290 && before.1.abs_diff(after.1) < 100, "{before:?} {after:?}");
}

#[test]
fn five_cached_nodes_of_three_suites_are_up_in_seconds() {
    let dir = scratch();
    let spec = || {
        let trixie = LabNode::new("trixie", Suite::Trixie, Ipv4Addr::new(10, 78, 0, 21));
        let names = trixie.with_packages(["libnss-resolve", "libnss-myhostname", "libnss-mymachines", "git"]);
        let bullseye = LabNode::new("bullseye", Suite::Bullseye, Ipv4Addr::new(10, 78, 0, 22));
        LabSpec::new([names, bullseye, node("n1", 11), node("n2", 12), node("n3", 13)])
    };
    // Whatever had to be built is built now.
    up(dir.path(), spec()).expect("up").end().expect("down");
    let begin = Instant::now();
    let lab = up(dir.path(), spec()).expect("up");
    let took = begin.elapsed();
    writeln!(std::io::stderr(), "five nodes up in {took:?}").expect("stderr");
    assert!(took < Duration::from_secs(15), "{took:?}: far more than the few seconds it takes on an idle machine");
    assert!(said(&lab, "admin", "bullseye", "cat /etc/debian_version").starts_with("11."));
    assert!(said(&lab, "admin", "trixie", "cat /etc/debian_version").starts_with("13."));
    let hosts = said(&lab, "admin", "trixie", "grep ^hosts: /etc/nsswitch.conf");
    for module in ["mymachines", "resolve", "myhostname"] {
        assert!(hosts.contains(module), "{hosts}");
    }
    assert!(said(&lab, "admin", "trixie", "getent hosts n1 && git --version").starts_with("10.78.0.11"));
}

#[test]
fn a_machine_has_its_own_kernel_and_disk_and_survives_a_power_cut() {
    let dir = scratch();
    let spec = || LabSpec::new([node("vm", 31).as_vm(), node("n1", 11)]);
    let begin = Instant::now();
    let lab = up(dir.path(), spec()).expect("up");
    writeln!(std::io::stderr(), "machine and node up in {:?}", begin.elapsed()).expect("stderr");
    assert!(banner(&lab, "vm").starts_with("SSH-2.0-"));
    assert_eq!(said(&lab, "admin", "vm", "hostname; sudo -n id -u"), "vm\n0");
    let kernel = said(&lab, "root", "vm", "uname -r");
    assert_ne!(kernel, said(&lab, "root", "n1", "uname -r"));
    let size: u64 = said(&lab, "root", "vm", "df --output=size -BG / | tail -1 | tr -dc 0-9").parse().expect("a number");
    assert!(size >= 48, "{size} GB");
    assert_eq!(said(&lab, "root", "vm", "modprobe dummy && sysctl -n -w vm.swappiness=7; grep -c ^dummy /proc/modules"), "7\n1");
    let skew = said(&lab, "root", "vm", "date +%s").parse::<u64>().expect("seconds");
    let now = std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_secs();
    assert!(now.abs_diff(skew) < 30, "the clock is not the image's");
    assert_eq!(lab.node_command("vm", ["printf", "%s", "two words"]).output().expect("ran").text(), "two words");

    // At its next boot the driver finds the network card late, as on a busy machine.
    let late = r#"echo 'blacklist virtio_net' > /etc/modprobe.d/late.conf
        printf '[Service]\nExecStart=/bin/sh -c "sleep 2; modprobe virtio_net"\n' > /etc/systemd/system/late.service
        mkdir /etc/systemd/system/lab-network.service.d
        printf '[Unit]\nWants=late.service\n' > /etc/systemd/system/lab-network.service.d/late.conf"#;
    said(&lab, "root", "vm", late);
    // Nothing is written to the disk that nobody syncs, however long the machine takes until its power is cut.
    said(&lab, "root", "vm", "sysctl -qw vm.dirty_writeback_centisecs=0; echo synced > /root/synced; sync; echo lost > /root/lost");
    said(&lab, "root", "vm", "echo before the cut > /dev/ttyS0");
    let boot = said(&lab, "root", "vm", "cat /proc/sys/kernel/random/boot_id");
    lab.fault("vm", Fault::PowerCut).expect("cut");
    assert!(lab.connect(ssh_address(&lab, "vm"), Duration::from_millis(300)).is_err());
    lab.fault("vm", Fault::PowerOn).expect("on");
    let console = std::fs::read(lab.console("vm")).expect("its console's log");
    assert!(String::from_utf8_lossy(&console).contains("before the cut"), "the log of the first boot was wiped");
    assert_ne!(said(&lab, "root", "vm", "cat /proc/sys/kernel/random/boot_id"), boot);
    assert_eq!(said(&lab, "root", "vm", "cat /root/synced; test -s /root/lost || echo gone"), "synced\ngone");
    let fetch = "/usr/lib/apt/apt-helper download-file $(cut -d' ' -f2 /etc/apt/sources.list)/dists/bookworm/Release /tmp/r >&2; grep ^Codename /tmp/r";
    assert_eq!(said(&lab, "root", "vm", fetch), "Codename: bookworm");
}

#[test]
fn what_cannot_work_is_refused_before_anything_is_touched() {
    let dir = scratch();
    let refused = up(&dir.path().join("never"), LabSpec::new([node("n1", 11), node("n1", 12)])).expect_err("refused");
    assert_eq!(refused.to_string(), "lab description: two nodes are named \"n1\"");
    assert!(!dir.path().join("never").exists());
    let output = Command::new(program()).args(["lab-holder", "dance"]).arg(dir.path()).output().expect("ran");
    assert!(!output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stderr), "lab description: unknown holder stage \"dance\"\n");
}

#[test]
fn an_interrupted_demo_takes_its_lab_down() {
    let dir = scratch();
    let site = dir.path().join("demo");
    let mut demo = Command::new(ostler_tests::e2e::whole_program());
    demo.arg("demo").arg("--directory").arg(&site).arg("--wheels").arg(ostler_tests::buildbot::wheels()).current_dir(dir.path());
    demo.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("HOME", dir.path());
    demo.env("XDG_CACHE_HOME", ostler::environment::Environment::read().cache.parent().expect("a directory"));
    let mut demo = ostler_tests::terminal::Terminal::start(&demo);
    demo.wait_for("lab: build-1 is up");
    demo.types("\u{3}");
    assert_eq!(demo.end(), 130);
    let said = demo.said();
    assert!(said.contains("The lab is down.") && !said.contains("That is the whole of it."), "{said}");
    wait_until_traceless(dir.path());
}
