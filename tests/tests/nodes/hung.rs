//! A step that never comes back, as one behind a file server that is gone: its thread is held, which no signal and no deadline of its own ends.

use super::{AFTER_GATE, AT_GATE, GATED, NO_RUN, OPEN, field};
use std::time::{Duration, Instant};

/// Holds the thread that is at work in the runner for as long as this lives (ptrace(2), PTRACE_ATTACH); its others go on.
const HOLD: &str = r#"perl -e 'my $pid = `pgrep -u root -f "[a]gent-[0-9a-f]+ run "`; $pid += 0; syscall(101, 16, $pid, 0, 0) == 0 or die $!;
    waitpid($pid, 0x40000000); open(my $told, ">", "/run/held"); close($told); sleep(600);'"#;
/// Its own time, two minutes for the end of what it began, and as long again as these take to be told on a busy machine.
const LIMIT: Duration = Duration::from_secs(240);

#[test]
fn a_step_that_never_comes_back_ends_its_run_and_the_next_one_goes_on() {
    let role = GATED.replace("- command: {name: gate,", "- within: 5s\n    command: {name: gate,");
    let field = field(1, &role);
    let told = field.dir().join("told");
    let mut applying = field.call(["apply", "--yes", "--output", "json"]);
    let mut applying = applying.stdout(std::fs::File::create(&told).expect("a file")).spawn().expect("started");
    field.wait_for("n1", AT_GATE);
    let holder = field.lab().node_command("n1", ["sh", "-euc", HOLD]).spawn().expect("it is held");
    field.wait_for("n1", "test -e /run/held");
    let end = Instant::now() + LIMIT;
    let status = loop {
        match applying.try_wait().expect("asked") {
            Some(status) => break Some(status),
            None if Instant::now() >= end => break None,
            None => std::thread::sleep(Duration::from_millis(200)),
        }
    };
    // It would follow its run for ever.
    drop(applying.kill());
    let told = std::fs::read_to_string(told).expect("what it told");
    assert_eq!(status.and_then(|status| status.code()), Some(1), "{told}");
    assert!(told.contains("it had 5s and never came back: a call into the system does not return"), "{told}");
    assert!(told.contains("command gate never came back"), "{told}");
    field.wait_for("n1", NO_RUN);
    assert_eq!(field.said("n1", AFTER_GATE), "none");
    drop(holder);
    // What it began has gone with it; the next run begins it anew.
    field.run("n1", OPEN);
    field.write("roles/demo.yaml", GATED);
    field.apply().assert_changed(2);
}
