//! HTTP to a CI master: bounded answers, a deadline on every request, and a door for sockets that are opened elsewhere.

pub use super::access::Access;
pub use super::dial::Dial;
use super::dial::DialConnector;
use super::trust::PinConnector;
use crate::mask::RunMask;
use base64::Engine as _;
use ostler_roles::mask::is_long_enough;
use ostler_roles::words::Secret;
use std::io::Read as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use ureq::Error;
use ureq::http::{HeaderMap, Response, Uri};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{Connector as _, RustlsConnector, TcpConnector};

/// The largest answer that is read; a listing of a thousand workers has about 500 KB.
const ANSWER_LIMIT: u64 = 8 << 20;
/// How much of a refusal's text is kept.
const EXCERPT: usize = 400;

/// Why a request got no usable answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The base is no `http://` or `https://` URL of a host.
    #[error("`{url}` is not an http:// or https:// address of a master")]
    Base {
        /// What was given.
        url: String,
    },
    /// What should be the certificate that it shows is none.
    #[error("the `trust` of {url} holds no certificate in PEM")]
    Trust {
        /// The master.
        url: String,
    },
    /// It shows a certificate that nothing vouches for.
    #[error("{url}: its certificate is not trusted; give it, or the certificate of its authority, as `trust` of this master")]
    Certificate {
        /// The whole address.
        url: String,
        /// What is wrong with it.
        #[source]
        source: Box<Error>,
    },
    /// What answers there does not speak TLS.
    #[error("{url}: no TLS is spoken there; if it is plain http, give its address as `http://`")]
    NotTls {
        /// The whole address.
        url: String,
        /// What came in its place.
        #[source]
        source: Box<Error>,
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
        source: UnexpectedJson,
    },
}

/// Where JSON is not what was expected, without any word of it: it may be long, and secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UnexpectedJson(String);

impl UnexpectedJson {
    pub(super) fn of(error: &serde_json::Error) -> Self {
        let told = error.to_string();
        let quoted =
            told.split_once(" \"").and_then(|(before, rest)| rest.rsplit_once("\", ").map(|(_, after)| format!("{before}, {after}")));
        Self(quoted.unwrap_or(told).chars().filter(|character| !character.is_control()).take(EXCERPT).collect())
    }
}

impl HttpError {
    /// What a request without an answer is: a certificate that is not trusted does not mend itself by waiting.
    fn exchange(method: &'static str, url: String, source: Error) -> Self {
        let source = Box::new(source);
        match handshake_fault(&source) {
            Some(fault) if fault.starts_with("invalid peer certificate") => Self::Certificate { url, source },
            Some(fault) if fault.starts_with("received corrupt message of type InvalidContentType") => Self::NotTls { url, source },
            _ => Self::Exchange { method, url, source },
        }
    }

    /// Whether nothing was answered at all: the master may be starting or out of reach.
    pub fn is_silence(&self) -> bool {
        matches!(self, Self::Exchange { .. })
    }

    /// The status of an answer that was refused.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Status { status, .. } => Some(*status),
            Self::Base { .. } | Self::Trust { .. } | Self::Certificate { .. } | Self::NotTls { .. } => None,
            Self::Exchange { .. } | Self::Shape { .. } => None,
        }
    }
}

/// rustls speaks through the I/O error of its handshake (`rustls::Error::InvalidCertificate`, `InvalidMessage`).
fn handshake_fault(error: &Error) -> Option<String> {
    match error {
        Error::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => Some(error.to_string()),
        Error::Rustls(error) => Some(error.to_string()),
        _ => None,
    }
}

/// A master's HTTP interface below one base address.
#[derive(Debug, Clone)]
pub struct Http {
    agent: ureq::Agent,
    base: String,
    /// The `cookie` header of a session, shared by clones.
    session: Arc<Mutex<Option<Secret<String>>>>,
    mask: RunMask,
}

impl Http {
    /// A client for `base`, reached this way; each request ends within `deadline`, and its body half of that after its head.
    ///
    /// # Errors
    /// [`HttpError::Base`], [`HttpError::Trust`].
    pub fn new(base: &str, deadline: Duration, way: Access) -> Result<Self, HttpError> {
        let fault = || HttpError::Base { url: base.chars().take(EXCERPT).collect() };
        let uri: Uri = base.parse().map_err(|_| fault())?;
        let scheme_is_known = matches!(uri.scheme_str(), Some("http" | "https"));
        if !scheme_is_known || uri.host().is_none_or(str::is_empty) || uri.query().is_some() {
            return Err(fault());
        }
        let pin = PinConnector::new(way.trust.as_deref()).ok_or_else(|| HttpError::Trust { url: base.chars().take(EXCERPT).collect() })?;
        let config = ureq::Agent::config_builder()
            .tls_config(TlsConfig::builder().root_certs(RootCerts::WebPki).build())
            .timeout_global(Some(deadline))
            .timeout_recv_body(Some(deadline / 2)) // the head is there by then: what is late is a lost body, not a busy master
            .http_status_as_error(false)
            .max_redirects(0) // an API does not redirect; a login page would, and following it hides the refusal
            .proxy(None) // the site says how a master is reached, not this process's environment
            .build();
        let (public, resolver) = (RustlsConnector::default(), DefaultResolver::default());
        let agent = match way.dial {
            None => ureq::Agent::with_parts(config, TcpConnector::default().chain(pin).chain(public), resolver),
            Some(dial) => ureq::Agent::with_parts(config, DialConnector { dial }.chain(pin).chain(public), resolver),
        };
        Ok(Self { agent, base: base.trim_end_matches('/').to_owned(), session: Arc::default(), mask: way.mask })
    }

    /// The address of `path` at this master.
    pub fn url(&self, path: &str) -> String {
        format!("{}/{}", self.base, path.trim_start_matches('/'))
    }

    /// Reads JSON from `path`. An answer whose body does not come whole is asked for once more: reading changes nothing.
    ///
    /// # Errors
    /// Every variant but [`HttpError::Base`].
    pub fn get_json<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<T, HttpError> {
        let url = self.url(path);
        let ask = || {
            let request = self.agent.get(&url).header("accept", "application/json");
            match self.cookie() {
                Some(cookie) => request.header("cookie", cookie.expose()).call(),
                None => request.call(),
            }
        };
        let again = |error| match error {
            Error::BodyExceedsLimit(_) => Err(error),
            _ => ask().and_then(whole),
        };
        let whole = ask().and_then(|answer| whole(answer).or_else(again));
        self.parse("GET", url, whole)
    }

    /// Posts JSON to `path` and reads JSON back.
    ///
    /// # Errors
    /// Every variant but [`HttpError::Base`].
    pub fn post_json<T: serde::de::DeserializeOwned>(&self, path: &str, body: &serde_json::Value) -> Result<T, HttpError> {
        let url = self.url(path);
        let mut request = self.agent.post(&url).header("content-type", "application/json").header("accept", "application/json");
        if let Some(cookie) = self.cookie() {
            request = request.header("cookie", cookie.expose());
        }
        self.parse("POST", url, request.send(body.to_string().as_bytes()).and_then(whole))
    }

    /// Shows `path` an account's password (HTTP basic, RFC 7617) and keeps the session that it opens for all later requests.
    ///
    /// # Errors
    /// [`HttpError::Exchange`], [`HttpError::Status`].
    pub fn log_in(&self, path: &str, account: &str, password: &Secret<String>) -> Result<(), HttpError> {
        let url = self.url(path);
        self.mask.add([password.expose().as_bytes()]);
        let plain = format!("{account}:{}", password.expose());
        let basic = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(plain));
        let answer = self.agent.get(&url).header("authorization", basic).call();
        let answer = answer.map_err(|source| HttpError::exchange("GET", url.clone(), source))?;
        let status = answer.status().as_u16();
        if status >= 400 {
            // What a proxy says is no word on the password. Its page is not quoted: it may give back what it was sent.
            let excerpt = match status {
                401 | 403 => "the account or its password is refused",
                404 => "there is nothing to log in at; does its master.cfg have `auth`, and is this its address?",
                _ => answer.status().canonical_reason().unwrap_or("no reason is given"),
            };
            return Err(HttpError::Status { method: "GET", url, status, excerpt: excerpt.to_owned() });
        }
        *self.session.lock().unwrap_or_else(PoisonError::into_inner) = self.cookies(answer.headers());
        Ok(())
    }

    /// Whether [`Http::log_in`] has opened a session.
    pub fn has_session(&self) -> bool {
        self.cookie().is_some()
    }

    /// What nothing that is told of this master may show.
    pub(super) fn mask(&self) -> &RunMask {
        &self.mask
    }

    /// The session that these headers open, which shows nowhere.
    pub(super) fn cookies(&self, headers: &HeaderMap) -> Option<Secret<String>> {
        let cookies = cookies(headers)?;
        let values = cookies.expose().split("; ").filter_map(|pair| pair.split_once('=')).map(|(_, value)| value.as_bytes());
        self.mask.add(values.filter(|value| is_long_enough(value)));
        Some(cookies)
    }

    fn cookie(&self) -> Option<Secret<String>> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The `cookie` header that answers `set-cookie` headers, all of them: a proxy in front may need its own to find the same process again.
/// Of one name the last wins (RFC 6265 5.3), and one without a value is none.
fn cookies(headers: &HeaderMap) -> Option<Secret<String>> {
    let mut kept = std::collections::BTreeMap::new();
    for header in headers.get_all("set-cookie") {
        let pair = header.to_str().ok().and_then(|text| text.split(';').next()).and_then(|pair| pair.split_once('='));
        kept.extend(pair.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned())));
    }
    let set = kept.into_iter().filter(|(_, value)| !value.is_empty());
    let line: Vec<String> = set.map(|(name, value)| format!("{name}={value}")).collect();
    (!line.is_empty()).then(|| Secret::new(line.join("; ")))
}

/// An answer as it came, whatever its status.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body: whole, but for [`Method::Beginning`].
    pub body: Vec<u8>,
}

impl Answer {
    /// A header's value; none when it is missing or no text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The same, masked.
    fn masked(mut self, mask: &RunMask) -> Self {
        self.body = mask.text(&String::from_utf8_lossy(&self.body)).into_bytes();
        for value in self.headers.values_mut() {
            if let Ok(hidden) = mask.text(&String::from_utf8_lossy(value.as_bytes())).parse() {
                *value = hidden;
            }
        }
        self
    }
}

/// What is asked by [`Http::ask`].
#[derive(Debug, Clone, Copy)]
pub enum Method<'a> {
    /// `GET`.
    Get,
    /// `GET`, of whose answer only so many bytes are read; the connection is given up where there are more.
    Beginning(u64),
    /// `POST` of a body of this content type.
    Post(&'a str, &'a [u8]),
}

impl Http {
    /// Asks for `path` with these headers and hands back whatever is answered. What is not done comes masked: it is quoted, and whoever
    /// refuses, a proxy perhaps, may give back what it was sent.
    ///
    /// # Errors
    /// [`HttpError::Exchange`].
    pub fn ask(&self, ask: Method<'_>, path: &str, headers: &[(&str, &str)]) -> Result<Answer, HttpError> {
        let url = self.url(path);
        let (method, answer) = match ask {
            Method::Get | Method::Beginning(_) => {
                ("GET", headers.iter().fold(self.agent.get(&url), |request, (name, value)| request.header(*name, *value)).call())
            }
            Method::Post(kind, body) => {
                let request = self.agent.post(&url).header("content-type", kind);
                ("POST", headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)).send(body))
            }
        };
        let whole = answer.and_then(|mut answer| {
            let mut body = Vec::new();
            match ask {
                Method::Beginning(limit) => drop(answer.body_mut().as_reader().take(limit).read_to_end(&mut body)?),
                Method::Get | Method::Post(..) => body = answer.body_mut().with_config().limit(ANSWER_LIMIT).read_to_vec()?,
            }
            Ok(Answer { status: answer.status().as_u16(), headers: answer.headers().clone(), body })
        });
        let answer = whole.map_err(|source| HttpError::exchange(method, url, source))?;
        Ok(if (200..300).contains(&answer.status) { answer } else { answer.masked(&self.mask) })
    }

    fn parse<T: serde::de::DeserializeOwned>(
        &self,
        method: &'static str,
        url: String,
        whole: Result<(u16, Vec<u8>), Error>,
    ) -> Result<T, HttpError> {
        match whole {
            Err(source) => Err(HttpError::exchange(method, url, source)),
            Ok((200..=299, body)) => {
                serde_json::from_slice(&body).map_err(|error| HttpError::Shape { method, url, source: UnexpectedJson::of(&error) })
            }
            Ok((status, body)) => {
                let text = self.mask.text(&String::from_utf8_lossy(&body));
                let excerpt = text.chars().filter(|c| !c.is_control()).take(EXCERPT).collect();
                Err(HttpError::Status { method, url, status, excerpt })
            }
        }
    }
}

/// Its status and its whole body.
fn whole(mut answer: Response<ureq::Body>) -> Result<(u16, Vec<u8>), Error> {
    let status = answer.status().as_u16();
    answer.body_mut().with_config().limit(ANSWER_LIMIT).read_to_vec().map(|body| (status, body))
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

#[cfg(test)]
mod tests;
