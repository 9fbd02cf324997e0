//! Shows a run's events from its journal, from any number on, to the end: none lost, none twice.

use super::frames::{Disconnected, Incoming, Input, Outbox, await_readable};
use crate::engine::{EngineError, Facilities, JournalReader, StatePaths, ask_to_cancel, defect_of, is_held, shown_progress};
use ostler_roles::outcome::Event;
use ostler_roles::wire::frame::FrameError;
use ostler_roles::wire::message::{Refusal, ToAgent, ToController};
use ostler_roles::words::RunId;
use rustix::fd::{AsFd as _, OwnedFd};
use rustix::fs::inotify;
use std::time::Duration;

/// After so much time without news: is the runner still there?
const LOOK: Duration = Duration::from_secs(1);
/// Events that travel in one write.
const BATCH: usize = 64;

/// Why a tail ended.
#[derive(Debug)]
pub(super) enum TailEnd {
    /// All was told.
    Complete,
    /// The controller said goodbye or is gone.
    Left,
}

/// What makes a tail impossible.
#[derive(Debug, thiserror::Error)]
pub(super) enum TailError {
    #[error(transparent)]
    Disconnected(#[from] Disconnected),
    #[error("read frames")]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("take a message that has no place while a run is shown")]
    OutOfPlace,
}

/// One tail.
pub(super) struct Tail<'a> {
    facilities: &'a dyn Facilities,
    run: RunId,
    after: u64,
    journal: JournalReader,
    last: u64,
    ended: bool,
    news: Option<OwnedFd>,
    progress: Vec<Event>,
}

impl<'a> Tail<'a> {
    /// Opens a run's journal; none where the node knows no such run.
    pub(super) fn open(facilities: &'a dyn Facilities, run: RunId, after: u64) -> Result<Option<Self>, EngineError> {
        let paths = facilities.paths();
        // Watched first, read afterwards: what comes in between is seen by one or the other.
        let news = watch(paths, &run);
        let Some(journal) = JournalReader::open(&paths.journal(&run))? else { return Ok(None) };
        Ok(Some(Self { facilities, run, after, journal, last: 0, ended: false, news, progress: Vec::new() }))
    }

    /// Shows events until the run's end, its cut, or the controller's goodbye.
    pub(super) fn show(mut self, input: &mut Input, outbox: &Outbox) -> Result<TailEnd, TailError> {
        let mut quiet = true;
        loop {
            self.show_news(outbox)?;
            if !self.ended && quiet && !self.is_at_work()? {
                // It may have told its end between our last look and its leaving.
                self.show_news(outbox)?;
                if !self.ended {
                    if let Some(words) = defect_of(self.facilities.paths(), &self.run) {
                        let text = format!("this is a defect of ostler, please report it: the agent {words}");
                        self.last += 1;
                        outbox.send(&ToController::Event { seq: self.last, event: Box::new(Event::Note { index: None, text }) })?;
                    }
                    outbox.send(&ToController::Cut { run: self.run, last: self.last })?;
                    return Ok(TailEnd::Complete);
                }
            }
            if self.ended {
                outbox.send(&ToController::Done { run: self.run, last: self.last })?;
                return Ok(TailEnd::Complete);
            }
            quiet = self.wait(input)?;
            if self.listen(input, outbox)? {
                return Ok(TailEnd::Left);
            }
        }
    }

    /// Takes what the controller has said meanwhile. True when it has left.
    fn listen(&self, input: &mut Input, outbox: &Outbox) -> Result<bool, TailError> {
        loop {
            match input.next(Duration::ZERO)? {
                Incoming::Message(message) => match *message {
                    ToAgent::Cancel { run } => outbox.send(&cancel(self.facilities, run)?)?,
                    ToAgent::Bye => return Ok(true),
                    ToAgent::Open(_)
                    | ToAgent::Password(_)
                    | ToAgent::Catalog { .. }
                    | ToAgent::Blobs(_)
                    | ToAgent::Go { .. }
                    | ToAgent::Attach { .. }
                    | ToAgent::Prove(_)
                    | ToAgent::Challenge { .. } => return Err(TailError::OutOfPlace),
                },
                Incoming::End => return Ok(true),
                Incoming::Nothing => return Ok(false),
            }
        }
    }

    /// Whether this very run has a runner.
    fn is_at_work(&self) -> Result<bool, EngineError> {
        let paths = self.facilities.paths();
        let record = crate::engine::NodeRecord::read(paths)?;
        let named = record.last.is_some_and(|last| last.run == self.run);
        Ok(named && is_held(&paths.run_lock())?)
    }

    fn show_news(&mut self, outbox: &Outbox) -> Result<(), TailError> {
        let mut messages = Vec::new();
        while let Some(record) = self.journal.next_record()? {
            self.last = record.seq;
            self.ended = matches!(record.event, Event::Ended { .. });
            if record.seq > self.after {
                messages.push(ToController::Event { seq: record.seq, event: Box::new(record.event) });
            }
            if messages.len() >= BATCH {
                outbox.send_all(&messages)?;
                messages.clear();
            }
        }
        if !self.ended {
            let progress = shown_progress(self.facilities.paths(), &self.run);
            let fresh = progress.iter().filter(|event| !self.progress.contains(event));
            messages.extend(fresh.map(|event| ToController::Event { seq: 0, event: Box::new(event.clone()) }));
            self.progress = progress;
        }
        if !messages.is_empty() {
            outbox.send_all(&messages)?;
        }
        Ok(())
    }

    /// Waits for news or for the controller. True when it was quiet.
    fn wait(&self, input: &Input) -> Result<bool, TailError> {
        let mut fds = vec![input.fd()];
        fds.extend(self.news.as_ref().map(|news| news.as_fd()));
        // Without inotify (its instances are limited) look often instead.
        let within = if self.news.is_some() { LOOK } else { LOOK / 20 };
        let ready = await_readable(&fds, within).map_err(|_| Disconnected)?;
        if let (Some(news), Some(true)) = (&self.news, ready.get(1)) {
            let mut bytes = [0u8; 4096];
            // What it says does not matter, only that it said something.
            let _ = rustix::io::read(news, &mut bytes);
        }
        Ok(!ready.contains(&true))
    }
}

/// Leaves the wish to stop with a run that is at work.
pub(super) fn cancel(facilities: &dyn Facilities, run: RunId) -> Result<ToController, EngineError> {
    let paths = facilities.paths();
    if !facilities.is_root() {
        return Ok(ToController::Refused(Refusal::NotRoot));
    }
    let active = crate::engine::NodeRecord::read(paths)?.active(paths)?;
    if active.is_none_or(|active| active.run != run || !active.alive) {
        return Ok(ToController::Refused(Refusal::NoRun(Some(run))));
    }
    ask_to_cancel(paths, &run)?;
    Ok(ToController::Cancelling { run })
}

fn watch(paths: &StatePaths, run: &RunId) -> Option<OwnedFd> {
    let fd = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK).ok()?;
    inotify::add_watch(&fd, &*paths.journal(run), inotify::WatchFlags::MODIFY).ok()?;
    // A run that has ended keeps nothing in memory.
    let _ = inotify::add_watch(&fd, &*paths.in_memory(run), inotify::WatchFlags::MOVED_TO);
    Some(fd)
}
