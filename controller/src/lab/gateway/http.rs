//! As much of HTTP/1.1 as apt, pip, curl and wget speak: a request head, an answer head.

use std::io::{self, BufRead, Read, Write};

/// A head larger than this is refused.
const HEAD: u64 = 32 * 1024;

/// The head of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) method: String,
    /// As it stands in the request: a path, an absolute address, or `host:port` of a CONNECT.
    pub(super) target: String,
    headers: Vec<(String, String)>,
}

impl Head {
    /// Reads the next head of a connection; `None` at its end.
    pub(super) fn read(reader: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut limited = reader.take(HEAD);
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if limited.read_line(&mut line)? == 0 {
                return if lines.is_empty() { Ok(None) } else { Err(invalid("head is cut short or too long")) };
            }
            let line = line.trim_end();
            match (line.is_empty(), lines.is_empty()) {
                (true, true) => {}
                (true, false) => break,
                (false, _) => lines.push(line.to_owned()),
            }
        }
        let mut words = lines[0].split(' ');
        let (Some(method), Some(target), Some(version)) = (words.next(), words.next(), words.next()) else {
            return Err(invalid("request line has no three words"));
        };
        if !version.starts_with("HTTP/1.") {
            return Err(invalid("not HTTP/1"));
        }
        let header = |line: &String| line.split_once(':').map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        let headers = lines[1..].iter().filter_map(header).collect();
        Ok(Some(Self { method: method.to_owned(), target: target.to_owned(), headers }))
    }

    /// Returns a header's value; `name` is in lower case.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Returns the byte range asked for of a whole of `length` bytes: first and one past the last.
    ///
    /// `None` without a Range header or with one we do not follow (several ranges): the whole is the right answer then
    /// (RFC 9110, 14.2). `Err` when it lies outside.
    pub(super) fn range(&self, length: u64) -> Option<Result<(u64, u64), ()>> {
        let (first, last) = self.header("range")?.strip_prefix("bytes=")?.split_once('-')?;
        let (first, end) = match (first.trim().parse::<u64>().ok(), last.trim().parse::<u64>().ok()) {
            (Some(first), Some(last)) => (first, last.saturating_add(1).min(length)),
            (Some(first), None) if last.trim().is_empty() => (first, length),
            (None, Some(suffix)) if first.trim().is_empty() => (length.saturating_sub(suffix), length),
            _ => return None,
        };
        Some(if first < end { Ok((first, end)) } else { Err(()) })
    }
}

/// Writes an answer's head. Every answer of ours says how long it is, or ends with its connection.
pub(super) fn answer(out: &mut impl Write, status: &str, headers: &[(&str, String)]) -> io::Result<()> {
    let mut text = format!("HTTP/1.1 {status}\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    out.write_all(text.as_bytes())
}

/// Writes a whole short answer in plain text.
pub(super) fn refuse(out: &mut impl Write, status: &str, why: &str) -> io::Result<()> {
    answer(out, status, &[("Content-Type", "text/plain".into()), ("Content-Length", (why.len() + 1).to_string())])?;
    writeln!(out, "{why}")
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> io::Result<Option<Head>> {
        Head::read(&mut text.as_bytes())
    }

    #[test]
    fn a_head_is_read_and_garbage_is_refused() {
        let got = head("GET http://a.example/x HTTP/1.1\r\nHost: a.example\r\nRANGE: bytes=5-\r\n\r\n").expect("read").expect("one");
        assert_eq!((got.method.as_str(), got.target.as_str(), got.header("host")), ("GET", "http://a.example/x", Some("a.example")));
        assert!(head("").expect("end").is_none());
        assert!(head("GET /x HTTP/1.1\r\nHost: a").is_err());
        assert!(head("nonsense\r\n\r\n").is_err());
        assert!(head("GET /x SSH-2.0\r\n\r\n").is_err());
        assert!(head(&format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(40_000))).is_err());
    }

    #[test]
    fn ranges_are_those_of_rfc_9110() {
        let range = |value: &str| head(&format!("GET / HTTP/1.1\r\nRange: {value}\r\n\r\n")).expect("read").expect("one").range(100);
        assert_eq!(range("bytes=0-9"), Some(Ok((0, 10))));
        assert_eq!(range("bytes=90-"), Some(Ok((90, 100))));
        assert_eq!(range("bytes=90-500"), Some(Ok((90, 100))));
        assert_eq!(range("bytes=-10"), Some(Ok((90, 100))));
        assert_eq!(range("bytes=100-"), Some(Err(())));
        assert_eq!(range("bytes=0-1,5-6"), None);
        assert_eq!(range("lines=1-2"), None);
    }
}
