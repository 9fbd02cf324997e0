//! How long a command takes, against `ssh`: `cargo test --release -p ostler-tests --test transport -- --ignored --nocapture measure`.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ostler::transport::{Exit, Link as _};
use ostler_tests::sshd::Sshd;

use super::desk::{Desk, at, run, words};

fn median(mut times: Vec<Duration>) -> (f64, f64, f64) {
    times.sort_unstable();
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    (ms(times[0]), ms(times[times.len() / 2]), ms(times[times.len() - 1]))
}

fn openssh(desk: &Desk, server: &Sshd, options: &[&str]) -> Duration {
    let start = Instant::now();
    let port = server.port.to_string();
    let config = desk.config.to_str().unwrap();
    let status = Command::new("ssh")
        .args(["-F", config, "-p", &port])
        .args(options)
        .args(["127.0.0.1", "true"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    start.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: it asserts nothing that a busy machine could not break"]
async fn measure_connect_and_true_against_openssh() {
    let desk = Desk::new();
    let server = Sshd::start(&desk.key, "MaxStartups 200:30:400\nSetEnv HOME=@DIR@");
    desk.know_server(&server);
    let (mut fresh, mut warm, mut again, mut stock, mut same) = (vec![], vec![], vec![], vec![], vec![]);
    let shared = desk.ssh();
    for _ in 0..20 {
        stock.push(openssh(&desk, &server, &[]));
        same.push(openssh(&desk, &server, &["-oKexAlgorithms=curve25519-sha256"]));
        for (ssh, times) in [(&desk.ssh(), &mut fresh), (&shared, &mut warm)] {
            let start = Instant::now();
            let link = ssh.connect(&at(&server)).await.unwrap();
            assert_eq!(run(&link, &words(&["true"])).await.1.exit, Exit::Status(0));
            times.push(start.elapsed());
            let start = Instant::now();
            assert_eq!(run(&link, &words(&["true"])).await.1.exit, Exit::Status(0));
            again.push(start.elapsed());
            link.close().await;
        }
    }
    let show = |name: &str, times: Vec<Duration>| {
        let (least, middle, most) = median(times);
        println!("{name:<44} min {least:6.1}  p50 {middle:6.1}  max {most:6.1} ms");
    };
    show("ssh host true, defaults", stock);
    show("ssh host true, curve25519", same);
    show("ours, first of a run (asks `ssh -G`)", fresh);
    show("ours, configuration known", warm);
    show("ours, another command on the connection", again);

    let start = Instant::now();
    let mut all = tokio::task::JoinSet::new();
    let shared = std::sync::Arc::new(desk.ssh());
    for _ in 0..50 {
        let (ssh, target) = (std::sync::Arc::clone(&shared), at(&server));
        all.spawn(async move {
            let link = ssh.connect(&target).await.unwrap();
            assert_eq!(run(&link, &words(&["true"])).await.1.exit, Exit::Status(0));
        });
    }
    while let Some(done) = all.join_next().await {
        done.unwrap();
    }
    println!("50 at once: {:.0} ms", start.elapsed().as_secs_f64() * 1000.0);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: it asserts nothing that a busy machine could not break"]
async fn measure_the_parts_of_a_command() {
    use tokio::io::AsyncReadExt as _;
    let desk = Desk::new();
    let server = Sshd::start(&desk.key, "SetEnv HOME=@DIR@");
    desk.know_server(&server);
    let start = Instant::now();
    let link = desk.ssh().connect(&at(&server)).await.unwrap();
    println!("connected {:?}", start.elapsed());
    for _ in 0..5 {
        let start = Instant::now();
        let mut exec = link.exec(&words(&["true"])).await.unwrap();
        let started = start.elapsed();
        let mut text = String::new();
        exec.stdout.read_to_string(&mut text).await.unwrap();
        let read = start.elapsed();
        assert_eq!(exec.ended.await.exit, Exit::Status(0));
        println!("started {started:?}, output ended {read:?}, ended {:?}", start.elapsed());
    }
}

/// Passes bytes on after a delay, both ways, without holding back what comes behind them.
async fn delay_line(
    from: impl tokio::io::AsyncRead + Send + Unpin + 'static,
    to: impl tokio::io::AsyncWrite + Send + Unpin + 'static,
    delay: Duration,
) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let (mut from, mut to) = (from, to);
    let (send, mut receive) = tokio::sync::mpsc::unbounded_channel();
    let reading = async move {
        let mut bytes = vec![0; 65536];
        while let Ok(count @ 1..) = from.read(&mut bytes).await {
            let _ = send.send((tokio::time::Instant::now() + delay, bytes[..count].to_vec()));
        }
    };
    let writing = async move {
        while let Some((due, bytes)) = receive.recv().await {
            tokio::time::sleep_until(due).await;
            if to.write_all(&bytes).await.is_err() {
                break;
            }
        }
    };
    tokio::join!(reading, writing);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: it asserts nothing that a busy machine could not break"]
async fn measure_round_trips() {
    let desk = Desk::new();
    let server = Sshd::start(&desk.key, "SetEnv HOME=@DIR@\nMaxStartups 100");
    let half = Duration::from_millis(100);
    let port = ostler_tests::sshd::free_port();
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let real = server.port;
    let mut lines = tokio::task::JoinSet::new();
    let relay = async move {
        while let Ok((near, _)) = listener.accept().await {
            let far = tokio::net::TcpStream::connect(("127.0.0.1", real)).await.unwrap();
            for stream in [&near, &far] {
                stream.set_nodelay(true).unwrap();
            }
            let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
            lines.spawn(delay_line(near_in, far_out, half));
            lines.spawn(delay_line(far_in, near_out, half));
        }
    };
    let measure = async {
        let key = ostler_tests::sshd::public(&server.host_key("ed25519"));
        desk.know(&format!("[127.0.0.1]:{port} {key}\n"));
        let ssh = desk.ssh();
        ssh.configuration(&super::desk::at_port(port)).await.unwrap();
        let trips = |time: Duration| time.as_secs_f64() / (2.0 * half.as_secs_f64());
        for _ in 0..3 {
            let start = Instant::now();
            let link = ssh.connect(&super::desk::at_port(port)).await.unwrap();
            let connected = start.elapsed();
            assert_eq!(run(&link, &words(&["true"])).await.1.exit, Exit::Status(0));
            println!(
                "ours: connect {:.2}, with `true` {:.2} round trips (the TCP handshake is not among them)",
                trips(connected),
                trips(start.elapsed())
            );
            let (config, port) = (desk.config.clone(), port.to_string());
            let start = Instant::now();
            let status =
                tokio::process::Command::new("ssh").args(["-F", config.to_str().unwrap(), "-p", &port, "127.0.0.1", "true"]).status().await;
            assert!(status.unwrap().success());
            println!("ssh: {:.2} round trips", trips(start.elapsed()));
        }
    };
    tokio::select! { () = relay => {}, () = measure => {} }
}
