//! Frames over a running command's two ends, each wait with a deadline.

use super::SessionError;
use super::reader::{Reader, Received};
use crate::mask::RunMask;
use crate::transport::{BoxFuture, Ended, Exec, Input};
use ostler_roles::wire::frame::{self, Buffer, MAGIC};
use ostler_roles::wire::message::{ToAgent, ToController};
use std::time::Duration;
use tokio::io::AsyncWriteExt;

/// How long taking one part of our bytes may last, and how large it is: progress is watched, not the whole.
const SEND_WITHIN: Duration = Duration::from_secs(60);
const PART: usize = 64 * 1024;

/// The slowest link that we wait for, in bytes a second: half of 64 kbit/s.
const SLOWEST: usize = 4 * 1024;
/// The most of what was taken from us that may still be on its way: the window that sshd opens for a session (`CHAN_SES_WINDOW_DEFAULT`).
const IN_FLIGHT: usize = 2 * 1024 * 1024;
/// How long nothing at all may come while an answer is due: an agent says every 15 s that it is there, whatever is on its way to it.
const SILENCE: Duration = Duration::from_secs(60);

/// How long an answer is waited for.
#[derive(Debug, Clone, Copy)]
pub struct Wait {
    /// How long nothing at all may come.
    pub silence: Duration,
    /// How long the answer may take, signs of life or not.
    pub within: Duration,
}

impl Wait {
    /// For an answer of an agent that says meanwhile that it is there.
    pub fn of(within: Duration) -> Self {
        Self { silence: within.min(SILENCE), within }
    }
    /// What is left of it at this moment.
    pub fn until(self, end: tokio::time::Instant) -> Self {
        Self { within: end.saturating_duration_since(tokio::time::Instant::now()), ..self }
    }
}

/// How long bytes that were taken from us may still be on their way.
fn underway(length: usize) -> Duration {
    Duration::from_secs((length.min(IN_FLIGHT) / SLOWEST) as u64)
}

/// The framed stream to and from one agent.
pub struct Channel {
    stdin: Input,
    reader: Reader,
    noise: Vec<u8>,
    ended: Option<BoxFuture<'static, Ended>>,
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
        Self {
            stdin: exec.stdin,
            reader: Reader::start(exec.stdout),
            noise: Vec::new(),
            ended: Some(exec.ended),
            begun: false,
            unanswered: 0,
            mask,
        }
    }

    /// Sends messages in one write, so that they travel together.
    ///
    /// # Errors
    /// When a message is too large, or nobody takes the bytes within the deadline.
    pub async fn send(&mut self, messages: &[ToAgent]) -> Result<(), SessionError> {
        let mut bytes = Buffer::default();
        if !self.begun {
            bytes.push(MAGIC);
            self.begun = true;
        }
        for message in messages {
            bytes.push(&frame::encode(message).map_err(SessionError::Frame)?);
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

    /// The next message, all within one deadline: an agent that only says that it is there has not answered. What was sent before may take its
    /// time to arrive, which comes on top. None: the stream has ended, in good order or bad.
    ///
    /// # Errors
    /// When the bytes are no frames, nothing comes within the deadline, or nothing at all within `silence`.
    pub async fn answer(&mut self, awaited: &'static str, wait: Wait) -> Result<Option<ToController>, SessionError> {
        let within = wait.within + underway(std::mem::take(&mut self.unanswered));
        let late = SessionError::Deadline { awaited, seconds: within.as_secs() };
        tokio::time::timeout(within, self.next(awaited, wait.silence)).await.unwrap_or(Err(late))
    }

    /// The next message, for as long as the agent says that it is there. None: the stream has ended.
    ///
    /// # Errors
    /// When the bytes are no frames, or nothing at all comes within `silence`.
    pub async fn next(&mut self, awaited: &'static str, silence: Duration) -> Result<Option<ToController>, SessionError> {
        loop {
            let came =
                self.reader.next_within(silence).await.map_err(|_| SessionError::Deadline { awaited, seconds: silence.as_secs() })?;
            match came {
                Some(Received::Noise(noise)) => self.noise = noise,
                Some(Received::Message(message)) => return Ok(Some(*message)),
                Some(Received::Wrong(error)) => return Err(SessionError::Frame(error)),
                None => return Ok(None),
            }
        }
    }

    /// Whether the stream has ended, so that nothing that is sent now arrives.
    pub fn is_over(&self) -> bool {
        self.reader.is_over()
    }

    /// What a noisy shell printed before the protocol began, sanitised by whoever shows it.
    pub fn noise(&self) -> &[u8] {
        &self.noise
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::{Exit, Tail};
    use ostler_roles::wire::message::BlobData;
    use ostler_roles::words::Digest;

    #[tokio::test]
    async fn an_agent_that_waits_for_its_turn_is_read_meanwhile_and_its_end_is_known() {
        let (mut agent, stdout) = tokio::io::duplex(64);
        let ended = Box::pin(async { Ended { exit: Exit::Status(0), stderr: Tail::default() } });
        let exec = Exec { stdin: Box::new(tokio::io::sink()), stdout: Box::new(stdout), ended };
        let channel = Channel::new(exec, RunMask::default());
        let beat = frame::encode(&ToController::Alive).unwrap();
        let beating = async {
            agent.write_all(MAGIC).await.unwrap();
            for _ in 0..10_000 {
                agent.write_all(&beat).await.unwrap();
            }
        };
        tokio::time::timeout(Duration::from_secs(30), beating).await.expect("what it says is taken");
        assert!(!channel.is_over());
        drop(agent);
        let over = async {
            while !channel.is_over() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), over).await.expect("its end is seen");
    }

    #[tokio::test]
    async fn however_much_is_on_its_way_an_agent_that_says_nothing_is_found_by_its_silence() {
        let (stdout, _agent) = tokio::io::duplex(64);
        let ended = Box::pin(async { Ended { exit: Exit::Status(0), stderr: Tail::default() } });
        let exec = Exec { stdin: Box::new(tokio::io::sink()), stdout: Box::new(stdout), ended };
        let mut channel = Channel::new(exec, RunMask::default());
        // Noise, which does not become smaller.
        let bytes: Vec<u8> = (0..1 << 18).flat_map(|number: u32| number.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
        channel.send(&[ToAgent::Blobs(vec![BlobData { digest: Digest::of(&bytes), bytes, more: false }])]).await.unwrap();
        let wait = Wait { silence: Duration::from_millis(200), within: Duration::from_secs(300) };
        let answer = tokio::time::timeout(Duration::from_secs(20), channel.answer("the plan", wait)).await;
        assert!(matches!(answer, Ok(Err(SessionError::Deadline { awaited: "the plan", seconds: 0 }))), "{answer:?}");
        assert_eq!(underway(usize::MAX), Duration::from_secs(512));
    }
}
