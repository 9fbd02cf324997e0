//! `ostler image build`: the whole way from a site to files.

use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ostler::environment::Environment;
use ostler_tests::program::{Desk, Said};

/// A group's roles: packages, a service, settings; and, last, a file that changes.
const MACHINE: &str = r#"role: machine
summary: What every machine has.
steps:
  - package: {install: [sudo, cron]}
  - service: {name: cron, enabled: true, state: running}
  - sysctl: {name: net.core.somaxconn, value: "4096"}
"#;
const CI: &str = r#"role: ci
summary: The job user.
steps:
  - user: {name: ci, home: /home/ci}
  - file: {path: /etc/motd, content: "first\n"}
  - file: {path: /etc/self, content: "{{ node.name }}\n"}
  - file: {path: /etc/later, content: "x\n"}
    live: true
"#;
const IMAGE: &str =
    "image: small\nsummary: A build node, baked.\nbase: {debootstrap: {suite: bookworm}}\nlike: {group: build}\nformats: [tar]\n";

/// A site with one image; layers and packages are kept from test to test, where the machine keeps what it caches.
fn site(ci: &str) -> Desk {
    let cache = Environment::read().cache.join("image-tests").join("home");
    std::fs::create_dir_all(&cache).expect("a cache");
    let desk = Desk::new().variable("XDG_CACHE_HOME", &cache.display().to_string()).variable("SOURCE_DATE_EPOCH", "1760000000");
    desk.write("ostler.yaml", "edition: 1\nid: images\n");
    desk.write("nodes.yaml", "groups:\n  build: {roles: [machine, ci]}\nnodes:\n  b1: {host: 192.0.2.1, groups: [build]}\n");
    desk.write("roles/machine.yaml", MACHINE);
    desk.write("roles/ci.yaml", ci);
    desk.write("images/small.yaml", IMAGE);
    desk
}

/// A role that no other test has: its layer is made anew.
fn unseen(ci: &str) -> String {
    ci.replace("first", &format!("{}-{:?}", std::process::id(), Instant::now()))
}

fn built(desk: &Desk, arguments: &[&str]) -> Said {
    let said = desk.run(&[&["image", "build", "small"], arguments].concat());
    assert_eq!(said.code, Some(0), "{said}");
    said
}

/// The newest build's file of a format.
fn file(desk: &Desk, format: &str) -> PathBuf {
    let dir = desk.path().join("home/.local/state/ostler/sites/id-images/images/small");
    dir.join(format!("small-current.{format}"))
}

/// What is in an archive: names as tar(1) lists them, and the text of some.
fn listed(tar: &std::path::Path) -> Vec<String> {
    let list = Command::new("tar").args(["--list", "--file"]).arg(tar).output().expect("tar runs");
    String::from_utf8_lossy(&list.stdout).lines().map(|line| line.trim_start_matches("./").to_owned()).collect()
}

fn text(tar: &std::path::Path, name: &str) -> String {
    let found =
        Command::new("tar").args(["--extract", "--to-stdout", "--file"]).arg(tar).arg(format!("./{name}")).output().expect("tar runs");
    String::from_utf8_lossy(&found.stdout).into_owned()
}

/// Processes of this machine that were told of a path.
fn told_of(path: &str) -> Vec<String> {
    let line = |entry: std::fs::DirEntry| {
        let line = std::fs::read(entry.path().join("cmdline")).ok()?;
        Some(String::from_utf8_lossy(&line).replace('\0', " ")).filter(|line| line.contains(path))
    };
    std::fs::read_dir("/proc").expect("processes").flatten().filter_map(line).collect()
}

/// Nothing of a build is there, a moment after its end.
fn nothing_is_left(desk: &Desk) {
    let here = desk.path().display().to_string();
    let end = Instant::now() + Duration::from_secs(20);
    while !told_of(&here).is_empty() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(told_of(&here), Vec::<String>::new());
    let mounts = std::fs::read_to_string("/proc/mounts").expect("mounts");
    assert!(!mounts.contains("image-tests/home"), "{mounts}");
}

#[test]
fn a_role_is_baked_at_rest_sealed_and_the_second_build_has_nothing_to_do() {
    // What sealing takes out, whoever has put it there.
    let desk = site(&(unseen(CI) + "  - file: {path: /root/.bash_history, content: \"ls\\n\"}\n"));
    let said = built(&desk, &["-v"]);
    assert!(said.out.contains("small@1 is built"), "{said}");
    let tar = file(&desk, "tar");
    let names = listed(&tar);
    let has = |name: &str| names.iter().any(|one| one.trim_end_matches('/') == name);
    for there in ["usr/bin/sudo", "etc/systemd/system/multi-user.target.wants/cron.service", "home/ci", "etc/motd"] {
        assert!(has(there), "{there} is missing");
    }
    assert!(names.iter().any(|name| name.starts_with("etc/sysctl.d/")) && text(&tar, "etc/passwd").contains("\nci:"));
    // The node's own, what says `live: true`, and what the build needed.
    for gone in ["etc/self", "etc/later", "usr/sbin/policy-rc.d", "var/lib/ostler", "etc/hostname", "root/.cache", "root/.bash_history"] {
        assert!(!has(gone), "{gone} is there");
    }
    assert_eq!(text(&tar, "etc/machine-id"), "");
    assert!(!names.iter().any(|name| name.ends_with(".deb") || name.contains("ssh_host_")), "packages or keys stay");
    let again = built(&desk, &["-v"]);
    assert!(again.out.contains("Nothing changed: small@1 is this image") && again.out.contains("machine: kept"), "{again}");
    nothing_is_left(&desk);
}

#[test]
fn a_late_change_makes_the_last_layer_anew_and_says_why() {
    let desk = site(&unseen(CI));
    built(&desk, &[]);
    desk.write("roles/ci.yaml", unseen(CI));
    let plan = desk.run(&["image", "plan", "small", "-v"]);
    let made = |line: &str| line.trim_start().starts_with("ci ") && line.ends_with("to be made (2 steps): file /etc/motd changed");
    assert!(plan.out.lines().any(made), "{plan}");
    assert!(plan.out.contains("left out: file /etc/self (ci): it is the node's own"), "{plan}");
    assert!(plan.out.contains("left out: service cron"), "{plan}");
    let said = built(&desk, &["-v"]);
    assert!(said.out.contains("machine: kept") && said.out.contains("ci: file /etc/motd changed"), "{said}");
    assert!(said.out.contains("small@2 is built") && said.out.contains("0 B fetched"), "{said}");
    // A third: two are kept.
    desk.write("roles/ci.yaml", unseen(CI));
    let said = built(&desk, &["-v"]);
    assert!(said.out.contains("small@3 is built") && said.out.contains("small@1: removed"), "{said}");
}

#[test]
fn a_step_that_fails_is_told_as_on_a_node_and_what_was_made_before_stays() {
    let failing = unseen(CI) + "  - command: {name: break, run: [sh, -c, \"echo no such thing >&2; exit 3\"], creates: /never}\n";
    let desk = site(&failing);
    let said = desk.run(&["image", "build", "small"]);
    assert_eq!(said.code, Some(1), "{said}");
    assert!(said.out.contains("command break") && said.out.contains("no such thing"), "{said}");
    assert!(said.out.contains("small is not built: ci did not come through"), "{said}");
    assert!(!file(&desk, "tar").exists());
    nothing_is_left(&desk);
    desk.write("roles/ci.yaml", unseen(CI));
    let said = built(&desk, &["-v"]);
    assert!(said.out.contains("machine: kept"), "{said}");
}

#[test]
fn a_build_that_is_killed_leaves_nothing_and_the_next_goes_on_from_the_last_layer() {
    let desk = site(&unseen(CI));
    // What takes long is there, so that the moments fall into all that comes behind.
    built(&desk, &[]);
    let began = Instant::now();
    desk.write("roles/ci.yaml", unseen(CI));
    built(&desk, &[]);
    let whole = began.elapsed();
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    for round in 0..8 {
        desk.write("roles/ci.yaml", unseen(CI));
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        let moment = whole.mul_f64((seed % 1000) as f64 / 1000.0);
        let mut build = desk.command(&["image", "build", "small"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("started");
        std::thread::sleep(moment);
        build.kill().expect("killed");
        build.wait().expect("ended");
        nothing_is_left(&desk);
        assert!(moment < whole, "round {round}");
    }
    let said = built(&desk, &["-v"]);
    assert!(said.out.contains("machine: kept"), "{said}");
    let dir = file(&desk, "tar").parent().expect("a directory").to_owned();
    let mut names: Vec<String> =
        std::fs::read_dir(dir).expect("builds").flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    assert!(!names.iter().any(|name| name.contains("part") || name.ends_with(".building")), "{names:?}");
}

#[test]
fn an_image_may_stand_on_another_ones_last_build() {
    let desk = site(&unseen(CI));
    desk.write("roles/extra.yaml", "role: extra\nsummary: More.\nsteps:\n  - file: {path: /etc/extra, content: \"more\\n\"}\n");
    desk.write("images/large.yaml", "image: large\nsummary: More of it.\nbase: {image: small}\nroles: [extra]\nformats: [tar]\n");
    let said = desk.run(&["image", "build", "large"]);
    assert!(said.code == Some(2) && said.err.contains("stands on the image small, which has no build"), "{said}");
    assert!(said.err.contains("ostler image build small"), "{said}");
    built(&desk, &[]);
    let said = desk.run(&["image", "build", "large"]);
    assert_eq!(said.code, Some(0), "{said}");
    let dir = file(&desk, "tar").parent().and_then(|small| Some(small.parent()?.join("large"))).expect("beside it");
    let names = listed(&dir.join("large-current.tar"));
    for there in ["etc/extra", "etc/motd", "usr/bin/sudo"] {
        assert!(names.iter().any(|name| name == there), "{there} is missing");
    }
    assert_eq!(text(&dir.join("large-current.tar"), "etc/machine-id"), "");
}

#[test]
fn two_builds_of_one_site_at_once_both_come_through_and_are_the_same() {
    let desk = site(&unseen(CI));
    let start = || desk.command(&["image", "build", "small"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("started");
    let mut builds = [start(), start()];
    for build in &mut builds {
        let (mut out, mut err) = (String::new(), String::new());
        build.stdout.take().expect("piped").read_to_string(&mut out).expect("read");
        build.stderr.take().expect("piped").read_to_string(&mut err).expect("read");
        assert!(build.wait().expect("ended").success(), "{out}\n{err}");
    }
    let dir = file(&desk, "tar").parent().expect("a directory").to_owned();
    let sum = |number: u32| {
        std::fs::read_to_string(dir.join(format!("small-{number}.tar.sha256"))).map(|line| line.split(' ').next().map(str::to_owned))
    };
    if let (Ok(one), Ok(two)) = (sum(1), sum(2)) {
        assert_eq!(one, two, "the same bytes");
    }
    assert!(std::fs::metadata(file(&desk, "tar")).expect("the current one").size() > 1 << 20);
}

#[test]
fn what_cannot_be_baked_is_refused_before_anything_is_made() {
    let desk = site(CI);
    let said = desk.run(&["image", "build", "large"]);
    assert_eq!(
        (said.code, said.err.contains("the site has no image large") && said.err.contains("the site has small")),
        (Some(2), true),
        "{said}"
    );
    let said = desk.run(&["image", "build", "small", "--format", "vhd"]);
    assert!(said.code == Some(2) && said.err.contains("no format is called `vhd`"), "{said}");
    let said = desk.run(&["image", "build", "small", "--format", "qcow2"]);
    assert!(said.code == Some(2) && said.err.contains("write `size: 20 GiB` in images/small.yaml"), "{said}");
    desk.write("images/small.yaml", IMAGE.replace("group: build", "group: none"));
    assert_eq!(desk.run(&["image", "build", "small"]).code, Some(3));
    desk.write("images/small.yaml", IMAGE);
    desk.write("roles/machine.yaml", MACHINE.replace("sudo, cron", "no-such-package-anywhere"));
    let said = desk.run(&["image", "build", "small"]);
    assert!(said.code == Some(6) && said.out.contains("no-such-package-anywhere"), "{said}");
    nothing_is_left(&desk);
}
