//! A stateful **model** of a Jenkins controller's node, credential, job and restart interfaces, on loopback.
//!
//! It is not Jenkins. `tests/jenkins.rs` first replays exchanges recorded from Jenkins 2.426, 2.532 and 2.568 against it, and then lets the
//! product's client work on it. What it does not know is listed in `data/jenkins/not-covered.md`.

pub mod credentials;
pub mod door;
pub mod http;
pub mod jobs;
mod mark;
pub mod nodes;
mod pages;
pub mod replay;
mod restart;
mod routes;
mod routes_computer;
mod routes_credentials;
mod routes_job;
mod state;
mod tree;
pub mod users;
pub mod version;
mod views;
pub mod xml;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

pub use http::{Request, Response};
pub use restart::{Fault, Timeline};
pub use state::{Language, SshHost, State};
pub use users::{Permission, User};
pub use version::Version;

/// One answer that gets lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Losing {
    /// None.
    #[default]
    Nothing,
    /// The one after so many, this way.
    After(usize, Loss),
    /// It is done, and so is all that comes of it.
    Lost,
}

/// How an answer gets lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// The connection breaks.
    Connection,
    /// A proxy in front gave up waiting: 504.
    Gateway,
    /// The request does: a proxy in front could not pass it on, 502.
    Unheard,
    /// The master itself says 500, though it did what was asked.
    Stumble,
    /// It says 500 and did nothing.
    Failure,
    /// It does what was asked, and says nothing: neither to this nor to anything else, until it is played something else.
    Silence,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    log: Mutex<Vec<Request>>,
    timeline: Mutex<Timeline>,
    losing: Mutex<Losing>,
    stopping: AtomicBool,
}

/// A running model; dropped, it stops.
#[derive(Debug)]
pub struct Model {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: Option<JoinHandle<()>>,
}

impl Model {
    /// Starts one of 2.532 on a free loopback port with these accounts.
    pub fn start(users: Vec<User>) -> std::io::Result<Self> {
        Self::of(Version::USUAL, users)
    }

    /// Starts one of this version on a free loopback port with these accounts.
    pub fn of(version: Version, users: Vec<User>) -> std::io::Result<Self> {
        let listener = own_port()?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            state: Mutex::new(State::new(version, &format!("http://{address}/"), users)),
            log: Mutex::default(),
            timeline: Mutex::default(),
            losing: Mutex::default(),
            stopping: AtomicBool::new(false),
        });
        let server = thread::spawn({
            let shared = Arc::clone(&shared);
            move || serve(listener, &shared)
        });
        Ok(Self { address, shared, server: Some(server) })
    }

    /// Where it listens, with `/` at the end.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// The address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The state, to look at or to change behind everybody's back.
    pub fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.shared.state)
    }

    /// The requests since the last call.
    pub fn take_log(&self) -> Vec<Request> {
        std::mem::take(&mut *lock(&self.shared.log))
    }

    /// From now on the faults of this timeline, then service as usual.
    pub fn play(&self, timeline: Timeline) {
        *lock(&self.shared.timeline) = timeline;
    }

    /// After this many answers one request is carried out, but its answer gets lost.
    pub fn lose_answer_after(&self, answers: usize, how: Loss) {
        *lock(&self.shared.losing) = Losing::After(answers, how);
    }

    /// Whether the answer was lost that [`Model::lose_answer_after`] asked for; nothing was while nobody asked.
    pub fn has_lost_answer(&self) -> bool {
        *lock(&self.shared.losing) == Losing::Lost
    }

    /// Waits until no build runs.
    pub fn wait_for_builds(&self, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        while Instant::now() < end {
            run_due(&self.shared);
            if !self.state().jobs.values().any(|job| job.builds.iter().any(jobs::Build::is_running)) {
                return true;
            }
            thread::sleep(Duration::from_millis(5));
        }
        false
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Relaxed);
        self.state().hold_builds = false;
        let _ = TcpStream::connect_timeout(&self.address, Duration::from_secs(1));
        if let Some(server) = self.server.take() {
            let _ = server.join();
        }
    }
}

/// Bound by number, the port stays ours while nobody listens on it (tcp(7); the kernel gives back only ports that it chose). In between,
/// somebody else may be given it: then another one does as well.
fn own_port() -> std::io::Result<TcpListener> {
    let mut tries = 0;
    loop {
        tries += 1;
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        match TcpListener::bind(address) {
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse && tries < 100 => {}
            bound => return bound,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn current(shared: &Shared) -> Option<Fault> {
    let mut timeline = lock(&shared.timeline);
    if timeline.has_restarted() {
        lock(&shared.state).restart();
    }
    timeline.current()
}

fn serve(listener: TcpListener, shared: &Arc<Shared>) {
    let mut is_open = true;
    if listener.set_nonblocking(true).is_err() {
        return;
    }
    while !shared.stopping.load(Ordering::Relaxed) {
        let is_wanted = current(shared) != Some(Fault::Refused);
        if is_open != is_wanted {
            let done =
                if is_wanted { rustix::net::listen(&listener, 64) } else { rustix::net::shutdown(&listener, rustix::net::Shutdown::Read) };
            is_open = if done.is_ok() { is_wanted } else { is_open };
        }
        match listener.accept() {
            Ok((stream, _)) => {
                let shared = Arc::clone(shared);
                thread::spawn(move || answer(&stream, &shared));
            }
            Err(_) => thread::sleep(Duration::from_millis(1)),
        }
    }
}

fn answer(stream: &TcpStream, shared: &Arc<Shared>) {
    if stream.set_nonblocking(false).is_err() {
        return;
    }
    let fault = current(shared);
    if fault == Some(Fault::Reset) {
        return;
    }
    let Some(request) = http::read(stream) else { return };
    let head_only = request.method == "HEAD";
    lock(&shared.log).push(request.clone());
    match fault {
        Some(Fault::Restarting) => http::write(stream, &pages::unavailable("Restarting"), head_only),
        Some(Fault::Starting) => http::write(stream, &pages::unavailable("Starting"), head_only),
        Some(Fault::Unauthorized) => {
            let version = lock(&shared.state).version;
            http::write(stream, &pages::unauthorized(version, &request.path), head_only);
        }
        Some(Fault::Gateway) => http::write(stream, &pages::gateway(502, "Bad Gateway"), head_only),
        Some(Fault::Moved) => http::write(stream, &Response::empty(301).header("Location", "https://ci.example/jenkins/"), head_only),
        Some(Fault::Echo { status, writes_alone }) if !writes_alone || request.method == "POST" => {
            http::write(stream, &pages::echo(status, &request), head_only);
        }
        Some(Fault::Files) => {
            let page = Response::empty(404).header("Content-Type", "text/html;charset=utf-8").body("<title>File not found</title>");
            http::write(stream, &page, head_only);
        }
        Some(Fault::Html) => {
            let page =
                Response::empty(200).header("Content-Type", "text/html;charset=utf-8").body("<html><body>Please log in</body></html>");
            http::write(stream, &page, head_only);
        }
        Some(Fault::Half) => {
            let mut response = respond(&request, shared);
            let length = response.body.len();
            response.headers.push(("Content-Length".to_owned(), length.to_string()));
            response.body.truncate(length / 2);
            http::write(stream, &response, head_only);
        }
        Some(Fault::Endless) => {
            http::write(stream, &Response::empty(200).header("Content-Type", "application/json").body(vec![b' '; 64 << 20]), head_only)
        }
        Some(Fault::Hang) => hang(shared),
        Some(Fault::Reset | Fault::Refused) => {}
        None | Some(Fault::Echo { .. }) => {
            let loss = lock(&shared.losing).loses_this();
            let unwell = || pages::gateway(500, "Server Error");
            let is_lost = || *lock(&shared.losing) = Losing::Lost;
            match loss {
                Some(Loss::Unheard) => {
                    is_lost();
                    return http::write(stream, &pages::gateway(502, "Bad Gateway"), head_only);
                }
                Some(Loss::Failure) => {
                    is_lost();
                    return http::write(stream, &unwell(), head_only);
                }
                None | Some(Loss::Connection | Loss::Gateway | Loss::Stumble | Loss::Silence) => {}
            }
            let response = respond(&request, shared);
            let delay = lock(&shared.state).delay;
            thread::sleep(delay);
            if loss == Some(Loss::Silence) {
                *lock(&shared.timeline) = Timeline::new(vec![(Fault::Hang, Duration::from_secs(600))]);
            }
            if loss.is_some() {
                is_lost();
            }
            match loss {
                None => http::write(stream, &response, head_only),
                Some(Loss::Stumble) => http::write(stream, &unwell(), head_only),
                Some(Loss::Connection | Loss::Unheard | Loss::Failure) => {}
                Some(Loss::Gateway) => http::write(stream, &pages::gateway(504, "Gateway Time-out"), head_only),
                Some(Loss::Silence) => hang(shared),
            }
        }
    }
}

/// Says nothing, for as long as nobody is to hear anything.
fn hang(shared: &Shared) {
    while current(shared) == Some(Fault::Hang) && !shared.stopping.load(Ordering::Relaxed) {
        thread::sleep(Duration::from_millis(5));
    }
}

impl Losing {
    /// Counts one answer, and says how it gets lost if it does.
    fn loses_this(&mut self) -> Option<Loss> {
        match self {
            Self::After(0, how) => {
                let how = *how;
                *self = Self::Nothing;
                Some(how)
            }
            Self::After(left, _) => {
                *left -= 1;
                None
            }
            Self::Nothing | Self::Lost => None,
        }
    }
}

fn respond(request: &Request, shared: &Arc<Shared>) -> Response {
    run_due(shared);
    let response = {
        let mut state = lock(&shared.state);
        state.tick_agents();
        routes::handle(&mut state, request)
    };
    run_due(shared);
    response
}

/// Starts the builds whose time has come, each on its own thread.
fn run_due(shared: &Arc<Shared>) {
    for run in jobs::schedule(&mut lock(&shared.state)) {
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            let (output, success) = run.execute();
            let is_held = |state: &State| state.hold_builds && run.goes_on(state);
            while is_held(&lock(&shared.state)) {
                thread::sleep(Duration::from_millis(5));
            }
            run.finish(&mut lock(&shared.state), &output, success);
        });
    }
}
