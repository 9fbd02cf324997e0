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
use tokio::time::{Instant, Sleep, sleep, timeout, timeout_at};

use super::handshake::ConnectionEnd;
use crate::transport::deadlines::Deadlines;
use crate::transport::link::{CommandLine, Ended, Exec, Exit, Tail};

/// Pieces of standard output that may wait for a slow reader before the command is held back.
const WAITING: usize = 64;
/// How long output may stay silent and open after the exit status.
const SILENT: Duration = Duration::from_secs(3);

/// Why a command did not start.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NotStarted {
    /// The connection is gone.
    Cut,
    /// The connection does not take the request.
    Stuck,
}

/// Starts a command. The request is not waited for: what the caller writes goes right behind it.
pub(super) async fn run(
    channel: Channel<Msg>,
    command: &CommandLine,
    lost: &ConnectionEnd,
    deadlines: &Deadlines,
) -> Result<Exec, NotStarted> {
    let (reader, writer) = channel.split();
    match timeout(deadlines.open, writer.exec(true, command.as_str())).await {
        Ok(Ok(())) => {}
        Ok(Err(_)) => return Err(NotStarted::Cut),
        Err(_) => return Err(NotStarted::Stuck),
    }
    let (out, stdout) = mpsc::channel(WAITING);
    let (gone, is_gone) = watch::channel(false);
    let (lost, after_exit) = (lost.clone(), deadlines.after_exit);
    #[expect(
        clippy::disallowed_methods,
        reason = "`ended` holds and awaits it; not in a JoinSet, for an undrained channel stalls the connection"
    )]
    let draining = tokio::spawn(async move {
        let ended = drain(reader, out, &lost, after_exit).await;
        let _ = gone.send(true);
        ended
    });
    let stdin = Stdin { inner: Box::pin(writer.make_writer()), gone: Gone::new(is_gone), patience: deadlines.write, stalled: None };
    let died = |_| Ended { exit: Exit::Cut("its reader died".to_owned()), stderr: Tail::default() };
    let ended = Box::pin(async move { draining.await.unwrap_or_else(died) });
    Ok(Exec { stdin: Box::new(stdin), stdout: Box::new(Stdout { pieces: stdout, rest: Vec::new(), at: 0 }), ended })
}

/// Reads everything the server says of a channel, in order.
async fn drain(mut reader: ChannelReadHalf, out: mpsc::Sender<Vec<u8>>, lost: &ConnectionEnd, after_exit: Duration) -> Ended {
    let mut out = Some(out);
    let mut stderr = Tail::default();
    let (mut exit, mut over) = (None, None);
    loop {
        // A child that a command left behind may keep its output open for ever, silent or not; the command itself has ended.
        let next = match over {
            None => reader.wait().await,
            Some(over) if Instant::now() >= over => None,
            Some(over) => timeout_at(over.min(Instant::now() + SILENT), reader.wait()).await.unwrap_or(None),
        };
        let Some(message) = next else { break };
        match message {
            ChannelMsg::Data { data } => {
                // A reader that went away does not stop the draining: an undrained channel stalls the whole connection.
                if let Some(sender) = &out
                    && !sent(sender, data.to_vec(), over).await
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
        if exit.is_some() {
            over.get_or_insert_with(|| Instant::now() + after_exit);
        }
    }
    drop(out);
    Ended { exit: exit.unwrap_or_else(|| Exit::Cut(lost.reason())), stderr }
}

/// Hands a piece on. A slow reader holds the command back while it runs, and with it every other channel of the connection: to read on, or to
/// let go of the stream, is the caller's duty ([`Exec`]).
async fn sent(to: &mpsc::Sender<Vec<u8>>, piece: Vec<u8>, over: Option<Instant>) -> bool {
    match over {
        None => to.send(piece).await.is_ok(),
        Some(over) => timeout_at(over, to.send(piece)).await.is_ok_and(|sent| sent.is_ok()),
    }
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use russh::client;
    use russh::keys::ssh_key::private::Ed25519Keypair;
    use russh::keys::{PrivateKey, PublicKeyOrCertificate};
    use russh::server::{self, Auth, ChannelOpenHandle};
    use tokio::io::{copy, duplex, split};

    use super::*;

    struct Anybody;

    impl client::Handler for Anybody {
        type Error = russh::Error;

        async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
            Ok(true)
        }
    }

    struct Server;

    impl server::Handler for Server {
        type Error = russh::Error;

        async fn auth_none(&mut self, _: &str) -> Result<Auth, russh::Error> {
            Ok(Auth::Accept)
        }

        async fn channel_open_session(
            &mut self,
            _: Channel<server::Msg>,
            reply: ChannelOpenHandle,
            _: &mut server::Session,
        ) -> Result<(), russh::Error> {
            reply.accept().await;
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_connection_that_takes_nothing_more_is_not_asked_without_end() {
        let (ours, near) = duplex(4096);
        let (far, theirs) = duplex(4096);
        let ((mut near_in, mut near_out), (mut far_in, mut far_out)) = (split(near), split(far));
        let mut wires = tokio::task::JoinSet::new();
        let forth = wires.spawn(async move { copy(&mut near_in, &mut far_out).await.map(drop) });
        wires.spawn(async move { copy(&mut far_in, &mut near_out).await.map(drop) });
        let key = PrivateKey::from(Ed25519Keypair::from_seed(&[7; 32]));
        let config = Arc::new(server::Config { keys: vec![key], ..server::Config::default() });
        wires.spawn(async move {
            let serving = server::run_stream(config, theirs, Server).await.map_err(std::io::Error::other)?;
            serving.await.map_err(std::io::Error::other)
        });
        let mut handle = client::connect_stream(Arc::default(), ours, Anybody).await.unwrap();
        handle.authenticate_none("anybody").await.unwrap();
        let (other, channel) = (handle.channel_open_session().await.unwrap(), handle.channel_open_session().await.unwrap());
        // From now on nothing leaves, and the other channel's words fill every buffer on the way.
        forth.abort();
        while timeout(Duration::from_millis(200), other.window_change(80, 24, 0, 0)).await.is_ok() {}
        let command = CommandLine::from_words(["true"]).unwrap();
        let deadlines = Deadlines { open: Duration::from_millis(200), ..Deadlines::default() };
        let lost = ConnectionEnd::default();
        let started = timeout(Duration::from_secs(5), run(channel, &command, &lost, &deadlines)).await.unwrap();
        assert_eq!(started.err(), Some(NotStarted::Stuck));
    }
}
