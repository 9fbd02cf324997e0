//! The Jenkins master: the model against recordings of real ones, then the client against the model: the whole suite against the oldest
//! version and the newest, and what differs against each.
#![expect(clippy::unwrap_used, reason = "a test that cannot set its stage has failed")]

#[path = "jenkins/suite.rs"]
mod newest;
#[path = "jenkins/suite.rs"]
#[expect(clippy::duplicate_mod, reason = "the same tests against another version")]
mod oldest;
#[path = "jenkins/replay.rs"]
mod replay;
