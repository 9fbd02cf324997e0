//! What a red smoke job wrote: its last lines, however much there is, or why they are not shown.

use ostler::masters::driver::Report;
use ostler::masters::jenkins::Client;
use ostler::masters::register::Ending;
use ostler_tests::jenkins::Model;

use super::bench::{PLANTED, SITE_KEY, client, credential, model, node, register, registration, ssh, token};

fn red(model: &Model, command: &str) -> Report {
    let ending = ending(model, command);
    let Ending::Red(report) = ending else { panic!("{ending:?}") };
    report
}

fn ending(model: &Model, command: &str) -> Ending {
    let client: Client = client(model, token("narrow"));
    client.put_credential(&credential(PLANTED), SITE_KEY).unwrap();
    model.take_log();
    register(&client, &[registration(node("n1", ssh()), command)], &mut |_| {}).unwrap().remove(0).1
}

/// The places from which consoles were asked for.
fn starts(model: &Model) -> Vec<u64> {
    let log = model.take_log();
    let asked = log.iter().filter(|request| request.path.starts_with("/job/") && request.path.ends_with("/logText/progressiveText"));
    asked.map(|request| request.parameter("start").unwrap().parse().unwrap()).collect()
}

#[test]
fn the_last_lines_of_a_console_are_shown_however_long_it_is() {
    let model = model();
    // 12 MB; the last line before the end has wide letters.
    let report = red(&model, "yes 0123456789abcde | head -n 750000; echo \"äöü: the reason\" >&2; exit 3");
    assert_eq!(report.tail.len(), 12, "{:?}", report.tail);
    assert_eq!(report.tail[..9], ["0123456789abcde"; 9]);
    assert_eq!(report.tail[9..], ["äöü: the reason", "Build step 'Execute shell' marked build as failure", "Finished: FAILURE"]);
    let size = u64::try_from(model.state().jobs["ostler-smoke-n1"].builds[0].console.len()).unwrap();
    assert!(size > 12_000_000);
    assert_eq!(starts(&model), [0, size - 65536]);
}

#[test]
fn a_console_of_one_endless_line_shows_the_end_of_it() {
    let model = model();
    let report = red(&model, "head -c 12000000 /dev/zero | tr '\\0' x; printf 'the reason'; exit 3");
    let [line, rest @ ..] = report.tail.as_slice() else { panic!("{report:?}") };
    // Jenkins' own words follow on the same line, as this one never ended.
    assert!(line.starts_with('…') && line.contains("xxxthe reason"), "{line}");
    assert!(line.chars().count() <= 301, "{line}");
    assert_eq!(rest.last().unwrap(), "Finished: FAILURE");
}

#[test]
fn a_short_console_is_read_once_from_its_beginning() {
    let model = model();
    let report = red(&model, "exit 3");
    assert_eq!(report.tail[0], "Running as SYSTEM");
    assert_eq!(report.tail.last().unwrap(), "Finished: FAILURE");
    assert_eq!(starts(&model), [0]);
}

#[test]
fn a_console_that_cannot_be_read_says_why() {
    let model = model();
    model.state().has_lost_logs = true;
    let ending = ending(&model, "exit 3");
    let Ending::Unproved(report) = ending else { panic!("{ending:?}") };
    assert!(report.text.starts_with("which machine it ran on is not known: read the console of job"), "{report:?}");
    let [why] = report.tail.as_slice() else { panic!("{report:?}") };
    assert!(why.starts_with("no console: read the console of job `ostler-smoke-n1`: unexpected status 500: "), "{why}");
}
