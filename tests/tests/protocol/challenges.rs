//! A nonce on its node: readable there alone, gone with the conversation that brought it.

use super::*;
use ostler_roles::challenge::Place;
use ostler_roles::wire::message::{Hidden, Refusal, ToAgent};
use ostler_roles::words::{AccountName, NodeName};
use std::os::unix::fs::MetadataExt as _;

fn place() -> Place {
    Place::of("http://ci:8010/", &NodeName::parse("w1").unwrap())
}

fn give(conversation: &mut Conversation, account: &str, nonce: &str) -> Option<ToController> {
    let account = AccountName::parse(account).unwrap();
    conversation.send(&[ToAgent::Challenge { place: place(), account, nonce: Some(Hidden(nonce.into())) }]);
    conversation.receive()
}

fn take(conversation: &mut Conversation) -> Option<ToController> {
    let account = AccountName::parse("root").unwrap();
    conversation.send(&[ToAgent::Challenge { place: place(), account, nonce: None }]);
    conversation.receive()
}

fn there(bench: &Bench) -> Option<Vec<u8>> {
    std::fs::read(bench.paths().proof(place())).ok()
}

#[test]
fn a_nonce_is_one_accounts_to_read_and_nobodys_to_alter() {
    let bench = bench();
    let mut conversation = bench.connect();
    conversation.hello();
    assert_eq!(give(&mut conversation, "nobody", "once"), Some(ToController::Challenge(true)));
    let file = bench.paths().proof(place());
    let entry = std::fs::symlink_metadata(&file).unwrap();
    // The group's bits are the ACL's mask, by which that account alone may read.
    assert_eq!((entry.mode() & 0o7777, entry.uid(), entry.gid()), (0o440, 0, 0));
    let directory = std::fs::metadata(file.parent().unwrap()).unwrap();
    assert_eq!((directory.mode() & 0o7777, directory.uid()), (0o711, 0), "passed, never listed");
    assert_eq!(there(&bench).unwrap(), b"once");
    // A plan and a run in between are no matter.
    go(&mut conversation, &bench.run_id(), &catalog(vec![super::file("/etc/one", "one")]));
    conversation.story();
    assert_eq!(take(&mut conversation), Some(ToController::Challenge(true)));
    assert_eq!(there(&bench), None);
    assert_eq!(take(&mut conversation), Some(ToController::Challenge(false)), "it is not there any more");
}

#[test]
fn a_nonce_goes_with_the_conversation_that_brought_it() {
    let bench = bench();
    let mut conversation = bench.connect();
    conversation.hello();
    assert_eq!(give(&mut conversation, "root", "once"), Some(ToController::Challenge(true)));
    conversation.hang_up();
    bench.await_that("the nonce goes", || there(&bench).is_none());

    // A killed agent leaves one behind: the next one sweeps, but nothing of another that lives.
    let mut killed = bench.connect();
    killed.hello();
    assert_eq!(give(&mut killed, "root", "left behind"), Some(ToController::Challenge(true)));
    killed.kill();
    assert_eq!(there(&bench).unwrap(), b"left behind");
    let mut next = bench.connect();
    next.hello();
    bench.await_that("what was left behind goes", || there(&bench).is_none());
    assert_eq!(give(&mut next, "root", "another"), Some(ToController::Challenge(true)));
    let mut beside = bench.connect();
    beside.hello();
    go(&mut beside, &bench.run_id(), &catalog(vec![super::file("/etc/one", "one")]));
    beside.story();
    assert_eq!(there(&bench).unwrap(), b"another", "it is there as long as its conversation is");
    // One that somebody else has replaced since is theirs, and says so.
    std::fs::write(bench.paths().proof(place()), "a third").unwrap();
    assert_eq!(take(&mut next), Some(ToController::Challenge(false)));
    assert_eq!(there(&bench).unwrap(), b"a third");
}

#[test]
fn a_nonce_for_an_account_that_is_not_there_is_refused_by_name() {
    let bench = bench();
    let mut conversation = bench.connect();
    conversation.hello();
    let refused = give(&mut conversation, "no-such-account", "once");
    let why = "it has no account `no-such-account`".to_owned();
    assert_eq!(refused, Some(ToController::Refused(Refusal::NoChallenge(why))));
    assert_eq!(there(&bench), None);
}
