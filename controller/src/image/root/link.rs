//! The way to the agent in a root tree: its programs' pipes are a `Link` like an SSH channel.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::sync::oneshot;
use tokio::time::{Sleep, sleep};

use super::super::error::ImageError;
use super::command::{Control, Started, Taken, attend};
use super::protocol::End;
use crate::lab::child;
use crate::transport::{BoxFuture, CommandLine, Deadlines, Ended, Exec, Exit, Link, LinkError, Tail};

/// What errors call the other end.
const HOST: &str = "the root tree";

/// A link into a root tree. It lives as long as the root does.
pub(super) struct RootLink {
    control: Arc<Control>,
    deadlines: Deadlines,
}

impl fmt::Debug for RootLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RootLink")
    }
}

impl RootLink {
    pub(super) fn new(control: Arc<Control>) -> Self {
        Self { control, deadlines: Deadlines::default() }
    }

    fn start(&self, command: &CommandLine) -> Result<Exec, LinkError> {
        let Started { input, output, errors, told } =
            self.control.start(&["/bin/sh", "-c", command.as_str()], &[]).map_err(|error| match error {
                ImageError::RootGone => LinkError::Cut { host: HOST.to_owned(), reason: error.to_string() },
                error => refused(&error),
            })?;
        let stdin = Sender::from_owned_fd(input).map_err(|error| refused(&error))?;
        let stdout = Receiver::from_owned_fd(output).map_err(|error| refused(&error))?;
        let ((over, is_over), (tell, ended)) = (oneshot::channel(), oneshot::channel());
        let after = self.deadlines.after_exit;
        // Ends with the program, which ends with the root.
        let work = move || {
            let (mut stderr, mut over) = (Tail::default(), Some(over));
            let mut take = |bytes: &[u8]| stderr.push(bytes);
            let mut outputs = [Taken { pipe: Some(errors.into()), take: &mut take }];
            let end = attend(&told, &mut outputs, None, Duration::from_millis(200));
            // Nobody waits any more: then nobody is told.
            let _ = over.take().map(|over| over.send(()));
            let _ = tell.send(Ended { exit: exit(end), stderr });
        };
        child::thread("start a thread for a program's errors", work).map_err(|error| refused(&error))?;
        Ok(Exec {
            stdin: Box::new(Input { pipe: stdin, limit: self.deadlines.write, waits: None }),
            stdout: Box::new(Output { pipe: stdout, is_over: Some(is_over), after, rest: None }),
            ended: Box::pin(Ending(ended)),
        })
    }
}

fn refused(error: &dyn std::error::Error) -> LinkError {
    LinkError::OpenRefused { host: HOST.to_owned(), reason: error.to_string() }
}

fn exit(end: Result<Option<End>, ImageError>) -> Exit {
    match end {
        Ok(Some(End::Exited(code))) => Exit::Status(code.unsigned_abs()),
        Ok(Some(End::Killed(signal))) => Exit::Signal(signal_name(signal)),
        // As a login shell would end that is not there.
        Ok(Some(End::NotStarted { missing, .. })) => Exit::Status(if missing { 127 } else { 126 }),
        Ok(None) => Exit::Cut(ImageError::RootGone.to_string()),
        Err(error) => Exit::Cut(error.to_string()),
    }
}

/// Names as RFC 4254, 6.10, has them; the number of any other.
fn signal_name(number: i32) -> String {
    let names = [
        (1, "HUP"),
        (2, "INT"),
        (3, "QUIT"),
        (4, "ILL"),
        (6, "ABRT"),
        (8, "FPE"),
        (9, "KILL"),
        (11, "SEGV"),
        (13, "PIPE"),
        (14, "ALRM"),
        (15, "TERM"),
    ];
    names.iter().find(|(known, _)| *known == number).map_or_else(|| number.to_string(), |(_, name)| (*name).to_owned())
}

impl Link for RootLink {
    fn exec<'a>(&'a self, command: &'a CommandLine) -> BoxFuture<'a, Result<Exec, LinkError>> {
        // When it is asked for, and not before: pipes need the runtime.
        Box::pin(async move { self.start(command) })
    }

    fn deadlines(&self) -> &Deadlines {
        &self.deadlines
    }

    fn close<'a>(&'a self) -> BoxFuture<'a, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// How a program ended.
struct Ending(oneshot::Receiver<Ended>);

impl Future for Ending {
    type Output = Ended;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Ended> {
        let told = ready!(Pin::new(&mut self.0).poll(context));
        Poll::Ready(told.unwrap_or_else(|_| Ended { exit: Exit::Cut(ImageError::RootGone.to_string()), stderr: Tail::default() }))
    }
}

/// A program's standard input: a pipe, and the time that it may stay full.
struct Input {
    pipe: Sender,
    limit: Duration,
    waits: Option<Pin<Box<Sleep>>>,
}

impl AsyncWrite for Input {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if let Poll::Ready(written) = Pin::new(&mut self.pipe).poll_write(context, bytes) {
            self.waits = None;
            return Poll::Ready(written);
        }
        let limit = self.limit;
        ready!(self.waits.get_or_insert_with(|| Box::pin(sleep(limit))).as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_flush(context)
    }

    /// A pipe's end is said by closing it: one that nobody reads takes its place.
    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (_, closed) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        self.pipe = Sender::from_owned_fd(closed)?;
        Poll::Ready(Ok(()))
    }
}

/// A program's standard output. It ends with the pipe, or some time after the program: what that left behind may hold it open for ever.
struct Output {
    pipe: Receiver,
    is_over: Option<oneshot::Receiver<()>>,
    after: Duration,
    rest: Option<Pin<Box<Sleep>>>,
}

impl AsyncRead for Output {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Some(is_over) = &mut self.is_over
            && Pin::new(is_over).poll(context).is_ready()
        {
            self.is_over = None;
            self.rest = Some(Box::pin(sleep(self.after)));
        }
        if let Some(rest) = &mut self.rest
            && rest.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.pipe).poll_read(context, buffer)
    }
}
