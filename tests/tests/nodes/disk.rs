//! A disk that fills in mid-run, and one that is full before a run begins.

use super::{AT_GATE, OPEN, SMALL, field, field_of, node};
use ostler_tests::e2e::Running;
use std::time::Duration;

const BIG: &str = r#"role: demo
summary: A large file behind a gate.
steps:
  - file: {path: /etc/small, content: "small\n"}
  - command: {name: gate, run: [sh, -c, "touch /run/at-gate; while ! test -e /run/open; do sleep 0.02; done; touch /run/passed"], creates: /run/passed}
  - file: {path: /srv/big, from: files/big}
"#;

#[test]
fn a_disk_that_fills_in_mid_run_fails_the_step_and_leaves_the_old_file() {
    let field = field_of([node("n1", 11).with_disk_mb(250)], BIG);
    let old = "old line\n".repeat(200_000);
    field.write("files/big", &old);
    field.run("n1", OPEN);
    field.apply().assert_changed(3);
    let digest = field.said("n1", "sha256sum < /srv/big");
    field.run("n1", "rm /run/open /run/passed /run/at-gate");
    field.write("files/big", &"new line\n".repeat(400_000));

    let running = Running::start(field.call(["apply", "--yes"]));
    field.wait_for("n1", AT_GATE);
    // One megabyte is left: less than the file, enough for the journal.
    field.run("n1", "head -c 400M /dev/zero > /var/filler 2>/dev/null || true; truncate -s -1M /var/filler");
    field.run("n1", OPEN);
    let full = running.end();
    assert_eq!(full.code, 1, "{full}");
    for part in ["file /srv/big", "roles/demo.yaml:6", "the file system is full, or out of inodes"] {
        assert!(full.stdout.contains(part), "{part}: {full}");
    }
    assert_eq!(field.said("n1", "sha256sum < /srv/big"), digest);
    assert_eq!(field.said("n1", "ls -A /srv"), "big", "nothing half written is left beside it");
    let told = field.ostler(["attach", "n1", "--output", "json"]);
    let failed = told.events("n1").into_iter().find_map(|(_, event)| event["step_done"]["outcome"].get("failed").cloned());
    assert_eq!(failed.expect("a failure")["kind"], "no_space", "{told}");

    field.run("n1", "rm /var/filler");
    let healed = field.apply();
    healed.assert_changed(1);
    assert_eq!(healed.changed("n1"), ["file /srv/big"]);
    assert_ne!(field.said("n1", "sha256sum < /srv/big"), digest);
}

#[test]
fn a_node_without_room_for_a_runs_own_state_says_which_file_system_that_is_and_what_may_go() {
    let field = field(1, SMALL);
    let trouble = |said: &str, words: &[&str]| {
        for word in words {
            assert!(said.contains(word), "{word}: {said}");
        }
    };
    // Not even root's copy of the agent fits.
    field.run("n1", "mkdir -p /var/lib/ostler && mount -t tmpfs -o size=64k,mode=755 none /var/lib/ostler");
    let copy = field.apply();
    assert_eq!(copy.code, 1, "{copy}");
    let place = "the file system /var/lib/ostler (tmpfs), which holds /var/lib/ostler, has 64 KiB of 64 KiB free";
    trouble(&copy.trouble("n1"), &["there is no room for root's copy of the agent below /var/lib/ostler"]);
    trouble(&copy.to_string(), &[place]);
    // It fits, and the run's plan and journal do not.
    field.run("n1", "mount -o remount,size=1g /var/lib/ostler");
    field.apply().assert_changed(2);
    field.write("roles/demo.yaml", &SMALL.replace("one\\n", "another\\n"));
    // No more of the machine's memory than what is there, and a few megabytes.
    field.run(
        "n1",
        "used=$(df -k --output=used /var/lib/ostler | tail -n 1); mount -o remount,size=$((used + 4096))k /var/lib/ostler; \
         head -c 1500K /dev/zero > /var/lib/ostler/blobs/kept; head -c 5M /dev/zero > /var/lib/ostler/filler 2>/dev/null || true",
    );
    let full = field.apply();
    assert_eq!((full.code, full.of("going", None).len()), (1, 0), "{full}");
    let wanted = "the runner could not be started: keep the run's plan and journal, at least 320 KiB: the file system /var/lib/ostler (tmpfs), \
                  which holds /var/lib/ostler, has 0 B of ";
    let helps = " free: make room there, first with `rm -r /var/lib/ostler/blobs` (1.5 MiB; it is only a store)";
    trouble(&full.trouble("n1"), &[wanted, helps]);
    assert_eq!(full.of("trouble", Some("n1"))[0]["hint"], "mend on the node what it says, then run the same command again", "{full}");
    assert_eq!(field.said("n1", "cat /etc/demo-one; ls /var/lib/ostler/runs | wc -l"), "one\n1", "nothing was changed, and nothing begun");
    // What it says helps.
    field.run("n1", "rm -r /var/lib/ostler/blobs");
    field.apply().assert_changed(1);
}

#[test]
fn a_full_run_is_told_with_its_numbers_and_nothing_is_begun() {
    let field = field(1, SMALL);
    field.run(
        "n1",
        "used=$(df -k --output=used /run | tail -n 1); mount -o remount,size=$((used + 512))k /run; \
         head -c 1M /dev/zero > /run/filler 2>/dev/null || true",
    );
    let full = field.apply();
    assert_eq!((full.code, full.of("going", None).len()), (1, 0), "{full}");
    assert!(full.trouble("n1").contains("the file system of /run has 0 B of "), "{full}");
    assert!(full.trouble("n1").contains(" free: make room there"), "{full}");
    assert_eq!(field.said("n1", "test -e /etc/demo-one || echo none"), "none");
    field.run("n1", "rm /run/filler");
    field.apply().assert_changed(2);
}

/// A mount whose program never answers, as one of NFS whose server is gone.
const DEAD: &str = "mkdir -p /mnt/dead; test -e /dev/fuse || mknod /dev/fuse c 10 229; \
    systemd-run -q --unit dead sh -c 'exec 3<>/dev/fuse; mount -i -t fuse -o fd=3,rootmode=40000,user_id=0,group_id=0 dead /mnt/dead; exec sleep 1000'; \
    while ! grep -q ' /mnt/dead fuse ' /proc/mounts; do sleep 0.02; done";

#[test]
fn a_mount_whose_server_is_gone_is_said_within_seconds_and_holds_up_nothing_else() {
    let other = SMALL.replace("steps:", "require:\n  - disk: {path: /mnt/dead, size: 1 MiB}\nsteps:");
    let field = field(1, &other);
    field.run("n1", DEAD);
    let refused = field.apply();
    assert_eq!(refused.code, 6, "{refused}");
    assert!(refused.took < Duration::from_secs(40), "{refused}");
    let why = "cannot look at /mnt/dead: its file system does not answer: the server or program behind it is gone";
    assert_eq!(refused.of("requirement", Some("n1"))[0]["verdict"]["could_not_tell"]["why"], why, "{refused}");
    field.write("roles/demo.yaml", &SMALL.replace("/srv/demo/two", "/mnt/dead/two"));
    let impossible = field.apply();
    assert_eq!(impossible.code, 6, "{impossible}");
    assert!(impossible.to_string().contains("cannot look at /mnt/dead/two"), "{impossible}");
    field.write("roles/demo.yaml", SMALL);
    field.apply().assert_changed(2);
}
