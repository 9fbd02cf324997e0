//! http, https and git:// for libgit2: over ureq and `host::resolve`, with deadlines. Its own would ask libc for names.

use crate::host::http::{Deadlines, Http};
use crate::host::resolve;
use git2::transport::{Service, SmartSubtransport, SmartSubtransportStream, Transport};
use git2::{Error, ErrorClass, ErrorCode, Remote};
use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};
use ureq::ResponseExt as _;

/// The longest silence of a server that speaks git://.
const STALL: Duration = Duration::from_secs(30);
/// The port of git:// (git-daemon(1)).
const PORT: u16 = 9418;

thread_local! {
    /// What the transports of this thread use. libgit2 makes them out of an URL alone: there is no other way to hand it over.
    static AMBIENT: RefCell<Option<(Http, Instant)>> = const { RefCell::new(None) };
}

/// Does something with libgit2, whose connections on this thread end at `deadline`.
pub(super) fn with_ambient<T>(http: &Http, deadline: Instant, act: impl FnOnce() -> T) -> T {
    AMBIENT.with(|ambient| *ambient.borrow_mut() = Some((http.clone(), deadline)));
    let done = act();
    AMBIENT.with(|ambient| *ambient.borrow_mut() = None);
    done
}

fn ambient() -> Result<(Http, Instant), Error> {
    AMBIENT.with(|ambient| ambient.borrow().clone()).ok_or_else(|| net("a connection outside of its deadline"))
}

fn net(message: &str) -> Error {
    // libgit2 takes C strings.
    Error::new(ErrorCode::GenericError, ErrorClass::Net, message.replace('\0', " "))
}

#[expect(unsafe_code, reason = "libgit2 registers transports in a list without a lock")]
pub(super) fn register() -> Result<(), Error> {
    let web = |remote: &Remote<'_>| Transport::smart(remote, true, Web::default());
    // SAFETY: called once, by `prepared`, before any transport is made.
    unsafe {
        git2::transport::register("http", web)?;
        git2::transport::register("https", web)?;
        git2::transport::register("git", |remote| Transport::smart(remote, false, Plain))
    }
}

/// The smart protocol over HTTP (gitprotocol-http(5)).
#[derive(Debug, Default)]
struct Web {
    /// Where the repository really is, after redirects of the first request.
    base: Arc<Mutex<Option<String>>>,
}

impl SmartSubtransport for Web {
    fn action(&self, url: &str, action: Service) -> Result<Box<dyn SmartSubtransportStream>, Error> {
        let (http, deadline) = ambient()?;
        let patience = Deadlines { deadline, stall: STALL };
        let bare = url.trim_end_matches('/').to_owned();
        match action {
            Service::UploadPackLs => {
                let asked = format!("{bare}/info/refs?service=git-upload-pack");
                let response = http.get(&asked, &[], patience).map_err(|error| net(&format!("cannot {error}: {}", error.source)))?;
                if !response.status().is_success() {
                    return Err(net(&format!("the server answers {}", response.status())));
                }
                let real = response.get_uri().to_string();
                if let Some((base, _)) = real.split_once("/info/refs") {
                    *self.base.lock().unwrap_or_else(PoisonError::into_inner) = Some(base.to_owned());
                }
                let kind = response.headers().get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or("").to_owned();
                if kind != "application/x-git-upload-pack-advertisement" {
                    return Err(net("the server does not speak git's smart protocol at this URL"));
                }
                Ok(Box::new(Answer(Box::new(response.into_body().into_reader()))))
            }
            Service::UploadPack => {
                let base = self.base.lock().unwrap_or_else(PoisonError::into_inner).clone().unwrap_or(bare);
                let url = format!("{base}/git-upload-pack");
                Ok(Box::new(Question { url, http, patience, body: Vec::new(), answer: None }))
            }
            Service::ReceivePackLs | Service::ReceivePack => Err(net("nothing is pushed from here")),
        }
    }

    fn close(&self) -> Result<(), Error> {
        Ok(())
    }
}

/// What came, to be read.
struct Answer(Box<dyn Read + Send>);

impl Read for Answer {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Answer {
    fn write(&mut self, _bytes: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A request that is written first; reading sends it.
struct Question {
    url: String,
    http: Http,
    patience: Deadlines,
    body: Vec<u8>,
    answer: Option<Box<dyn Read + Send>>,
}

impl Read for Question {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(answer) = &mut self.answer {
            return answer.read(buffer);
        }
        let headers = [
            ("Content-Type", "application/x-git-upload-pack-request".to_owned()),
            ("Accept", "application/x-git-upload-pack-result".to_owned()),
        ];
        let response = self.http.post(&self.url, &headers, &self.body, self.patience).map_err(io::Error::other)?;
        if !response.status().is_success() {
            return Err(io::Error::other(format!("the server answers {}", response.status())));
        }
        self.answer.insert(Box::new(response.into_body().into_reader())).read(buffer)
    }
}

impl Write for Question {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.body.extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// At most so many of our connections wait at a door at once. git-daemon(1) lets five wait; one more is not refused but tries again
/// after a whole second (tcp(7), SYN).
const AT_THE_DOOR: usize = 4;
static DOOR: (Mutex<usize>, Condvar) = (Mutex::new(0), Condvar::new());

/// A place at the door, until the server has said something.
struct AtTheDoor;

impl AtTheDoor {
    /// None: the deadline came first.
    fn wait(deadline: Instant) -> Option<Self> {
        let waiting = DOOR.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left = deadline.saturating_duration_since(Instant::now());
        let waited = DOOR.1.wait_timeout_while(waiting, left, |count| *count >= AT_THE_DOOR);
        let (mut waiting, late) = waited.unwrap_or_else(PoisonError::into_inner);
        if late.timed_out() {
            return None;
        }
        *waiting += 1;
        Some(Self)
    }
}

impl Drop for AtTheDoor {
    fn drop(&mut self) {
        *DOOR.0.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        DOOR.1.notify_one();
    }
}

/// git:// (gitprotocol-pack(5)): one connection for question and answer.
#[derive(Debug)]
struct Plain;

impl SmartSubtransport for Plain {
    fn action(&self, url: &str, action: Service) -> Result<Box<dyn SmartSubtransportStream>, Error> {
        if action != Service::UploadPackLs {
            return Err(net("nothing is pushed from here"));
        }
        let (_, deadline) = ambient()?;
        let (host, port, path) = parts(url).ok_or_else(|| net("an URL without a host or a path"))?;
        let door = Some(AtTheDoor::wait(deadline).ok_or_else(|| net("no answer in time"))?);
        let stream = resolve::connect(&host, port, deadline).map_err(|error| net(&format!("cannot {error}: {}", error.source)))?;
        let mut stream = TimedStream { stream, deadline, door };
        let shown = if port == PORT { host } else { format!("{host}:{port}") };
        let request = format!("git-upload-pack {path}\0host={shown}\0");
        let sent = stream.write_all(format!("{:04x}{request}", request.len() + 4).as_bytes());
        sent.map_err(|error| net(&format!("cannot ask {shown}: {error}")))?;
        Ok(Box::new(stream))
    }

    fn close(&self) -> Result<(), Error> {
        Ok(())
    }
}

/// Host, port and path of a git:// URL.
fn parts(url: &str) -> Option<(String, u16, String)> {
    let rest = url.strip_prefix("git://")?;
    let (authority, path) = rest.split_at(rest.find('/')?);
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => (host, port.parse().ok()?),
        Some(_) | None => (authority, PORT),
    };
    (!host.is_empty()).then(|| (host.to_owned(), port, path.to_owned()))
}

/// A connection whose every wait ends in time.
struct TimedStream {
    stream: TcpStream,
    deadline: Instant,
    door: Option<AtTheDoor>,
}

impl TimedStream {
    fn patience(&self) -> io::Result<Duration> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left.min(STALL)) }
    }
}

impl Read for TimedStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(self.patience()?))?;
        let count = self.stream.read(buffer)?;
        self.door = None;
        Ok(count)
    }
}

impl Write for TimedStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(self.patience()?))?;
        self.stream.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_git_url_has_host_port_and_path() {
        let parts = |url| parts(url).map(|(host, port, path)| format!("{host} {port} {path}"));
        assert_eq!(parts("git://host/a/b.git").as_deref(), Some("host 9418 /a/b.git"));
        assert_eq!(parts("git://10.0.0.1:9999/a").as_deref(), Some("10.0.0.1 9999 /a"));
        assert_eq!(parts("git://[::1]:9999/a").as_deref(), Some("[::1] 9999 /a"));
        assert_eq!(parts("git://[::1]/a").as_deref(), Some("[::1] 9418 /a"));
        assert_eq!(parts("git://host"), None);
    }
}
