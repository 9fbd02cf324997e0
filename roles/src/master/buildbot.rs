//! One worker of a Buildbot master: its names, what is seen of it, and the next step towards its labels.

use crate::words::{Digest, Label};
use std::collections::BTreeSet;

/// The builder and the force scheduler that prove a worker (`master.cfg` of the role `buildbot-master`).
pub const SMOKE: &str = "ostler-smoke";
/// The worker that never connects; builders without workers are refused by Buildbot.
pub const NOBODY: &str = "ostler-nobody";

/// Why a text is not a worker's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a name for a Buildbot worker: letters, digits, `-` and `_`, first no digit, at most 50, not `ostler-nobody`")]
pub struct WorkerNameError(pub String);

/// A worker's name: an identifier of at most 50 characters (buildbot 4.3 `util/identifiers.py`; ASCII only, it is a file name too).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerName(String);

impl WorkerName {
    /// Reads a worker's name.
    ///
    /// # Errors
    /// When Buildbot or the file system would refuse it.
    pub fn parse(text: &str) -> Result<Self, WorkerNameError> {
        let plain = |c: char| c.is_ascii_alphabetic() || matches!(c, '-' | '_');
        let good = text.starts_with(plain) && text.len() <= 50 && text.chars().all(|c| plain(c) || c.is_ascii_digit()) && text != NOBODY;
        if good { Ok(Self(text.to_owned())) } else { Err(WorkerNameError(text.chars().take(80).collect())) }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for WorkerName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

/// How far a worker is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Attached to the builder [`SMOKE`] alone.
    Quarantined,
    /// Attached to every builder that asks for one of its labels.
    Labelled,
}

/// What the master should hold for one worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desired {
    /// The labels it earns.
    pub labels: BTreeSet<Label>,
    /// Digest of its file in quarantine.
    pub quarantined: Digest,
    /// Digest of its file with labels.
    pub labelled: Digest,
}

impl Desired {
    fn file(&self, stage: Stage) -> Digest {
        match stage {
            Stage::Quarantined => self.quarantined,
            Stage::Labelled => self.labelled,
        }
    }
}

/// A worker that was taken out of service. What someone else did we never undo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hold {
    /// Paused, with the operator's reason.
    Paused(Option<String>),
    /// Told to leave after its present job.
    Graceful,
}

/// How the reason of a pause of ours begins; the run's id follows.
pub const OUR_PAUSE: &str = "ostler run ";

impl Hold {
    /// Whether it was a run of ours that paused the worker, perhaps one that was cut.
    pub fn is_ours(&self) -> bool {
        matches!(self, Self::Paused(Some(reason)) if reason.starts_with(OUR_PAUSE))
    }
}

impl std::fmt::Display for Hold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Paused(None) => f.write_str("paused"),
            Self::Paused(Some(reason)) => write!(f, "paused: {reason}"),
            Self::Graceful => f.write_str("shutting down gracefully"),
        }
    }
}

/// A worker file that the master could not use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Its digest; none when it could not be read at all.
    pub digest: Option<Digest>,
    /// What is wrong with it.
    pub why: String,
}

/// What the running master says of one worker.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    /// Digest of the worker file that it has loaded; none when it has none.
    pub loaded: Option<Digest>,
    /// The file that it found at its last reload and could not use.
    pub refused: Option<Refusal>,
    /// Whether the worker is connected.
    pub connected: bool,
    /// Whether someone holds it back.
    pub hold: Option<Hold>,
    /// Whether the smoke builder has it.
    pub smokes: bool,
    /// The labels of all other builders that have it.
    pub attached: BTreeSet<Label>,
    /// Every label that a builder of this master asks for.
    pub asked_for: BTreeSet<Label>,
}

impl Observed {
    /// Whether the master has loaded this stage's file **and** its builders have the worker as the file says. Buildbot applies a new
    /// configuration piece by piece (schedulers before workers), so the file's digest alone proves nothing.
    pub fn is_at(&self, desired: &Desired, stage: Stage) -> bool {
        let wanted: BTreeSet<Label> = match stage {
            Stage::Quarantined => BTreeSet::new(),
            Stage::Labelled => desired.labels.intersection(&self.asked_for).cloned().collect(),
        };
        self.loaded == Some(desired.file(stage)) && self.smokes && self.attached == wanted
    }
}

/// What this run knows of a worker's fitness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Proof {
    /// Nothing changed on the node: a label that is attached is still earned.
    Standing,
    /// Something changed on the node: the label must be earned again.
    Wanted,
    /// The smoke job passed in this run.
    Green,
    /// The smoke job failed in this run.
    Red,
}

/// The next step for one worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Its file is to be written for this stage, and the master reloaded.
    Write(Stage),
    /// Its worker is to connect; nothing to do but look again.
    Connect,
    /// It is quarantined, and a run of ours paused it: it is to be released for its smoke job.
    Release,
    /// It is connected and quarantined: the smoke job is to run on it.
    Smoke,
    /// It is quarantined and someone holds it back: no job can prove it.
    Held(Hold),
    /// It is as it should be: labelled, or kept in quarantine after a red smoke job.
    Settled(Stage),
}

/// Returns the next step from what is seen; total, so a run that was cut anywhere goes on from here.
pub fn next(desired: &Desired, observed: &Observed, proof: Proof) -> Next {
    let labelled = observed.is_at(desired, Stage::Labelled);
    let quarantined = observed.is_at(desired, Stage::Quarantined);
    let is_ours = observed.hold.as_ref().is_some_and(Hold::is_ours);
    match proof {
        // A run of ours began to change the node and did not come back: the label is to be earned again.
        Proof::Standing if labelled && is_ours => Next::Write(Stage::Quarantined),
        Proof::Standing if labelled && (observed.connected || observed.hold.is_some()) => Next::Settled(Stage::Labelled),
        Proof::Standing if labelled => Next::Connect,
        Proof::Green if labelled => Next::Settled(Stage::Labelled),
        Proof::Green => Next::Write(Stage::Labelled),
        Proof::Red if quarantined => Next::Settled(Stage::Quarantined),
        Proof::Standing | Proof::Wanted if quarantined => match &observed.hold {
            Some(_) if is_ours => Next::Release,
            Some(hold) => Next::Held(hold.clone()),
            None if observed.connected => Next::Smoke,
            None => Next::Connect,
        },
        Proof::Standing | Proof::Wanted | Proof::Red => Next::Write(Stage::Quarantined),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(words: &[&str]) -> BTreeSet<Label> {
        words.iter().map(|word| Label::parse(word).unwrap()).collect()
    }

    fn desired() -> Desired {
        Desired { labels: labels(&["debian", "big"]), quarantined: Digest::of(b"q"), labelled: Digest::of(b"l") }
    }

    fn seen(file: &[u8], attached: &[&str]) -> Observed {
        Observed {
            loaded: Some(Digest::of(file)),
            connected: true,
            smokes: true,
            attached: labels(attached),
            asked_for: labels(&["debian", "devstack"]),
            ..Observed::default()
        }
    }

    #[test]
    fn names_that_buildbot_or_the_file_system_would_refuse_are_refused_first() {
        for bad in ["", "1node", "a.b", "a/b", "../x", "a b", "é", "ostler-nobody", &"a".repeat(51)] {
            assert_eq!(WorkerName::parse(bad), Err(WorkerNameError(bad.to_owned())));
        }
        for good in ["node-1", "_x", "A", &"a".repeat(50)] {
            assert_eq!(WorkerName::parse(good).unwrap().as_str(), good);
        }
    }

    #[test]
    fn a_worker_goes_from_unknown_to_quarantine_to_smoke_to_labels() {
        let unknown = Observed { asked_for: labels(&["debian"]), ..Observed::default() };
        assert_eq!(next(&desired(), &unknown, Proof::Standing), Next::Write(Stage::Quarantined));
        let apart = Observed { connected: false, ..seen(b"q", &[]) };
        assert_eq!(next(&desired(), &apart, Proof::Standing), Next::Connect);
        assert_eq!(next(&desired(), &seen(b"q", &[]), Proof::Standing), Next::Smoke);
        assert_eq!(next(&desired(), &seen(b"q", &[]), Proof::Green), Next::Write(Stage::Labelled));
        assert_eq!(next(&desired(), &seen(b"l", &["debian"]), Proof::Green), Next::Settled(Stage::Labelled));
    }

    #[test]
    fn a_second_run_settles_at_once() {
        assert_eq!(next(&desired(), &seen(b"l", &["debian"]), Proof::Standing), Next::Settled(Stage::Labelled));
    }

    #[test]
    fn a_changed_node_or_file_earns_its_label_again() {
        assert_eq!(next(&desired(), &seen(b"l", &["debian"]), Proof::Wanted), Next::Write(Stage::Quarantined));
        assert_eq!(next(&desired(), &seen(b"older", &["debian"]), Proof::Standing), Next::Write(Stage::Quarantined));
    }

    #[test]
    fn a_red_smoke_job_takes_the_label_off_and_keeps_it_off() {
        assert_eq!(next(&desired(), &seen(b"l", &["debian"]), Proof::Red), Next::Write(Stage::Quarantined));
        assert_eq!(next(&desired(), &seen(b"q", &[]), Proof::Red), Next::Settled(Stage::Quarantined));
    }

    #[test]
    fn a_loaded_file_whose_builders_lag_behind_is_not_yet_loaded() {
        assert!(!seen(b"l", &[]).is_at(&desired(), Stage::Labelled));
        assert!(!seen(b"q", &["debian"]).is_at(&desired(), Stage::Quarantined));
        assert!(seen(b"l", &["debian"]).is_at(&desired(), Stage::Labelled), "`big` is asked for by no builder");
    }

    #[test]
    fn an_operators_hold_is_kept() {
        let hold = Hold::Paused(Some("disk swap".to_owned()));
        let quarantined = Observed { hold: Some(hold.clone()), ..seen(b"q", &[]) };
        assert_eq!(next(&desired(), &quarantined, Proof::Standing), Next::Held(hold.clone()));
        let labelled = Observed { hold: Some(hold), connected: false, ..seen(b"l", &["debian"]) };
        assert_eq!(next(&desired(), &labelled, Proof::Standing), Next::Settled(Stage::Labelled));
    }

    #[test]
    fn a_pause_of_ours_ends_in_quarantine_only() {
        let hold = Some(Hold::Paused(Some(format!("{OUR_PAUSE}0198"))));
        let labelled = Observed { hold: hold.clone(), ..seen(b"l", &["debian"]) };
        assert_eq!(next(&desired(), &labelled, Proof::Standing), Next::Write(Stage::Quarantined));
        let quarantined = Observed { hold, ..seen(b"q", &[]) };
        assert_eq!(next(&desired(), &quarantined, Proof::Standing), Next::Release);
    }
}
