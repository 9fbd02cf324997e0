//! Commands, their three ends, and files placed.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Arc, Mutex};

use ostler::transport::{ConnectFault, Dialer, Exit, Link as _, PlaceFault, Placement, Ssh, Target, place_file};
use ostler_tests::sshd::{Sshd, public};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::desk::{Desk, Mounted, at, run, shell, words};

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
    for compression in ["no", "yes"] {
        place_five_megabytes(compression).await;
    }
}

async fn place_five_megabytes(compression: &str) {
    let desk = Desk::new();
    desk.configure(&format!("Compression {compression}"));
    let server = Sshd::start(&desk.key, "");
    desk.know_server(&server);
    let link = desk.connect(&server).await.unwrap();
    let bytes: Vec<u8> = (0..5_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let path = server.directory.path().join("new/deep/agent");
    place_file(&link, &Placement { path: path.to_str().unwrap(), bytes: &bytes, packed: None, mode: 0o755 }).await.unwrap();
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
    let place = async |path: &str| {
        place_file(&link, &Placement { path, bytes: b"x", packed: None, mode: 0o755 }).await.map_err(|error| error.fault)
    };
    assert!(matches!(place("/proc/no/such").await, Err(PlaceFault::Other { exit: Exit::Status(81), .. })));
    // A file in the place of the directory.
    let blocked = server.directory.path().join("log/agent");
    let fault = place(blocked.to_str().unwrap()).await.unwrap_err();
    assert!(matches!(&fault, PlaceFault::Other { stderr, .. } if stderr.contains("File exists")), "{fault:?}");
}

#[tokio::test]
async fn nothing_is_written_below_a_directory_of_somebody_else() {
    let desk = Desk::new();
    let server = Sshd::start(&desk.key, "");
    desk.know_server(&server);
    let link = desk.connect(&server).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let theirs = directory.path().join("theirs");
    fs::create_dir(&theirs).unwrap();
    std::os::unix::fs::chown(&theirs, Some(65534), Some(65534)).unwrap();
    let ours = directory.path().join("ours");
    std::os::unix::fs::symlink(directory.path(), &ours).unwrap();
    for planted in [theirs, ours] {
        let path = planted.join("agent");
        let fault =
            place_file(&link, &Placement { path: path.to_str().unwrap(), bytes: b"x", packed: None, mode: 0o755 }).await.unwrap_err().fault;
        assert!(matches!(&fault, PlaceFault::Permission(words) if words.ends_with("Permission denied: not ours")), "{fault:?}");
        assert!(!path.exists(), "{}", path.display());
    }
}

#[tokio::test]
async fn a_noexec_a_full_and_a_read_only_file_system_are_told_apart_and_left_clean() {
    let desk = Desk::new();
    let server = Sshd::start(&desk.key, "");
    desk.know_server(&server);
    let link = desk.connect(&server).await.unwrap();
    let bytes = vec![1; 200_000];
    let at = |options: &str| Mounted::tmpfs(&server.directory.path().join(options.replace([',', '='], "-")), options);
    let place = async |directory: &Mounted, mode: u32| {
        let path = directory.0.join("agent");
        let result = place_file(&link, &Placement { path: path.to_str().unwrap(), bytes: &bytes, packed: None, mode }).await;
        (result.map_err(|error| error.fault), fs::read_dir(&directory.0).unwrap().count())
    };
    let noexec = at("noexec");
    assert_eq!(place(&noexec, 0o755).await, (Err(PlaceFault::NoExec), 0));
    assert_eq!(place(&noexec, 0o644).await, (Ok(()), 1), "a file that is no program may lie there");
    let (full, left) = place(&at("size=64k"), 0o755).await;
    assert!(matches!(&full, Err(PlaceFault::DiskFull(words)) if words.contains("No space left")) && left == 0, "{full:?} {left}");
    let (read_only, _) = place(&at("ro"), 0o755).await;
    assert!(matches!(&read_only, Err(PlaceFault::ReadOnly(_))), "{read_only:?}");
}

#[tokio::test]
async fn a_user_without_rights_is_told_so() {
    let desk = Desk::new();
    let server = Sshd::start(&desk.key, "ForceCommand setpriv --reuid=65534 --regid=65534 --clear-groups sh -c \"$SSH_ORIGINAL_COMMAND\"");
    desk.know_server(&server);
    let link = desk.connect(&server).await.unwrap();
    let fault = place_file(&link, &Placement { path: "/usr/local/ostler-test/agent", bytes: b"x", packed: None, mode: 0o755 })
        .await
        .unwrap_err()
        .fault;
    assert!(matches!(&fault, PlaceFault::Permission(words) if words.contains("Permission denied")), "{fault:?}");
}

#[tokio::test]
async fn a_placed_file_replaces_one_that_is_running() {
    let desk = Desk::new();
    let server = Sshd::start(&desk.key, "");
    desk.know_server(&server);
    let link = desk.connect(&server).await.unwrap();
    let path = server.directory.path().join("sleeper");
    let path = path.to_str().unwrap();
    let sleeper = fs::read("/bin/sleep").unwrap();
    place_file(&link, &Placement { path, bytes: &sleeper, packed: None, mode: 0o755 }).await.unwrap();
    let running = link.exec(&words(&[path, "60"])).await.unwrap();
    place_file(&link, &Placement { path, bytes: b"#!/bin/sh\nexit 4\n", packed: None, mode: 0o755 }).await.unwrap();
    assert_eq!(run(&link, &words(&[path])).await.1.exit, Exit::Status(4));
    drop(running);
}

#[tokio::test]
async fn ipv6_is_a_way_and_a_family_excludes() {
    let desk = Desk::new();
    let server = Sshd::start(&desk.key, "");
    desk.know(&format!("[::1]:{} {}\n", server.port, public(&server.host_key("ed25519"))));
    let mut target = at(&server);
    target.host = "::1".to_owned();
    desk.ssh().connect(&target).await.unwrap();
    desk.configure("AddressFamily inet");
    let fault = desk.ssh().connect(&target).await.unwrap_err().fault;
    assert!(matches!(&fault, ConnectFault::NoAddress { name, .. } if name == "::1"), "{fault}");
}

#[tokio::test]
async fn a_source_opens_the_stream_in_our_place() {
    let desk = Desk::new();
    let server = Sshd::start(&desk.key, "");
    desk.know(&format!("10.255.0.7 {}\n", public(&server.host_key("ed25519"))));
    let real = std::net::SocketAddr::from(([127, 0, 0, 1], server.port));
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    let mut options = desk.options();
    options.dialer = Dialer::Through(Arc::new(move |address| {
        seen.lock().unwrap().push(address.to_string());
        Box::pin(tokio::net::TcpStream::connect(real))
    }));
    let link = Ssh::new(options).connect(&Target::new("10.255.0.7")).await.unwrap();
    assert_eq!(run(&link, &words(&["true"])).await.1.exit, Exit::Status(0));
    assert_eq!(*asked.lock().unwrap(), ["10.255.0.7:22"]);
}

#[tokio::test]
async fn bytes_that_changed_on_the_way_are_not_put_in_place() {
    let desk = Desk::new();
    let server = Sshd::start(&desk.key, "ForceCommand (echo junk; cat) | sh -c \"$SSH_ORIGINAL_COMMAND\"");
    desk.know_server(&server);
    let link = desk.connect(&server).await.unwrap();
    let directory = server.directory.path().join("empty");
    let path = directory.join("agent");
    let fault =
        place_file(&link, &Placement { path: path.to_str().unwrap(), bytes: b"agent", packed: None, mode: 0o755 }).await.unwrap_err().fault;
    assert!(matches!(fault, PlaceFault::WrongDigest(_)), "{fault}");
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 0);
}

#[tokio::test]
async fn a_placing_that_is_cut_leaves_nothing_behind() {
    let desk = Desk::new();
    let server = Sshd::start(&desk.key, "");
    desk.know_server(&server);
    let link = desk.connect(&server).await.unwrap();
    let directory = server.directory.path().join("cut");
    let path = directory.join("agent");
    let bytes = vec![9; 64 << 20];
    let begun = async {
        while fs::read_dir(&directory).map_or(0, Iterator::count) == 0 {
            tokio::task::yield_now().await;
        }
    };
    let file = Placement { path: path.to_str().unwrap(), bytes: &bytes, packed: None, mode: 0o755 };
    tokio::select! {
        placed = place_file(&link, &file) => panic!("done before it could be cut: {placed:?}"),
        () = begun => {}
    }
    drop(link);
    let start = std::time::Instant::now();
    while fs::read_dir(&directory).unwrap().count() > 0 {
        assert!(start.elapsed().as_secs() < 10, "something stayed behind");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_server_of_one_session_at_a_time_serves_one_command_after_another() {
    let desk = Desk::new();
    let server = Sshd::start(&desk.key, "MaxSessions 1");
    desk.know_server(&server);
    let link = desk.connect(&server).await.unwrap();
    for _ in 0..8 {
        assert_eq!(run(&link, &words(&["/nowhere/agent", "serve"])).await.1.exit, Exit::Status(127));
    }
    // A second one beside the first is refused, and says what may be the matter.
    let first = link.exec(&words(&["cat"])).await.unwrap();
    let refused = link.exec(&words(&["true"])).await.err().unwrap().to_string();
    assert!(refused.ends_with("the server refused: ConnectFailed (`MaxSessions` of its sshd_config?)"), "{refused}");
    drop(first);
}
