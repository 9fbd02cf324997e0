//! The lab: real nodes with systemd, sshd and apt on this machine, held by one process and gone with it without a trace.

pub(crate) mod cache;
mod cgroup;
pub(crate) mod child;
mod client;
mod command;
mod container;
mod down;
mod error;
mod exec;
pub(crate) mod gateway;
mod ground;
mod holder;
mod keeper;
mod keys;
mod net;
mod node;
mod paths;
pub(crate) mod programs;
mod protocol;
mod relay;
mod setup;
pub(crate) mod sources;
mod spec;
mod tree;
mod up_down_lock;
mod vm;
pub(crate) mod wire;

pub use client::Lab;
pub use command::{Ended, LabChild, LabCommand, LabOutput};
pub use error::LabError;
pub use holder::{HOLDER_VERB, holder_main};
pub use paths::LabPaths;
pub use setup::{Progress, Setup};
pub use spec::{
    BRIDGE, Delay, Fault, GATEWAY_PORT, LabNode, LabSpec, Machine, NodeState, NodeStatus, Password, Status, Sudo, Suite, WWW_PORT,
};
