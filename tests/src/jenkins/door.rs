//! A way from inside a lab to a model outside of it.

use std::io::copy;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use ostler::lab::{Lab, LabChild};

/// An open door: connections to its address inside the lab reach the model.
#[derive(Debug)]
pub struct Door {
    _inside: LabChild,
    _socket: tempfile::TempDir,
}

#[expect(clippy::expect_used, reason = "test support: what cannot be set up stops the test at once")]
impl Door {
    /// Opens one at `address`; `program` is `lab-door`, which only a test can name.
    ///
    /// # Panics
    /// When it does not open.
    #[must_use]
    pub fn open(lab: &Lab, program: &str, address: SocketAddr, model: SocketAddr) -> Self {
        let directory = tempfile::Builder::new().prefix("door-").tempdir().expect("scratch directory");
        let socket = directory.path().join("model");
        serve(&socket, model);
        let words = [program.to_owned(), address.to_string(), socket.display().to_string()];
        let inside = lab.command(words).spawn().expect("lab-door starts");
        let end = Instant::now() + Duration::from_secs(30);
        while lab.connect(address, Duration::from_secs(1)).is_err() {
            assert!(Instant::now() < end, "the door is open in time");
            thread::sleep(Duration::from_millis(20));
        }
        Self { _inside: inside, _socket: directory }
    }
}

/// Hands connections that come to a Unix socket to the model, which the lab does not see.
#[expect(clippy::expect_used, reason = "test support: what cannot be set up stops the test at once")]
fn serve(socket: &Path, model: SocketAddr) {
    let listener = UnixListener::bind(socket).expect("a socket in the scratch directory");
    thread::spawn(move || {
        for outside in listener.incoming() {
            let (Ok(mut outside), Ok(mut inside)) = (outside, TcpStream::connect(model)) else { return };
            let (Ok(mut back_out), Ok(mut back_in)) = (outside.try_clone(), inside.try_clone()) else { return };
            // Either end may go first; the other is then told, and that is all.
            thread::spawn(move || {
                let _ = copy(&mut outside, &mut inside);
                let _ = inside.shutdown(Shutdown::Write);
            });
            thread::spawn(move || {
                let _ = copy(&mut back_in, &mut back_out);
                let _ = back_out.shutdown(Shutdown::Write);
            });
        }
    });
}
