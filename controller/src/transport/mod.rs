//! The way to a node: an SSH connection of our own that carries bytes to one command, places a file, and ends.
//!
//! # Round trips
//!
//! What a new connection costs before the first byte of the command's answer, in round trips to the node
//! (direct, first key taken; [`Ssh::connect`] is 1-6, [`Link::exec`] 7-8):
//!
//! | | ours | OpenSSH 9.2 |
//! |---|---|---|
//! | 1 | TCP | TCP |
//! | 2 | banners, KEXINIT (the server's comes right behind its banner) | the same |
//! | 3 | key exchange; our NEWKEYS and SERVICE_REQUEST leave together | the same |
//! | 4 | SERVICE_ACCEPT | the same |
//! | - | no `none` request | USERAUTH_REQUEST `none` |
//! | 5 | offer of the key (the one that worked last in this run first) | the same, in the configured order |
//! | 6 | signature | signature |
//! | 7 | channel open | channel open |
//! | 8 | exec request with the caller's first bytes behind it, not waited for | exec |
//!
//! So 8 against 9, and another command on an open connection costs 2. The SSH protocol would allow 4, 5 and 7 to be sent ahead
//! of their answers (RFC 4252, 7: a signature without an offer); the SSH library has no door for it.
//! Local work (known hosts, key files, the agent's list) is done while the network works.

mod config;
mod deadlines;
mod dial;
mod error;
mod event;
mod files;
mod invocation;
pub mod known_hosts;
mod link;
mod login;
mod place;
mod socket;
mod ssh;

pub use config::{
    AddressFamily, AgentSocket, Algorithms, BadJump, ConfigError, HostConfig, HostSettings, Jump, LocalUser, NewKeys, NothingLeft, OPTIONS,
    Resolver, Target, Treatment, parse_chain,
};
pub use deadlines::{Deadlines, backoff};
pub use dial::{Dialer, Source};
pub use error::{ConnectError, ConnectFault, HostKeyFault};
pub use event::{LinkEvent, Listener};
pub use files::FileWorkError;
pub use invocation::Invocation;
pub use link::{BoxFuture, CommandLine, Ended, Exec, Exit, Input, Link, LinkError, Login, Output, Placed, Tail, UnquotableWord};
pub use login::Tried;
pub use place::{PlaceError, PlaceFault, Placement, place_file, read_bounded};
pub use ssh::{Ssh, SshLink, SshOptions};
