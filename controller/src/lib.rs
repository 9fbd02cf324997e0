//! The controller: who, where, when, what to tell.

pub mod cli;
pub mod command;
pub mod environment;
pub mod fleet;
pub mod image;
pub mod inventory;
pub mod journal;
pub mod lab;
pub mod mask;
pub mod masters;
mod private;
pub mod registration;
pub mod report;
pub mod run;
pub mod secret;
pub mod session;
mod stamp;
pub mod transport;
