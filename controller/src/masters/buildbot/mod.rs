//! Buildbot: workers are files on the master's machine; what came of them is read, and jobs are forced, over REST.
//!
//! [`Buildbot`] is its driver. A run that finds everything in place makes three requests and writes nothing.

mod client;
mod driver;
mod file;
mod rest;
mod smoke;
mod steps;
mod survey;
mod survey_cache;

pub use client::{Account, Build, BuildResult, BuildbotError, Client};
pub use driver::{Buildbot, Patience, Registration, WorkerService, WorkerTrouble};
pub use file::{SmokeCommand, Worker, WorkerError, WorkerFile};
pub use steps::{MasterPaths, steps};
pub use survey::Survey;
