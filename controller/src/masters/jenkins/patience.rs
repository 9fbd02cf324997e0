//! How long a Jenkins is waited for.

use std::time::Duration;

/// How long each wait on the master may last.
#[derive(Debug, Clone)]
pub struct Patience {
    /// One request.
    pub request: Duration,
    /// The first contact, while nobody answers.
    pub reach: Duration,
    /// A restart, from the first sign of it.
    pub restart: Duration,
    /// Answers that say nothing (a 500, a page of somebody else's), one after the other.
    pub unwell: Duration,
    /// A 401 that lasts this long is a wrong login, not a restart.
    pub unauthorized: Duration,
    /// Until an agent is online.
    pub connect: Duration,
    /// Until running jobs have left a node.
    pub drain: Duration,
    /// Until a smoke job has ended.
    pub smoke: Duration,
    /// For how long an agent must be gone, or be there, before that is believed: Jenkins closes channels late.
    pub settle: Duration,
    /// How long a wait may last before it is told.
    pub silence: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            request: seconds(30),
            reach: seconds(10),
            restart: seconds(300),
            unwell: seconds(30),
            unauthorized: seconds(5),
            connect: seconds(120),
            drain: seconds(1800),
            smoke: seconds(1800),
            settle: seconds(5),
            silence: seconds(5),
        }
    }
}
