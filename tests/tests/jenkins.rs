//! The Jenkins master: the model against recordings of a real one, then the client against the model.
#![expect(clippy::unwrap_used, reason = "a test that cannot set its stage has failed")]

#[path = "jenkins/replay.rs"]
mod replay;
