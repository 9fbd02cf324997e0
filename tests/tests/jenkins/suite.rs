//! What is tried against one version of Jenkins.

mod anywhere;
mod bench;
mod clouds;
mod consoles;
mod faults;
mod front;
mod interrupted;
mod java;
mod launched;
mod registration;
mod restarts;
mod roaming;
mod silent;
mod taken;
mod trust;
mod verdicts;
mod waits;
