//! One conversation with one node's agent: from "is it there" to the last event of a run. Knows frames, no resource kind.

mod agent;
mod channel;
mod contents;
mod error;
#[cfg(test)]
pub(crate) mod fake;
mod login_shell;
mod meet;
mod password;
mod reader;
mod talk;

pub use agent::AgentFile;
pub use channel::Channel;
pub use contents::Content;
#[cfg(test)]
pub(crate) use contents::{ALL_TURNS, all_turns};
pub use error::SessionError;
pub use meet::{Greeting, Identity, meet};
pub use password::{Ask, Offer, Password};
pub use talk::{Answer, Go, PlanOf, Session, ask_plan, asked};
