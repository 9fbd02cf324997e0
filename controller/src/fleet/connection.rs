//! The connection to one node, and on it an open conversation with the node's agent. Made here and ended here, for every verb.

use super::{Preparation, Trouble};
use crate::session::{Session, SessionError, meet};
use crate::transport::{BoxFuture, CommandLine, ConnectError, Deadlines, Exec, Link, LinkError};
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

impl Connection {
    /// Hangs up, and keeps what the node has said of itself: a connection that nobody needs costs descriptors and memory, here and there. Whoever asks
    /// on hears that it was lost, and makes another.
    pub async fn hang_up(mut self) -> Self {
        self.session.hang_up().await;
        self.link.close().await;
        let deadlines = self.link.deadlines().clone();
        Self { session: self.session, link: Arc::new(HungUp(deadlines)) }
    }
}

/// What is left of a connection after it was hung up.
#[derive(Debug)]
struct HungUp(Deadlines);

impl Link for HungUp {
    fn exec<'a>(&'a self, _: &'a CommandLine) -> BoxFuture<'a, Result<Exec, LinkError>> {
        let gone = LinkError::Cut { host: "the node".to_owned(), reason: "it was hung up".to_owned() };
        Box::pin(std::future::ready(Err(gone)))
    }

    fn deadlines(&self) -> &Deadlines {
        &self.0
    }

    fn close<'a>(&'a self) -> BoxFuture<'a, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// Why there is no connection to a node.
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

#[cfg(test)]
mod tests {
    use super::super::fake::{Act, FakeNode, hello, name};
    use super::*;

    #[tokio::test]
    async fn a_connection_that_was_hung_up_keeps_what_was_said_and_is_lost_for_who_asks_on() {
        let fake = FakeNode::new(vec![Some(vec![Act::Hear, Act::Say(hello()), Act::Hear])]);
        let (preparation, _told) = fake.preparation();
        let mut connection = preparation.meet(&name(), async { Vec::new() }).await.unwrap().hang_up().await;
        while fake.heard().is_empty() {
            tokio::task::yield_now().await;
        }
        assert!(matches!(fake.heard().as_slice(), [ToAgent::Bye]), "{:?}", fake.heard());
        assert_eq!(connection.session.hello, crate::session::fake::hello());
        let error = connection.session.attach(None, 0).await.unwrap_err();
        assert!(error.is_lost(), "{error:?}");
        let command = CommandLine::from_words(["true"]).unwrap();
        assert!(matches!(connection.link.exec(&command).await, Err(LinkError::Cut { .. })));
    }
}
