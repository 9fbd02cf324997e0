//! What ends in mid-run: the link, the runner, the controller, a person's patience. The node's story has no gap and the next run none to fill.

use super::{AFTER_GATE, AT_GATE, GATED, GUARDED, NO_RUN, OPEN, RUNNER, SMALL, at_the_gate, field};
use ostler::lab::Fault;
use ostler_tests::e2e::{Field, Running};
use ostler_tests::terminal::Terminal;
use std::io::{BufRead, BufReader};

fn assert_numbered_without_gap(events: &[(u64, serde_json::Value)]) {
    let numbers: Vec<u64> = events.iter().map(|(seq, _)| *seq).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
}

/// Both ends of every connection to the node's sshd are told that it is over.
const CUT: &str = "ss -K state established sport = :22 >/dev/null";

#[test]
fn a_link_cut_in_mid_run_is_made_again_and_the_same_apply_ends_well() {
    let field = field(1, GATED);
    let mut running = field.start_apply();
    field.wait_for("n1", AT_GATE);
    for _ in 0..2 {
        field.run("n1", CUT);
        running.wait_for_another("attached_again");
    }
    field.run("n1", OPEN);
    let ran = running.end();
    ran.assert_changed(3);
    assert_numbered_without_gap(&ran.events("n1"));
    assert_eq!(ran.changed("n1"), ["file /etc/before-gate", "command gate", "file /etc/after-gate"]);
    assert_eq!(ran.of("trouble", None).len(), 0, "{ran}");
    let again = ran.of("attached_again", Some("n1"));
    assert_eq!((again.len(), &again[0]["run"]), (2, &ran.of("go", Some("n1"))[0]["run"]), "{ran}");
    assert_eq!(field.said("n1", "cat /srv/passed; ls /var/lib/ostler/runs | wc -l"), "x\n1");
    field.apply().assert_changed(0);
}

#[test]
fn a_link_cut_at_the_question_is_made_again_and_what_was_shown_is_done_or_nothing() {
    let field = field(1, SMALL);
    let mut terminal = Terminal::start(&field.call(["apply"]));
    terminal.wait_for("[y/N]");
    field.run("n1", CUT);
    terminal.types("y\n");
    assert_eq!(terminal.end(), 0, "{}", terminal.said());
    terminal.wait_for("n1: connection lost before the run began, met again: its plan is the same");
    field.apply().assert_changed(0);
    // What was shown is not what would be done now.
    field.run("n1", "rm /etc/demo-one");
    let mut terminal = Terminal::start(&field.call(["apply"]));
    terminal.wait_for("[y/N]");
    field.run("n1", &format!("{CUT}; rm /srv/demo/two"));
    terminal.types("y\n");
    assert_eq!(terminal.end(), 1, "{}", terminal.said());
    terminal.wait_for("the node has moved since its plan was shown");
    assert_eq!(field.said("n1", "ls /etc/demo-one /srv/demo/two 2>/dev/null | wc -l"), "0");
}

#[test]
fn a_link_that_stays_cut_stops_no_run_and_attach_tells_all_of_it() {
    let field = field(1, GATED);
    let running = field.start_apply();
    field.wait_for("n1", AT_GATE);
    field.lab().fault("n1", Fault::Refuse { port: 22 }).expect("nobody gets in");
    field.run("n1", CUT);
    let ran = running.end();
    assert_eq!(ran.code, 4, "{ran}");
    assert!(ran.trouble("n1").contains("goes on without us"), "{ran}");
    assert_eq!(ran.of("trouble", Some("n1"))[0]["hint"], "ostler attach n1", "{ran}");
    field.lab().fault("n1", Fault::ClearRules).expect("open again");

    let early = Running::start(field.call(["attach", "n1", "--output", "json"]));
    field.run("n1", OPEN);
    let told = early.end();
    assert_eq!(told.code, 0, "{told}");
    assert_numbered_without_gap(&told.events("n1"));
    assert_eq!(told.changed("n1"), ["file /etc/before-gate", "command gate", "file /etc/after-gate"]);
    assert_eq!(told.of("attached", Some("n1"))[0]["ending"]["good"]["changed"], 3, "{told}");
    let again = field.ostler(["attach", "n1", "--output", "json"]);
    assert_eq!(again.events("n1"), told.events("n1"), "a second listener hears the same story");
    assert_eq!(field.said("n1", "cat /srv/passed /etc/after-gate"), "x\nafter");
    field.apply().assert_changed(0);
}

/// The service was started by the first run; the next run must restart it exactly once, whatever happened between.
fn assert_restarted_once(field: &Field) {
    assert_eq!(field.said("n1", "cat /srv/starts"), "before\nchanged");
}

#[test]
fn a_killed_runner_leaves_a_restart_owed_that_the_next_run_pays_once() {
    let field = field(1, GUARDED);
    at_the_gate::settle(&field);
    let running = field.start_apply();
    field.wait_for("n1", AT_GATE);
    field.run("n1", &format!("kill -9 $({RUNNER})"));
    let cut = running.end();
    assert_eq!(cut.code, 1, "{cut}");
    assert!(cut.trouble("n1").contains("was cut off on the node") && !cut.trouble("n1").contains("goes on without us"), "{cut}");
    assert_eq!(cut.of("trouble", Some("n1"))[0]["hint"], "apply again: it goes on at the first unfinished step", "{cut}");
    // Its children died with it: nobody passes the gate behind our back.
    field.run("n1", OPEN);
    field.wait_for("n1", "! pgrep -f '[/]run/at-gate'");
    assert_eq!(field.said("n1", "cat /srv/starts; test -e /srv/passed || echo closed"), "before\nclosed");

    let again = field.apply();
    assert_eq!(again.code, 0, "{again}");
    let triggered: Vec<_> = again.events("n1").into_iter().filter_map(|(_, event)| event.get("triggered").cloned()).collect();
    assert_eq!(triggered.len(), 1, "{again}");
    assert_eq!(triggered[0]["action"], "restart", "{again}");
    assert!(!again.changed("n1").contains(&"file /etc/before-gate".to_owned()), "that was done already: {again}");
    assert_restarted_once(&field);
    field.apply().assert_changed(0);
    assert_restarted_once(&field);
}

#[test]
fn a_killed_controller_leaves_a_run_that_ends_well_without_it() {
    let field = field(1, GUARDED);
    at_the_gate::settle(&field);
    let running = field.start_apply();
    field.wait_for("n1", AT_GATE);
    running.signal("KILL");
    assert_eq!(running.end().code, 137);
    let busy = field.apply();
    assert_eq!(busy.code, 7, "{busy}");
    field.run("n1", OPEN);
    field.wait_for("n1", NO_RUN);
    assert_restarted_once(&field);
    let told = field.ostler(["attach", "n1", "--output", "json"]);
    assert_eq!(told.code, 0, "{told}");
    assert_numbered_without_gap(&told.events("n1"));
    assert_eq!(told.changed("n1")[..2], ["file /etc/before-gate", "command gate"], "{told}");
    field.apply().assert_changed(0);
    assert_restarted_once(&field);
}

#[test]
fn one_interrupt_stops_between_two_steps_and_the_next_run_goes_on() {
    let field = field(1, GATED);
    let running = field.start_apply();
    field.wait_for("n1", AT_GATE);
    running.signal("INT");
    running.wait_for_stderr("each node ends its present step, then stops");
    field.run("n1", OPEN);
    let stopped = running.end();
    assert_eq!(stopped.code, 130, "{stopped}");
    assert_eq!(stopped.changed("n1"), ["file /etc/before-gate", "command gate"], "{stopped}");
    let last = stopped.events("n1").pop().expect("an end").1;
    assert_eq!(last["ended"]["ending"], "cancelled", "{stopped}");
    assert_eq!(stopped.recap("n1")["trouble"], "cancelled", "{stopped}");
    assert_eq!(field.said("n1", AFTER_GATE), "none");
    let next = field.apply();
    next.assert_changed(1);
    assert_eq!(next.changed("n1"), ["file /etc/after-gate"], "{next}");
}

/// A unit whose restart, once /run/slow is there, comes to an end only when the gate is opened.
const SLOW: &str = r#"role: demo
summary: A unit that is slow to start.
steps:
  - file: {path: /etc/slow.conf, content: "before\n"}
  - service:
      name: slow
      unit_content: |
        [Service]
        ExecStartPre=/bin/sh -c 'test -e /run/slow || exit 0; touch /run/at-gate; while ! test -e /run/open; do sleep 0.02; done'
        ExecStart=/bin/sleep infinity
      state: running
      restart_on: [file /etc/slow.conf]
"#;

#[test]
fn one_interrupt_in_a_units_restart_is_a_cancelled_run_and_no_failure() {
    let field = field(1, SLOW);
    field.apply().assert_changed(2);
    field.run("n1", "touch /run/slow");
    field.write("roles/demo.yaml", &SLOW.replace("before", "changed"));
    let running = field.start_apply();
    field.wait_for("n1", AT_GATE);
    running.signal("INT");
    let stopped = running.end();
    assert_eq!((stopped.code, &stopped.recap("n1")["trouble"]), (130, &"cancelled".into()), "{stopped}");
    let failed = stopped.events("n1").into_iter().find_map(|(_, event)| event["step_done"]["outcome"].get("failed").cloned());
    let failed = failed.expect("the step");
    assert_eq!((&failed["kind"], &failed["command"]), (&"cancelled".into(), &serde_json::Value::Null), "{stopped}");
    assert!(
        failed["message"].as_str().is_some_and(|message| message.starts_with("cancelled while systemd was to restart slow.service")),
        "{stopped}"
    );
    // systemd goes on with it, and what was not seen to its end is owed.
    field.run("n1", OPEN);
    field.wait_for("n1", "systemctl -q is-active slow");
    let next = field.apply();
    next.assert_changed(1);
    assert_eq!(next.changed("n1"), ["service slow"], "{next}");
    field.apply().assert_changed(0);
}

#[test]
fn two_interrupts_leave_at_once_and_the_node_ends_its_step_alone() {
    let field = field(1, GATED);
    let running = field.start_apply();
    field.wait_for("n1", AT_GATE);
    running.signal("INT");
    running.wait_for_stderr("each node ends its present step, then stops");
    running.signal("INT");
    let left = running.end();
    assert_eq!(left.code, 130, "{left}");
    assert!(left.stderr.contains("`ostler attach` shows it"), "{left}");
    assert_eq!(field.said("n1", &format!("test -n \"$({RUNNER})\" && echo alone; test -e /srv/passed || echo closed")), "alone\nclosed");
    field.run("n1", OPEN);
    let told = Running::start(field.call(["attach", "n1", "--output", "json"])).end();
    assert_eq!((told.code, told.changed("n1")), (1, vec!["file /etc/before-gate".to_owned(), "command gate".to_owned()]), "{told}");
    assert_eq!(told.of("attached", Some("n1"))[0]["ending"], "cancelled", "{told}");
    field.apply().assert_changed(1);
}

#[test]
fn a_terminated_program_leaves_at_once_and_stops_no_run() {
    let field = field(1, GATED);
    let running = field.start_apply();
    field.wait_for("n1", AT_GATE);
    running.signal("TERM");
    let left = running.end();
    assert_eq!(left.code, 130, "{left}");
    assert!(left.stderr.contains("Left. Runs go on without us; `ostler attach` shows them."), "{left}");
    assert!(!left.stderr.contains("then stops"), "{left}");
    field.run("n1", OPEN);
    let told = field.ostler(["attach", "n1", "--output", "json"]);
    assert_eq!((told.code, told.changed("n1").len()), (0, 3), "{told}");
}

/// An `apply` whose reader closes the pipe after the first line; its exit code.
fn apply_to_nobody(field: &Field) -> Option<i32> {
    let mut child = field.call(["apply", "--yes"]).spawn().expect("it starts");
    let mut first = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut first).expect("a line of the plan");
    field.wait_for("n1", AT_GATE);
    field.run("n1", OPEN);
    child.wait().expect("it ends").code()
}

#[test]
fn a_reader_that_goes_away_changes_neither_the_work_nor_the_exit_code() {
    let field = field(1, GATED);
    assert_eq!(apply_to_nobody(&field), Some(0));
    assert_eq!(field.said("n1", "cat /srv/passed /etc/after-gate"), "x\nafter");
    field.run("n1", "rm /srv/passed /run/open /run/at-gate");
    field.write("roles/demo.yaml", &GATED.replace("echo x >> /srv/passed", "exit 3"));
    assert_eq!(apply_to_nobody(&field), Some(1));
}

#[test]
fn attach_follows_all_nodes_at_once_and_names_those_that_never_had_a_run() {
    let field = field(3, GATED);
    let running = Running::start(field.call(["apply", "--yes", "--limit", "n1,n2", "--output", "json"]));
    for node in ["n1", "n2"] {
        field.wait_for(node, AT_GATE);
    }
    running.signal("KILL");
    assert_eq!(running.end().code, 137);
    let mut attached = Running::start(field.call(["attach", "--output", "json"]));
    field.run("n2", OPEN);
    // n1 stands at its gate all the while.
    attached.wait_for("\"ended\"");
    field.run("n1", OPEN);
    let told = attached.end();
    assert_eq!(told.code, 0, "{told}");
    for node in ["n1", "n2"] {
        assert_numbered_without_gap(&told.events(node));
        let line = &told.of("attached", Some(node))[0];
        assert!(line["run"].is_string() && line["ending"]["good"]["changed"] == 3, "{told}");
    }
    let line = &told.of("attached", Some("n3"))[0];
    assert_eq!((&line["run"], &line["ending"]), (&serde_json::Value::Null, &serde_json::Value::Null), "{told}");
    let human = field.ostler(["attach", "n3"]);
    assert_eq!((human.code, human.stdout.as_str()), (0, "n3: no run\n"), "{human}");
}
