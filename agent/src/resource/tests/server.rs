//! A small HTTP server on loopback that misbehaves as told.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// A request: its line and its `Range`.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) path: String,
    pub(super) from: Option<usize>,
    pub(super) body: Vec<u8>,
    /// HEAD: only the length is asked for.
    pub(super) bodiless: bool,
}

/// Answers each request; returning closes the connection.
type Answer = dyn Fn(&Asked, usize, &mut TcpStream) -> std::io::Result<()> + Send + Sync;

/// The server; it ends with this value.
pub(super) struct Server {
    port: u16,
    pub(super) asked: Arc<Mutex<Vec<Asked>>>,
    /// What HEAD is told; 0: nothing.
    pub(super) length: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// `answer` gets the request and its number, from 0.
    pub(super) fn new(answer: impl Fn(&Asked, usize, &mut TcpStream) -> std::io::Result<()> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let length = Arc::new(AtomicU64::new(0));
        let known = length.clone();
        let (log, ended, answer): (_, _, Arc<Answer>) = (asked.clone(), stop.clone(), Arc::new(answer));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if ended.load(Ordering::SeqCst) {
                    return;
                }
                let (log, answer, told, mut stream) = (log.clone(), answer.clone(), known.clone(), stream.unwrap());
                std::thread::spawn(move || {
                    let Some(asked) = read(&mut stream) else { return };
                    if asked.bodiless {
                        let _ = match told.load(Ordering::SeqCst) {
                            0 => head(&mut stream, "405 Method Not Allowed", "Content-Length: 0\r\n"),
                            length => head(&mut stream, "200 OK", &format!("Content-Length: {length}\r\n")),
                        };
                        return;
                    }
                    let number = {
                        let mut log = log.lock().unwrap();
                        log.push(asked.clone());
                        log.len() - 1
                    };
                    // A client that has gone away is no fault of the server's.
                    let _ = answer(&asked, number, &mut stream);
                });
            }
        });
        Self { port, asked, length, stop, thread: Some(thread) }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        self.thread.take().unwrap().join().unwrap();
    }
}

fn read(stream: &mut TcpStream) -> Option<Asked> {
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut reader = BufReader::new(stream.take(1 << 20));
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let bodiless = line.starts_with("HEAD ");
    let mut from = None;
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let header = header.trim().to_ascii_lowercase();
        if header.is_empty() {
            let mut body = vec![0; length];
            reader.read_exact(&mut body).ok()?;
            return Some(Asked { path, from, body, bodiless });
        }
        if let Some(count) = header.strip_prefix("content-length: ") {
            length = count.parse().ok()?;
        }
        if let Some(range) = header.strip_prefix("range: bytes=") {
            from = range.strip_suffix('-').and_then(|from| from.parse().ok());
        }
    }
}

/// The head of an answer.
pub(super) fn head(stream: &mut TcpStream, status: &str, headers: &str) -> std::io::Result<()> {
    write!(stream, "HTTP/1.1 {status}\r\nConnection: close\r\n{headers}\r\n")
}

/// A whole answer, from the byte that was asked for.
pub(super) fn ranged(asked: &Asked, stream: &mut TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    match asked.from {
        Some(from) if from >= bytes.len() => head(stream, "416 Range Not Satisfiable", "Content-Length: 0\r\n"),
        Some(from) => {
            let rest = &bytes[from..];
            let range = format!("Content-Range: bytes {from}-{}/{}\r\n", bytes.len() - 1, bytes.len());
            head(stream, "206 Partial Content", &format!("Content-Length: {}\r\n{range}", rest.len()))?;
            stream.write_all(rest)
        }
        None => {
            head(stream, "200 OK", &format!("Content-Length: {}\r\n", bytes.len()))?;
            stream.write_all(bytes)
        }
    }
}
