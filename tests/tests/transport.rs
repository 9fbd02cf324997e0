//! The way to a node, against real sshd's: every verdict about a host key, every way in, every way to fail.
#![expect(clippy::unwrap_used, reason = "a test that cannot set its stage has failed")]

#[path = "transport/banners.rs"]
mod banners;
#[path = "transport/configuration.rs"]
mod configuration;
#[path = "transport/desk.rs"]
mod desk;
#[path = "transport/host_keys.rs"]
mod host_keys;
#[path = "transport/jumps.rs"]
mod jumps;
#[path = "transport/links.rs"]
mod links;
#[path = "transport/login_shells.rs"]
mod login_shells;
#[path = "transport/measure.rs"]
mod measure;
#[path = "transport/trace.rs"]
mod trace;
#[path = "transport/ways_in.rs"]
mod ways_in;
#[path = "transport/ways_to_fail.rs"]
mod ways_to_fail;
