//! What an agent says, read as it comes, whether it is waited for or not: an agent that waits for its turn for an hour says every 15 s that it is
//! there, and a stream that nobody reads holds up its whole connection.

use crate::transport::Output;
use ostler_roles::wire::frame::{Decoder, FrameError};
use ostler_roles::wire::message::ToController;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Messages that may wait for whoever listens; then the agent is held back. Each may be as large as a frame: an agent of a hostile node shall not
/// fill our memory with what nobody has asked for.
const WAITING: usize = 2;
/// Bytes that are read at once.
const PIECE: usize = 16 * 1024;

/// What has come.
pub(super) enum Received {
    /// What stood before the first frame. Comes once, where there was any.
    Noise(Vec<u8>),
    /// A message, but for signs of life.
    Message(Box<ToController>),
    /// Bytes that are no frame: the last word.
    Wrong(FrameError),
}

/// Nothing has come.
pub(super) struct Timeout;

/// Reads one stream until its end, or until it is dropped.
pub(super) struct Reader {
    came: mpsc::Receiver<Received>,
    heard: watch::Receiver<Instant>,
    _task: JoinSet<()>,
}

impl Reader {
    pub(super) fn start(stdout: Output) -> Self {
        let (tell, came) = mpsc::channel(WAITING);
        let (hear, heard) = watch::channel(Instant::now());
        let mut task = JoinSet::new();
        task.spawn(async move {
            // Whoever no longer listens needs no more.
            let _ = read(stdout, &tell, &hear).await;
        });
        Self { came, heard, _task: task }
    }

    /// The next that comes; none: the stream has ended.
    ///
    /// # Errors
    /// When nothing at all has come for so long.
    pub(super) async fn next_within(&mut self, silence: Duration) -> Result<Option<Received>, Timeout> {
        let asked = Instant::now();
        loop {
            let last = (*self.heard.borrow_and_update()).max(asked);
            tokio::select! {
                biased;
                came = self.came.recv() => return Ok(came),
                Ok(()) = self.heard.changed() => {}
                () = tokio::time::sleep_until(last + silence) => return Err(Timeout),
            }
        }
    }

    /// Whether the stream has ended and all that came was taken.
    pub(super) fn is_over(&self) -> bool {
        self.came.is_closed() && self.came.is_empty()
    }
}

async fn read(
    mut stdout: Output,
    tell: &mpsc::Sender<Received>,
    hear: &watch::Sender<Instant>,
) -> Result<(), mpsc::error::SendError<Received>> {
    let mut decoder = Decoder::new();
    let mut piece = vec![0; PIECE];
    let mut begun = false;
    while let Ok(count @ 1..) = stdout.read(&mut piece).await {
        hear.send_replace(Instant::now());
        decoder.push(&piece[..count]);
        loop {
            let message = decoder.message();
            if !begun && decoder.has_begun() {
                begun = true;
                noise(&decoder, tell).await?;
            }
            match message {
                Ok(None) => break,
                Ok(Some(ToController::Alive)) => {}
                Ok(Some(message)) => tell.send(Received::Message(Box::new(message))).await?,
                Err(error) => return tell.send(Received::Wrong(error)).await,
            }
        }
    }
    if begun { Ok(()) } else { noise(&decoder, tell).await }
}

async fn noise(decoder: &Decoder, tell: &mpsc::Sender<Received>) -> Result<(), mpsc::error::SendError<Received>> {
    match decoder.noise() {
        [] => Ok(()),
        noise => tell.send(Received::Noise(noise.to_vec())).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ostler_roles::outcome::Event;
    use ostler_roles::wire::frame::{self, MAGIC};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::io::AsyncWriteExt;

    #[tokio::test(start_paused = true)]
    async fn an_agent_that_talks_unasked_fills_no_memory_and_is_held_back() {
        let (mut agent, stdout) = tokio::io::duplex(64);
        let mut reader = Reader::start(Box::new(stdout));
        // As long as what is read at once, and so short that it travels as it is.
        let event = Box::new(Event::Note { index: None, text: "x".repeat(15 * 1024) });
        let message = frame::encode(&ToController::Event { seq: 1, event }).unwrap();
        let said = AtomicUsize::new(0);
        let talking = async {
            agent.write_all(MAGIC).await.unwrap();
            loop {
                agent.write_all(&message).await.unwrap();
                said.fetch_add(1, Ordering::Relaxed);
            }
        };
        tokio::pin!(talking);
        // Time passes when nobody can go on.
        let mut talk = async || assert!(tokio::time::timeout(Duration::from_secs(1), &mut talking).await.is_err());
        talk().await;
        // Two wait, one is being handed over, and one has been read together with it at most.
        let held = said.load(Ordering::Relaxed);
        assert!((WAITING..=4).contains(&held), "{held} messages were taken that nobody has asked for");
        assert!(matches!(reader.next_within(Duration::from_secs(1)).await, Ok(Some(Received::Message(_)))));
        talk().await;
        assert!(said.load(Ordering::Relaxed) > held, "there is room again");
    }
}
