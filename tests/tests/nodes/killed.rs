//! A controller that is killed leaves nothing of a conversation behind: no agent, no login.

use super::{AT_GATE, GATED, NO_RUN, OPEN, SMALL, field};
use ostler_tests::e2e::Field;
use ostler_tests::terminal::Terminal;

/// Succeeds on a node where nobody is logged in and no agent serves.
const ALONE: &str = "! pgrep -f '[a]gent-[0-9a-f]+ serve' && ! pgrep -f 'sshd: [a]dmin'";
/// Succeeds on a node where an agent serves as root.
const SERVED: &str = "pgrep -u root -f '[a]gent-[0-9a-f]+ serve --root'";

/// Its plan takes twenty minutes: the probe of each step waits.
fn slow() -> String {
    let step =
        |number| format!("  - command: {{name: slow-{number}, run: [\"true\"], unless: [sh, -c, \"touch /run/probing; sleep 12\"]}}\n");
    let steps: String = (0..100).map(step).collect();
    format!("role: demo\nsummary: Probes that take their time.\nsteps:\n{steps}")
}

fn assert_left_alone(field: &Field) {
    field.wait_for("n1", ALONE);
}

#[test]
fn a_controller_killed_while_a_node_plans_leaves_no_agent_there() {
    let field = field(1, &slow());
    let running = field.start_apply();
    field.wait_for("n1", "test -e /run/probing");
    running.signal("KILL");
    assert_eq!(running.end().code, 137);
    assert_left_alone(&field);
    assert_eq!(field.said("n1", "ls /var/lib/ostler/runs 2>/dev/null | wc -l"), "0");
}

#[test]
fn a_controller_killed_at_the_question_leaves_no_agent_there() {
    let field = field(1, SMALL);
    let mut terminal = Terminal::start(&field.call(["apply"]));
    terminal.wait_for("[y/N]");
    field.run("n1", SERVED);
    terminal.signal("KILL");
    assert_eq!(terminal.end(), 137);
    assert_left_alone(&field);
}

#[test]
fn a_controller_killed_in_mid_run_leaves_the_runner_alone_to_end_well() {
    let field = field(1, GATED);
    let running = field.start_apply();
    field.wait_for("n1", AT_GATE);
    field.run("n1", SERVED);
    running.signal("KILL");
    assert_eq!(running.end().code, 137);
    assert_left_alone(&field);
    field.run("n1", OPEN);
    field.wait_for("n1", NO_RUN);
    field.apply().assert_changed(0);
}
