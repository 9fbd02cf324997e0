//! The Jenkins master: the model against recordings of real ones, then the client against the model: the whole suite against the oldest
//! version and the newest, and what meets their differences against each between.
#![expect(clippy::unwrap_used, reason = "a test that cannot set its stage has failed")]
#![expect(clippy::duplicate_mod, reason = "the same tests against other versions")]

#[path = "jenkins/suite.rs"]
mod newest;
#[path = "jenkins/suite.rs"]
mod oldest;
#[path = "jenkins/replay.rs"]
mod replay;
#[path = "jenkins/timelines.rs"]
mod timelines;
#[path = "jenkins/between.rs"]
mod v2_440;
#[path = "jenkins/between.rs"]
mod v2_516;
#[path = "jenkins/between.rs"]
mod v2_532;
#[path = "jenkins/versions.rs"]
mod versions;
