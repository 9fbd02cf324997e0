//! The machine at which one sits: no room for what is kept, and nobody who reads what is told.

use super::{AT_GATE, OPEN, SMALL, field};
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
