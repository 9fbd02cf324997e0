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
use super::tunnel::join;

/// How long the proxy waits.
#[derive(Debug, Clone, Copy)]
pub(super) struct ProxyDeadlines {
    /// For a mirror to be reached, to answer, and in any pause while it sends.
    pub(super) upstream: Duration,
    /// While neither side of a tunnel says anything.
    pub(super) silence: Duration,
}

/// The proxy and its store.
#[derive(Debug)]
pub(super) struct Proxy {
    deadlines: ProxyDeadlines,
    allowed: BTreeSet<String>,
    secure: BTreeSet<String>,
    store: PathBuf,
    agent: ureq::Agent,
    /// Files being fetched into the store: whoever wants one of them waits.
    fetching: Mutex<HashSet<PathBuf>>,
    fetched: Condvar,
}

impl Proxy {
    pub(super) fn new(sources: &Sources, store: &Path, deadlines: ProxyDeadlines) -> Result<Self, LabError> {
        fs::create_dir_all(store).map_err(LabError::file("create directory", store))?;
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .tls_config(TlsConfig::builder().root_certs(machine_roots()).build())
            .timeout_resolve(Some(deadlines.upstream))
            .timeout_connect(Some(deadlines.upstream))
            .timeout_recv_response(Some(deadlines.upstream))
            .timeout_per_read(Some(deadlines.upstream))
            .build()
            .into();
        Ok(Self {
            deadlines,
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
            let turn = FetchLock::take(self, kept.clone());
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
            (Some(path), Some(length)) => keep_and_send(&mut body, out, path, length, File::sync_data)?,
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
        let upstream = TcpStream::connect_timeout(&found, self.deadlines.upstream)?;
        answer(&mut out, "200 Connection Established", &[])?;
        upstream.set_write_timeout(Some(self.deadlines.upstream))?;
        (&upstream).write_all(reader.buffer())?;
        join(&out, &upstream, self.deadlines.silence)
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

/// Sends `length` bytes on and puts them into the store, renamed into place once they are all there and, as `sync` says, on the disk: a name
/// that is there is never questioned again. A store that takes nothing, on a full disk, is this machine's affair: the node gets its package all
/// the same.
fn keep_and_send(
    body: &mut impl Read,
    out: &mut impl Write,
    path: &Path,
    length: u64,
    sync: impl Fn(&File) -> io::Result<()>,
) -> io::Result<()> {
    let part = path.with_added_extension(format!("{}.part", std::process::id()));
    let mut file = path.parent().and_then(|dir| fs::create_dir_all(dir).and_then(|()| File::create(&part)).ok());
    let mut buffer = vec![0; 64 * 1024];
    let mut arrived: u64 = 0;
    let outcome = loop {
        match body.read(&mut buffer) {
            Ok(0) => break Ok(()),
            Ok(count) => {
                arrived += count as u64;
                file = file.filter(|mut file| file.write_all(&buffer[..count]).is_ok());
                if let Err(error) = out.write_all(&buffer[..count]) {
                    break Err(error);
                }
            }
            Err(error) => break Err(error),
        }
    };
    let is_whole = outcome.is_ok() && arrived == length && file.is_some_and(|file| sync(&file).is_ok());
    let kept = is_whole && fs::rename(&part, path).is_ok();
    if !kept {
        let _ = fs::remove_file(&part);
    }
    outcome
}

/// The right to fetch one file of the store.
struct FetchLock<'a> {
    proxy: &'a Proxy,
    path: PathBuf,
}

impl<'a> FetchLock<'a> {
    fn take(proxy: &'a Proxy, path: PathBuf) -> Self {
        let mut fetching = proxy.fetching.lock().unwrap_or_else(PoisonError::into_inner);
        while fetching.contains(&path) {
            fetching = proxy.fetched.wait(fetching).unwrap_or_else(PoisonError::into_inner);
        }
        fetching.insert(path.clone());
        Self { proxy, path }
    }
}

impl Drop for FetchLock<'_> {
    fn drop(&mut self) {
        self.proxy.fetching.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.path);
        self.proxy.fetched.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::time::Instant;

    fn proxy(store: &Path) -> Proxy {
        of("a.example", store)
    }

    /// Long enough for an answer on a busy machine.
    const DEADLINES: ProxyDeadlines = ProxyDeadlines { upstream: Duration::from_secs(2), silence: Duration::from_secs(2) };

    /// A proxy that lets one host through and waits for nothing long.
    fn of(host: &str, store: &Path) -> Proxy {
        let sources =
            Sources { mirror: format!("http://{host}/debian"), allowed: BTreeSet::from([host.to_owned()]), secure: BTreeSet::new() };
        Proxy::new(&sources, store, DEADLINES).expect("proxy")
    }

    /// A host outside, a node inside, and the proxy between; returns the host's name, and where the node's connections come in.
    fn between(store: &Path) -> (TcpListener, String, TcpListener, Proxy) {
        let listen = || TcpListener::bind("127.0.0.1:0").expect("bound");
        let (outside, inside) = (listen(), listen());
        let host = outside.local_addr().expect("address").to_string();
        let proxy = of(&host, store);
        (outside, host, inside, proxy)
    }

    /// Serves the node's one connection as the gateway does.
    fn serve(proxy: &Proxy, inside: &TcpListener) {
        let (stream, _) = inside.accept().expect("accepted");
        stream.set_read_timeout(Some(DEADLINES.silence)).expect("limit");
        stream.set_write_timeout(Some(DEADLINES.silence)).expect("limit");
        // Its errors are the node's affair.
        let _ = proxy.serve(stream);
    }

    fn node(inside: &TcpListener, asks: &str) -> TcpStream {
        let mut node = TcpStream::connect(inside.local_addr().expect("address")).expect("connected");
        node.set_read_timeout(Some(Duration::from_secs(20))).expect("limit");
        node.write_all(asks.as_bytes()).expect("asked");
        node
    }

    /// Takes a connection in and reads the head of the request.
    fn asked(outside: &TcpListener) -> TcpStream {
        let (stream, _) = outside.accept().expect("accepted");
        Head::read(&mut BufReader::new(stream.try_clone().expect("clone"))).expect("a head");
        stream
    }

    #[test]
    fn a_mirror_that_stalls_in_the_middle_is_left_and_nobody_waits_for_it() {
        let dir = tempfile::tempdir().expect("scratch");
        let (outside, host, inside, proxy) = between(dir.path());
        let get = format!("GET http://{host}/x_1_all.deb HTTP/1.1\r\n\r\n");
        std::thread::scope(|scope| {
            scope.spawn(|| serve(&proxy, &inside));
            let mut node = node(&inside, &get);
            let mut mirror = asked(&outside);
            mirror.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf.").expect("half of it");
            let mut answer = String::new();
            node.read_to_string(&mut answer).expect("the connection ends");
            assert!(answer.ends_with("\r\n\r\nhalf."), "{answer}");
        });
        // It is not kept, and the next one who asks has his turn.
        std::thread::scope(|scope| {
            scope.spawn(|| serve(&proxy, &inside));
            let mut node = node(&inside, &get.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"));
            asked(&outside).write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nall of it.").expect("all of it");
            let mut answer = String::new();
            node.read_to_string(&mut answer).expect("the connection ends");
            assert!(answer.ends_with("\r\n\r\nall of it."), "{answer}");
        });
    }

    #[test]
    fn a_package_is_on_the_disk_before_its_name_is() {
        let dir = tempfile::tempdir().expect("scratch");
        for (name, is_synced) in [("x_1_all.deb", true), ("y_1_all.deb", false)] {
            let path = dir.path().join(name);
            let sync = |part: &File| {
                assert!(!path.exists() && part.metadata().expect("open").len() == 10, "all of it, and not under its name");
                if is_synced { Ok(()) } else { Err(io::ErrorKind::StorageFull.into()) }
            };
            let mut out = Vec::new();
            keep_and_send(&mut &b"all of it."[..], &mut out, &path, 10, sync).expect("sent");
            assert_eq!((path.exists(), out.as_slice()), (is_synced, &b"all of it."[..]));
        }
    }

    #[test]
    fn what_cannot_be_kept_is_passed_on_all_the_same() {
        let dir = tempfile::tempdir().expect("scratch");
        let full = Path::new("/dev/full");
        for blocked in ["the shelf", "the file"] {
            let (outside, host, inside, proxy) = between(dir.path());
            match blocked {
                "the shelf" => fs::write(dir.path().join(&host), "no directory").expect("written"),
                // As on a full disk: it can be made, and not be written.
                _ => {
                    fs::create_dir(dir.path().join(&host)).expect("directory");
                    let part = dir.path().join(&host).join(format!("x_1_all.deb.{}.part", std::process::id()));
                    std::os::unix::fs::symlink(full, part).expect("link");
                }
            }
            std::thread::scope(|scope| {
                scope.spawn(|| serve(&proxy, &inside));
                let mut node = node(&inside, &format!("GET http://{host}/x_1_all.deb HTTP/1.1\r\nConnection: close\r\n\r\n"));
                asked(&outside).write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nall of it.").expect("all of it");
                let mut answer = String::new();
                node.read_to_string(&mut answer).expect("the connection ends");
                assert!(answer.ends_with("\r\n\r\nall of it."), "{blocked}: {answer}");
            });
            assert!(!dir.path().join(&host).join("x_1_all.deb").exists(), "{blocked}");
        }
        assert!(full.exists());
    }

    #[test]
    fn a_tunnel_that_is_busy_one_way_stays_and_a_silent_one_ends() {
        std::thread::scope(|scope| {
            scope.spawn(|| is_kept_while_busy(false));
            scope.spawn(|| is_kept_while_busy(true));
        });
    }

    fn is_kept_while_busy(upload: bool) {
        let dir = tempfile::tempdir().expect("scratch");
        let (outside, host, inside, proxy) = between(dir.path());
        std::thread::scope(|scope| {
            scope.spawn(|| serve(&proxy, &inside));
            let mut node = node(&inside, &format!("CONNECT {host} HTTP/1.1\r\n\r\n"));
            let (mut far, _) = outside.accept().expect("accepted");
            let head = b"HTTP/1.1 200 Connection Established\r\n\r\n";
            node.read_exact(&mut vec![0; head.len()]).expect("the tunnel is there");
            far.set_read_timeout(Some(Duration::from_secs(20))).expect("limit");
            let (from, to) = if upload { (&mut node, &mut far) } else { (&mut far, &mut node) };
            // Three times as long as a silence may last.
            for number in 0..24 {
                from.write_all(&[number]).expect("the way is open");
                let mut got = [0];
                to.read_exact(&mut got).expect("it comes through");
                assert_eq!(got, [number]);
                std::thread::sleep(DEADLINES.silence / 8);
            }
            // Whoever sends all the time is not the one who ends it either.
            to.write_all(b"!").expect("the way back is open");
            from.read_exact(&mut [0]).expect("it comes back");
            let quiet = Instant::now();
            assert_eq!(to.read(&mut [0]).expect("its end"), 0);
            assert_eq!(from.read(&mut [0]).expect("its end"), 0);
            assert!(quiet.elapsed() >= DEADLINES.silence / 2 && quiet.elapsed() < Duration::from_secs(18), "{:?}", quiet.elapsed());
        });
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
