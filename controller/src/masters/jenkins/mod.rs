//! Jenkins: permanent nodes and their credentials over its HTTP interface, proved by a job before they get their labels.
//!
//! [`register`] takes the nodes of a run to their labels; a run that finds everything in place makes one listing, one read for each
//! node, and writes nothing. Every fact about Jenkins here was seen on a recorded 2.532 (`docs/jenkins.md`).

mod agent;
mod client;
mod config;
mod credential;
mod error;
mod event;
mod job;
mod launch;
mod log;
mod node;
mod register;
mod session;
mod smoke;
mod watch;
mod xml;

pub use agent::{Agent, AgentError, AgentSteps};
pub use client::Client;
pub use credential::{Credential, Kind, Sent};
pub use error::JenkinsError;
pub use event::{Event, Verdict, Waiting};
pub use register::{Bring, BringError, Ending, Left, Registration, register};
pub use session::{Login, Patience};
pub use smoke::{SmokeOutcome, SmokeReport};
pub use xml::XmlError;
