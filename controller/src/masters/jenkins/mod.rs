//! Jenkins: permanent nodes and their credentials over its HTTP interface, proved by a job before they get their labels.
//!
//! [`Jenkins`] is its driver; a run that finds everything in place makes one listing, two small reads for each node, and writes nothing. Every fact about Jenkins here was seen on a recorded 2.532 (`docs/jenkins.md`).

mod agent;
mod client;
mod config;
mod credential;
mod driver;
mod error;
mod job;
mod launch;
mod launched;
mod log;
mod node;
mod outcome;
mod patience;
mod request;
mod sent_key;
mod session;
mod smoke;
mod unwell;
mod watch;
mod xml;

pub use agent::{Agent, AgentError, AgentSteps};
pub use client::Client;
pub use credential::{Credential, Kind, Sent};
pub use driver::{AgentProgramStore, Credentials, Elsewhere, InstallAgent, InstallAgentError, Jenkins, Registration};
pub use error::JenkinsError;
pub use node::{Listing, Program};
pub use outcome::{SmokeOutcome, SmokeReport};
pub use patience::Patience;
pub use sent_key::sent_key;
pub use session::Login;
pub use xml::XmlError;
