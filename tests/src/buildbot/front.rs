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
    /// The connection breaks, and the master hears it later: once another one is [`Fate::Overtaking`].
    Late,
    /// It is passed on, then all that is late, and then its answer.
    Overtaking,
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
        let late: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        // It ends with the test program.
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (judge, late) = (Arc::clone(&judge), Arc::clone(&late));
                std::thread::spawn(move || serve(client, master, &judge, &late));
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
fn serve(mut client: TcpStream, master: SocketAddr, judge: &Mutex<Judge>, late: &Mutex<Vec<Vec<u8>>>) -> Option<()> {
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
    let request = [format!("{head}Connection: close\r\n\r\n").as_bytes(), &body].concat();
    let answer = match fate {
        Fate::Refused(_) => Vec::new(),
        Fate::Late => {
            late.lock().ok()?.push(request);
            return None;
        }
        Fate::Passed | Fate::Answered(_) | Fate::Broken | Fate::Overtaking => ask(master, &request)?,
    };
    if fate == Fate::Overtaking {
        for request in std::mem::take(&mut *late.lock().ok()?) {
            ask(master, &request)?;
        }
    }
    match fate {
        Fate::Passed | Fate::Overtaking => client.write_all(&answer).ok(),
        Fate::Refused(status) | Fate::Answered(status) => {
            write!(client, "HTTP/1.1 {status} Said the front\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").ok()
        }
        Fate::Broken | Fate::Late => None,
    }
}

/// What the master answers.
fn ask(master: SocketAddr, request: &[u8]) -> Option<Vec<u8>> {
    let mut upstream = TcpStream::connect(master).ok()?;
    upstream.write_all(request).ok()?;
    let mut answer = Vec::new();
    upstream.read_to_end(&mut answer).ok()?;
    Some(answer)
}
