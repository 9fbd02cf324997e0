//! The streams under SSH: a TCP stream without delays, and a witness of the first bytes that came.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A TCP stream that neither holds back our small packets (`TCP_NODELAY`) nor our acknowledgements (`TCP_QUICKACK`).
///
/// The kernel forgets `TCP_QUICKACK` by itself (tcp(7)), so it is set again after each read. Without it sshd, which
/// writes in small pieces, waits 40 ms for our delayed acknowledgement at the first channel.
#[derive(Debug)]
pub struct NoDelayStream(TcpStream);

impl NoDelayStream {
    /// Takes a connected stream. The kernel ends it once it has had no room for our bytes for `silence` (`TCP_USER_TIMEOUT`, tcp(7)):
    /// keepalives cannot be sent over a full buffer, and by itself the kernel goes on for a quarter of an hour.
    ///
    /// # Errors
    /// The socket refuses an option: it is not a TCP socket.
    pub fn new(stream: TcpStream, silence: Duration) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        rustix::net::sockopt::set_tcp_user_timeout(&stream, u32::try_from(silence.as_millis()).unwrap_or(u32::MAX))?;
        let quick = Self(stream);
        quick.acknowledge();
        Ok(quick)
    }

    /// A failure here costs 40 ms and nothing else.
    fn acknowledge(&self) {
        let _ = rustix::net::sockopt::set_tcp_quickack(&self.0, true);
    }
}

impl AsyncRead for NoDelayStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.0).poll_read(cx, buf);
        if polled.is_ready() {
            self.acknowledge();
        }
        polled
    }
}

impl AsyncWrite for NoDelayStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// What came first over a connection: enough to tell a silent server, one that drops us and one that speaks something else.
#[derive(Debug, Clone, Default)]
pub struct FirstBytes(Arc<Mutex<Vec<u8>>>);

impl FirstBytes {
    /// Bytes kept: an identification line has at most 255 (RFC 4253, 4.2), and lines may come before it. OpenSSH reads as much of them, russh
    /// no more.
    const KEPT: usize = 8 * 1024;

    fn note(&self, bytes: &[u8]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = Self::KEPT - kept.len();
        kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// Returns what came, as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    /// Returns the server's identification line, once it has come.
    pub fn identification(&self) -> Option<String> {
        let text = self.text();
        let (complete, _) = text.rsplit_once('\n')?;
        complete.lines().find(|line| line.starts_with("SSH-")).map(str::to_owned)
    }
}

/// A stream whose first received bytes are noted.
#[derive(Debug)]
pub struct RecordingStream<S> {
    stream: S,
    first: FirstBytes,
}

impl<S> RecordingStream<S> {
    /// Wraps a stream from which nothing was read yet.
    pub fn new(stream: S) -> (Self, FirstBytes) {
        let first = FirstBytes::default();
        (Self { stream, first: first.clone() }, first)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for RecordingStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.first.note(&buf.filled()[before..]);
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for RecordingStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
