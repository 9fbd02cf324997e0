//! A build is booted: one that is what its roles say wants nothing, and of one that is not each difference is told.

use ostler::environment::Environment;
use ostler_tests::program::{Desk, Said};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

const SITE: &[(&str, &str)] = &[
    ("ostler.yaml", "edition: 1\nid: verify\n"),
    ("nodes.yaml", "groups:\n  build: {roles: [machine, ci]}\nnodes:\n  b1: {host: 10.78.0.11, groups: [build]}\n"),
    (
        "images/node.yaml",
        "image: node\nsummary: A build node, baked.\nbase: {debootstrap: {suite: bookworm}}\nlike: {group: build}\nsize: 4 GiB\n\
         formats: [qcow2, raw]\nconsole: ttyS0,115200\n",
    ),
    (
        "roles/machine.yaml",
        r#"role: machine
summary: Boots, and is reached.
steps:
  - package: {install: [linux-image-cloud-amd64, initramfs-tools, grub2-common, grub-pc-bin, grub-efi-amd64-bin, udev]}
  - package: {install: [openssh-server, iproute2]}
  - file: {path: /etc/systemd/network/80-dhcp.network, content: "[Match]\nName=en*\n[Network]\nDHCP=yes\n"}
  - service: {name: systemd-networkd, enabled: true, state: running}
  - service: {name: ssh, enabled: true, state: running}
"#,
    ),
    (
        "roles/ci.yaml",
        r#"role: ci
summary: A job user, and what its jobs need.
steps:
  - user: {name: ci, home: /home/ci}
  - file: {path: /etc/greeting, content: "hello\n"}
  - file: {path: /etc/own, content: "{{ node.name }}\n"}
  - sysctl: {name: net.core.somaxconn, value: "4096"}
  - file: {path: /etc/systemd/system/proof.service, content: "[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n"}
  - service: {name: proof, enabled: true, state: running}
verify:
  - command: {name: greets, run: [grep, -q, hello, /etc/greeting]}
"#,
    ),
];

/// The site with its build 1, and its builds' directory.
struct Built {
    desk: Desk,
}

/// One for all tests that run at a time; gone with the last of them. Nobody changes it.
fn built() -> Arc<Built> {
    static BUILT: Mutex<Weak<Built>> = Mutex::new(Weak::new());
    let mut last = BUILT.lock().expect("no test ended while it built");
    if let Some(built) = last.upgrade() {
        return built;
    }
    // Layers and packages of the last time are taken: only what is written is new.
    let cache = Environment::read().cache;
    let cache = cache.parent().expect("below the user's").display().to_string();
    let desk = Desk::new();
    for (name, text) in SITE {
        desk.write(name, text);
    }
    let mut command = desk.command(&["image", "build", "node", "--out", "builds"]);
    let output = command.env("XDG_CACHE_HOME", cache).output().expect("started");
    assert!(output.status.success(), "{}", Said::of(&output, &desk));
    let built = Arc::new(Built { desk });
    *last = Arc::downgrade(&built);
    built
}

/// What a JSON line of this type says.
fn line(said: &Said, kind: &str) -> Value {
    let lines = said.out.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.into_iter().find(|line| line["type"] == kind).unwrap_or_else(|| panic!("no line of type {kind}: {said}"))
}

impl Built {
    fn verify(&self, arguments: &[&str]) -> Said {
        self.desk.run(&[&["--output", "json", "image", "verify", "node"], arguments].concat())
    }

    /// Its raw, changed by debugfs, as the one build of another directory.
    fn planted(&self, name: &str, script: &[String]) -> String {
        let (dir, commands) = (self.desk.at(name), self.desk.at(&format!("{name}.debugfs")));
        fs::create_dir_all(dir.join("node-1.d")).expect("made");
        let raw = dir.join("node-1.raw");
        out(Command::new("cp").arg("--sparse=always").arg(self.desk.at("builds/node-1.raw")).arg(&raw));
        let table: Value = serde_json::from_str(&out(Command::new("sfdisk").arg("--json").arg(&raw))).expect("json");
        let partitions = table["partitiontable"]["partitions"].as_array().expect("partitions");
        // The largest is the root.
        let root = partitions.iter().max_by_key(|one| one["size"].as_u64()).expect("a root");
        let start = root["start"].as_u64().expect("a start") * 512;
        fs::write(&commands, script.join("\n") + "\n").expect("written");
        let said = out(Command::new("debugfs").arg("-w").arg("-f").arg(&commands).arg(format!("{}?offset={start}", raw.display())));
        let noise = |line: &&str| line.trim().is_empty() || ["debugfs", "Allocated inode"].iter().any(|start| line.starts_with(start));
        let answers: Vec<&str> = said.lines().filter(|line| !noise(line)).collect();
        assert_eq!(answers, Vec::<&str>::new(), "debugfs has refused something");
        dir.display().to_string()
    }

    /// Commands of debugfs that put a file in the place of another.
    fn put(&self, path: &str, text: &str, is_there: bool) -> Vec<String> {
        let name = format!("planted/{}", path.replace('/', "-"));
        self.desk.write(&name, text);
        let write = format!("write {} {path}", self.desk.at(&name).display());
        is_there.then(|| format!("rm {path}")).into_iter().chain([write]).collect()
    }

    /// A change of each kind: what debugfs does, and the step that is not so any more.
    fn changes(&self) -> Vec<(Vec<String>, &'static str)> {
        vec![
            (self.put("/etc/greeting", "hello world\n", true), "file /etc/greeting"),
            (
                self.put("/etc/sysctl.d/99-zz-ostler-net.core.somaxconn.conf", "net.core.somaxconn = 512\n", true),
                "sysctl net.core.somaxconn",
            ),
            (vec!["rm /etc/systemd/system/multi-user.target.wants/proof.service".to_owned()], "service proof"),
        ]
    }
}

fn out(command: &mut Command) -> String {
    let output = command.env("LC_ALL", "C").output().expect("started");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {said}");
    said
}

/// What is kept of clones in the cache of a desk.
fn left(desk: &Desk) -> Vec<String> {
    let list = fs::read_dir(desk.path().join("home/.cache/ostler/images/verify")).into_iter().flatten();
    list.map(|entry| entry.expect("listed").path().display().to_string()).collect()
}

#[test]
fn a_build_wants_nothing_when_it_is_booted_and_leaves_nothing() {
    let built = built();
    let said = built.verify(&["--out", "builds", "--firmware", "uefi"]);
    let told = line(&said, "verified");
    let machine = &told["machines"][0];
    eprintln!("{told}");
    assert_eq!(said.code, Some(0), "{said}");
    assert_eq!((&told["build"], &told["exit"], &told["machines"][1]), (&json!("node@1"), &json!(0), &Value::Null));
    for (key, wanted) in [("firmware", json!("uefi")), ("asked", json!(true)), ("refused", json!(false))] {
        assert_eq!(machine[key], wanted, "{key}");
    }
    for key in ["changes", "failed", "identity", "unproved"] {
        assert_eq!(machine[key], json!([]), "{key}");
    }
    // What is the node's own is no difference: it is left to the first run.
    assert_eq!(told["left_out"], json!([{ "what": "file /etc/own", "role": "ci", "why": "it is the node's own" }]));
    assert_eq!(left(&built.desk), Vec::<String>::new());
}

#[test]
fn what_differs_is_told_and_nothing_else() {
    let built = built();
    let changes = built.changes();
    let mut script: Vec<String> = changes.iter().flat_map(|(script, _)| script.clone()).collect();
    let wants = "/etc/systemd/system/multi-user.target.wants/broken.service";
    script.extend(built.put("/etc/systemd/system/broken.service", "[Service]\nExecStart=/bin/false\n", false));
    script.push(format!("symlink {wants} ../broken.service"));
    // An identity that every clone would have.
    let key = built.desk.at("ssh_host_ed25519_key");
    out(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key));
    for name in ["ssh_host_ed25519_key", "ssh_host_ed25519_key.pub"] {
        script.push(format!("write {} /etc/ssh/{name}", built.desk.at(name).display()));
        script.push(format!("sif /etc/ssh/{name} mtime 20200101000000"));
    }
    let dir = built.planted("planted-all", &script);
    let said = built.verify(&["--out", &dir, "--firmware", "bios"]);
    let told = line(&said, "verified");
    eprintln!("{told}");
    assert_eq!(said.code, Some(1), "{said}");
    let machine = &told["machines"][0];
    let mut wanted: Vec<&str> = changes.iter().map(|(_, step)| *step).collect();
    let mut differing: Vec<&str> = machine["changes"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    wanted.sort_unstable();
    differing.sort_unstable();
    assert_eq!(differing, wanted);
    assert_eq!(machine["failed"], json!(["broken.service"]));
    assert_eq!(machine["identity"], json!(["/etc/ssh/ssh_host_ed25519_key.pub is the image's own, not made at the first boot"]));
    assert_eq!(machine["unproved"], json!([]), "a proof is asked where nothing is to be changed");
}

#[test]
fn a_verify_that_is_killed_leaves_no_machine_and_no_file() {
    let built = built();
    let desk = Desk::new();
    for (name, text) in SITE {
        desk.write(name, text);
    }
    let builds = built.desk.at("builds").display().to_string();
    let mut command = desk.command(&["image", "verify", "node", "--firmware", "bios", "--out", &builds]);
    let mut child = command.process_group(0).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("started");
    let place = desk.path().join("home/.cache/ostler/images/verify").display().to_string();
    wait_for("a machine", || machines(&place) > 0);
    let clones = left(&desk);
    assert_eq!(clones.len(), 1, "{clones:?}");
    wait_for("its console", || Path::new(&clones[0]).join("0/console.log").is_file());
    child.kill().and_then(|()| child.wait()).expect("killed");
    wait_for("the end of the machine and its files", || machines(&place) == 0 && left(&desk).is_empty());
}

/// Processes of qemu whose files are below this directory.
fn machines(place: &str) -> usize {
    let processes = fs::read_dir("/proc").expect("mounted").flatten();
    let words = processes.filter_map(|one| fs::read(one.path().join("cmdline")).ok());
    words.filter(|words| words.starts_with(b"qemu-system") && String::from_utf8_lossy(words).contains(place)).count()
}

fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < end, "not within 60 s: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn what_cannot_be_booted_is_refused_with_what_to_do() {
    let desk = Desk::new();
    for (name, text) in SITE {
        desk.write(name, text.replace("size: 4 GiB", "size: 4 GiB\nfirmware: [bios]"));
    }
    desk.write("builds/node-3.tar", "");
    fs::create_dir(desk.at("builds/node-3.d")).expect("made");
    for (arguments, wanted, hint) in [
        (&["node"][..], "node has no build in DESK", "ostler image build node --format qcow2"),
        (&["node@x", "--out", "builds"], "`x` is no number of a build", "ostler image verify node takes the current one"),
        (&["node@2", "--out", "builds"], "node has no build 2", "there are 3"),
        (&["node", "--out", "builds"], "node@3 has no disk that could be booted: tar", "ostler image build node --format qcow2"),
    ] {
        let said = desk.run(&[&["image", "verify"], arguments].concat());
        assert!(said.code == Some(2) && said.err.contains(wanted) && said.err.contains(hint), "{arguments:?}: {said}");
    }
    desk.write("builds/node-3.raw", "");
    let uefi = desk.run(&["image", "verify", "node", "--out", "builds", "--firmware", "uefi"]);
    assert!(uefi.code == Some(2) && uefi.err.contains("the image node is not made for UEFI"), "{uefi}");
    // A machine without qemu: in a namespace of its own no file is there.
    let ostler = desk.command(&["image", "verify", "node", "--out", "builds"]);
    let mut without = Command::new("unshare");
    let hide = "mount --bind /dev/null /usr/bin/qemu-system-x86_64 && exec \"$@\"";
    without.args(["--mount", "sh", "-c", hide, "sh"]).arg(ostler.get_program()).args(ostler.get_args()).env_clear();
    without.envs(ostler.get_envs().filter_map(|(name, value)| Some((name, value?)))).current_dir(desk.at("")).stdin(Stdio::null());
    let said = Said::of(&without.output().expect("started"), &desk);
    assert!(said.out.contains("Not proved: what node@3 is once it is booted under BIOS."), "{said}");
    assert!(said.code == Some(1) && said.err.contains("apt-get install qemu-system-x86"), "{said}");
}

#[test]
#[ignore = "each kind by itself and both firmwares: make full-images"]
fn each_kind_of_difference_is_told_by_itself_and_clones_differ_under_both_firmwares() {
    let built = built();
    for (place, (script, step)) in built.changes().into_iter().enumerate() {
        let dir = built.planted(&format!("planted-{place}"), &script);
        let said = built.verify(&["--out", &dir, "--firmware", "bios"]);
        assert_eq!((said.code, &line(&said, "verified")["machines"][0]["changes"]), (Some(1), &json!([step])), "{said}");
    }
    let said = built.verify(&["--out", "builds", "--instances", "3"]);
    let told = line(&said, "verified");
    let firmware: Vec<&str> = told["machines"].as_array().expect("a list").iter().filter_map(|one| one["firmware"].as_str()).collect();
    assert_eq!((said.code, &told["shared"], firmware), (Some(0), &json!([]), vec!["bios", "uefi", "bios"]), "{said}");
}
