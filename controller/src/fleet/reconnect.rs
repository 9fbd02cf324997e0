//! How hard a node is looked for whose connection was lost.

use std::time::Duration;

/// How hard a lost run is looked for.
#[derive(Debug, Clone)]
pub struct ReconnectLimits {
    /// Connections tried after a loss.
    pub tries: u32,
    /// The pause before the first; it doubles, and a random share of it is added.
    pub pause: Duration,
    /// How long all tries together may take.
    pub within: Duration,
    /// How often a run is attached to again without news of it in between: a link that only ever breaks is given up.
    pub without_news: u32,
}

impl Default for ReconnectLimits {
    fn default() -> Self {
        // Up to half a minute of refusals: a restarted sshd, a network that is set up anew. A node that is silent is left after a minute.
        Self { tries: 5, pause: Duration::from_millis(500), within: Duration::from_secs(60), without_news: 8 }
    }
}
