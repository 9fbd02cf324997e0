//! The controller: who, where, when, what to tell.

pub mod masters;
