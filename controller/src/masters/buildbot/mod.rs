//! Buildbot: workers are files on the master's machine; what came of them is read, and jobs are forced, over REST.
//!
//! [`register`] takes every worker of a run through one batch: quarantined, connected, smoke job green on that very worker, labelled;
//! one reload of the master for each write. A run that finds everything in place makes three requests and writes nothing.

mod client;
mod cordon;
mod file;
mod register;
mod rest;
mod smoke;
mod steps;
mod survey;

pub use client::{Account, Build, BuildResult, BuildbotError, Client};
pub use cordon::{Cordon, cordon, uncordon};
pub use file::{SmokeCommand, Worker, WorkerError, WorkerFile};
pub use register::{Ending, Event, Install, InstallError, Patience, RegisterError, register};
pub use smoke::{SmokeOutcome, SmokeReport};
pub use steps::{Place, steps};
pub use survey::Survey;
