//! The package proxy: lets through what apt and pip of this machine may reach, keeps what never changes.

use std::collections::{BTreeSet, HashSet};
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::{Component, Path, PathBuf};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

use super::super::error::LabError;
use super::super::sources::{Sources, authority};
use super::files::send;
use super::http::{Head, answer, refuse};

/// Reaching a mirror, and any pause while it sends.
const UPSTREAM: Duration = Duration::from_secs(30);

/// The proxy and its store.
#[derive(Debug)]
pub(super) struct Proxy {
    allowed: BTreeSet<String>,
    secure: BTreeSet<String>,
    store: PathBuf,
    agent: ureq::Agent,
    /// Files being fetched into the store: whoever wants one of them waits.
    fetching: Mutex<HashSet<PathBuf>>,
    fetched: Condvar,
}

impl Proxy {
    pub(super) fn new(sources: &Sources, store: &Path) -> Result<Self, LabError> {
        fs::create_dir_all(store).map_err(LabError::file("create directory", store))?;
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .tls_config(TlsConfig::builder().root_certs(machine_roots()).build())
            .timeout_resolve(Some(UPSTREAM))
            .timeout_connect(Some(UPSTREAM))
            .timeout_recv_response(Some(UPSTREAM))
            .build()
            .into();
        Ok(Self {
            allowed: sources.allowed.clone(),
            secure: sources.secure.clone(),
            store: store.to_owned(),
            agent,
            fetching: Mutex::default(),
            fetched: Condvar::new(),
        })
    }

    /// Answers the requests of one connection.
    pub(super) fn serve(&self, stream: TcpStream) -> io::Result<()> {
        let mut out = stream.try_clone()?;
        let mut reader = BufReader::new(stream);
        while let Some(head) = Head::read(&mut reader)? {
            let stays = match head.method.as_str() {
                "CONNECT" => return self.tunnel(&head, reader, out),
                "GET" | "HEAD" => self.pass(&head, &mut out)?,
                _ => return refuse(&mut out, "405 Method Not Allowed", "only GET, HEAD and CONNECT pass here"),
            };
            if !stays || head.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
                break;
            }
        }
        Ok(())
    }

    /// Answers one request; returns whether the connection stays usable.
    fn pass(&self, head: &Head, out: &mut TcpStream) -> io::Result<bool> {
        let host = head.target.strip_prefix("http://").and_then(|_| authority(&head.target));
        let Some(host) = host else {
            refuse(out, "400 Bad Request", "this is a proxy: ask for a whole http:// address")?;
            return Ok(true);
        };
        let upstream = match self.secure.contains(&host) {
            // Nodes need no certificates: this machine's own way to the mirror is the one that counts.
            true => head.target.replacen("http://", "https://", 1),
            false => head.target.clone(),
        };
        if !self.allowed.contains(&host) {
            refuse(out, "403 Forbidden", &format!("{host} is in neither the apt nor the pip configuration of the lab's machine"))?;
            return Ok(true);
        }
        let Some(kept) = self.kept_path(&head.target) else { return self.forward(head, &upstream, out, None) };
        if !kept.is_file() {
            if head.method == "HEAD" {
                return self.forward(head, &upstream, out, None);
            }
            let turn = Turn::take(self, kept.clone());
            if !kept.is_file() {
                return self.forward(head, &upstream, out, Some(&kept));
            }
            drop(turn);
        }
        send(out, head, &kept)?;
        Ok(true)
    }

    /// Returns where an answer that never changes is kept: packages, wheels, and indexes by their digest.
    fn kept_path(&self, target: &str) -> Option<PathBuf> {
        let (path, query) = target.strip_prefix("http://")?.split_once('?').unwrap_or((target.strip_prefix("http://")?, ""));
        let lasting = [".deb", ".udeb", ".whl", ".tar.gz", ".tar.xz"].iter().any(|end| path.ends_with(end)) || path.contains("/by-hash/");
        let plain = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
        (lasting && plain && query.is_empty()).then(|| self.store.join(path))
    }

    /// Fetches from the mirror, sends it on as it comes and keeps it when it arrived whole.
    fn forward(&self, head: &Head, upstream: &str, out: &mut TcpStream, keep: Option<&Path>) -> io::Result<bool> {
        let mut request = if head.method == "HEAD" { self.agent.head(upstream) } else { self.agent.get(upstream) };
        // A part or a "not modified" must never be kept as the whole.
        for name in if keep.is_some() { &[][..] } else { &["if-modified-since", "if-none-match", "range", "if-range"][..] } {
            if let Some(value) = head.header(name) {
                request = request.header(*name, value);
            }
        }
        let response = match request.call() {
            Ok(response) => response,
            Err(error) => {
                refuse(out, "502 Bad Gateway", &error.to_string())?;
                return Ok(true);
            }
        };
        let length = response.headers().get("content-length").and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        let mut headers: Vec<(&str, String)> = Vec::new();
        for name in ["Content-Type", "Last-Modified", "ETag", "Content-Range", "Accept-Ranges"] {
            headers.extend(response.headers().get(name).and_then(|value| Some((name, value.to_str().ok()?.to_owned()))));
        }
        let bodiless = head.method == "HEAD" || response.status() == 304;
        let stays = bodiless || length.is_some();
        headers.extend(length.map(|length| ("Content-Length", length.to_string())));
        if !stays {
            headers.push(("Connection", "close".into()));
        }
        let status = response.status();
        answer(out, &format!("{} {}", status.as_u16(), status.canonical_reason().unwrap_or("-")), &headers)?;
        if bodiless {
            return Ok(true);
        }
        let mut body = response.into_body().into_reader();
        match (keep.filter(|_| status == 200), length) {
            (Some(path), Some(length)) => keep_and_send(&mut body, out, path, length)?,
            _ => drop(io::copy(&mut body, out)?),
        }
        Ok(stays)
    }

    /// Joins the node to an https host; what they say stays theirs.
    fn tunnel(&self, head: &Head, reader: BufReader<TcpStream>, mut out: TcpStream) -> io::Result<()> {
        let host = authority(&format!("https://{}", head.target)).filter(|host| self.allowed.contains(host));
        if host.is_none() {
            return refuse(&mut out, "403 Forbidden", "this host is in neither the apt nor the pip configuration of the lab's machine");
        }
        let found = head.target.to_socket_addrs()?.next().ok_or(io::ErrorKind::NotFound)?;
        let upstream = TcpStream::connect_timeout(&found, UPSTREAM)?;
        answer(&mut out, "200 Connection Established", &[])?;
        let early = reader.buffer().to_vec();
        let inside = reader.into_inner();
        let (mut up_write, mut up_read) = (upstream.try_clone()?, upstream);
        up_write.write_all(&early)?;
        std::thread::scope(|scope| {
            scope.spawn(move || {
                let mut inside = inside;
                let _ = io::copy(&mut inside, &mut up_write);
                let _ = up_write.shutdown(std::net::Shutdown::Write);
            });
            let copied = io::copy(&mut up_read, &mut out);
            let _ = out.shutdown(std::net::Shutdown::Both);
            copied.map(drop)
        })
    }
}

/// Returns the certificates this machine trusts; a mirror inside a company is signed by one of its own.
fn machine_roots() -> RootCerts {
    let Ok(bundle) = fs::read("/etc/ssl/certs/ca-certificates.crt") else { return RootCerts::WebPki };
    let certificates: Vec<_> = parse_pem(&bundle)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    RootCerts::new_with_certs(&certificates)
}

/// Sends `length` bytes on and puts them into the store, renamed into place once they are all there.
fn keep_and_send(body: &mut impl Read, out: &mut TcpStream, path: &Path, length: u64) -> io::Result<()> {
    let dir = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    fs::create_dir_all(dir)?;
    let part = path.with_added_extension(format!("{}.part", std::process::id()));
    let mut file = File::create(&part)?;
    let mut buffer = vec![0; 64 * 1024];
    let mut arrived: u64 = 0;
    let outcome = loop {
        match body.read(&mut buffer) {
            Ok(0) => break Ok(()),
            Ok(count) => {
                arrived += count as u64;
                if let Err(error) = file.write_all(&buffer[..count]).and_then(|()| out.write_all(&buffer[..count])) {
                    break Err(error);
                }
            }
            Err(error) => break Err(error),
        }
    };
    if outcome.is_ok() && arrived == length {
        fs::rename(&part, path)?;
    } else {
        let _ = fs::remove_file(&part);
    }
    outcome
}

/// The right to fetch one file of the store.
struct Turn<'a> {
    proxy: &'a Proxy,
    path: PathBuf,
}

impl<'a> Turn<'a> {
    fn take(proxy: &'a Proxy, path: PathBuf) -> Self {
        let mut fetching = proxy.fetching.lock().unwrap_or_else(PoisonError::into_inner);
        while fetching.contains(&path) {
            fetching = proxy.fetched.wait(fetching).unwrap_or_else(PoisonError::into_inner);
        }
        fetching.insert(path.clone());
        Self { proxy, path }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.proxy.fetching.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.path);
        self.proxy.fetched.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(store: &Path) -> Proxy {
        let sources =
            Sources { mirror: "http://a.example/debian".into(), allowed: BTreeSet::from(["a.example".into()]), secure: BTreeSet::new() };
        Proxy::new(&sources, store).expect("proxy")
    }

    #[test]
    fn only_what_never_changes_is_kept() {
        let dir = tempfile::tempdir().expect("scratch");
        let proxy = proxy(dir.path());
        let kept = |target: &str| proxy.kept_path(target).map(|path| path.strip_prefix(dir.path()).expect("inside").to_owned());
        assert_eq!(kept("http://a.example/debian/pool/x_1_all.deb"), Some("a.example/debian/pool/x_1_all.deb".into()));
        assert_eq!(kept("http://a.example/dists/b/by-hash/SHA256/00"), Some("a.example/dists/b/by-hash/SHA256/00".into()));
        assert_eq!(kept("http://a.example/dists/b/InRelease"), None);
        assert_eq!(kept("http://a.example/../../x.deb"), None);
        assert_eq!(kept("http://a.example/x.deb?version=2"), None);
    }
}
