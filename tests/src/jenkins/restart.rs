//! What a restart looks like from outside, and other ways in which a server fails its clients.

use std::time::{Duration, Instant};

/// What the server does with the next request instead of answering it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// 503 "Restarting Jenkins" of the process that goes.
    Restarting,
    /// 401 for a valid token.
    Unauthorized,
    /// The connection is closed without an answer.
    Reset,
    /// Nobody listens.
    Refused,
    /// The connection is accepted and nothing comes.
    Hang,
    /// 503 "Starting Jenkins" of the process that comes.
    Starting,
    /// 502 of a proxy behind which nobody listens.
    Gateway,
    /// 301 to another address.
    Moved,
    /// This status, and all that was sent comes back: headers, and the body, in the page and in `X-Error`.
    Echo {
        /// The status.
        status: u16,
        /// Reads are answered as ever.
        writes_alone: bool,
    },
    /// 404 of a server that is no Jenkins.
    Files,
    /// 200 with HTML where JSON belongs, as a proxy's login page does it.
    Html,
    /// The answer breaks off in the middle of its body.
    Half,
    /// A body without end.
    Endless,
}

/// A row of faults, each for a while.
#[derive(Debug, Clone, Default)]
pub struct Timeline {
    phases: Vec<(Fault, Duration)>,
    started: Option<Instant>,
    restarts: bool,
}

impl Timeline {
    /// These faults, one after another.
    pub fn new(phases: Vec<(Fault, Duration)>) -> Self {
        Self { phases, started: Some(Instant::now()), restarts: false }
    }

    /// The recorded restart (`restart-21-timeline`), at this fraction of its length. The process is another one when it is over.
    ///
    /// `None` when the recording holds something that no fault stands for.
    pub fn recorded_restart(recording: &serde_json::Value, scale: f64) -> Option<Self> {
        let rows = recording["timeline"].as_array()?;
        let at = |row: &serde_json::Value| row["at_seconds"].as_f64();
        let mut phases = Vec::new();
        for pair in rows.windows(2) {
            let observed = &pair[0]["observed"];
            let fault = match (observed[0].as_u64(), observed[0].as_str(), observed[4].as_str()) {
                (Some(503), _, Some("Restarting Jenkins")) => Fault::Restarting,
                (Some(503), _, Some("Starting Jenkins")) => Fault::Starting,
                (Some(401), _, _) => Fault::Unauthorized,
                (_, Some("ConnectionResetError"), _) => Fault::Reset,
                (_, Some("ConnectionRefusedError"), _) => Fault::Refused,
                (_, Some("TimeoutError"), _) => Fault::Hang,
                _ => return None,
            };
            phases.push((fault, Duration::from_secs_f64((at(&pair[1])? - at(&pair[0])?) * scale)));
        }
        Some(Self { phases, started: Some(Instant::now()), restarts: true })
    }

    /// The fault of this moment.
    pub fn current(&self) -> Option<Fault> {
        let mut left = self.started?.elapsed();
        for (fault, duration) in &self.phases {
            if left < *duration {
                return Some(*fault);
            }
            left -= *duration;
        }
        None
    }

    /// Whether it has just ended in a new process; says so once.
    pub fn has_restarted(&mut self) -> bool {
        let over = self.restarts && self.current().is_none();
        if over {
            *self = Self::default();
        }
        over
    }
}
