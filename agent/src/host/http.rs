//! HTTP(S) with our own resolver and the node's own certificates.

use super::{Host, Operation, OsError, resolve};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};
use ureq::config::Config;
use ureq::http::{Response, Uri};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};
use ureq::{Agent, Body, RequestBuilder};

/// A server that sends nothing for so long has gone away.
const STALL: Duration = Duration::from_secs(30);
/// Longer than any handshake of a living server.
const CONNECT: Duration = Duration::from_secs(15);
/// A release page leads to a mirror, which leads to a nearer one: more is a loop.
const REDIRECTS: u32 = 8;
/// Where distributions keep the certificates that the node trusts: Debian, then Fedora, then Alpine.
const BUNDLES: [&str; 3] = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// What all our requests share.
#[derive(Debug, Clone)]
pub struct Http(Agent);

/// Names through `host::resolve`: never through libc.
#[derive(Debug)]
struct Names;

impl Resolver for Names {
    fn resolve(&self, uri: &Uri, _config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let host = uri.host().ok_or(ureq::Error::HostNotFound)?;
        let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
        let patience = (*timeout.after).min(CONNECT);
        let found = resolve::resolve(host, Instant::now() + patience)
            .map_err(|error| io::Error::new(io::ErrorKind::NotFound, format!("cannot {error}: {}", error.source)))?;
        let mut addresses = self.empty();
        // The array has room for sixteen.
        found.into_iter().take(16).for_each(|address| addresses.push(SocketAddr::new(address, port)));
        Ok(addresses)
    }
}

/// How to ask.
#[derive(Debug, Clone, Copy)]
pub struct Deadlines {
    /// The end of it all.
    pub deadline: Instant,
    /// Longest silence.
    pub stall: Duration,
}

impl Deadlines {
    /// Until `deadline`, with the usual silence in between.
    pub fn until(deadline: Instant) -> Self {
        Self { deadline, stall: STALL }
    }
}

impl Http {
    /// Requests that trust what the node trusts; the list built in where the node has none.
    ///
    /// # Errors
    /// When the node's list cannot be read.
    pub fn new(host: &Host) -> Result<Self, OsError> {
        let mut roots = RootCerts::WebPki;
        for bundle in BUNDLES {
            let Some(pem) = host.read_through(Path::new(bundle), 16 << 20)? else { continue };
            let items = parse_pem(&pem).filter_map(Result::ok);
            let certificates: Vec<Certificate<'static>> =
                items.filter_map(|item| if let PemItem::Certificate(certificate) = item { Some(certificate) } else { None }).collect();
            if !certificates.is_empty() {
                roots = RootCerts::new_with_certs(&certificates);
                break;
            }
        }
        let config = Config::builder()
            .tls_config(TlsConfig::builder().root_certs(roots).build())
            .http_status_as_error(false)
            .max_redirects(REDIRECTS)
            .max_redirects_will_error(true)
            .timeout_connect(Some(CONNECT))
            // Whoever started us may have one in its environment, a plan's session and a run's runner each another: none, or what is planned
            // is not what is done.
            .proxy(None)
            .user_agent("ostler")
            .build();
        Ok(Self(Agent::with_parts(config, DefaultConnector::default(), Names)))
    }

    /// GET, with these headers.
    ///
    /// # Errors
    /// When no answer came. A bad status is an answer.
    pub fn get(&self, url: &str, headers: &[(&str, String)], patience: Deadlines) -> Result<Response<Body>, OsError> {
        let request = asked(self.0.get(url), headers, patience);
        request.call().map_err(|error| refused(url, error))
    }

    /// The length that a server tells for a URL, without its bytes.
    pub fn length(&self, url: &str, patience: Deadlines) -> Option<u64> {
        let answer = asked(self.0.head(url), &[], patience).call().ok()?;
        let length = answer.headers().get("content-length").filter(|_| answer.status().is_success())?;
        length.to_str().ok()?.parse().ok()
    }

    /// POST of a small body.
    ///
    /// # Errors
    /// When no answer came. A bad status is an answer.
    pub fn post(&self, url: &str, headers: &[(&str, String)], body: &[u8], patience: Deadlines) -> Result<Response<Body>, OsError> {
        let request = asked(self.0.post(url), headers, patience);
        request.send(body).map_err(|error| refused(url, error))
    }
}

/// A request with these headers, whose every wait ends in time.
fn asked<B>(request: RequestBuilder<B>, headers: &[(&str, String)], patience: Deadlines) -> RequestBuilder<B> {
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
    let left = patience.deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
    let config = request.config().timeout_global(Some(left)).timeout_per_read(Some(patience.stall));
    config.timeout_recv_response(Some(patience.stall)).build()
}

/// The URL without user and password: it will be shown.
pub fn redacted(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (authority, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
    match authority.rsplit_once('@') {
        Some((user, host)) if scheme.starts_with("http") || user.contains(':') => format!("{scheme}://***@{host}{path}"),
        Some(_) | None => url.to_owned(),
    }
}

fn refused(url: &str, error: ureq::Error) -> OsError {
    let source = match error {
        ureq::Error::Io(source) => source,
        ureq::Error::Timeout(what) => io::Error::new(io::ErrorKind::TimedOut, format!("no answer in time ({what})")),
        other => io::Error::other(other.to_string()),
    };
    OsError::new(Operation::Connect, redacted(url), source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_its_password() {
        assert_eq!(redacted("https://user:pw@host/x?y"), "https://***@host/x?y");
        assert_eq!(redacted("https://token@host/x"), "https://***@host/x");
        assert_eq!(redacted("ssh://git@host/x"), "ssh://git@host/x");
        assert_eq!(redacted("file:///srv/x"), "file:///srv/x");
    }

    #[test]
    fn no_variable_of_whoever_started_us_leads_elsewhere() {
        let nested = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "host::http::tests::with_a_proxy_in_the_environment"])
            .envs([
                ("http_proxy", "http://192.0.2.1:3128"),
                ("HTTPS_PROXY", "http://192.0.2.1:3128"),
                ("ALL_PROXY", "http://192.0.2.1:3128"),
            ])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&nested.stdout).into_owned();
        assert!(nested.status.success() && said.contains("1 passed"), "{said}");
    }

    #[test]
    #[ignore = "run by the test above, in an environment of its own"]
    fn with_a_proxy_in_the_environment() {
        let tree = tempfile::tempdir().unwrap();
        assert!(Http::new(&Host::at(tree.path()).unwrap()).unwrap().0.config().proxy().is_none());
    }
}
