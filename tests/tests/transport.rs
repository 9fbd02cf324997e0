//! The way to a node, against real sshd's: every verdict about a host key, every way in, every way to fail.

#[path = "transport/desk.rs"]
mod desk;
#[path = "transport/links.rs"]
mod links;
