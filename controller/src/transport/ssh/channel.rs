//! One command on one channel: its three ends, always drained, never waiting for ever.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use russh::client::Msg;
use russh::{Channel, ChannelMsg, ChannelReadHalf};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{mpsc, watch};
use tokio::time::{Sleep, sleep, timeout};

use super::handshake::Lost;
use crate::transport::link::{CommandLine, Ended, Exec, Exit, Tail};

/// Pieces of standard output that may wait for a slow reader before the command is held back.
const WAITING: usize = 64;
/// How long output may stay silent and open after the exit status.
const AFTER_EXIT: Duration = Duration::from_secs(3);

/// Starts a command. The request is not waited for: what the caller writes goes right behind it.
pub(super) async fn run(channel: Channel<Msg>, command: &CommandLine, lost: &Lost, patience: Duration) -> Result<Exec, ()> {
    let (reader, writer) = channel.split();
    writer.exec(true, command.as_str()).await.map_err(|_| ())?;
    let (out, stdout) = mpsc::channel(WAITING);
    let (gone, is_gone) = watch::channel(false);
    let lost = lost.clone();
    #[expect(
        clippy::disallowed_methods,
        reason = "`ended` holds and awaits it; not in a JoinSet, for an undrained channel stalls the connection"
    )]
    let draining = tokio::spawn(async move {
        let ended = drain(reader, out, &lost).await;
        let _ = gone.send(true);
        ended
    });
    let stdin = Stdin { inner: Box::pin(writer.make_writer()), gone: Gone::new(is_gone), patience, stalled: None };
    let died = |_| Ended { exit: Exit::Cut("its reader died".to_owned()), stderr: Tail::default() };
    let ended = Box::pin(async move { draining.await.unwrap_or_else(died) });
    Ok(Exec { stdin: Box::new(stdin), stdout: Box::new(Stdout { pieces: stdout, rest: Vec::new(), at: 0 }), ended })
}

/// Reads everything the server says of a channel, in order.
async fn drain(mut reader: ChannelReadHalf, out: mpsc::Sender<Vec<u8>>, lost: &Lost) -> Ended {
    let mut out = Some(out);
    let mut stderr = Tail::default();
    let mut exit = None;
    loop {
        // A child that a command left behind may keep its output open for ever; the command itself has ended.
        let next = if exit.is_some() { timeout(AFTER_EXIT, reader.wait()).await.unwrap_or(None) } else { reader.wait().await };
        let Some(message) = next else { break };
        match message {
            ChannelMsg::Data { data } => {
                // A reader that went away does not stop the draining: an undrained channel stalls the whole connection.
                if let Some(sender) = &out
                    && sender.send(data.to_vec()).await.is_err()
                {
                    out = None;
                }
            }
            ChannelMsg::ExtendedData { data, .. } => stderr.push(&data),
            ChannelMsg::ExitStatus { exit_status } => exit = Some(Exit::Status(exit_status)),
            ChannelMsg::ExitSignal { signal_name, .. } => exit = Some(Exit::Signal(name_of(&signal_name))),
            ChannelMsg::Failure => exit = Some(Exit::Refused),
            ChannelMsg::Eof => out = None,
            ChannelMsg::Close => break,
            _ => {}
        }
    }
    drop(out);
    Ended { exit: exit.unwrap_or_else(|| Exit::Cut(lost.reason())), stderr }
}

fn name_of(signal: &russh::Sig) -> String {
    match signal {
        russh::Sig::Custom(name) => name.clone(),
        known => format!("{known:?}"),
    }
}

/// Standard output as a stream of pieces.
struct Stdout {
    pieces: mpsc::Receiver<Vec<u8>>,
    rest: Vec<u8>,
    at: usize,
}

impl AsyncRead for Stdout {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        while self.at == self.rest.len() {
            match ready!(self.pieces.poll_recv(cx)) {
                Some(piece) => (self.rest, self.at) = (piece, 0),
                None => return Poll::Ready(Ok(())),
            }
        }
        let end = self.rest.len().min(self.at + buf.remaining());
        buf.put_slice(&self.rest[self.at..end]);
        self.at = end;
        Poll::Ready(Ok(()))
    }
}

/// Becomes ready once the command is gone.
struct Gone(Pin<Box<dyn std::future::Future<Output = ()> + Send>>);

impl Gone {
    fn new(mut gone: watch::Receiver<bool>) -> Self {
        Self(Box::pin(async move {
            let _ = gone.wait_for(|gone| *gone).await;
        }))
    }
}

/// Standard input that fails instead of hanging: russh waits for ever for a window that a gone command never opens.
struct Stdin<W> {
    inner: Pin<Box<W>>,
    gone: Gone,
    patience: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<W: AsyncWrite> Stdin<W> {
    /// Passes on a result; while there is none, watches the command and the clock.
    fn guard<T>(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.stalled = None;
            return polled;
        }
        let patience = self.patience;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(patience)));
        if stalled.as_mut().poll(cx).is_ready() {
            let text = format!("the node took nothing for {} s", patience.as_secs());
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, text)));
        }
        Poll::Pending
    }

    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        // A future must not be polled again once it is ready: it is replaced by one that is ready for ever.
        if self.gone.0.as_mut().poll(cx).is_ready() {
            self.gone = Gone(Box::pin(std::future::ready(())));
            return Err(io::Error::new(io::ErrorKind::BrokenPipe, "the command has ended"));
        }
        Ok(())
    }
}

impl<W: AsyncWrite> AsyncWrite for Stdin<W> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        let polled = self.inner.as_mut().poll_write(cx, buf);
        self.guard(cx, polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = self.inner.as_mut().poll_flush(cx);
        self.guard(cx, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(cx)?;
        let polled = self.inner.as_mut().poll_shutdown(cx);
        self.guard(cx, polled)
    }
}
