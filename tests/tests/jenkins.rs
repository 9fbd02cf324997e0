//! The Jenkins master: the model against recordings of a real one, then the client against the model.
#![expect(clippy::unwrap_used, reason = "a test that cannot set its stage has failed")]

#[path = "jenkins/anywhere.rs"]
mod anywhere;
#[path = "jenkins/bench.rs"]
mod bench;
#[path = "jenkins/consoles.rs"]
mod consoles;
#[path = "jenkins/faults.rs"]
mod faults;
#[path = "jenkins/front.rs"]
mod front;
#[path = "jenkins/interrupted.rs"]
mod interrupted;
#[path = "jenkins/registration.rs"]
mod registration;
#[path = "jenkins/replay.rs"]
mod replay;
#[path = "jenkins/restarts.rs"]
mod restarts;
#[path = "jenkins/roaming.rs"]
mod roaming;
#[path = "jenkins/trust.rs"]
mod trust;
