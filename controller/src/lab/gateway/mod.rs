//! The nodes' only way out: a caching HTTP proxy for the hosts this machine's apt and pip use, and a static file server.
//!
//! Its listening sockets are made inside the lab, its threads run in the holder, outside: a connection it opens starts in the
//! machine's own network, and no packet is ever forwarded.

mod files;
mod http;
mod proxy;
pub(crate) mod tunnel;

use std::io;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::child;
use super::error::LabError;
use super::sources::Sources;
use files::Files;
use proxy::{Proxy, ProxyDeadlines};

/// Nobody in the lab keeps a connection silent for longer.
const SILENCE: Duration = Duration::from_secs(60);

/// How long it rests after a connection that it could not serve.
const REST: Duration = Duration::from_millis(50);

/// How long the proxy waits.
const DEADLINES: ProxyDeadlines = ProxyDeadlines { upstream: Duration::from_secs(30), silence: SILENCE };

/// Both services, ready to start.
#[derive(Debug)]
pub(crate) struct Gateway {
    proxy: Arc<Proxy>,
    files: Arc<Files>,
}

impl Gateway {
    /// Returns a gateway that keeps packages in `packages` and serves `www`.
    pub(crate) fn new(sources: &Sources, packages: &Path, www: &Path) -> Result<Self, LabError> {
        Ok(Self { proxy: Arc::new(Proxy::new(sources, packages, DEADLINES)?), files: Arc::new(Files::new(www)) })
    }

    /// Serves both listeners on threads that end with the process.
    pub(crate) fn start(self, proxy: TcpListener, www: TcpListener) -> Result<(), LabError> {
        let (proxy_service, files) = (self.proxy, self.files);
        let what = "start a thread of the gateway";
        child::thread(what, move || accept(&proxy, &Arc::new(move |stream| proxy_service.serve(stream))))?;
        child::thread(what, move || accept(&www, &Arc::new(move |stream| files.serve(stream)))).map(drop)
    }
}

fn accept<S>(listener: &TcpListener, service: &Arc<S>)
where
    S: Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static,
{
    for stream in listener.incoming() {
        let service = Arc::clone(service);
        let served = stream.map_err(LabError::system("accept a connection")).and_then(|stream| {
            child::thread("start a thread for a connection", move || {
                let limited = stream.set_read_timeout(Some(SILENCE)).and_then(|()| stream.set_write_timeout(Some(SILENCE)));
                // A broken connection is the node's affair: it asks again or reports it.
                let _ = limited.and_then(|()| service(stream));
            })
        });
        // Out of descriptors or threads: that must not turn into a spinning loop, nor be the end of the gateway.
        if served.is_err() {
            thread::sleep(REST);
        }
    }
}
