//! Public contents on their way to nodes: taken from where they lie part by part, and to few nodes at once.

use std::fs::File;
use std::io::Result;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Nodes that are sent contents at once. Each has a few parts in memory and up to a window of its connection (2 MiB); more of them fill memory
/// and no link.
const AT_ONCE: usize = 16;
/// Who may send: one number for the process, whose memory it is about.
static SENDERS: Semaphore = Semaphore::const_new(AT_ONCE);

/// A permit to send contents to a node; none where there will be none.
pub(super) async fn permit() -> Option<SemaphorePermit<'static>> {
    // Nothing closes the semaphore.
    SENDERS.acquire().await.ok()
}

/// One content: what is shared is not copied, and a file is read when its part is sent.
#[derive(Debug, Clone)]
pub enum Content {
    /// In memory.
    Bytes(Arc<[u8]>),
    /// A file that holds it, with its length. The node takes no other content than the one that it asked for.
    File(Arc<File>, u64),
}

impl Content {
    /// How many bytes it has.
    pub fn length(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File(_, length) => *length,
        }
    }

    /// At most so many bytes from this place on.
    ///
    /// # Errors
    /// When the file cannot be read, or is shorter than it was.
    pub fn part(&self, from: u64, most: usize) -> Result<Vec<u8>> {
        let length = usize::try_from(self.length().saturating_sub(from)).unwrap_or(usize::MAX).min(most);
        match self {
            Self::Bytes(bytes) => {
                let from = usize::try_from(from).unwrap_or(usize::MAX).min(bytes.len());
                Ok(bytes[from..from + length].to_vec())
            }
            Self::File(file, _) => {
                let mut part = vec![0; length];
                file.read_exact_at(&mut part, from)?;
                Ok(part)
            }
        }
    }

    /// All of it.
    ///
    /// # Errors
    /// As for [`Self::part`].
    pub fn whole(&self) -> Result<Vec<u8>> {
        self.part(0, usize::MAX)
    }
}

impl From<Vec<u8>> for Content {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes.into())
    }
}

/// For tests: held by the one that has all turns.
#[cfg(test)]
pub static ALL_TURNS: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// For tests: every turn, so that nobody else has one.
#[cfg(test)]
pub async fn all_turns() -> Vec<SemaphorePermit<'static>> {
    let mut turns = Vec::new();
    while turns.len() < AT_ONCE {
        turns.extend(permit().await);
    }
    turns
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn a_content_is_the_same_by_parts_whatever_holds_it() {
        let bytes: Vec<u8> = (0..=255).cycle().take(1000).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        for content in [Content::from(bytes.clone()), Content::File(Arc::new(file.try_clone().unwrap()), 1000)] {
            let mut parts = Vec::new();
            while (parts.len() as u64) < content.length() {
                let part = content.part(parts.len() as u64, 300).unwrap();
                assert!((1..=300).contains(&part.len()));
                parts.extend(part);
            }
            assert_eq!(parts, bytes);
            assert_eq!(content.whole().unwrap(), bytes);
        }
        // It was cut since.
        file.set_len(10).unwrap();
        assert!(Content::File(Arc::new(file), 1000).part(0, 300).is_err());
        assert!(Content::from(Vec::new()).whole().unwrap().is_empty());
    }

    #[tokio::test]
    async fn no_more_nodes_are_sent_contents_at_once_than_memory_is_meant_for() {
        let _alone = ALL_TURNS.lock().await;
        let mut turns = all_turns().await;
        let next = permit();
        tokio::pin!(next);
        assert!(std::future::poll_fn(|cx| std::task::Poll::Ready(next.as_mut().poll(cx).is_pending())).await);
        turns.pop();
        assert!(next.await.is_some());
    }
}
