//! What a connection tells while it is being made. Logic emits, `report` prints.

use super::config::Target;
use ostler_roles::texts::{Edit, Text, Texts};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// Something worth telling before the connection stands or fails. `host` is the target's, as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkEvent {
    /// The server dropped us before its banner (its `MaxStartups`); another attempt follows.
    Dropped {
        /// The host.
        host: String,
        /// Which attempt failed, from 1.
        attempt: u32,
        /// How many there will be at most.
        of: u32,
        /// How long we wait first.
        pause: Duration,
    },
    /// A connection attempt failed and `ConnectionAttempts` allows another.
    Retried {
        /// The host.
        host: String,
        /// Which attempt failed, from 1.
        attempt: u32,
        /// Why.
        reason: String,
    },
    /// The node is starting and lets nobody in yet; it is asked again.
    NoLoginYet {
        /// The host.
        host: String,
        /// What it said. A node's text: sanitise it.
        reason: String,
    },
    /// A new host key was accepted, as asked for, and written down.
    HostKeyAccepted {
        /// The host.
        host: String,
        /// The key's fingerprint.
        fingerprint: String,
        /// The file.
        file: String,
    },
    /// A large file of ours is on its way over a slow link: so many bytes of it are there.
    Placing {
        /// The host.
        host: String,
        /// Bytes there.
        there: u64,
        /// Bytes of the whole.
        of: u64,
    },
    /// The server's words before authentication. A node's text: sanitise it.
    Banner {
        /// The host.
        host: String,
        /// The text.
        text: String,
    },
}

impl Texts for LinkEvent {
    fn texts(&mut self, edit: Edit<'_>) {
        let texts = match self {
            Self::Dropped { host, .. } | Self::Placing { host, .. } => [Some(host), None, None],
            Self::Retried { host, reason: text, .. } | Self::NoLoginYet { host, reason: text } | Self::Banner { host, text } => {
                [Some(host), Some(text), None]
            }
            Self::HostKeyAccepted { host, fingerprint, file } => [Some(host), Some(fingerprint), Some(file)],
        };
        texts.into_iter().flatten().for_each(|text| edit(Text::One(text)));
    }
}

/// Takes events, each with the target that it is about: a node or a bastion before it. It must not block.
pub type Listener = Arc<dyn Fn(&Target, LinkEvent) + Send + Sync>;
