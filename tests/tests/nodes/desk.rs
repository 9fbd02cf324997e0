//! The machine at which one sits: no room for what is kept, and nobody who reads what is told.

use super::{AT_GATE, OPEN, SMALL, field};
use ostler::fleet::new_run;
use ostler::journal::{FileStore, Store as _};
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

const GATE: &str = r#"role: demo
summary: A gate.
steps:
  - command: {name: gate, run: [sh, -c, "touch /run/at-gate; while ! test -e /run/open; do sleep 0.02; done; touch /run/passed"], creates: /run/passed}
  - file: {path: /etc/behind, content: "behind\n"}
"#;

#[test]
fn a_run_is_stopped_from_a_machine_that_has_no_room() {
    let field = field(1, GATE);
    let running = field.start_apply();
    field.wait_for("n1", AT_GATE);
    // No log can be begun there, by root neither.
    let sites = std::fs::read_dir(field.dir().join("state/ostler/sites")).expect("the site's state");
    let runs = sites.map(|site| site.expect("an entry").path().join("runs")).next().expect("one site");
    std::fs::rename(&runs, runs.with_extension("away")).expect("it is there");
    std::fs::write(&runs, "").expect("a file in its place");
    let cancel = field.ostler(["cancel", "n1"]);
    assert_eq!(cancel.code, 0, "{cancel}");
    field.run("n1", OPEN);
    let ended = running.end();
    assert_eq!((ended.code, field.said("n1", "test -e /etc/behind || echo none").as_str()), (1, "none"), "{ended}");
}

#[test]
fn whoever_ends_it_is_heard_while_nobody_reads_what_it_tells() {
    // More than a pipe holds.
    let mut role = SMALL.to_owned();
    for number in 0..600 {
        let _ = writeln!(role, "  - file: {{path: /srv/file-of-many-{number}, content: \"{number}\\n\"}}");
    }
    let _ = writeln!(role, "{}", GATE.lines().nth(3).expect("the gate"));
    let field = field(1, &role);
    let mut apply = field.call(["apply", "--yes", "--output", "json"]);
    let mut child = apply.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("ostler runs");
    // Its plan is read, and what comes behind it is not.
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    while !lines.next().expect("it begins").expect("text").contains("\"type\":\"going\"") {}
    field.wait_for("n1", AT_GATE);
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it is there");
    let began = Instant::now();
    let ended = loop {
        if let Some(ended) = child.try_wait().expect("it is ours") {
            break ended;
        }
        if began.elapsed() > Duration::from_secs(30) {
            child.kill().expect("it is ours");
            panic!("it waits for whoever reads what it tells");
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(ended.code(), Some(130));
    drop(lines);
    field.run("n1", OPEN);
}

/// A file system of its own, taken away at the end.
struct Mounted(std::path::PathBuf);

impl Mounted {
    fn of_kib(at: std::path::PathBuf, kib: u32) -> Self {
        std::fs::create_dir(&at).expect("a place for it");
        let options = format!("size={kib}k");
        let status = std::process::Command::new("mount").args(["-t", "tmpfs", "-o", &options, "ostler-test"]).arg(&at).status();
        assert!(status.is_ok_and(|status| status.success()), "mounted");
        Self(at)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_line_of_the_log_that_found_no_room_leaves_no_half_and_the_next_one_stands_whole() {
    let scratch = tempfile::tempdir().expect("a scratch directory");
    let disk = Mounted::of_kib(scratch.path().join("state"), 64);
    let store = FileStore::new(disk.0.join("site"));
    let run = new_run();
    let mut log = store.begin_log(&run).expect("a log");
    let ballast = disk.0.join("ballast");
    std::fs::write(&ballast, vec![0; 16 * 1024]).expect("there is room");
    // Lines that end in no page's end: what there is room for is half of one.
    let line = |number: u32| format!("{{\"line\":{number},\"text\":\"{}\"}}", "x".repeat(1500));
    let mut kept = Vec::new();
    let full = loop {
        let next = line(u32::try_from(kept.len()).expect("few"));
        match log.append(&next) {
            Ok(()) => kept.push(next),
            Err(error) => break error,
        }
        assert!(kept.len() < 64, "there is no end to its room");
    };
    let cause = std::error::Error::source(&full).expect("what the system said").to_string();
    assert!(cause.contains("No space left on device"), "{full}: {cause}");
    std::fs::remove_file(&ballast).expect("there");
    for number in 100..104 {
        log.append(&line(number)).expect("there is room again");
        kept.push(line(number));
    }
    assert_eq!(store.read_log(&run).expect("it is read"), kept);
}
