//! A real nodepool-builder 11 with its ZooKeeper over TLS, on loopback: what `ostler image dib` is the `dib-cmd` of.

#![expect(clippy::expect_used, reason = "a test that cannot be set up has failed")]

mod builder;
mod zookeeper;

pub use builder::{Build, DiskImage, Rig, Upload, data, mounts_of, processes_of, told, yaml_of};
pub use zookeeper::ZooKeeper;
