//! One request and its answer over a socket, whatever the other side does.

use super::*;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};

#[test]
fn a_base_without_host_or_with_another_scheme_is_refused() {
    for url in ["", "buildbot", "ftp://master/", "http://", "http://master/?x=1", "/api"] {
        assert!(matches!(Http::new(url, Duration::from_secs(1), Access::default()), Err(HttpError::Base { .. })), "{url}");
    }
    let http = Http::new("http://master:8010/", Duration::from_secs(1), Access::default()).unwrap();
    assert_eq!(http.url("/api/v2/workers"), "http://master:8010/api/v2/workers");
}

#[test]
fn names_are_encoded_as_one_segment() {
    assert_eq!(encode("a b/c?d=é"), "a%20b%2Fc%3Fd%3D%C3%A9");
}

/// Answers one connection each with fixed bytes, and says nothing more until the client gives up; the address in the URL leads
/// nowhere, so only the dialler can reach it.
fn dialled_each(answers: &'static [&'static str], limit: Duration) -> (Http, std::thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let real = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        for answer in answers {
            let (mut socket, _) = listener.accept().unwrap();
            let mut head = [0u8; 4096];
            let _ = socket.read(&mut head).unwrap();
            socket.write_all(answer.as_bytes()).unwrap();
            if !answer.contains("connection: close") {
                let _ = socket.read(&mut head);
            }
        }
    });
    let dial: Dial = Arc::new(move |wanted, patience| {
        assert_eq!(wanted.to_string(), "203.0.113.7:8010");
        TcpStream::connect_timeout(&real, patience)
    });
    (Http::new("http://203.0.113.7:8010", limit, Access { dial: Some(dial), ..Access::default() }).unwrap(), server)
}

fn dialled(answer: &'static str) -> (Http, std::thread::JoinHandle<()>) {
    dialled_each(Box::leak(Box::new([answer])), ENOUGH)
}

/// For what is answered, and for what never is.
const ENOUGH: Duration = Duration::from_secs(4);
const SOON: Duration = Duration::from_millis(500);
const WHOLE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 7\r\nconnection: close\r\n\r\n{\"a\":1}";
const SHORT: &str = "HTTP/1.1 200 OK\r\ncontent-length: 7\r\nconnection: close\r\n\r\n{\"a";
const STUCK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n";

#[test]
fn a_body_that_does_not_come_whole_is_asked_for_once_more() {
    for answers in [&[SHORT, WHOLE], &[STUCK, WHOLE]] {
        let (http, server) = dialled_each(answers, ENOUGH);
        let answer: serde_json::Value = http.get_json("x").unwrap();
        assert_eq!(answer["a"], 1);
        drop(http);
        server.join().unwrap();
    }
    let (http, server) = dialled_each(&[SHORT, STUCK], SOON);
    let error = http.get_json::<serde_json::Value>("x").unwrap_err();
    // Whichever of the two limits is nearer by then.
    let late = |error: &Error| matches!(error, Error::Timeout(ureq::Timeout::RecvBody | ureq::Timeout::Global));
    let late = matches!(&error, HttpError::Exchange { source, .. } if late(source));
    assert!(late && error.is_silence(), "{error:?}");
    drop(http);
    server.join().unwrap();
}

#[test]
fn a_dialler_opens_every_connection() {
    let (http, server) = dialled(WHOLE);
    let answer: serde_json::Value = http.get_json("x").unwrap();
    assert_eq!(answer["a"], 1);
    server.join().unwrap();
}

#[test]
fn a_silent_master_meets_the_deadline() {
    let (http, server) = dialled_each(&[""], SOON);
    let error = http.get_json::<serde_json::Value>("x").unwrap_err();
    assert!(error.is_silence(), "{error:?}");
    assert!(matches!(&error, HttpError::Exchange { source, .. } if matches!(**source, Error::Timeout(_))), "{error:?}");
    drop(http);
    server.join().unwrap();
}

#[test]
fn a_cookie_may_end_with_an_equals_sign_and_an_empty_one_is_none() {
    let mut headers = HeaderMap::new();
    assert!(cookies(&headers).is_none());
    for cookie in ["JSESSIONID.1=node0a; Path=/; HttpOnly", "route=Ym94MQ==; Path=/", "me=1", "me=; Max-Age=0", "bare"] {
        headers.append("set-cookie", cookie.parse().unwrap());
    }
    assert_eq!(cookies(&headers).unwrap().expose(), "JSESSIONID.1=node0a; route=Ym94MQ==");
}

#[test]
fn a_session_is_kept_and_shown_to_nobody() {
    let (http, server) = dialled(
        "HTTP/1.1 302 Found\r\nset-cookie: S=anonymous; Path=/\r\nset-cookie: S=planted; Path=/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
    );
    http.log_in("auth/login", "ostler", &Secret::new("hunter2".to_owned())).unwrap();
    assert_eq!(http.cookie().unwrap().expose(), "S=planted");
    assert!(!format!("{http:?}").contains("planted"));
    server.join().unwrap();
    let (http, server) = dialled("HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    let error = http.log_in("auth/login", "ostler", &Secret::new("hunter2".to_owned())).unwrap_err();
    assert_eq!((error.status(), error.to_string().contains("hunter2")), (Some(401), false));
    server.join().unwrap();
}

#[test]
fn plain_http_behind_an_https_address_is_told_for_what_it_is() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let _ = socket.read(&mut [0u8; 4096]).unwrap();
        let _ = socket.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    });
    let http = Http::new(&url, ENOUGH, Access::default()).unwrap();
    let error = http.get_json::<serde_json::Value>("x").unwrap_err();
    assert!(matches!(error, HttpError::NotTls { .. }) && !error.is_silence(), "{error:?}");
    server.join().unwrap();
}

#[test]
fn a_login_page_is_not_followed_and_html_is_not_json() {
    let (http, server) = dialled("HTTP/1.1 302 Found\r\nlocation: /login\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    assert_eq!(http.get_json::<serde_json::Value>("x").unwrap_err().status(), Some(302));
    server.join().unwrap();
    let (http, server) = dialled("HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\n<html>");
    assert!(matches!(http.get_json::<serde_json::Value>("x"), Err(HttpError::Shape { .. })));
    server.join().unwrap();
}
