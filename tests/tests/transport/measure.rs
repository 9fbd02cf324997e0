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
