//! Builds that are there: listed, shown, compared, held, removed, made current. None is built here: each is written as a build leaves it.

use ostler::image::manifest::{FILES, PACKAGES, PROVENANCE, REPOSITORIES};
use ostler::image::output::{HalfBuild, Readable, set_current};
use ostler_tests::program::{Desk, Said};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;

const IMAGE: &str = "\
image: worker
summary: A build node, baked.
base: {tree: base.tar}
roles: [web]
formats: [tar]
";

/// A site with an image, and a secret that nobody here can open.
fn desk() -> Desk {
    let desk = Desk::new();
    desk.write("ostler.yaml", "edition: 1\nid: tests\n");
    desk.write("nodes.yaml", "nodes: {}\n");
    desk.write("secrets/token.age", "age-encryption.org/v1\n");
    desk.write("roles/web.yaml", "role: web\nsummary: A web server.\nsteps:\n  - package: {install: [nginx]}\n");
    desk.write("images/worker.yaml", IMAGE);
    desk.write("base.tar", "packed");
    desk
}

/// Where the site's builds of an image are.
fn builds(desk: &Desk, image: &str) -> PathBuf {
    desk.path().join("home/.local/state/ostler/sites/id-tests/images").join(image)
}

/// A build, by the size and mode of a file of it and the version of a package; it becomes current.
fn build(desk: &Desk, image: &str, (bytes, mode, git): (u64, &str, &str)) {
    let dir = builds(desk, image);
    let half = HalfBuild::next(&dir, image, Readable::All).expect("begun");
    std::fs::write(half.aside("tar"), "x".repeat(4096)).expect("written");
    let number: u64 = half.build().parse().expect("a number");
    let motd = json!({ "path": "/etc/motd", "kind": "file", "mode": mode, "owner": "0:0", "size": bytes, "sha256": bytes.to_string() });
    let same = json!({ "path": "/etc/same", "kind": "file", "mode": "0644", "owner": "0:0", "size": 1, "sha256": "a" });
    let only = json!({ "path": format!("/opt/{number}"), "kind": "directory", "mode": "0755", "owner": "0:0" });
    let package = json!({ "name": "git", "version": git, "architecture": "amd64" });
    let mirror = json!({ "path": "/opt/git/x", "head": "refs/heads/main", "heads": { "refs/heads/main": number.to_string().repeat(40) } });
    let layer = |name: &str, motd: u64| json!({ "name": name, "key": motd.to_string(), "bytes": 1 << 20, "inputs": { "0001 file /etc/motd": motd.to_string() } });
    let about = json!({
        "v": 1, "by": "root@builder", "made": 1_700_000_000 + number * 60, "site": "5".repeat(40), "system": "debian-12", "kernel": "6.1.0",
        "layers": [layer("base", 0), layer("web", bytes)], "left_out": [{ "what": "service nginx", "role": "web", "why": "whether it runs" }],
    });
    let manifests = [
        (PACKAGES, json!({ "v": 1, "packages": [package] })),
        (FILES, json!({ "v": 1, "files": [motd, same, only] })),
        (REPOSITORIES, json!({ "v": 1, "repositories": [mirror] })),
        (PROVENANCE, about),
    ];
    half.commit(&["tar"], &manifests).expect("there");
    set_current(&dir, image, number).expect("current");
}

fn told(said: &Said) -> Vec<Value> {
    said.out.lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect()
}

fn good(desk: &Desk, arguments: &[&str]) -> Said {
    let said = desk.run(arguments);
    assert_eq!(said.code, Some(0), "{arguments:?}: {said}");
    said
}

/// Refused, with nothing on standard output.
fn refused(desk: &Desk, arguments: &[&str], message: &str, hint: &str) {
    let said = desk.run(arguments);
    assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{arguments:?}: {said}");
    assert_eq!(said.err, format!("error: {message}\n  try: {hint}\n"), "{arguments:?}");
}

#[test]
fn builds_are_listed_newest_first_and_shown_with_where_they_come_from() {
    let desk = desk();
    let none = good(&desk, &["image", "ls"]);
    assert_eq!(none.out, "worker  A build node, baked.\n  no build: ostler image build worker\n");
    refused(&desk, &["image", "show", "worker"], "worker has no build", "ostler image build worker");
    build(&desk, "worker", (6, "0644", "1"));
    build(&desk, "worker", (9, "0600", "2"));
    build(&desk, "old", (6, "0644", "1"));
    good(&desk, &["image", "hold", "worker@1"]);
    let listed = good(&desk, &["image", "ls"]);
    let wanted = "\
old  not in the site any more
  old@1  2023-11-14 22:14 UTC  4 KiB  tar  current
worker  A build node, baked.
  worker@2  2023-11-14 22:15 UTC  4 KiB  tar  current
  worker@1  2023-11-14 22:14 UTC  4 KiB  tar  held
";
    assert_eq!(listed.out, wanted);
    let lines = told(&good(&desk, &["image", "ls", "worker", "--output", "json"]));
    let is = |line: &Value| (line["build"].clone(), line["current"].clone(), line["held"].clone(), line["bytes"].clone());
    assert_eq!(
        lines.iter().map(is).collect::<Vec<_>>(),
        [("worker@2".into(), true.into(), false.into(), 4096.into()), ("worker@1".into(), false.into(), true.into(), 4096.into()),]
    );
    let shown = good(&desk, &["image", "show", "worker"]);
    for wanted in [
        "worker@2 (current)\n",
        "made     2023-11-14 22:15 UTC by root@builder\n",
        "system   debian-12, kernel 6.1.0\n",
        "service nginx (web): whether it runs\n",
        "in it: 1 package, 3 files, 1 repository, listed in ",
        "worker-2.tar (4 KiB)\n",
    ] {
        assert!(shown.out.contains(wanted), "{wanted}: {shown}");
    }
    let one = &told(&good(&desk, &["image", "show", "worker@1", "--output", "json"]))[0];
    assert_eq!((&one["files_count"], &one["provenance"]["system"]), (&3.into(), &"debian-12".into()));
}

#[test]
fn what_differs_in_two_builds_is_told_with_why() {
    let desk = desk();
    build(&desk, "worker", (6, "0644", "1:2.39.5"));
    build(&desk, "worker", (9, "0600", "1:2.47.3"));
    let said = good(&desk, &["image", "diff", "worker@1", "worker"]);
    let wanted = "\
worker@1 -> worker@2
  where they come from: 1
    layer web: file /etc/motd changed
  packages: 1
    ~ git:amd64 1:2.39.5 -> 1:2.47.3
  files: 3
    ~ /etc/motd: mode 0644 -> 0600, content (6 B -> 9 B)
    - /opt/1
    + /opt/2
  repositories: 1
    ~ /opt/git/x refs/heads/main 111111111111 -> 222222222222
worker@1 and worker@2 are not the same.
";
    assert_eq!(said.out, wanted);
    let one = &told(&good(&desk, &["image", "diff", "worker@1", "worker", "--output", "json"]))[0];
    assert_eq!((&one["same"], &one["packages"][0]["to"], &one["files"][1]["how"]), (&false.into(), &"1:2.47.3".into(), &"removed".into()));
    let same = good(&desk, &["image", "diff", "worker@2", "worker"]);
    assert_eq!(same.out, "worker@2 -> worker@2\nworker@2 and worker@2 hold the same packages, files and repositories.\n");
    // Of an older release, which wrote no list of files.
    std::fs::remove_file(builds(&desk, "worker").join("worker-1.d/files.json")).expect("there");
    let less = good(&desk, &["image", "diff", "worker@1", "worker"]);
    assert!(less.out.contains("  files: not known, one of them has no such manifest\n"), "{less}");
}

#[test]
fn the_previous_build_becomes_current_and_what_is_current_or_held_is_not_removed() {
    let desk = desk();
    for bytes in 1..=3 {
        build(&desk, "worker", (bytes, "0644", "1"));
    }
    let dir = builds(&desk, "worker");
    let current = || std::fs::read_link(dir.join("worker-current.d")).expect("a link").display().to_string();
    assert_eq!(good(&desk, &["image", "revert", "worker"]).out, "worker@2 is current now.\n");
    assert_eq!(current(), "worker-2.d");
    assert_eq!(good(&desk, &["image", "revert", "worker@3"]).out, "worker@3 is current now.\n");
    assert_eq!(good(&desk, &["image", "revert", "worker@3"]).out, "worker@3 was current already.\n");
    good(&desk, &["image", "revert", "worker@1"]);
    refused(&desk, &["image", "revert", "worker"], "worker@1 is the oldest build: none is before it", "ostler image ls worker");
    refused(&desk, &["image", "rm", "worker@1"], "build 1 of worker is the current one", "ostler image revert worker");
    assert_eq!(good(&desk, &["image", "hold", "worker@2"]).out, "worker@2 is held: it stays until it is released.\n");
    refused(&desk, &["image", "rm", "worker@2"], "build 2 of worker is held", "ostler image hold worker@2 --release");
    let released = told(&good(&desk, &["image", "hold", "worker@2", "--release", "--output", "json"]));
    assert_eq!(released, [json!({ "v": 1, "type": "image_kept", "build": "worker@2", "outcome": "released" })]);
    assert_eq!(good(&desk, &["image", "rm", "worker@2"]).out, "worker@2 is removed.\n");
    let left: Vec<String> =
        std::fs::read_dir(&dir).expect("listed").flatten().map(|entry| entry.file_name().into_string().expect("text")).collect();
    assert!(left.iter().all(|name| !name.starts_with("worker-2.")) && left.iter().any(|name| name == "worker-3.tar.md5"), "{left:?}");
}

#[test]
fn what_is_not_there_is_told_with_what_is() {
    let desk = desk();
    refused(&desk, &["image", "ls", "wroker"], "there is no image wroker", "there are worker");
    refused(&desk, &["image", "diff", "worker@1", "worker"], "worker has no build 1; there are: none", "ostler image ls worker");
    build(&desk, "worker", (6, "0644", "1"));
    refused(&desk, &["image", "show", "worker@7"], "worker has no build 7; there are: 1", "ostler image ls worker");
    refused(&desk, &["image", "show", "worker@new"], "`new` is no number of a build", "ostler image ls worker");
    refused(&desk, &["image", "rm", "worker"], "which build of worker is not said", "ostler image rm worker@1");
    refused(&desk, &["image", "hold", "worker@../1"], "`../1` is no number of a build", "ostler image ls worker");
    // Elsewhere there is none.
    let out = desk.at("elsewhere").display().to_string();
    refused(&desk, &["image", "show", "worker", "--out", &out], "worker has no build", "ostler image build worker");
    std::fs::remove_file(builds(&desk, "worker").join("worker-current.d")).expect("there");
    refused(&desk, &["image", "show", "worker"], "worker has no current build; there are: worker@1", "ostler image revert worker@1");
}

#[test]
fn a_build_that_does_not_fit_is_refused_before_its_first_byte() {
    let desk = desk();
    // A plan is made of secrets' values.
    std::fs::remove_dir_all(desk.at("secrets")).expect("there");
    let plan = desk.run(&["image", "plan", "worker"]);
    // A base that is no system is found out when it is unpacked.
    assert_eq!(plan.code, Some(0), "{plan}");
    assert!(
        plan.out.contains("to be made: it was not made before\n  the layers of its roles are known once the base is there\n"),
        "{plan}"
    );
    assert!(plan.out.contains("  room: about ") && plan.out.ends_with("1 layer: 1 to be made. Nothing was built.\n"), "{plan}");
    let own = desk.command(&["image", "build", "worker", "--out", "/mnt"]);
    let script = "mount -t tmpfs -o size=1m tmpfs /mnt && exec \"$0\" \"$@\"";
    let mut small = Command::new("unshare");
    small.args(["--mount", "sh", "-euc", script]).arg(own.get_program()).args(own.get_args()).current_dir(desk.at(""));
    small.env_clear().envs(own.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let said = Said::of(&small.output().expect("unshare runs"), &desk);
    assert_eq!(said.code, Some(2), "{said}");
    let wanted = "error: the build needs about 320 MiB on the disk of /mnt, and 1 MiB are free\n  try: make room there (`ostler image rm`)";
    assert!(said.err.starts_with(wanted), "{said}");
    let made = std::fs::read_dir(desk.path().join("home/.cache/ostler/images/layers")).expect("the store").count();
    assert_eq!(made, 0);
}
