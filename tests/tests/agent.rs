//! The real agent on a real node, as an admin with a sudo password and a noisy shell: what no fake can show of sudo, systemd and files.

#![expect(clippy::expect_used, reason = "a test stops where its ground gives way")]

use ostler::lab::{Lab, LabNode, LabSpec, Suite};
use ostler_roles::catalog::{Catalog, Step};
use ostler_roles::outcome::{Ending, Event};
use ostler_roles::plan::Planned;
use ostler_roles::resource::{self, Desired};
use ostler_roles::wire::message::{Become, Hello, Hidden, SecretData, ToAgent, ToController};
use ostler_roles::words::{AbsPath, RunId, SecretRef};
use ostler_tests::agent::PlacedAgent;
use ostler_tests::lab::up;
use ostler_tests::protocol::{Conversation, blob_of, catalog, content, file, secret_file, step};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

const KEY: &[u8] = b"a site's key";
const SECRET: &[u8] = b"correct horse battery staple";

fn lab(dir: &std::path::Path, suite: Suite) -> Lab {
    let mut node = LabNode::new("n1", suite, Ipv4Addr::new(10, 78, 0, 11)).with_sudo_password("open sesame").with_noisy_shell();
    if suite == Suite::Trixie {
        // Names that crash a static program which resolves through libc, as the user of an ordinary desktop has them.
        node = node.with_packages(["libnss-resolve", "libnss-myhostname", "libnss-mymachines", "git"]);
    }
    up(dir, LabSpec::new([node])).expect("a lab")
}

/// As admin, with this password; the hello, or what came instead.
fn meet(agent: &PlacedAgent<'_>, password: &str) -> (Conversation, Result<Hello, String>) {
    met(agent, agent.connect(), password)
}

fn met(agent: &PlacedAgent<'_>, mut conversation: Conversation, password: &str) -> (Conversation, Result<Hello, String>) {
    conversation.send(&[Conversation::opening(Some(Become::Sudo))]);
    loop {
        match conversation.receive() {
            Some(ToController::Login(login)) => assert_eq!((login.agent, login.user.as_str()), (agent.digest, "admin")),
            Some(ToController::AskPassword { user, .. }) => {
                assert_eq!(user, "admin");
                conversation.send(&[ToAgent::Password(Hidden(password.as_bytes().to_vec()))]);
            }
            Some(ToController::Hello(hello)) => return (conversation, Ok(*hello)),
            Some(ToController::Fault(failure)) => return (conversation, Err(failure.message)),
            other => panic!("a hello, not {other:?}"),
        }
    }
}

/// A command that waits until `/tmp/gate` is there, and is done when `/tmp/done` is.
fn gate() -> Step {
    let script = "touch /tmp/reached; until [ -e /tmp/gate ]; do sleep 0.02; done; touch /tmp/done";
    step(Desired::Command(resource::command::Desired {
        name: "gate".to_owned(),
        run: ["sh", "-c", script].map(str::to_owned).to_vec(),
        creates: Some(AbsPath::parse("/tmp/done").expect("a path")),
        unless: None,
        environment: Vec::new(),
        run_as: None,
        directory: None,
        stdin: None,
        accept: Vec::new(),
        stdout_to: None,
    }))
}

fn role(hello: &Hello) -> Catalog {
    let steps = vec![file("/etc/one", "one"), gate(), secret_file("/etc/token", KEY, SECRET), file("/etc/two", "two")];
    Catalog { facts: hello.facts.digest(), ..catalog(steps) }
}

fn go(conversation: &mut Conversation, run: &RunId, catalog: &Catalog) {
    let ToAgent::Catalog { catalog, base, want_old, .. } = Conversation::asking(catalog) else { panic!("a catalog") };
    conversation.send(&[ToAgent::Catalog { catalog, base, part: false, want_old, secret_key: Hidden(KEY.to_vec()) }]);
    let mut needed = Vec::new();
    let plan = loop {
        match conversation.receive() {
            Some(ToController::NeedBlobs(digests)) => needed = digests,
            Some(ToController::Planned(plan)) => break plan,
            other => panic!("a plan, not {other:?}"),
        }
    };
    assert!(plan.may_go(), "{plan:?}");
    let contents = ["one", "two"].into_iter().map(|name| (blob_of(name), content(name))).collect();
    conversation.give(&needed, &contents);
    let secret = SecretData { hmac: SecretRef::hmac(KEY, SECRET), value: Hidden(SECRET.to_vec()) };
    conversation.send(&[Conversation::going(run, &plan, vec![secret])]);
}

fn run_id(last: u8) -> RunId {
    RunId::parse(&format!("019ab000-0000-7000-8000-0000000000{last:02}")).expect("an id")
}

fn await_that(what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < end, "in time: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn on_bookworm_an_admin_with_a_password_loses_the_link_attaches_is_killed_and_applies_again() {
    whole_story(Suite::Bookworm);
}

/// sudo 1.9.5 and systemd 247.
#[test]
fn on_bullseye_too() {
    whole_story(Suite::Bullseye);
}

/// sudo 1.9.16 gives what it runs a terminal of its own (`use_pty`).
#[test]
fn on_trixie_too() {
    whole_story(Suite::Trixie);
}

fn whole_story(suite: Suite) {
    let dir = tempfile::Builder::new().prefix("agent-").tempdir().expect("a scratch directory");
    let lab = lab(dir.path(), suite);
    let agent = PlacedAgent::place(&lab, "n1");

    // A wrong password is named, and nothing is left behind.
    let (_, refused) = meet(&agent, "guess");
    assert_eq!(refused.err().as_deref(), Some("sudo does not take the password of admin"));
    assert_eq!(agent.said("ls /var/lib/ostler /run/ostler 2>/dev/null; true"), "");

    // Another controller places the same agent while ours is at work: its own file has gone, its equal is there.
    let caught = agent.connect();
    await_that("it runs", || agent.said("pgrep -fc '^[^ ]*/agent-[0-9a-f]* serve$' || true") == "1");
    agent.said("cd /home/admin/.cache/ostler && for f in agent-*; do cp -p $f new && mv new $f; done");
    let (caught, hello) = met(&agent, caught, "open sesame");
    assert_eq!(hello.map(|hello| hello.root), Ok(true));
    drop(caught);

    // The right one: the root half runs from a copy that only root can alter.
    let (mut first, hello) = meet(&agent, "open sesame");
    let hello = hello.expect("a hello");
    assert_eq!((hello.user.as_str(), hello.root, hello.agent, hello.generation), ("root", true, agent.digest, 0));
    let copy = format!("/var/lib/ostler/bin/agent-{}", agent.digest);
    assert_eq!(agent.said(&format!("stat -c '%U %a' {copy} /var/lib/ostler/bin /var/lib/ostler")), "root 755\nroot 755\nroot 755");
    assert_eq!(agent.said(&format!("pgrep -fc '^{copy} serve --root$'")), "1");

    // The run leaves the session: cut the link in the middle, and it goes on.
    go(&mut first, &run_id(1), &role(&hello));
    await_that("the gate is reached", || !agent.said("ls /tmp/reached 2>/dev/null; true").is_empty());
    first.kill();
    await_that("the session is gone", || agent.said("pgrep -fc 'serve --root$' || true") == "0");
    let unit = format!("ostler-run-{}.service", run_id(1));
    assert_eq!(
        agent.said(&format!("systemctl show -P ActiveState -P KillMode -P CollectMode {unit}")),
        "process\nactive\ninactive-or-failed"
    );
    let (mut second, hello) = meet(&agent, "open sesame");
    let active = hello.expect("a hello").run.expect("a run is active");
    assert_eq!((active.run, active.alive, active.controller.as_str()), (run_id(1), true, "ada@desk"));
    agent.said("touch /tmp/gate");
    let (events, end) = second.attach(&run_id(1), 0);
    assert_eq!(end, Some(ToController::Done { run: run_id(1), last: events.len() as u64 }));
    assert!(matches!(events.last(), Some((_, Event::Ended { ending: Ending::Good { changed: 4, .. }, .. }))), "{events:#?}");
    assert_eq!(agent.said("cat /etc/one /etc/two /etc/token"), "content one\ncontent two\ncorrect horse battery staple");
    await_that("the service is collected", || agent.said(&format!("systemctl show -P LoadState {unit}")) == "not-found");

    // The secret is in its file and nowhere else.
    let found = agent.said("grep -rl 'horse battery' /var/lib/ostler /run/ostler /dev/shm /var/log /home/admin /root 2>/dev/null; true");
    assert_eq!(found, "");

    // Killed in the middle: the children go with the runner, the next run begins where it stopped.
    agent.said("rm -f /tmp/gate /tmp/done /tmp/reached /etc/two");
    let (mut third, hello) = meet(&agent, "open sesame");
    let hello = hello.expect("a hello");
    go(&mut third, &run_id(2), &role(&hello));
    await_that("the gate is reached", || !agent.said("ls /tmp/reached 2>/dev/null; true").is_empty());
    agent.said(&format!("systemctl kill -s KILL ostler-run-{}.service", run_id(2)));
    let (_, end) = third.story();
    assert!(matches!(end, Some(ToController::Cut { .. })), "{end:?}");
    await_that("the runner's child is gone", || agent.said("pgrep -fc 'until [[] -e /tmp/gate' || true") == "0");
    agent.said("touch /tmp/gate");
    let (mut fourth, hello) = meet(&agent, "open sesame");
    let hello = hello.expect("a hello");
    assert_eq!(hello.run.as_ref().map(|run| (run.run.clone(), run.alive)), Some((run_id(2), false)));
    go(&mut fourth, &run_id(3), &role(&hello));
    let (events, _) = fourth.story();
    assert!(matches!(&events[0].1, Event::Started { resumed_at: Some(1), .. }), "{events:#?}");
    assert!(matches!(events.last(), Some((_, Event::Ended { ending: Ending::Good { changed: 2, unchanged: 2, .. }, .. }))), "{events:#?}");

    // And then there is nothing to do, which writes nothing.
    let before = agent.said("find /var/lib/ostler -printf '%p %T@ %s\\n' | sort");
    let (plan, needed) = {
        let ToAgent::Catalog { catalog, .. } = Conversation::asking(&role(&hello)) else { panic!("a catalog") };
        fourth.send(&[ToAgent::Catalog { catalog, base: Some(3), part: false, want_old: false, secret_key: Hidden(KEY.to_vec()) }]);
        match fourth.receive() {
            Some(ToController::Planned(plan)) => (plan, Vec::<u8>::new()),
            other => panic!("a plan, not {other:?}"),
        }
    };
    assert!(plan.is_empty() && needed.is_empty(), "{plan:?}");
    assert!(plan.steps.iter().all(|step| matches!(step, Planned::Unchanged { .. })));
    assert_eq!(agent.said("find /var/lib/ostler -printf '%p %T@ %s\\n' | sort"), before);
    lab.end().expect("the lab ends");
}
