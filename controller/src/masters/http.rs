//! HTTP to a CI master: bounded answers, a deadline on every request, and a door for sockets that are opened elsewhere.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;
use ureq::Error;
use ureq::http::Uri;
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, RustlsConnector, TcpConnector, Transport,
};

/// Opens a TCP connection to an address that this process may be unable to reach by itself (a lab's inside, a bastion's far side).
/// It must give up by itself after the time it is given.
pub type Dial = Arc<dyn Fn(SocketAddr, Duration) -> io::Result<TcpStream> + Send + Sync>;

/// The largest answer that is read; a listing of a thousand workers has about 500 KB.
const ANSWER_LIMIT: u64 = 8 << 20;
/// How much of a refusal's text is kept.
const EXCERPT: usize = 400;
/// How long a dialler may try where the request itself has no deadline.
const DIAL_DEADLINE: Duration = Duration::from_secs(10);

/// Why a request got no usable answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The base is no `http://` or `https://` URL of a host.
    #[error("`{url}` is not an http:// or https:// address of a master")]
    Base {
        /// What was given.
        url: String,
    },
    /// No answer: refused, reset, too late, too long.
    #[error("{method} {url}: no answer")]
    Exchange {
        /// `GET` or `POST`.
        method: &'static str,
        /// The whole address.
        url: String,
        /// What the transport said.
        #[source]
        source: Box<Error>,
    },
    /// An answer with a status other than 2xx.
    #[error("{method} {url}: status {status}: {excerpt}")]
    Status {
        /// `GET` or `POST`.
        method: &'static str,
        /// The whole address.
        url: String,
        /// The HTTP status.
        status: u16,
        /// The beginning of the body.
        excerpt: String,
    },
    /// The body is not the JSON that this address gives.
    #[error("{method} {url}: not the answer of this API")]
    Shape {
        /// `GET` or `POST`.
        method: &'static str,
        /// The whole address.
        url: String,
        /// Where the JSON departs from it.
        #[source]
        source: serde_json::Error,
    },
}

impl HttpError {
    /// Whether nothing was answered at all: the master may be starting or out of reach.
    pub fn is_silence(&self) -> bool {
        matches!(self, Self::Exchange { .. })
    }

    /// The status of an answer that was refused.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Status { status, .. } => Some(*status),
            Self::Base { .. } | Self::Exchange { .. } | Self::Shape { .. } => None,
        }
    }
}

/// A master's HTTP interface below one base address.
#[derive(Debug, Clone)]
pub struct Http {
    agent: ureq::Agent,
    base: String,
}

impl Http {
    /// A client for `base`; each request ends within `deadline`. With a dialler, every connection is opened by it.
    ///
    /// # Errors
    /// [`HttpError::Base`].
    pub fn new(base: &str, deadline: Duration, dial: Option<Dial>) -> Result<Self, HttpError> {
        let fault = || HttpError::Base { url: base.chars().take(EXCERPT).collect() };
        let uri: Uri = base.parse().map_err(|_| fault())?;
        let scheme_is_known = matches!(uri.scheme_str(), Some("http" | "https"));
        if !scheme_is_known || uri.host().is_none_or(str::is_empty) || uri.query().is_some() {
            return Err(fault());
        }
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(deadline))
            .http_status_as_error(false)
            .max_redirects(0) // an API does not redirect; a login page would, and following it hides the refusal
            .proxy(None) // the site says how a master is reached, not this process's environment
            .build();
        let agent = match dial {
            None => ureq::Agent::with_parts(config, TcpConnector::default().chain(RustlsConnector::default()), DefaultResolver::default()),
            Some(dial) => {
                ureq::Agent::with_parts(config, DialConnector { dial }.chain(RustlsConnector::default()), DefaultResolver::default())
            }
        };
        Ok(Self { agent, base: base.trim_end_matches('/').to_owned() })
    }

    /// The address of `path` at this master.
    pub fn url(&self, path: &str) -> String {
        format!("{}/{}", self.base, path.trim_start_matches('/'))
    }

    /// Reads JSON from `path`.
    ///
    /// # Errors
    /// Every variant but [`HttpError::Base`].
    pub fn get_json<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<T, HttpError> {
        let url = self.url(path);
        let answer = self.agent.get(&url).header("accept", "application/json").call();
        read("GET", url, answer)
    }

    /// Posts JSON to `path` and reads JSON back.
    ///
    /// # Errors
    /// Every variant but [`HttpError::Base`].
    pub fn post_json<T: serde::de::DeserializeOwned>(&self, path: &str, body: &serde_json::Value) -> Result<T, HttpError> {
        let url = self.url(path);
        let request = self.agent.post(&url).header("content-type", "application/json").header("accept", "application/json");
        read("POST", url, request.send(body.to_string().as_bytes()))
    }
}

fn read<T: serde::de::DeserializeOwned>(
    method: &'static str,
    url: String,
    answer: Result<ureq::http::Response<ureq::Body>, Error>,
) -> Result<T, HttpError> {
    let bytes = answer.and_then(|mut answer| {
        let status = answer.status().as_u16();
        answer.body_mut().with_config().limit(ANSWER_LIMIT).read_to_vec().map(|body| (status, body))
    });
    match bytes {
        Err(source) => Err(HttpError::Exchange { method, url, source: Box::new(source) }),
        Ok((200..=299, body)) => serde_json::from_slice(&body).map_err(|source| HttpError::Shape { method, url, source }),
        Ok((status, body)) => {
            let excerpt = String::from_utf8_lossy(&body).chars().filter(|c| !c.is_control()).take(EXCERPT).collect();
            Err(HttpError::Status { method, url, status, excerpt })
        }
    }
}

/// Percent-encodes a name as one segment of a path or one value of a query.
pub fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Hands the sockets of a [`Dial`] to ureq.
struct DialConnector {
    dial: Dial,
}

impl std::fmt::Debug for DialConnector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DialConnector")
    }
}

impl<In: Transport> Connector<In> for DialConnector {
    type Out = Either<In, Dialled>;

    fn connect(&self, details: &ConnectionDetails, chained: Option<In>) -> Result<Option<Self::Out>, Error> {
        if let Some(open) = chained {
            return Ok(Some(Either::A(open)));
        }
        let patience = details.timeout.not_zero().map_or(DIAL_DEADLINE, |left| (*left).min(DIAL_DEADLINE));
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for address in &details.addrs {
            match (self.dial)(*address, patience) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    let buffers = LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
                    return Ok(Some(Either::B(Dialled { stream, buffers })));
                }
                Err(error) => last = error,
            }
        }
        Err(Error::Io(last))
    }
}

/// A dialled socket as ureq wants it.
#[derive(Debug)]
struct Dialled {
    stream: TcpStream,
    buffers: LazyBuffers,
}

fn late(error: io::Error, timeout: &NextTimeout) -> Error {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Error::Timeout(timeout.reason),
        _ => Error::Io(error),
    }
}

impl Transport for Dialled {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let timeout = timeout.for_write();
        self.stream.set_write_timeout(timeout.not_zero().map(|left| *left))?;
        let output = self.buffers.output().get(..amount).unwrap_or_default();
        self.stream.write_all(output).map_err(|error| late(error, &timeout))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let timeout = timeout.for_read();
        self.stream.set_read_timeout(timeout.not_zero().map(|left| *left))?;
        let amount = loop {
            match self.stream.read(self.buffers.input_append_buf()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other.map_err(|error| late(error, &timeout))?,
            }
        };
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    /// A pooled socket is good while nothing came unasked and the peer has not closed it.
    fn is_open(&mut self) -> bool {
        let quiet = self.stream.set_nonblocking(true).is_ok()
            && matches!(self.stream.peek(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock);
        self.stream.set_nonblocking(false).is_ok() && quiet
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_base_without_host_or_with_another_scheme_is_refused() {
        for url in ["", "buildbot", "ftp://master/", "http://", "http://master/?x=1", "/api"] {
            assert!(matches!(Http::new(url, Duration::from_secs(1), None), Err(HttpError::Base { .. })), "{url}");
        }
        let http = Http::new("http://master:8010/", Duration::from_secs(1), None).unwrap();
        assert_eq!(http.url("/api/v2/workers"), "http://master:8010/api/v2/workers");
    }

    #[test]
    fn names_are_encoded_as_one_segment() {
        assert_eq!(encode("a b/c?d=é"), "a%20b%2Fc%3Fd%3D%C3%A9");
    }

    /// Answers one connection with fixed bytes; the address in the URL leads nowhere, so only the dialler can reach it.
    fn dialled(answer: &'static str) -> (Http, std::thread::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let real = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let mut head = [0u8; 4096];
            let _ = socket.read(&mut head).unwrap();
            socket.write_all(answer.as_bytes()).unwrap();
            if answer.is_empty() {
                let _ = socket.read(&mut head); // says nothing until the client gives up
            }
        });
        let dial: Dial = Arc::new(move |wanted, patience| {
            assert_eq!(wanted.to_string(), "203.0.113.7:8010");
            TcpStream::connect_timeout(&real, patience)
        });
        (Http::new("http://203.0.113.7:8010", Duration::from_millis(500), Some(dial)).unwrap(), server)
    }

    #[test]
    fn a_dialler_opens_every_connection() {
        let (http, server) = dialled("HTTP/1.1 200 OK\r\ncontent-length: 7\r\nconnection: close\r\n\r\n{\"a\":1}");
        let answer: serde_json::Value = http.get_json("x").unwrap();
        assert_eq!(answer["a"], 1);
        server.join().unwrap();
    }

    #[test]
    fn a_silent_master_meets_the_deadline() {
        let (http, server) = dialled("");
        let error = http.get_json::<serde_json::Value>("x").unwrap_err();
        assert!(error.is_silence(), "{error:?}");
        assert!(matches!(&error, HttpError::Exchange { source, .. } if matches!(**source, Error::Timeout(_))), "{error:?}");
        drop(http);
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
}
