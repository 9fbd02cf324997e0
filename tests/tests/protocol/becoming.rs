//! Becoming root through a program that behaves as sudo(8) does: marker on stderr, one password from its input, then the root half.

use super::*;
use ostler_roles::wire::message::{Become, Hidden, ToAgent};
use std::io::Write as _;

/// What sudo does in `-k -S -p MARKER PROGRAM...`, in a shell. `$marker` is set when `body` is reached, `$@` is the command.
///
/// A program of its own writes it: a file that this one has open for writing may be open in a child that another test starts just then,
/// and can't be run until that has closed it (`ETXTBSY`).
fn install_sudo(bench: &Bench, body: &str) {
    let script = format!("#!/bin/sh\n[ \"$1 $2 $3\" = '-k -S -p' ] || exit 99\nmarker=$4\nshift 4\n{body}\n");
    let path = bench.path().join("sudo");
    let mut install = std::process::Command::new("install");
    let mut install = install.args(["-m", "755", "/dev/stdin"]).arg(path).stdin(std::process::Stdio::piped()).spawn().unwrap();
    install.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    assert!(install.wait().unwrap().success());
}

/// Asks until the password is `open sesame`, three times at most, as sudo does.
const WITH_PASSWORD: &str = r#"
tries=0
while [ $tries -lt 3 ]; do
    printf '%s' "$marker" >&2
    IFS= read -r password || { echo 'sudo: no password was provided' >&2; exit 1; }
    [ "$password" = 'open sesame' ] && exec "$@"
    tries=$((tries + 1))
    echo 'Sorry, try again.' >&2
done
echo 'sudo: 3 incorrect password attempts' >&2
exit 1
"#;

fn password(text: &str) -> ToAgent {
    ToAgent::Password(Hidden(text.as_bytes().to_vec()))
}

fn expect_login(conversation: &mut Conversation) {
    match conversation.receive() {
        Some(ToController::Login(login)) => assert_eq!(login.agent, Digest::of(b"the fake agent")),
        other => panic!("a login, not {other:?}"),
    }
}

fn expect_fault(conversation: &mut Conversation) -> ostler_roles::outcome::Failure {
    match conversation.receive() {
        Some(ToController::Fault(failure)) => failure,
        other => panic!("a fault, not {other:?}"),
    }
}

#[test]
fn without_a_password_the_root_half_answers_and_early_frames_reach_it() {
    let bench = bench();
    // A lecture and a warning, as sudo has them.
    install_sudo(&bench, "echo 'sudo: unable to resolve host build-1: Name or service not known' >&2; exec \"$@\"");
    let began = std::time::Instant::now();
    let mut conversation = bench.connect_as_login();
    conversation.send(&[Conversation::opening(Some(Become::Sudo)), Conversation::asking(&web())]);
    expect_login(&mut conversation);
    let Some(ToController::Hello(hello)) = conversation.receive() else { panic!("a hello") };
    assert!(hello.root);
    assert!(began.elapsed().as_secs() < 10, "the halves do not wait for each other until a heartbeat helps them");
    let Some(ToController::NeedBlobs(needed)) = conversation.receive() else { panic!("contents are needed") };
    let Some(ToController::Planned(plan)) = conversation.receive() else { panic!("a plan") };
    conversation.give(&needed, &contents());
    conversation.send(&[Conversation::going(&bench.run_id(), &plan, Vec::new())]);
    let (events, _) = conversation.story();
    assert!(matches!(ending(&events), Some(Ending::Good { changed: 4, .. })), "{events:?}");
    conversation.hang_up();
    assert!(conversation.await_end(), "both halves end");
}

#[test]
fn a_password_is_asked_for_once_and_no_frame_is_read_as_one() {
    let bench = bench();
    install_sudo(&bench, WITH_PASSWORD);
    let mut conversation = bench.connect_as_login();
    // The catalog comes before the password: it must wait, and arrive whole.
    conversation.send(&[Conversation::opening(Some(Become::Sudo)), Conversation::asking(&web())]);
    expect_login(&mut conversation);
    assert!(matches!(conversation.receive(), Some(ToController::AskPassword { user, .. }) if !user.is_empty()));
    conversation.send(&[password("open sesame")]);
    assert!(matches!(conversation.receive(), Some(ToController::Hello(hello)) if hello.root));
    assert!(matches!(conversation.receive(), Some(ToController::NeedBlobs(_))));
    assert!(matches!(conversation.receive(), Some(ToController::Planned(_))));
    conversation.send(&[ToAgent::Bye]);
    assert!(conversation.await_end());
    for (path, bytes) in bench.everything_written() {
        assert!(!String::from_utf8_lossy(&bytes).contains("sesame"), "{}", path.display());
    }
}

#[test]
fn a_wrong_password_is_tried_once_and_named() {
    let bench = bench();
    install_sudo(&bench, WITH_PASSWORD);
    let mut conversation = bench.connect_as_login();
    conversation.send(&[Conversation::opening(Some(Become::Sudo))]);
    expect_login(&mut conversation);
    assert!(matches!(conversation.receive(), Some(ToController::AskPassword { .. })));
    conversation.send(&[password("guess")]);
    let failure = expect_fault(&mut conversation);
    assert!(failure.message.starts_with("sudo does not take the password of "), "{}", failure.message);
    assert!(!format!("{failure:?}").contains("guess"));
    assert_eq!(conversation.receive(), None);
    assert!(conversation.await_end());
}

#[test]
fn one_attempt_allowed_is_a_wrong_password_too() {
    let bench = bench();
    install_sudo(&bench, "printf '%s' \"$marker\" >&2; read -r p; echo 'sudo: 1 incorrect password attempt' >&2; exit 1");
    let mut conversation = bench.connect_as_login();
    conversation.send(&[Conversation::opening(Some(Become::Sudo))]);
    expect_login(&mut conversation);
    conversation.receive();
    conversation.send(&[password("guess")]);
    let failure = expect_fault(&mut conversation);
    assert!(failure.message.starts_with("sudo does not take the password of "), "{}", failure.message);
}

#[test]
fn the_account_whose_password_sudo_wants_is_named() {
    let bench = bench();
    // As sudo fills the prompt in with `targetpw`; a sudo that knows no escapes, as above, leaves the login's name to be said.
    install_sudo(&bench, &format!("marker=${{marker%%%p]}}'root]'\n{WITH_PASSWORD}"));
    for (word, taken) in [("open sesame", true), ("guess", false)] {
        let mut conversation = bench.connect_as_login();
        conversation.send(&[Conversation::opening(Some(Become::Sudo))]);
        expect_login(&mut conversation);
        assert_eq!(conversation.receive(), Some(ToController::AskPassword { user: "root".to_owned(), said: None }));
        conversation.send(&[password(word)]);
        if taken {
            assert!(matches!(conversation.receive(), Some(ToController::Hello(hello)) if hello.root));
        } else {
            assert_eq!(expect_fault(&mut conversation).message, "sudo does not take the password of root");
        }
    }
}

#[test]
fn a_question_for_a_second_factor_is_told_at_once() {
    let bench = bench();
    install_sudo(&bench, "printf '%s' \"$marker\" >&2; read -r password; printf 'Verification code: ' >&2; read -r code; exit 1");
    let mut conversation = bench.connect_as_login();
    conversation.send(&[Conversation::opening(Some(Become::Sudo))]);
    expect_login(&mut conversation);
    assert!(matches!(conversation.receive(), Some(ToController::AskPassword { .. })));
    conversation.send(&[password("open sesame")]);
    let began = std::time::Instant::now();
    let failure = expect_fault(&mut conversation);
    assert_eq!(failure.message, "the node asks for a second factor, which nobody can give here");
    assert_eq!(failure.command.expect("its last words").tail, ["Verification code:"]);
    assert!(began.elapsed().as_secs() < 30, "{:?}", began.elapsed());
}

#[test]
fn refusals_of_sudo_are_told_by_name() {
    for (body, message) in [
        ("echo 'admin is not in the sudoers file.' >&2; exit 1", "the login account is not in the node's sudoers file"),
        (
            "echo 'Sorry, user admin is not allowed to execute x as root on build-1.' >&2; exit 1",
            "sudo does not allow the login account to run the agent as root",
        ),
        ("echo 'sudo: sorry, you must have a tty to run sudo' >&2; exit 1", "sudo wants a terminal (`requiretty`), and the agent has none"),
        ("echo 'Segmentation fault' >&2; exit 139", "sudo did not run the agent as root: exit status 139"),
        ("kill -9 $$", "sudo did not run the agent as root: ended by signal 9"),
    ] {
        let bench = bench();
        install_sudo(&bench, body);
        let mut conversation = bench.connect_as_login();
        conversation.send(&[Conversation::opening(Some(Become::Sudo))]);
        expect_login(&mut conversation);
        let failure = expect_fault(&mut conversation);
        assert_eq!(failure.message, message);
        assert!(failure.command.is_some(), "its last words are kept");
    }
    let bench = bench();
    let mut conversation = bench.connect_as_login();
    conversation.send(&[Conversation::opening(Some(Become::Sudo))]);
    expect_login(&mut conversation);
    assert_eq!(expect_fault(&mut conversation).message, "sudo is not installed on the node");
}

#[test]
fn a_sudo_that_closes_its_output_and_hangs_or_leaves_a_child_with_its_stderr_is_not_waited_for() {
    for (body, message) in [
        ("echo 'sudo: out of luck' >&2; exec >&-; sleep 20", "sudo did not run the agent as root: stopped at its deadline"),
        ("echo 'sudo: out of luck' >&2; sleep 20 >/dev/null & exit 7", "sudo did not run the agent as root: exit status 7"),
    ] {
        let bench = bench();
        install_sudo(&bench, body);
        let mut conversation = bench.connect_as_login();
        conversation.send(&[Conversation::opening(Some(Become::Sudo))]);
        expect_login(&mut conversation);
        let failure = expect_fault(&mut conversation);
        assert_eq!(failure.message, message);
        assert_eq!(failure.command.expect("its last words").tail, ["sudo: out of luck"]);
        assert!(conversation.await_end());
    }
}

#[test]
fn a_controller_lost_while_becoming_root_takes_everything_with_it() {
    let bench = bench();
    install_sudo(&bench, &format!("trap 'echo ended >\"{0}/sudo-ended\"' EXIT\n{WITH_PASSWORD}", bench.path().display()));
    for messages in [1, 2] {
        let mut conversation = bench.connect_as_login();
        conversation.send(&[Conversation::opening(Some(Become::Sudo)), Conversation::asking(&web())][..messages]);
        expect_login(&mut conversation);
        assert!(matches!(conversation.receive(), Some(ToController::AskPassword { .. })));
        conversation.hang_up();
        assert!(conversation.await_end());
        assert!(bench.path().join("sudo-ended").exists(), "sudo has ended, and was waited for");
        std::fs::remove_file(bench.path().join("sudo-ended")).unwrap();
    }
    assert_eq!(bench.everything_written(), Vec::new());
}

#[test]
fn a_controller_lost_behind_the_root_half_ends_both_halves_and_not_the_run() {
    let mut node = FakeNode::default();
    node.gates.insert("file /etc/two".to_owned(), "gate".to_owned());
    let bench = bench_with(&node);
    install_sudo(&bench, "exec \"$@\"");
    let run = bench.run_id();
    let mut first = bench.connect_as_login();
    first.send(&[Conversation::opening(Some(Become::Sudo))]);
    expect_login(&mut first);
    assert!(matches!(first.receive(), Some(ToController::Hello(_))));
    go(&mut first, &run, &web());
    bench.await_reached("gate");
    first.hang_up();
    assert!(first.await_end());
    bench.open("gate");
    let mut second = bench.connect();
    second.hello();
    let (events, _) = second.attach(&run, 0);
    assert!(matches!(ending(&events), Some(Ending::Good { changed: 4, .. })));
}

#[test]
fn an_unasked_password_and_one_with_a_line_end_are_refused() {
    let bench = bench();
    install_sudo(&bench, WITH_PASSWORD);
    for (text, message) in [
        ("a\nb", "the password holds a line end or a null byte: it cannot be given"),
        ("a\0b", "the password holds a line end or a null byte: it cannot be given"),
    ] {
        let mut conversation = bench.connect_as_login();
        conversation.send(&[Conversation::opening(Some(Become::Sudo))]);
        expect_login(&mut conversation);
        conversation.receive();
        conversation.send(&[password(text)]);
        assert_eq!(expect_fault(&mut conversation).message, message);
    }
    install_sudo(&bench, "while :; do read -r line || exit 0; done");
    let mut conversation = bench.connect_as_login();
    conversation.send(&[Conversation::opening(Some(Become::Sudo)), password("early")]);
    expect_login(&mut conversation);
    assert_eq!(expect_fault(&mut conversation).message, "the controller sent a password that nobody asked for");
}

#[test]
fn as_root_already_nobody_is_asked() {
    let bench = bench();
    let mut conversation = bench.connect();
    conversation.send(&[Conversation::opening(Some(Become::Sudo))]);
    assert!(matches!(conversation.receive(), Some(ToController::Hello(hello)) if hello.root));
}

#[test]
fn who_is_not_root_may_plan_and_nothing_else() {
    let bench = bench();
    let mut conversation = bench.connect_as_login();
    conversation.send(&[Conversation::opening(None)]);
    let Some(ToController::Hello(hello)) = conversation.receive() else { panic!("a hello") };
    assert!(!hello.root);
    let (plan, needed) = conversation.plan(&web());
    conversation.give(&needed, &contents());
    let run = bench.run_id();
    for message in [
        Conversation::going(&run, &plan, Vec::new()),
        ToAgent::Attach { run: Some(run.clone()), after: 0 },
        ToAgent::Cancel { run: run.clone() },
    ] {
        conversation.send(&[message]);
        assert_eq!(conversation.receive(), Some(ToController::Refused(ostler_roles::wire::message::Refusal::NotRoot)));
    }
    assert_eq!(bench.everything_written(), Vec::new());
}
