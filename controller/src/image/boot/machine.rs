//! A running machine: kept by a thread of its own, reached through its namespace, gone with its owner.

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::super::error::ImageError;
use super::qemu::{self, BootSpec, Files, PORT, PROGRAM};
use crate::lab::LabError;
use crate::lab::child::tail;

/// How often a machine is looked after.
const PULSE: Duration = Duration::from_millis(50);
/// How long one attempt may take to say its first word: a guest that is not up yet answers nothing.
const ATTEMPT: Duration = Duration::from_secs(1);

/// A machine that runs until this is dropped, or until its own end.
#[derive(Debug)]
pub struct Machine {
    process: u32,
    files: Files,
    /// Dropped first: the keeper then ends the machine.
    stop: Option<Sender<()>>,
    keeper: Option<JoinHandle<()>>,
}

impl Machine {
    /// Starts a machine whose files are in this directory, which is the machine's alone.
    ///
    /// # Errors
    /// When a program is missing or cannot be started.
    pub fn start(spec: &BootSpec, dir: &Path) -> Result<Self, ImageError> {
        let user = rustix::process::geteuid();
        if !user.is_root() {
            return Err(ImageError::NeedsRoot(user.as_raw()));
        }
        let files = Files::below(dir);
        qemu::clone(spec, &files)?;
        let mut command = qemu::command(spec, &files)?;
        let words = File::create(&files.words).map_err(ImageError::file("create", &files.words))?;
        let also = words.try_clone().map_err(ImageError::file("open", &files.words))?;
        command.stdin(Stdio::null()).stdout(words).stderr(also);
        let (stop, stopped) = mpsc::channel();
        let (tell, told) = mpsc::channel();
        // A parent-death signal comes when the thread that started the child ends: this one stays as long as the child.
        let keeper = thread::Builder::new().name("machine".into()).spawn(move || keep(command, &tell, &stopped));
        let keeper = keeper.map_err(ImageError::system("start a thread for a machine"))?;
        let process = told.recv().map_err(|_| LabError::Refused(format!("{PROGRAM} was not started")))?;
        let process = process.map_err(|source| LabError::Start { command: PROGRAM.into(), source })?;
        Ok(Self { process, files, stop: Some(stop), keeper: Some(keeper) })
    }

    /// Returns a connection to the guest's port 22. Where nobody listens there yet it is one that says nothing, or ends.
    ///
    /// # Errors
    /// When there is no way to the machine.
    pub fn connect(&self) -> Result<TcpStream, ImageError> {
        let namespace = PathBuf::from(format!("/proc/{}/ns/net", self.process));
        // The namespace is the thread's: this one goes there and never comes back.
        let connected = thread::Builder::new().spawn(move || -> Result<TcpStream, ImageError> {
            let open = File::open(&namespace).map_err(ImageError::file("open", &namespace))?;
            move_into_link_name_space(std::os::fd::AsFd::as_fd(&open), Some(LinkNameSpaceType::Network))
                .map_err(ImageError::system("enter the machine's network"))?;
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, PORT));
            TcpStream::connect_timeout(&address, ATTEMPT).map_err(ImageError::system("connect to the machine"))
        });
        let connected = connected.map_err(ImageError::system("start a thread for a connection"))?;
        connected.join().unwrap_or_else(|_| Err(LabError::Refused("a connection's thread ended in the middle".into()).into()))
    }

    /// Waits until an ssh server answers; returns what it says of itself.
    ///
    /// # Errors
    /// When the machine ends before, or the time is over: with the last that its console showed.
    pub fn wait_for_ssh(&self, limit: Duration) -> Result<String, ImageError> {
        let end = Instant::now() + limit;
        loop {
            if let Ok(Some(banner)) = self.connect().and_then(|stream| banner(stream).map_err(ImageError::system("read from the machine")))
            {
                return Ok(banner);
            }
            if !self.runs() {
                return Err(self.gone());
            }
            if Instant::now() >= end {
                let what = format!("an ssh server in the image; its console showed last: {}", tail(&self.console()));
                return Err(ImageError::Deadline { what, after: limit });
            }
            thread::sleep(PULSE);
        }
    }

    /// Returns what the serial console has shown.
    #[must_use]
    pub fn console(&self) -> String {
        fs::read(&self.files.console).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// Returns the start of a command that runs in the machine's network: there the guest's port 22 is this one of localhost.
    #[must_use]
    pub fn enter(&self) -> (Vec<String>, u16) {
        (vec!["nsenter".into(), format!("--net=/proc/{}/ns/net", self.process)], PORT)
    }

    /// Returns whether it has not ended.
    #[must_use]
    pub fn runs(&self) -> bool {
        self.keeper.as_ref().is_some_and(|keeper| !keeper.is_finished())
    }

    /// Waits for its own end, as after a shutdown.
    ///
    /// # Errors
    /// When it does not come in time.
    pub fn wait_for_end(&self, limit: Duration) -> Result<(), ImageError> {
        let end = Instant::now() + limit;
        while self.runs() {
            if Instant::now() >= end {
                return Err(ImageError::Deadline { what: "the machine's end".into(), after: limit });
            }
            thread::sleep(PULSE);
        }
        Ok(())
    }

    fn gone(&self) -> ImageError {
        let said = fs::read_to_string(&self.files.words).unwrap_or_default();
        let shown = self.console();
        LabError::Refused(format!(
            "the machine ended before an ssh server answered; {PROGRAM} said: {}; the console: {}",
            tail(&said),
            tail(&shown)
        ))
        .into()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(keeper) = self.keeper.take() {
            // It does not panic; if it did, the machine went with it.
            let _ = keeper.join();
        }
    }
}

fn keep(mut command: Command, tell: &Sender<std::io::Result<u32>>, stopped: &Receiver<()>) {
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return drop(tell.send(Err(error))),
    };
    let _ = tell.send(Ok(child.id()));
    loop {
        match stopped.recv_timeout(PULSE) {
            Err(RecvTimeoutError::Timeout) if matches!(child.try_wait(), Ok(None)) => {}
            _ => break,
        }
    }
    // One that has ended is not there any more, which is fine.
    let _ = child.kill();
    let _ = child.wait();
}

/// Returns the first line that the server says; none where it ends or says nothing in time.
fn banner(mut stream: TcpStream) -> std::io::Result<Option<String>> {
    stream.set_read_timeout(Some(ATTEMPT))?;
    let mut said = Vec::new();
    let mut byte = [0; 1];
    while said.len() < 255 {
        match stream.read(&mut byte) {
            Ok(0) => return Ok(None),
            Ok(_) if byte[0] == b'\n' => break,
            Ok(_) => said.push(byte[0]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return Ok(None),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let line = String::from_utf8_lossy(&said).trim_end().to_owned();
    Ok(Some(line).filter(|line| line.starts_with("SSH-")))
}
