//! Every way not to reach a node, told apart; nothing waits for ever.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ostler::transport::{
    ConfigError, ConnectFault, Deadlines, Dialer, Exit, HostKeyFault, Link as _, LinkEvent, NewKeys, Ssh, Target, Tried, place_file,
};
use ostler_tests::sshd::{Sshd, free_port, public, run as program};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;

use super::desk::{Desk, at_port, run, shell, words};

async fn fault(desk: &Desk, target: &Target) -> ConnectFault {
    desk.ssh().connect(target).await.unwrap_err().fault
}

/// A listener that does this with each connection, until the test ends.
fn speaking(answer: impl Fn(std::net::TcpStream) + Send + 'static) -> u16 {
    let port = free_port();
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    std::thread::spawn(move || listener.incoming().flatten().for_each(answer));
    port
}

#[tokio::test]
async fn a_port_where_nobody_listens_refuses() {
    let port = free_port();
    assert!(matches!(fault(&Desk::new(), &at_port(port)).await, ConnectFault::Refused { address } if address.port() == port));
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_named() {
    let fault = fault(&Desk::new(), &Target::new("no-such-node.invalid")).await;
    assert!(matches!(&fault, ConnectFault::NameNotFound { name, .. } if name == "no-such-node.invalid"), "{fault}");
}

#[tokio::test]
async fn a_silent_server_is_left_after_its_deadline() {
    let mut desk = Desk::new();
    desk.deadlines = Deadlines { banner: Duration::from_millis(300), ..Deadlines::default() };
    let kept = std::sync::Mutex::new(Vec::new());
    let port = speaking(move |stream| kept.lock().unwrap().push(stream));
    let start = Instant::now();
    let fault = fault(&desk, &at_port(port)).await;
    assert!(matches!(fault, ConnectFault::BannerTimeout { .. }), "{fault}");
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn connect_timeout_of_the_configuration_counts_for_the_banner() {
    let desk = Desk::new();
    desk.configure("ConnectTimeout 1");
    let kept = std::sync::Mutex::new(Vec::new());
    let port = speaking(move |stream| kept.lock().unwrap().push(stream));
    assert!(matches!(fault(&desk, &at_port(port)).await, ConnectFault::BannerTimeout { seconds: 1 }));
}

#[tokio::test]
async fn another_service_is_quoted() {
    let mut desk = Desk::new();
    desk.deadlines = Deadlines { banner: Duration::from_millis(500), ..Deadlines::default() };
    for words in ["HTTP/1.1 400 Bad Request\r\n\r\n", "220 mail ready\r\n", "\u{1}\u{2}\u{3} binary without an end"] {
        let port = speaking(move |mut stream| drop(stream.write_all(words.as_bytes())));
        let fault = fault(&desk, &at_port(port)).await;
        assert!(matches!(&fault, ConnectFault::NotSsh { said } if !said.is_empty() && words.starts_with(said)), "{words:?}: {fault}");
    }
}

#[tokio::test]
async fn a_flood_before_the_banner_is_not_read_for_ever() {
    let desk = Desk::new();
    let port = speaking(|mut stream| {
        std::thread::spawn(move || while stream.write_all(b"not ssh at all\r\n").is_ok() {});
    });
    assert!(matches!(fault(&desk, &at_port(port)).await, ConnectFault::NotSsh { .. }));
}

#[tokio::test]
async fn a_server_that_stops_in_the_key_exchange_is_told_apart() {
    let mut desk = Desk::new();
    desk.deadlines = Deadlines { banner: Duration::from_millis(300), key_exchange: Duration::from_millis(300), ..Deadlines::default() };
    let kept = std::sync::Mutex::new(Vec::new());
    let port = speaking(move |mut stream| {
        let _ = stream.write_all(b"SSH-2.0-Hung_1.0\r\n");
        kept.lock().unwrap().push(stream);
    });
    assert!(matches!(fault(&desk, &at_port(port)).await, ConnectFault::StepTimeout { step: "key exchange", .. }));
    let port = speaking(|mut stream| drop(stream.write_all(b"SSH-2.0-Gone_1.0\r\n")));
    assert!(matches!(fault(&desk, &at_port(port)).await, ConnectFault::Cut { step: "key exchange", .. }));
}

#[tokio::test]
async fn a_list_of_the_users_own_that_leaves_nothing_is_named_and_not_the_server() {
    let desk = Desk::new();
    let server = Sshd::start(&desk.key, "Ciphers chacha20-poly1305@openssh.com\nKexAlgorithms curve25519-sha256");
    desk.know_server(&server);
    for (option, list) in [("Ciphers", "aes256-ctr"), ("KexAlgorithms", "ecdh-sha2-nistp256")] {
        desk.configure(&format!("{option} {list}"));
        let error = desk.ssh().connect(&at_port(server.port)).await.unwrap_err();
        assert!(matches!(&error.fault, ConnectFault::NoCommonAlgorithm { option: Some(own), .. } if *own == option), "{error}");
        let file = desk.config.display();
        assert_eq!(error.hint(), format!("your own {option} leaves nothing that this server has: change it for this host in {file}"));
    }
}

#[tokio::test]
async fn drops_before_the_banner_are_tried_again_up_to_the_limit() {
    let mut desk = Desk::new();
    desk.deadlines.drop_retries = 2;
    desk.deadlines.drop_pause = Duration::from_millis(5);
    let port = speaking(|mut stream| drop(stream.write_all(b"Exceeded MaxStartups\r\n")));
    let fault = fault(&desk, &at_port(port)).await;
    assert!(matches!(&fault, ConnectFault::Dropped { attempts: 3, said } if said == "Exceeded MaxStartups"), "{fault}");
    let attempts: Vec<_> =
        desk.events().into_iter().map(|event| if let LinkEvent::Dropped { attempt, .. } = event { attempt } else { 0 }).collect();
    assert_eq!(attempts, [1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_server_at_its_max_startups_is_reached_in_the_end() {
    let desk = Desk::new();
    let server = Sshd::start(&desk.key, "MaxStartups 2:100:2");
    desk.know_server(&server);
    let ssh = std::sync::Arc::new(desk.ssh());
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..12 {
        let (ssh, target) = (std::sync::Arc::clone(&ssh), at_port(server.port));
        all.spawn(async move { run(&ssh.connect(&target).await.unwrap(), &words(&["true"])).await.1.exit });
    }
    while let Some(exit) = all.join_next().await {
        assert_eq!(exit.unwrap(), Exit::Status(0));
    }
    assert!(
        desk.events().iter().any(|event| matches!(event, LinkEvent::Dropped { .. })),
        "the server dropped nobody: the test shows nothing"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_two_hundred_on_a_server_with_its_own_defaults_comes_through() {
    let mut desk = Desk::new();
    desk.deadlines = Deadlines::default();
    let server = Sshd::start(&desk.key, "MaxStartups 10:30:100");
    desk.know_server(&server);
    let ssh = std::sync::Arc::new(desk.ssh());
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let (ssh, target) = (std::sync::Arc::clone(&ssh), at_port(server.port));
        all.spawn(async move { ssh.connect(&target).await.map(drop).map_err(|error| error.to_string()) });
    }
    let lost: Vec<String> = all.join_all().await.into_iter().filter_map(Result::err).collect();
    assert!(lost.is_empty(), "{lost:?}");
    let dropped = desk.events().iter().filter(|event| matches!(event, LinkEvent::Dropped { .. })).count();
    assert!(dropped > 0, "the server dropped nobody: the test shows nothing");
}

#[tokio::test]
async fn a_missing_program_is_127_and_one_that_cannot_be_run_126() {
    let desk = Desk::new();
    let server = Sshd::start(&desk.key, "");
    desk.know_server(&server);
    let link = desk.connect(&server).await.unwrap();
    assert_eq!(run(&link, &words(&["/nowhere/agent", "serve"])).await.1.exit, Exit::Status(127));
    let no_program = server.directory.path().join("sshd_config");
    assert_eq!(run(&link, &words(&[no_program.to_str().unwrap()])).await.1.exit, Exit::Status(126));
    assert_eq!(run(&link, &shell("kill -9 $$")).await.1.exit, Exit::Signal("KILL".to_owned()));
}

#[tokio::test]
async fn writing_to_a_command_that_left_fails_and_does_not_hang() {
    let desk = Desk::new();
    let server = Sshd::start(&desk.key, "");
    desk.know_server(&server);
    let link = desk.connect(&server).await.unwrap();
    let mut exec = link.exec(&words(&["true"])).await.unwrap();
    let bytes = vec![0; 64 << 20];
    let error = exec.stdin.write_all(&bytes).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
    assert_eq!(exec.ended.await.exit, Exit::Status(0));
    // The connection is as good as before.
    assert_eq!(run(&link, &words(&["true"])).await.1.exit, Exit::Status(0));
}

#[tokio::test]
async fn writing_to_a_command_that_does_not_read_ends_with_its_deadline() {
    let mut desk = Desk::new();
    desk.deadlines.write = Duration::from_millis(300);
    let server = Sshd::start(&desk.key, "");
    desk.know_server(&server);
    let link = desk.connect(&server).await.unwrap();
    let mut exec = link.exec(&shell("exec sleep 60")).await.unwrap();
    let error = exec.stdin.write_all(&vec![0; 64 << 20]).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
}

#[tokio::test]
async fn a_cut_connection_is_a_cut_and_not_an_exit() {
    let desk = Desk::new();
    let server = Sshd::start(&desk.key, "");
    desk.know_server(&server);
    let link = desk.connect(&server).await.unwrap();
    // The command ends its own server process: the session's parent.
    let (_, ended) = run(&link, &shell("kill -9 $PPID; sleep 5")).await;
    assert!(matches!(ended.exit, Exit::Cut(_)), "{:?}", ended.exit);
    let error = link.exec(&words(&["true"])).await.unwrap_err();
    assert!(error.to_string().contains("was cut"), "{error}");
}

#[tokio::test]
async fn the_end_of_a_link_is_the_end_of_the_commands_input() {
    let desk = Desk::new();
    let server = Sshd::start(&desk.key, "");
    desk.know_server(&server);
    let link = desk.connect(&server).await.unwrap();
    let mark = server.directory.path().join("saw-the-end");
    let exec = link.exec(&shell(&format!("echo ready; cat >/dev/null; touch {}", mark.display()))).await.unwrap();
    let mut stdout = exec.stdout;
    let mut ready = [0; 6];
    stdout.read_exact(&mut ready).await.unwrap();
    link.close().await;
    drop((link, exec.stdin, stdout, exec.ended));
    let start = Instant::now();
    while !mark.exists() {
        assert!(start.elapsed() < Duration::from_secs(10), "the command still waits for input");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_child_left_behind_does_not_hold_up_the_end() {
    let desk = Desk::new();
    let server = Sshd::start(&desk.key, "");
    desk.know_server(&server);
    let link = desk.connect(&server).await.unwrap();
    let start = Instant::now();
    let (_, ended) = run(&link, &shell("sleep 30 & exit 3")).await;
    assert_eq!(ended.exit, Exit::Status(3));
    assert!(start.elapsed() < Duration::from_secs(15));
}

#[tokio::test]
async fn a_noisy_login_shell_does_not_spoil_a_placed_file() {
    let desk = Desk::new();
    // What a profile prints comes before the command's own output; sshd's own `ForceCommand` stands in for the shell's file.
    let server = Sshd::start(&desk.key, "ForceCommand echo 'Welcome!'; echo 'to stderr' >&2; sh -c \"$SSH_ORIGINAL_COMMAND\"");
    desk.know_server(&server);
    let link = desk.connect(&server).await.unwrap();
    let path = server.directory.path().join("agent");
    let file = ostler::transport::Placement { path: path.to_str().unwrap(), bytes: b"#!/bin/sh\necho hello\n", packed: None, mode: 0o755 };
    place_file(&link, &file).await.unwrap();
    let (text, ended) = run(&link, &words(&[path.to_str().unwrap()])).await;
    assert_eq!((text.as_str(), ended.stderr.text().as_str()), ("Welcome!\nhello\n", "to stderr\n"));
}

#[tokio::test]
async fn a_frozen_server_is_found_by_keepalives() {
    let desk = Desk::new();
    let server = Sshd::start(&desk.key, "");
    desk.know_server(&server);
    // A limit of none is no limitlessness.
    for limit in [0, 1] {
        desk.configure(&format!("ServerAliveInterval 1\nServerAliveCountMax {limit}"));
        let link = desk.connect(&server).await.unwrap();
        let start = Instant::now();
        let (_, ended) = run(&link, &shell("kill -STOP $PPID; (sleep 20; kill -CONT $PPID) >/dev/null 2>&1 & sleep 20")).await;
        assert_eq!(ended.exit, Exit::Cut("no answer to keepalives".to_owned()));
        assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    }
}

/// A way to a server that can be stopped: from then on nothing of ours is taken, and nothing is closed.
fn stoppable(server: &Sshd) -> (u16, Arc<AtomicBool>) {
    let (stopped, to) = (Arc::new(AtomicBool::new(false)), server.port);
    let is_stopped = Arc::clone(&stopped);
    let port = speaking(move |ours| {
        let theirs = TcpStream::connect(("127.0.0.1", to)).unwrap();
        for (mut from, mut into) in [(ours.try_clone().unwrap(), theirs.try_clone().unwrap()), (theirs, ours)] {
            let is_stopped = Arc::clone(&is_stopped);
            std::thread::spawn(move || {
                let mut piece = [0; 4096];
                while let Ok(length @ 1..) = from.read(&mut piece) {
                    while is_stopped.load(Ordering::Relaxed) {
                        std::thread::park_timeout(Duration::from_millis(50));
                    }
                    if into.write_all(&piece[..length]).is_err() {
                        break;
                    }
                }
            });
        }
    });
    (port, stopped)
}

#[tokio::test]
async fn a_link_that_falls_silent_while_we_write_is_found_as_one_where_we_wait() {
    let desk = Desk::new();
    desk.configure("ServerAliveInterval 1\nServerAliveCountMax 2");
    let server = Sshd::start(&desk.key, "");
    let (port, stopped) = stoppable(&server);
    desk.know(&format!("[127.0.0.1]:{port} {}\n", public(&server.host_key("ed25519"))));
    // A full buffer is what keeps keepalives back: a small one is soon full.
    let mut options = desk.options();
    options.dialer = Dialer::Through(Arc::new(|address| {
        Box::pin(async move {
            let socket = TcpSocket::new_v4()?;
            socket.set_send_buffer_size(64 * 1024)?;
            socket.connect(address).await
        })
    }));
    let link = Ssh::new(options).connect(&at_port(port)).await.unwrap();
    let mut exec = link.exec(&words(&["cat"])).await.unwrap();
    exec.stdin.write_all(b"the way is there").await.unwrap();
    exec.stdout.read_exact(&mut [0; 16]).await.unwrap();
    stopped.store(true, Ordering::Relaxed);
    let start = Instant::now();
    let writing = async { exec.stdin.write_all(&vec![0; 64 << 20]).await.unwrap_err().kind() };
    let both = async { tokio::join!(writing, exec.ended) };
    let (kind, ended) = tokio::time::timeout(Duration::from_secs(20), both).await.unwrap();
    assert_eq!(kind, std::io::ErrorKind::BrokenPipe);
    assert!(matches!(&ended.exit, Exit::Cut(reason) if reason.contains("timed out")), "{}", ended.exit);
    assert!(start.elapsed() < Duration::from_secs(12), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_child_left_behind_that_prints_for_ever_does_not_hold_up_the_end() {
    let mut desk = Desk::new();
    desk.deadlines.after_exit = Duration::from_secs(2);
    let server = Sshd::start(&desk.key, "");
    desk.know_server(&server);
    let link = desk.connect(&server).await.unwrap();
    for prints in ["while :; do echo x; sleep 0.1; done", "while :; do echo x >&2; sleep 0.1; done", "exec yes"] {
        let (command, start) = (shell(&format!("({prints}) & exit 3")), Instant::now());
        let (_, ended) = tokio::time::timeout(Duration::from_secs(15), run(&link, &command)).await.unwrap();
        assert_eq!(ended.exit, Exit::Status(3), "{prints}");
        assert!(start.elapsed() >= Duration::from_secs(2), "{prints}: {:?}", start.elapsed());
    }
    // What still comes of them is nobody's, and stands in nobody's way.
    assert_eq!(run(&link, &words(&["true"])).await.1.exit, Exit::Status(0));
}

#[tokio::test]
async fn output_that_nobody_takes_does_not_hold_up_the_end() {
    let mut desk = Desk::new();
    desk.deadlines.after_exit = Duration::from_secs(2);
    let server = Sshd::start(&desk.key, "");
    desk.know_server(&server);
    let link = desk.connect(&server).await.unwrap();
    let exec = link.exec(&shell("(sleep 0.5; exec yes) & exit 3")).await.unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(15), exec.ended).await.unwrap();
    assert_eq!(ended.exit, Exit::Status(3));
    drop(exec.stdout);
    assert_eq!(run(&link, &words(&["true"])).await.1.exit, Exit::Status(0));
}

/// A pipe that nobody writes to.
fn pipe(desk: &Desk, name: &str) -> PathBuf {
    let file = desk.home.path().join(name);
    program("mkfifo", &[file.to_str().unwrap()]);
    file
}

#[tokio::test]
async fn a_pipe_among_the_keys_is_not_waited_for() {
    let desk = Desk::new();
    let server = Sshd::start(&desk.key, "");
    desk.know_server(&server);
    let (key, certificate) = (pipe(&desk, "key"), pipe(&desk, "certificate"));
    pipe(&desk, "key.pub");
    pipe(&desk, "id_ed25519-cert.pub");
    desk.configure(&format!("IdentityFile {}\nCertificateFile {}", key.display(), certificate.display()));
    desk.connect(&server).await.unwrap();
    fs::write(server.directory.path().join("authorized_keys"), "").unwrap();
    let ConnectFault::NotLetIn { tried, .. } = desk.connect(&server).await.unwrap_err().fault else { panic!() };
    let reason = "it is not a regular file".to_owned();
    assert_eq!(tried[1..], [certificate, key].map(|file| Tried::Unreadable { file, reason: reason.clone() }));
}

#[tokio::test]
async fn a_pipe_for_known_hosts_is_not_waited_for() {
    let mut desk = Desk::new();
    let server = Sshd::start(&desk.key, "");
    pipe(&desk, "known_hosts");
    desk.new_keys = NewKeys::Accept;
    let ConnectFault::HostKey(HostKeyFault::Unreadable { file, reason }) = fault(&desk, &at_port(server.port)).await else { panic!() };
    assert_eq!((file, reason.as_str()), (desk.known_hosts.display().to_string(), "it is not a regular file"));
}

#[tokio::test]
async fn a_pipe_for_the_configuration_is_not_waited_for_without_a_client() {
    let desk = Desk::new();
    fs::remove_file(&desk.config).unwrap();
    pipe(&desk, "config");
    let ssh = desk.ssh().asking(desk.home.path().join("no-ssh"));
    let fault = ssh.connect(&Target::new("n1")).await.unwrap_err().fault;
    assert!(
        matches!(&fault, ConnectFault::Config(ConfigError::Unreadable { reason, .. }) if reason == "it is not a regular file"),
        "{fault}"
    );
}

/// A file system on which everything hangs: nobody answers for it.
struct Hung {
    keeper: Child,
    at: PathBuf,
}

impl Hung {
    fn mount(at: PathBuf) -> Self {
        fs::create_dir(&at).unwrap();
        let script = "exec 3<>/dev/fuse; mount -i -t fuse -o fd=3,rootmode=40000,user_id=0,group_id=0 hung \"$0\" && echo && exec sleep 60";
        let mut keeper = Command::new("sh").args(["-c", script]).arg(&at).stdout(Stdio::piped()).spawn().unwrap();
        keeper.stdout.take().unwrap().read_exact(&mut [0]).unwrap();
        Self { keeper, at }
    }
}

impl Drop for Hung {
    fn drop(&mut self) {
        // With the last to hold it open the kernel answers every waiter.
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
        let _ = Command::new("umount").arg("-l").arg(&self.at).status();
    }
}

#[tokio::test]
async fn keys_and_known_hosts_on_a_file_system_that_hangs_are_left_after_their_deadline() {
    let mut desk = Desk::new();
    let server = Sshd::start(&desk.key, "");
    desk.know_server(&server);
    let hung = Hung::mount(desk.home.path().join("hung"));
    desk.deadlines.files = Duration::from_millis(300);
    for option in ["IdentityFile", "CertificateFile", "GlobalKnownHostsFile"] {
        desk.configure(&format!("{option} {}/file", hung.at.display()));
        let fault = fault(&desk, &at_port(server.port)).await;
        assert!(matches!(&fault, ConnectFault::FilesTimeout { seconds: 0 }), "{option}: {fault}");
    }
}

#[tokio::test]
async fn how_much_of_a_file_has_arrived_over_a_slow_way_is_told_meanwhile() {
    let desk = Desk::new();
    let server = Sshd::start(&desk.key, "");
    let (to, hurried) = (server.port, Arc::new(AtomicBool::new(false)));
    let hurries = Arc::clone(&hurried);
    let port = speaking(move |ours| {
        let theirs = TcpStream::connect(("127.0.0.1", to)).unwrap();
        let ways = [(ours.try_clone().unwrap(), theirs.try_clone().unwrap(), true), (theirs, ours, false)];
        for (mut from, mut into, is_slow) in ways {
            let hurried = Arc::clone(&hurries);
            std::thread::spawn(move || {
                let mut piece = [0; 4096];
                while let Ok(length @ 1..) = from.read(&mut piece) {
                    if is_slow && !hurried.load(Ordering::Relaxed) {
                        std::thread::sleep(Duration::from_millis(20));
                    }
                    if into.write_all(&piece[..length]).is_err() {
                        break;
                    }
                }
            });
        }
    });
    desk.know(&format!("[127.0.0.1]:{port} {}\n", public(&server.host_key("ed25519"))));
    let link = desk.ssh().connect(&at_port(port)).await.unwrap();
    let bytes: Vec<u8> = (0..4_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let path = server.directory.path().join("agent");
    let file = ostler::transport::Placement { path: path.to_str().unwrap(), bytes: &bytes, packed: None, mode: 0o755 };
    let told = || {
        desk.events().into_iter().find_map(|event| if let LinkEvent::Placing { there, of, .. } = event { Some((there, of)) } else { None })
    };
    let hurry = async {
        while told().is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        hurried.store(true, Ordering::Relaxed);
    };
    let (placed, ()) = tokio::join!(place_file(&link, &file), hurry);
    placed.unwrap();
    let (there, of) = told().unwrap();
    assert!(0 < there && there < 4_000_000 && of == 4_000_000, "{there} of {of}");
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
    // Whoever watched is gone with the file's arrival: nothing of it holds the session.
    let (text, _) = run(&link, &shell("ps -e -o args= | grep -c '[o]stler-placed' || true")).await;
    assert_eq!(text, "0\n");
}
