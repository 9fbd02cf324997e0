//! The line to one node: a connection, and on it an open conversation with the node's agent. Made here and ended here, for every verb.

use super::{Preparation, Trouble};
use crate::session::{Session, SessionError, meet};
use crate::transport::{ConnectError, Link};
use ostler_roles::wire::message::ToAgent;
use ostler_roles::words::NodeName;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// How long all nodes together may take to hear a goodbye. One that does not hear it leaves at the end of its input.
const LEAVE_WITHIN: Duration = Duration::from_secs(5);

/// An open conversation and its connection.
#[derive(Debug)]
pub struct Connection {
    /// The conversation.
    pub session: Session,
    /// The connection, kept as long as the conversation.
    pub link: Arc<dyn Link>,
}

/// Why there is no line to a node.
#[derive(Debug, thiserror::Error)]
pub enum MeetError {
    /// No connection.
    #[error(transparent)]
    Connect(Box<ConnectError>),
    /// A connection, and no agent that could be talked to.
    #[error(transparent)]
    Session(#[from] Box<SessionError>),
}

impl MeetError {
    /// Whether another try may help.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Connect(error) => error.may_pass(),
            Self::Session(error) => error.is_lost(),
        }
    }
}

impl From<&MeetError> for Trouble {
    fn from(error: &MeetError) -> Self {
        match error {
            MeetError::Connect(error) => Self::from(error.as_ref()),
            MeetError::Session(error) => Self::from(error.as_ref()),
        }
    }
}

impl Preparation {
    /// Connects to a node and meets its agent. What `early` gives meanwhile travels right behind the exec.
    ///
    /// # Errors
    /// [`MeetError`].
    pub async fn meet(&self, node: &NodeName, early: impl Future<Output = Vec<ToAgent>>) -> Result<Connection, MeetError> {
        let (link, early) = tokio::join!(self.reach.connect(node, &self.events), early);
        let link = link.map_err(|error| MeetError::Connect(Box::new(error)))?;
        let identity = self.reach.identity(node).await;
        let greeting = meet(link.as_ref(), self.agent, &identity, &early, self.password.as_ref(), &self.mask).await.map_err(Box::new)?;
        Ok(Connection { session: Session::new(greeting), link })
    }
}

/// Takes leave of all these nodes at once.
pub async fn leave(connections: impl IntoIterator<Item = Connection>) {
    let mut tasks = JoinSet::new();
    for Connection { session, link } in connections {
        tasks.spawn(async move {
            session.bye().await;
            drop(link);
        });
    }
    // Whoever has not heard it by then is dropped with its task: its input ends.
    let _ = tokio::time::timeout(LEAVE_WITHIN, async { while tasks.join_next().await.is_some() {} }).await;
}
