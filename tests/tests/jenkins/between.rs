//! What is tried against a version between the oldest and the newest: all that meets what versions differ in, redirects, sessions, marks,
//! reasons, verdicts, Java, the agent's program.

mod anywhere;
mod bench;
mod faults;
mod front;
mod java;
mod registration;
mod verdicts;
mod waits;
