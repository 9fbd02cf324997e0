//! The controller: who, where, when, what to tell.

pub mod lab;
pub mod masters;
pub mod transport;
