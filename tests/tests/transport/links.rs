//! Commands, their three ends, and files placed.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use ostler::transport::{Exit, Link as _, PlaceFault, Placement};
use ostler_tests::sshd::Sshd;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::desk::{Desk, run, shell, words};

#[tokio::test]
async fn a_command_answers_on_both_outputs_and_with_its_status() {
    let desk = Desk::new();
    let server = Sshd::start(&desk.key, "");
    desk.know_server(&server);
    let link = desk.connect(&server).await.unwrap();
    let (text, ended) = run(&link, &shell("echo out; echo err >&2; exit 7")).await;
    assert_eq!((text.as_str(), ended.stderr.text().as_str(), &ended.exit), ("out\n", "err\n", &Exit::Status(7)));
    link.close().await;
}

#[tokio::test]
async fn what_is_written_at_once_reaches_the_command() {
    let desk = Desk::new();
    let server = Sshd::start(&desk.key, "");
    desk.know_server(&server);
    let link = desk.connect(&server).await.unwrap();
    let mut exec = link.exec(&words(&["cat"])).await.unwrap();
    exec.stdin.write_all(b"first frame").await.unwrap();
    exec.stdin.shutdown().await.unwrap();
    let mut text = String::new();
    exec.stdout.read_to_string(&mut text).await.unwrap();
    assert_eq!((text.as_str(), exec.ended.await.exit), ("first frame", Exit::Status(0)));
}

#[tokio::test]
async fn a_large_file_is_placed_whole_and_executable() {
    let desk = Desk::new();
    let server = Sshd::start(&desk.key, "");
    desk.know_server(&server);
    let link = desk.connect(&server).await.unwrap();
    let bytes: Vec<u8> = (0..5_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let path = server.directory.path().join("new/deep/agent");
    link.place(&Placement { path: path.to_str().unwrap(), bytes: &bytes, mode: 0o755 }).await.unwrap();
    assert!(fs::read(&path).unwrap() == bytes, "the file differs");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o755);
    let names: Vec<_> = fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["agent"], "nothing else may stay behind");
}

#[tokio::test]
async fn a_file_that_cannot_be_written_says_why() {
    let desk = Desk::new();
    let server = Sshd::start(&desk.key, "");
    desk.know_server(&server);
    let link = desk.connect(&server).await.unwrap();
    let place = async |path: &str| link.place(&Placement { path, bytes: b"x", mode: 0o755 }).await.map_err(|error| error.fault);
    assert!(matches!(place("/proc/no/such").await, Err(PlaceFault::Other { exit: Exit::Status(81), .. })));
    // A file in the place of the directory.
    let blocked = server.directory.path().join("log/agent");
    let fault = place(blocked.to_str().unwrap()).await.unwrap_err();
    assert!(matches!(&fault, PlaceFault::Other { stderr, .. } if stderr.contains("File exists")), "{fault:?}");
}
