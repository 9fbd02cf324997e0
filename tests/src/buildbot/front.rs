//! What may stand in front of a master: it passes requests on, and sometimes it does not, or loses the answer.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What becomes of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is passed on, and so is the answer.
    Passed,
    /// It is answered with this status, and the master never hears of it.
    Refused(u16),
    /// The master hears it, and its answer becomes this status.
    Answered(u16),
    /// The master hears it, and the connection breaks.
    Broken,
}

type Judge = Box<dyn FnMut(&str) -> Fate + Send>;

/// A front that decides by the request line (`GET /api/v2/workers`).
#[derive(Debug)]
pub struct Front {
    address: SocketAddr,
}

impl Front {
    /// Before the master at this address.
    pub fn of(master: SocketAddr, judge: impl FnMut(&str) -> Fate + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port on loopback");
        let address = listener.local_addr().expect("a bound socket has an address");
        let judge: Arc<Mutex<Judge>> = Arc::new(Mutex::new(Box::new(judge)));
        // It ends with the test program.
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let judge = Arc::clone(&judge);
                std::thread::spawn(move || serve(client, master, &judge));
            }
        });
        Self { address }
    }

    /// Its base address.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }
}

/// One request, then the connection ends. Whatever goes wrong is a broken connection, as with any proxy.
fn serve(mut client: TcpStream, master: SocketAddr, judge: &Mutex<Judge>) -> Option<()> {
    let mut reader = BufReader::new(client.try_clone().ok()?);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        if line.trim().is_empty() {
            break;
        }
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if !lower.starts_with("connection:") {
            head.push_str(&line);
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let words: Vec<&str> = head.split(' ').take(2).collect();
    let fate = judge.lock().ok()?(&words.join(" "));
    let mut answer = Vec::new();
    if !matches!(fate, Fate::Refused(_)) {
        let mut upstream = TcpStream::connect(master).ok()?;
        write!(upstream, "{head}Connection: close\r\n\r\n").ok()?;
        upstream.write_all(&body).ok()?;
        upstream.read_to_end(&mut answer).ok()?;
    }
    match fate {
        Fate::Passed => client.write_all(&answer).ok(),
        Fate::Refused(status) | Fate::Answered(status) => {
            write!(client, "HTTP/1.1 {status} Said the front\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").ok()
        }
        Fate::Broken => None,
    }
}
