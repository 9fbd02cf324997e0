//! A run is a transaction of nodes: each goes its own way, from its plan to its labels, under one scheduler. A node begins when those that it
//! needs have come through, is registered as soon as it has, and waits for no other; what it reaches is told, and kept, stage by stage.

mod fleet_run;
mod node;
mod scheduler;

pub use fleet_run::{Outcome, Run};
pub use scheduler::proved_again;

#[cfg(test)]
mod tests;
