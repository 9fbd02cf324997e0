//! The agent's half of the conversation: frames on stdin and stdout, becoming root, plan, go, attach, cancel.
//!
//! `docs/decisions/0001-run-protocol.md` is the law here.

mod error;
mod escalate;
mod fault;
mod frames;
mod serve;
mod tail;
mod work;

pub use frames::{Disconnected, Incoming, Input, Outbox};
pub use serve::{Half, serve};
