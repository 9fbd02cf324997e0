//! What the fleet tells while it works. Reports are folds over these.

use super::{Stage, Trouble};
use crate::transport::LinkEvent;
use ostler_roles::outcome::Event;
use ostler_roles::texts::{Edit, Text, Texts};
use ostler_roles::words::{NodeName, RunId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// One thing that happened to one node. Kept in runs' logs: an added field needs a default, a changed one another version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FleetEvent {
    /// Its connection is being made.
    Connecting,
    /// Something of the link: a retry, a new host key.
    Link(LinkEvent),
    /// Its agent has said hello.
    Met {
        /// Whether the agent had to be placed.
        placed: bool,
        /// What the login shell printed before it, sanitised by whoever shows it. Not kept.
        #[serde(skip)]
        noise: Vec<u8>,
    },
    /// It, or an executor of it, has come so far.
    Stage(Stage),
    /// It is being let go: from here on the run may have begun, whatever is heard of it.
    Go(RunId),
    /// The connection was lost, and its run is being followed over another one.
    AttachedAgain {
        /// The run.
        run: RunId,
        /// Number of the last event that had come.
        after: u64,
    },
    /// The connection was lost before its run began; over another one its plan is the same.
    MetAgain,
    /// Its run tells.
    Run {
        /// Number in the node's journal; 0 for what is not journalled.
        seq: u64,
        /// What happened.
        event: Box<Event>,
    },
    /// It waits for these nodes to end first.
    Waiting(Vec<NodeName>),
    /// A master tells about its executor: `quarantined`, `connected`, `smoke job green`, `labelled`.
    Master {
        /// Which master.
        master: String,
        /// One sentence.
        text: String,
        /// Whether more of it is to come.
        #[serde(default)]
        goes_on: bool,
    },
    /// It is out: why.
    Trouble(Box<Trouble>),
    /// It has come through.
    Done,
}

impl FleetEvent {
    /// Whether it is only of the moment, and not worth keeping.
    pub fn is_fleeting(&self) -> bool {
        match self {
            Self::Link(event) => matches!(event, LinkEvent::Placing { .. }),
            Self::Run { event, .. } => matches!(event.as_ref(), Event::Progress { .. }),
            _ => false,
        }
    }
}

impl Texts for FleetEvent {
    fn texts(&mut self, edit: Edit<'_>) {
        match self {
            Self::Link(event) => event.texts(edit),
            Self::Run { seq: _, event } => event.texts(edit),
            Self::Master { master, text, goes_on: _ } => [master, text].into_iter().for_each(|text| edit(Text::One(text))),
            Self::Trouble(trouble) => trouble.texts(edit),
            Self::Stage(stage) => stage.texts(edit),
            Self::Connecting
            | Self::Met { .. }
            | Self::Go(_)
            | Self::AttachedAgain { .. }
            | Self::MetAgain
            | Self::Waiting(_)
            | Self::Done => {}
        }
    }
}

/// What nodes tell that may wait to be shown: a slow reader holds up whoever listens to the nodes, and fills no memory.
const WAITING: usize = 1024;

/// Takes events; a reader that has gone away is no reason to stop the work.
#[derive(Debug, Clone)]
pub struct EventSender {
    // Our own events are few: so many a node. What a node says has no such bound, and needs room.
    sender: mpsc::UnboundedSender<FleetMessage>,
    room: Arc<Semaphore>,
}

/// What a reader gets: an event of a node, or the word that no more will come.
#[derive(Debug)]
pub enum FleetMessage {
    /// Something happened to a node.
    Event(NodeName, FleetEvent),
    /// A node's run tells something; its room is free again once it is taken.
    Run(NodeName, FleetEvent, OwnedSemaphorePermit),
    /// Others want the terminal: take the picture away, then say so.
    Flush(tokio::sync::oneshot::Sender<()>),
    /// The teller is done. Links keep tellers alive, so that waiting for the last of them could last for ever.
    End,
}

impl EventSender {
    /// A way to tell, and the end to read from.
    pub fn channel() -> (Self, mpsc::UnboundedReceiver<FleetMessage>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self { sender, room: Arc::new(Semaphore::new(WAITING)) }, receiver)
    }
    /// Tells an event of ours.
    pub fn send(&self, node: &NodeName, event: FleetEvent) {
        // Nobody listens any more: the run itself goes on.
        let _ = self.sender.send(FleetMessage::Event(node.clone(), event));
    }
    /// Tells what a node's run has told. Waits for room; but what is only of the moment is left out where there is none.
    pub async fn run(&self, node: &NodeName, seq: u64, event: Event) {
        let room = Arc::clone(&self.room);
        let room = if matches!(event, Event::Progress { .. }) { room.try_acquire_owned().ok() } else { room.acquire_owned().await.ok() };
        // Nothing closes the semaphore: without room it is progress, and the next tells more.
        if let Some(room) = room {
            let event = FleetEvent::Run { seq, event: Box::new(event) };
            // Nobody listens any more: the run itself goes on.
            let _ = self.sender.send(FleetMessage::Run(node.clone(), event, room));
        }
    }
    /// Waits until all that was told is shown and the terminal is free for others.
    pub async fn flush(&self) {
        let (done, settled) = tokio::sync::oneshot::channel();
        if self.sender.send(FleetMessage::Flush(done)).is_ok() {
            // A reader that went away meanwhile holds the terminal no more.
            let _ = settled.await;
        }
    }
    /// Says that no more will come.
    pub fn end(&self) {
        // Nobody listens any more, which is what this asks for.
        let _ = self.sender.send(FleetMessage::End);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn note(number: usize) -> Event {
        Event::Note { index: None, text: number.to_string() }
    }

    #[tokio::test]
    async fn a_slow_reader_holds_up_the_nodes_and_misses_nothing_but_progress() {
        let (events, mut told) = EventSender::channel();
        let node = NodeName::parse("n1").unwrap();
        let many = async {
            for number in 0..WAITING + 10 {
                events.run(&node, 1, note(number)).await;
            }
        };
        tokio::pin!(many);
        assert!(tokio::time::timeout(Duration::from_millis(200), &mut many).await.is_err(), "nothing waited");
        assert_eq!(told.len(), WAITING);
        let progress = Event::Progress { index: 0, what: "half".to_owned(), items: None, bytes: None };
        events.run(&node, 0, progress.clone()).await;
        // What is our own is told at any time.
        events.send(&node, FleetEvent::Done);
        assert_eq!(told.len(), WAITING + 1);
        let mut notes = Vec::new();
        let read = async {
            while notes.len() < WAITING + 10 {
                match told.recv().await {
                    Some(FleetMessage::Run(_, FleetEvent::Run { event, .. }, _room)) => notes.push(*event),
                    Some(FleetMessage::Event(_, FleetEvent::Done)) => {}
                    other => panic!("{other:?}"),
                }
            }
        };
        tokio::join!(many, read);
        assert_eq!(notes, (0..WAITING + 10).map(note).collect::<Vec<_>>());
        events.run(&node, 0, progress).await;
        assert_eq!(told.len(), 1, "there is room again");
    }
}
