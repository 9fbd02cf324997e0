//! What the fleet tells while it works. Reports are folds over these.

use super::Trouble;
use crate::transport::LinkEvent;
use ostler_roles::outcome::Event;
use ostler_roles::plan::Plan;
use ostler_roles::words::{NodeName, RunId};
use tokio::sync::mpsc;

/// One thing that happened to one node.
#[derive(Debug, Clone)]
pub enum FleetEvent {
    /// Its connection is being made.
    Connecting,
    /// Something of the link: a retry, a new host key.
    Link(LinkEvent),
    /// Its agent has said hello.
    Met {
        /// Whether the agent had to be placed.
        placed: bool,
        /// What the login shell printed before it, sanitised by whoever shows it.
        noise: Vec<u8>,
    },
    /// Its plan has come.
    Planned(Box<Plan>),
    /// It is being let go: from here on the run may have begun, whatever is heard of it.
    Go(RunId),
    /// Its run has begun.
    Going,
    /// The connection was lost, and its run is being followed over another one.
    AttachedAgain {
        /// The run.
        run: RunId,
        /// Number of the last event that had come.
        after: u64,
    },
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
    },
    /// It is out: why.
    Trouble(Box<Trouble>),
    /// It has come through.
    Done,
}

/// Takes events; a reader that has gone away is no reason to stop the work.
#[derive(Debug, Clone)]
pub struct Tell(mpsc::UnboundedSender<Told>);

/// What a reader gets: an event of a node, or the word that no more will come.
#[derive(Debug)]
pub enum Told {
    /// Something happened to a node.
    Event(NodeName, FleetEvent),
    /// Others want the terminal: take the picture away, then say so.
    Settle(tokio::sync::oneshot::Sender<()>),
    /// The teller is done. Links keep tellers alive, so that waiting for the last of them could last for ever.
    End,
}

impl Tell {
    /// A way to tell, and the end to read from.
    pub fn channel() -> (Self, mpsc::UnboundedReceiver<Told>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }
    /// Tells one event.
    pub fn tell(&self, node: &NodeName, event: FleetEvent) {
        // Nobody listens any more: the run itself goes on.
        let _ = self.0.send(Told::Event(node.clone(), event));
    }
    /// Waits until all that was told is shown and the terminal is free for others.
    pub async fn settle(&self) {
        let (done, settled) = tokio::sync::oneshot::channel();
        if self.0.send(Told::Settle(done)).is_ok() {
            // A reader that went away meanwhile holds the terminal no more.
            let _ = settled.await;
        }
    }
    /// Says that no more will come.
    pub fn end(&self) {
        // Nobody listens any more, which is what this asks for.
        let _ = self.0.send(Told::End);
    }
}
