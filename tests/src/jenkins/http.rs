//! Just enough HTTP/1.1 for a loopback server: one request a connection, bodies with a length.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// The largest request body that is read.
const BODY_LIMIT: usize = 4 << 20;

/// What a client sent.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// `GET`, `POST`, ...
    pub method: String,
    /// Decoded path without the query.
    pub path: String,
    /// The path and query as they stood in the request line.
    pub target: String,
    /// Decoded query pairs.
    pub query: Vec<(String, String)>,
    /// Headers in order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// A header's value, the name in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// A query parameter, or else a field of a form body.
    pub fn parameter(&self, name: &str) -> Option<String> {
        let find = |pairs: Vec<(String, String)>| pairs.into_iter().find(|(key, _)| key == name).map(|(_, value)| value);
        find(self.query.clone()).or_else(|| find(self.form()))
    }

    /// The fields of a form body; nothing for any other content type.
    pub fn form(&self) -> Vec<(String, String)> {
        match self.header("Content-Type") {
            Some(kind) if kind.starts_with("application/x-www-form-urlencoded") => pairs(&String::from_utf8_lossy(&self.body)),
            _ => Vec::new(),
        }
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// What is answered.
#[derive(Debug, Clone, Default)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Headers in order.
    pub headers: Vec<(String, String)>,
    /// The body; its length is announced also for `HEAD`.
    pub body: Vec<u8>,
}

impl Response {
    /// A response without body.
    pub fn empty(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    /// The same with a header more.
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// The same with this body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// A header's value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// Reads one request; `None` when the peer closed or sent rubbish.
pub fn read(stream: &TcpStream) -> Option<Request> {
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let mut request = Request { method: words.next()?.to_owned(), target: words.next()?.to_owned(), ..Request::default() };
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    (request.path, request.query) = (decode(path, false), pairs(query));
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let header = line.trim_end();
        if header.is_empty() {
            break;
        }
        let (key, value) = header.split_once(':')?;
        request.headers.push((key.to_owned(), value.trim().to_owned()));
    }
    let length: usize = request.header("Content-Length").and_then(|value| value.parse().ok()).unwrap_or(0);
    request.body = vec![0; length.min(BODY_LIMIT)];
    reader.read_exact(&mut request.body).ok()?;
    Some(request)
}

/// Writes the response and closes the connection.
pub fn write(mut stream: &TcpStream, response: &Response, head_only: bool) {
    let mut head = format!("HTTP/1.1 {} {}\r\n", response.status, reason(response.status));
    for (key, value) in &response.headers {
        head.push_str(&format!("{key}: {value}\r\n"));
    }
    if !matches!(response.status, 204 | 304) && response.get("Content-Length").is_none() {
        head.push_str(&format!("Content-Length: {}\r\n", response.body.len()));
    }
    head.push_str("Connection: close\r\n\r\n");
    let mut bytes = head.into_bytes();
    if !head_only {
        bytes.extend_from_slice(&response.body);
    }
    let _ = stream.write_all(&bytes);
    let _ = stream.shutdown(std::net::Shutdown::Write);
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        204 => "No Content",
        302 => "Found",
        304 => "Not Modified",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        503 => "Service Unavailable",
        _ => "Server Error",
    }
}

/// Decodes `a=b&c=d`.
pub fn pairs(text: &str) -> Vec<(String, String)> {
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(key, true), decode(value, true))
        })
        .collect()
}

/// Undoes percent encoding; bad escapes stay as they are.
pub fn decode(text: &str, plus: bool) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = |range: std::ops::Range<usize>| text.get(range).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match bytes[at] {
            b'%' if hex(at + 1..at + 3).is_some() => {
                out.extend(hex(at + 1..at + 3));
                at += 2;
            }
            b'+' if plus => out.push(b' '),
            byte => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}
