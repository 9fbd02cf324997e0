//! What a failed unit leaves: how its own program ended, as systemd tells it, and the last lines of its journal.

use super::super::node::Node;
use crate::host::child::Program;
use ostler_roles::outcome::{CommandFailure, Ended, Failure, FailureKind};
use std::time::{Duration, Instant};

/// systemd and its journal answer in milliseconds.
const ANSWER: Duration = Duration::from_secs(10);
/// Lines of the unit's journal in a failure.
const LINES: &str = "--lines=20";
/// Asked of systemd (org.freedesktop.systemd1(5)).
const PROPERTIES: &str = "--property=Result,ExecMainCode,ExecMainStatus,ExecStart";

/// Adds to a failure of `systemctl verb name` what the unit's own program did and said.
pub(super) fn diagnose(node: &Node, verb: &str, name: &str, mut failed: Failure) -> Failure {
    if !node.host.is_running() {
        return failed;
    }
    let show = ["systemctl", "show", PROPERTIES, "--", name];
    // The card of a failure; what cannot be read for it is left out.
    let shown = Program::new(show).run_to_end(Instant::now() + ANSWER);
    let unit = shown.and_then(|finished| Ok(Unit::parse(&String::from_utf8_lossy(finished.said()?)))).unwrap_or_default();
    if !unit.result.is_empty() && unit.result != "success" {
        failed.causes.push(format!("systemd's result: {}", unit.result));
    }
    let journal = ["journalctl", "--no-pager", "--quiet", "--output=cat", LINES, "--unit", name];
    let tail = Program::new(journal).run_to_end(Instant::now() + ANSWER).map(|finished| finished.tail.into_lines()).unwrap_or_default();
    let (argv, status) = unit.main.unwrap_or_else(|| {
        // Its program did not come to run, or still does: what was asked for is the command.
        let status = if failed.kind == FailureKind::Deadline { Ended::Deadline } else { Ended::Exit(1) };
        (["systemctl", verb, name].map(str::to_owned).to_vec(), status)
    });
    failed.command = Some(CommandFailure { argv, status, tail });
    failed
}

/// What `systemctl show` prints.
#[derive(Debug, Default, PartialEq, Eq)]
struct Unit {
    /// `exit-code`, `signal`, `timeout`, `start-limit-hit`, ...; `success` where all went well.
    result: String,
    /// The main program and how it ended, where it ran and has ended.
    main: Option<(Vec<String>, Ended)>,
}

impl Unit {
    fn parse(text: &str) -> Self {
        let field = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).unwrap_or_default();
        // ExecStart={ path=/bin/x ; argv[]=/bin/x --flag ; ignore_errors=no ; ... }
        let argv = field("ExecStart")
            .split_once("argv[]=")
            .and_then(|(_, rest)| rest.split_once(" ; ignore_errors="))
            .map_or("", |(argv, _)| argv);
        let status = field("ExecMainStatus").parse().ok();
        // CLD_EXITED, CLD_KILLED, CLD_DUMPED (sigaction(2)); 0 where it never ended, or never ran.
        let ended = match (field("ExecMainCode"), status) {
            ("1", Some(0)) => None,
            ("1", Some(code)) => Some(Ended::Exit(code)),
            ("2" | "3", Some(signal)) => Some(Ended::Signal(signal)),
            _ => None,
        };
        let words: Vec<String> = argv.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect();
        Self { result: field("Result").to_owned(), main: ended.filter(|_| !words.is_empty()).map(|ended| (words, ended)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(code: &str, status: &str) -> Unit {
        let exec = "{ path=/bin/sh ; argv[]=/bin/sh -c exit 3 ; ignore_errors=no ; start_time=[n/a] ; pid=0 ; code=(null) ; status=0/0 }";
        Unit::parse(&format!("Result=exit-code\nExecMainCode={code}\nExecMainStatus={status}\nExecStart={exec}\n"))
    }

    #[test]
    fn the_main_program_is_told_as_systemd_saw_it_end() {
        let argv = || ["/bin/sh", "-c", "exit", "3"].map(str::to_owned).to_vec();
        assert_eq!(unit("1", "3"), Unit { result: "exit-code".to_owned(), main: Some((argv(), Ended::Exit(3))) });
        assert_eq!(unit("2", "15").main, Some((argv(), Ended::Signal(15))));
        assert_eq!(unit("0", "0").main, None, "it never ran: what comes before it failed");
        assert_eq!(unit("1", "0").main, None, "it ended well: another part of the unit failed");
        assert_eq!(Unit::parse("Result=resources\n"), Unit { result: "resources".to_owned(), main: None }, "a mount or a socket");
    }
}
