//! What is tried against one version of Jenkins.

mod anywhere;
mod bench;
mod consoles;
mod faults;
mod front;
mod interrupted;
mod java;
mod launched;
mod registration;
mod restarts;
mod roaming;
mod trust;
mod verdicts;
mod waits;
