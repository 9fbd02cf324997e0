//! What a server says before anybody is let in: lines before its identification (RFC 4253, 4.2), banners while one logs in (RFC 4252, 5.4).

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::sync::Mutex;
use std::time::Duration;

use ostler::transport::{ConnectFault, Deadlines, Exit, LinkEvent};
use ostler_tests::sshd::{Sshd, free_port};

use super::desk::{Desk, at_port, run, words};

/// A server that says this and then nothing more, its connections kept open.
fn saying(words: Vec<u8>) -> u16 {
    let port = free_port();
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let kept = Mutex::new(Vec::new());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            // Who has heard enough closes.
            let _ = stream.write_all(&words);
            kept.lock().unwrap().push(stream);
        }
    });
    port
}

fn impatient() -> Desk {
    let mut desk = Desk::new();
    desk.deadlines = Deadlines { banner: Duration::from_millis(500), key_exchange: Duration::from_millis(500), ..Deadlines::default() };
    desk
}

#[tokio::test]
async fn an_identification_behind_many_lines_is_found() {
    // As many and as long as the SSH library takes: a lawyer's text before every login.
    let line = format!("{}\r\n", "x".repeat(250));
    let port = saying(format!("{}SSH-2.0-Wordy_1.0\r\n", line.repeat(19)).into_bytes());
    let fault = impatient().ssh().connect(&at_port(port)).await.unwrap_err().fault;
    assert!(matches!(fault, ConnectFault::StepTimeout { step: "key exchange", .. }), "{fault}");
}

#[tokio::test]
async fn a_line_without_end_before_the_identification_is_not_read_on() {
    for length in [256, 8 * 1024, 4 << 20] {
        let port = saying(vec![b'x'; length]);
        let fault = impatient().ssh().connect(&at_port(port)).await.unwrap_err().fault;
        assert!(matches!(&fault, ConnectFault::NotSsh { said } if *said == "x".repeat(80)), "{length}: {fault}");
    }
}

#[tokio::test]
async fn of_a_long_banner_the_beginning_is_told_and_the_login_goes_on() {
    let desk = Desk::new();
    let banner = desk.home.path().join("banner");
    let text: String = (0..4000).map(|number| format!("{number:04}\n")).collect();
    fs::write(&banner, &text).unwrap();
    let server = Sshd::start(&desk.key, &format!("Banner {}", banner.display()));
    desk.know_server(&server);
    let link = desk.connect(&server).await.unwrap();
    assert_eq!(run(&link, &words(&["true"])).await.1.exit, Exit::Status(0));
    let told: Vec<String> =
        desk.events().into_iter().filter_map(|event| if let LinkEvent::Banner { text, .. } = event { Some(text) } else { None }).collect();
    assert_eq!(told, [text[..8 * 1024].to_owned()]);
}
