//! Programs run in a root tree, as the builder sees them.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Output};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::pipe::{PipeFlags, pipe_with};

use super::super::error::ImageError;
use super::protocol::{End, Exec, HOME, Request};
use crate::lab::LabError;
use crate::lab::wire::{self, Wire};

/// What every program in a tree finds in its environment: nothing of this machine's. `SYSTEMD_OFFLINE`: no systemd is asked (systemd's
/// docs/ENVIRONMENT.md).
const ENVIRONMENT: [(&str, &str); 9] = [
    ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
    ("HOME", HOME),
    ("USER", "root"),
    ("LOGNAME", "root"),
    ("SHELL", "/bin/sh"),
    ("LANG", "C.UTF-8"),
    ("LC_ALL", "C.UTF-8"),
    ("DEBIAN_FRONTEND", "noninteractive"),
    ("SYSTEMD_OFFLINE", "1"),
];
/// The most that is taken of a program's output.
const MOST: usize = 16 << 20;
/// How long an ended program's output is still waited for: what it left behind may hold it open.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// The conversation with the first process. One at a time speaks.
#[derive(Debug)]
pub(super) struct Control {
    wire: Mutex<Option<Wire>>,
    /// Where programs begin.
    directory: &'static str,
}

/// The builder's ends of a program that was started.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) input: OwnedFd,
    pub(super) output: OwnedFd,
    pub(super) errors: OwnedFd,
    /// Tells how it ended; dropped, the program is killed with its group.
    pub(super) told: Wire,
}

impl Control {
    pub(super) fn new(wire: Wire, bare: bool) -> Self {
        Self { wire: Mutex::new(Some(wire)), directory: if bare { "/" } else { HOME } }
    }

    /// Starts a program. `environment` comes after, and over, what every program is given.
    pub(super) fn start(&self, argv: &[&str], environment: &[(&str, &str)]) -> Result<Started, ImageError> {
        let pipe = || pipe_with(PipeFlags::CLOEXEC).map_err(ImageError::system::<rustix::io::Errno>("make a pipe"));
        let ((their_input, input), (output, their_output), (errors, their_errors)) = (pipe()?, pipe()?, pipe()?);
        let (told, tells) = Wire::pair()?;
        let environment = ENVIRONMENT.iter().chain(environment).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let argv = argv.iter().map(|word| (*word).to_owned()).collect();
        let exec = Request::Exec(Exec { argv, environment, directory: self.directory.to_owned() });
        let descriptors = [their_input.as_fd(), their_output.as_fd(), their_errors.as_fd(), tells.as_fd()];
        let wire = self.wire.lock().unwrap_or_else(PoisonError::into_inner);
        wire.as_ref().ok_or(ImageError::RootGone)?.send(&exec, &descriptors).map_err(gone)?;
        Ok(Started { input, output, errors, told })
    }

    /// Takes the conversation over, to end it.
    pub(super) fn take(&self) -> Option<Wire> {
        self.wire.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A conversation that has ended means one thing.
fn gone(error: LabError) -> ImageError {
    match error {
        LabError::System { source, .. } if matches!(source.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) => {
            ImageError::RootGone
        }
        error => error.into(),
    }
}

/// One output of a program, and who takes it.
pub(super) struct Taken<'a> {
    pub(super) pipe: Option<File>,
    pub(super) take: &'a mut dyn FnMut(&[u8]),
}

/// Takes a program's outputs until it has ended, and then, for so long, until they have. None: the root has ended first.
pub(super) fn attend(told: &Wire, outputs: &mut [Taken<'_>], limit: Option<Duration>, after: Duration) -> Result<Option<End>, ImageError> {
    let mut until = limit.map(|limit| Instant::now() + limit);
    let mut end: Option<Option<End>> = None;
    let mut buffer = vec![0; 64 << 10];
    loop {
        let open: Vec<usize> = (0..outputs.len()).filter(|number| outputs[*number].pipe.is_some()).collect();
        if let Some(end) = end.as_ref().filter(|_| open.is_empty()) {
            return Ok(end.clone());
        }
        let mut watched: Vec<_> = open.iter().filter_map(|number| outputs[*number].pipe.as_ref().map(AsFd::as_fd)).collect();
        if end.is_none() {
            watched.push(told.as_fd());
        }
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        let ready = wire::readable(&watched, left)?;
        if !ready.contains(&true) {
            return end.ok_or(ImageError::Deadline { what: "a program in the root tree".to_owned(), after: limit.unwrap_or_default() });
        }
        if end.is_none() && ready.last() == Some(&true) {
            end = Some(told.receive::<End>()?.map(|(end, _)| end));
            until = Some(Instant::now() + after);
        }
        for (number, _) in open.iter().zip(&ready).filter(|(_, ready)| **ready) {
            let output = &mut outputs[*number];
            match output.pipe.as_mut().map_or(Ok(0), |pipe| pipe.read(&mut buffer)) {
                Ok(count @ 1..) => (output.take)(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // What arrived before an error is all there is.
                Ok(_) | Err(_) => output.pipe = None,
            }
        }
    }
}

/// Runs a program to its end and returns what it printed and how it ended.
pub(super) fn run(control: &Control, argv: &[&str], environment: &[(&str, &str)], limit: Duration) -> Result<Output, ImageError> {
    let Started { input, output, errors, told } = control.start(argv, environment)?;
    drop(input);
    let (mut out, mut err, mut is_too_long) = (Vec::new(), Vec::new(), false);
    let mut take_out = |bytes: &[u8]| {
        is_too_long |= out.len() + bytes.len() > MOST;
        out.extend_from_slice(&bytes[..bytes.len().min(MOST - out.len())]);
    };
    let mut take_err = |bytes: &[u8]| err.extend_from_slice(&bytes[..bytes.len().min(MOST - err.len())]);
    let mut outputs = [Taken { pipe: Some(output.into()), take: &mut take_out }, Taken { pipe: Some(errors.into()), take: &mut take_err }];
    let ended = attend(&told, &mut outputs, Some(limit), LAST_WORDS);
    let shown = argv.join(" ");
    let status = match ended {
        Ok(Some(End::Exited(code))) => ExitStatus::from_raw(code << 8),
        Ok(Some(End::Killed(signal))) => ExitStatus::from_raw(signal),
        Ok(Some(End::NotStarted { why, .. })) => {
            return Err(LabError::Start { command: format!("{shown} (in the root tree)"), source: io::Error::other(why) }.into());
        }
        Ok(None) => return Err(ImageError::RootGone),
        Err(ImageError::Deadline { after, .. }) => return Err(ImageError::Deadline { what: format!("`{shown}` in the root tree"), after }),
        Err(error) => return Err(error),
    };
    if is_too_long {
        return Err(ImageError::refused(format!("`{shown}` prints more than {} MiB", MOST >> 20), "ask it for less"));
    }
    Ok(Output { status, stdout: out, stderr: err })
}
