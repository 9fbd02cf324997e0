//! Shared test support.

pub mod jenkins;
