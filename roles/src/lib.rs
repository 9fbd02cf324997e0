//! What a node should be, and every word the controller and the agent exchange.

#[cfg(feature = "author")]
pub mod author;
