//! Which host keys we have been told of: our own reading of OpenSSH's `known_hosts`.
//!
//! Libraries read only part of the format, and take a known host that shows a key of another type for an unknown one,
//! so that accepting new keys would accept a man in the middle. Here such a host is *changed*.

mod append;
mod certificate;
mod entry;
mod file;
mod pattern;
mod verdict;

pub use append::{AppendError, append};
pub use certificate::CertificateFault;
pub use entry::{Entry, Line, Marker};
pub use file::{KnownHostsFile, KnownHostsFiles};
pub(crate) use pattern::wildcard;
pub use pattern::{Hosts, host_names};
pub use verdict::{Presented, Record, Records, Verdict};

#[cfg(test)]
mod tests;
