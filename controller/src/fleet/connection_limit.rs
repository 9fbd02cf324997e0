//! How many connections to nodes may be open at once. A machine that may hold few files open works through a large fleet all the same: what would be
//! kept open only to save another greeting is hung up, and as many nodes are changed at once as there is room for.

use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

/// Room for connections, beside those of nodes that are being met. Its clones are the same room.
#[derive(Debug, Clone, Default)]
pub struct ConnectionLimit(Option<Shares>);

/// One half for connections that are kept until their node's turn comes, one for those whose turn it is: none of these waits for one of those.
#[derive(Debug, Clone)]
struct Shares {
    kept: Arc<Semaphore>,
    busy: Arc<Semaphore>,
}

impl ConnectionLimit {
    /// Room for so many connections, where so many nodes may want one.
    #[must_use]
    pub fn new(room: usize, nodes: usize) -> Self {
        if room >= nodes {
            return Self::default();
        }
        let kept = room / 2;
        Self(Some(Shares { kept: Arc::new(Semaphore::new(kept)), busy: Arc::new(Semaphore::new((room - kept).max(1))) }))
    }

    /// Whether a connection may stay open until its node's turn comes.
    #[must_use]
    pub fn may_stay(&self) -> bool {
        let Some(Shares { kept, .. }) = &self.0 else { return true };
        // It is kept for good: its node's turn comes when all have been met.
        kept.try_acquire().map(SemaphorePermit::forget).is_ok()
    }

    /// A place among the nodes whose turn it is, for as long as what is returned lives.
    pub async fn acquire(&self) -> Option<OwnedSemaphorePermit> {
        // The semaphore is never closed: a permit always comes.
        Arc::clone(&self.0.as_ref()?.busy).acquire_owned().await.ok()
    }

    /// Whether connections are ended as soon as nothing is under way on them.
    #[must_use]
    pub fn is_tight(&self) -> bool {
        self.0.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn connections_are_kept_and_used_within_the_room_that_there_is() {
        let plenty = ConnectionLimit::new(10, 10);
        assert!((0..10).all(|_| plenty.may_stay()) && plenty.acquire().await.is_none() && !plenty.is_tight());
        let few = ConnectionLimit::new(5, 10);
        assert!(few.is_tight());
        assert_eq!((0..10).filter(|_| few.may_stay()).count(), 2);
        let turns = [few.acquire().await, few.acquire().await, few.acquire().await];
        assert!(turns.iter().all(Option::is_some));
        let next = few.acquire();
        tokio::pin!(next);
        assert!(futures_poll(next.as_mut()).await.is_none(), "three are under way");
        drop(turns);
        assert!(next.await.is_some());
        // However little room: one after the other.
        assert!(!ConnectionLimit::new(0, 10).may_stay() && ConnectionLimit::new(0, 10).acquire().await.is_some());
    }

    /// Its value, if it is there now.
    async fn futures_poll<F: Future + Unpin>(mut future: F) -> Option<F::Output> {
        std::future::poll_fn(|context| match std::pin::Pin::new(&mut future).poll(context) {
            std::task::Poll::Ready(value) => std::task::Poll::Ready(Some(value)),
            std::task::Poll::Pending => std::task::Poll::Ready(None),
        })
        .await
    }
}
