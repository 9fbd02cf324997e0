//! Frames over a running command's two ends, each wait with a deadline.

use super::SessionError;
use crate::mask::RunMask;
use crate::transport::{BoxFuture, Ended, Exec, Input, Output, underway};
use ostler_roles::wire::frame::{self, Decoder, MAGIC};
use ostler_roles::wire::message::{ToAgent, ToController};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use zeroize::Zeroizing;

/// How long taking one part of our bytes may last, and how large it is: progress is watched, not the whole.
const SEND_WITHIN: Duration = Duration::from_secs(60);
const PART: usize = 64 * 1024;

/// How long an answer is waited for.
#[derive(Debug, Clone, Copy)]
pub struct Wait {
    /// How long nothing at all may come.
    pub silence: Duration,
    /// How long the answer may take, signs of life or not.
    pub within: Duration,
}

impl Wait {
    /// For the whole answer, silent or not.
    pub const fn whole(within: Duration) -> Self {
        Self { silence: within, within }
    }
    /// What is left of it at this moment.
    pub fn until(self, end: tokio::time::Instant) -> Self {
        Self { within: end.saturating_duration_since(tokio::time::Instant::now()), ..self }
    }
}

/// The framed stream to and from one agent.
pub struct Channel {
    stdin: Input,
    stdout: Output,
    ended: Option<BoxFuture<'static, Ended>>,
    decoder: Decoder,
    begun: bool,
    /// Bytes handed over since the last message came: the answer to them cannot come before they have arrived.
    unanswered: usize,
    /// What nothing that came may show once it is told.
    pub(super) mask: RunMask,
}

impl std::fmt::Debug for Channel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Channel").field("begun", &self.begun).finish_non_exhaustive()
    }
}

impl Channel {
    /// Frames over a command that was just started.
    pub fn new(exec: Exec, mask: RunMask) -> Self {
        Self { stdin: exec.stdin, stdout: exec.stdout, ended: Some(exec.ended), decoder: Decoder::new(), begun: false, unanswered: 0, mask }
    }

    /// Sends messages in one write, so that they travel together.
    ///
    /// # Errors
    /// When a message is too large, or nobody takes the bytes within the deadline.
    pub async fn send(&mut self, messages: &[ToAgent]) -> Result<(), SessionError> {
        let mut bytes = Zeroizing::new(Vec::new());
        if !self.begun {
            bytes.extend_from_slice(MAGIC);
            self.begun = true;
        }
        for message in messages {
            bytes.extend_from_slice(&Zeroizing::new(frame::encode(message).map_err(SessionError::Frame)?));
        }
        self.unanswered += bytes.len();
        let timed_out = || std::io::Error::from(std::io::ErrorKind::TimedOut);
        for part in bytes.chunks(PART) {
            let write = async {
                self.stdin.write_all(part).await?;
                self.stdin.flush().await
            };
            tokio::time::timeout(SEND_WITHIN, write).await.unwrap_or_else(|_| Err(timed_out())).map_err(SessionError::Send)?;
        }
        Ok(())
    }

    /// The next message; none: the stream has ended in good order or bad.
    ///
    /// # Errors
    /// When the bytes are no frames, or nothing comes within the deadline.
    pub async fn receive(&mut self, awaited: &'static str, within: Duration) -> Result<Option<ToController>, SessionError> {
        let wait = async {
            loop {
                if let Some(message) = self.decoder.message().map_err(SessionError::Frame)? {
                    return Ok(Some(message));
                }
                let mut bytes = vec![0; 64 * 1024];
                match self.stdout.read(&mut bytes).await {
                    Ok(0) | Err(_) => return Ok(None),
                    Ok(count) => self.decoder.push(&bytes[..count]),
                }
            }
        };
        match tokio::time::timeout(within, wait).await {
            Ok(result) => result,
            Err(_) => Err(SessionError::Deadline { awaited, seconds: within.as_secs() }),
        }
    }

    /// The next message that is more than a keep-alive, all within one deadline: an agent that only beats on has not answered. None: the
    /// stream has ended.
    ///
    /// # Errors
    /// As for [`Channel::receive`]; also when nothing at all comes within `silence`.
    pub async fn answer(&mut self, awaited: &'static str, wait: Wait) -> Result<Option<ToController>, SessionError> {
        let under_way = underway(std::mem::take(&mut self.unanswered));
        let wait = Wait { silence: wait.silence + under_way, within: wait.within + under_way };
        let late = SessionError::Deadline { awaited, seconds: wait.within.as_secs() };
        tokio::time::timeout(wait.within, self.beyond_beats(awaited, wait.silence)).await.unwrap_or(Err(late))
    }

    /// The next message that is more than a keep-alive, for as long as these come: each begins the silence anew. None: the stream has ended.
    ///
    /// # Errors
    /// As for [`Channel::receive`].
    pub async fn beyond_beats(&mut self, awaited: &'static str, silence: Duration) -> Result<Option<ToController>, SessionError> {
        loop {
            match self.receive(awaited, silence).await? {
                Some(ToController::Alive) => {}
                other => return Ok(other),
            }
        }
    }

    /// What a noisy shell printed before the protocol began, sanitised by whoever shows it.
    pub fn noise(&self) -> &[u8] {
        self.decoder.noise()
    }

    /// How the command ended; asked for after the stream has.
    pub async fn ended(&mut self) -> Option<Ended> {
        let ended = self.ended.take()?;
        tokio::time::timeout(Duration::from_secs(5), ended).await.ok()
    }

    /// The stream ended while `awaited` was due: an error that says what the node said last.
    pub async fn lost(&mut self, awaited: &'static str) -> SessionError {
        let said = self.ended().await.map(|ended| format!("{}: {}", ended.exit, ended.stderr.text())).unwrap_or_default();
        SessionError::Lost { awaited, said: self.mask.text(&said) }
    }

    /// Ends the input: the agent leaves at its next safe point.
    pub async fn finish(&mut self) {
        // Ending a stream that is gone already is what was wanted.
        let _ = tokio::time::timeout(Duration::from_secs(5), self.stdin.shutdown()).await;
    }
}
