//! One worker of a Buildbot master: its names, what is seen of it, and the next step towards its labels.

use super::{Difference, ForeignOwner, Found, Site, Stage, Standing};
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

/// What the master should hold for one worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desired {
    /// Whose it is.
    pub site: Option<Site>,
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
    /// The site that wrote that file; none of a file of before 0.2.
    pub site: Option<String>,
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

/// Why a worker's name is not ours to use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the worker of this name on this Buildbot {0}")]
pub struct NotOurs(pub ForeignOwner);

impl Observed {
    /// Another site's: what it wrote is left alone.
    ///
    /// # Errors
    /// When it is.
    pub fn owned_by(&self, site: Option<&Site>) -> Result<(), NotOurs> {
        match (&self.site, site) {
            (Some(theirs), Some(ours)) if theirs != ours.as_str() => Err(NotOurs(ForeignOwner::Site(theirs.clone()))),
            _ => Ok(()),
        }
    }

    /// Whether the master has loaded this stage's file **and** its builders have the worker as the file says. Buildbot applies a new
    /// configuration piece by piece (schedulers before workers), so the file's digest alone proves nothing.
    pub fn is_at(&self, desired: &Desired, stage: Stage) -> bool {
        self.loaded == Some(desired.file(stage)) && self.smokes && self.attached == self.attached_at(desired, stage)
    }

    /// What differs from the worker at that stage, value by value: never empty.
    fn differences(&self, desired: &Desired, stage: Stage) -> Vec<Difference> {
        let list = |labels: &BTreeSet<Label>| match labels.iter().map(Label::as_str).collect::<Vec<_>>() {
            none if none.is_empty() => "none".to_owned(),
            some => some.join(" "),
        };
        let wanted = self.attached_at(desired, stage);
        let mut found = Vec::new();
        if self.attached != wanted {
            found.push(Difference::new("labels", list(&self.attached), list(&wanted)));
        }
        if found.is_empty() && self.loaded != Some(desired.file(stage)) {
            let short = |digest: Option<Digest>| digest.map_or_else(|| "none".to_owned(), |digest| digest.short());
            found.push(Difference::new("worker file", short(self.loaded), short(Some(desired.file(stage)))));
        }
        if found.is_empty() {
            found.push(Difference::new("smoke builder", "without it", "with it"));
        }
        found
    }

    /// The labels of builders that have it at a stage: those that any builder asks for.
    fn attached_at(&self, desired: &Desired, stage: Stage) -> BTreeSet<Label> {
        match stage {
            Stage::Quarantined => BTreeSet::new(),
            Stage::Labelled => desired.labels.intersection(&self.asked_for).cloned().collect(),
        }
    }
}

/// How a worker stands, in the words that all masters share.
///
/// # Errors
/// When the name is not ours.
pub fn standing(desired: &Desired, observed: &Observed) -> Result<Standing, NotOurs> {
    observed.owned_by(desired.site.as_ref())?;
    if observed.loaded.is_none() && observed.refused.is_none() {
        return Ok(Standing::Absent);
    }
    let differences = |stage| if observed.is_at(desired, stage) { Vec::new() } else { observed.differences(desired, stage) };
    let hold = observed.hold.as_ref().map(|hold| super::Hold { is_ours: hold.is_ours(), text: hold.to_string() });
    Ok(Standing::There(Found {
        to_quarantine: differences(Stage::Quarantined),
        to_labels: differences(Stage::Labelled),
        is_connected: observed.connected,
        is_resting: false,
        hold,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(words: &[&str]) -> BTreeSet<Label> {
        words.iter().map(|word| Label::parse(word).unwrap()).collect()
    }

    fn desired() -> Desired {
        Desired {
            site: Some(Site::parse("stage").unwrap()),
            labels: labels(&["debian", "big"]),
            quarantined: Digest::of(b"q"),
            labelled: Digest::of(b"l"),
        }
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
    fn what_differs_is_told_value_by_value_and_nothing_of_one_that_is_as_it_should_be() {
        let told = |observed: &Observed| match standing(&desired(), observed).unwrap() {
            Standing::Absent => vec!["absent".to_owned()],
            Standing::There(found) => found.to_labels.iter().map(ToString::to_string).collect(),
        };
        assert_eq!(told(&Observed { asked_for: labels(&["debian"]), ..Observed::default() }), ["absent"]);
        assert_eq!(told(&seen(b"l", &["debian"])), Vec::<String>::new());
        assert_eq!(told(&seen(b"q", &[])), ["labels: none -> debian"]);
        let short = |bytes: &[u8]| Digest::of(bytes).short();
        assert_eq!(told(&seen(b"older", &["debian"])), [format!("worker file: {} -> {}", short(b"older"), short(b"l"))]);
        assert_eq!(told(&Observed { smokes: false, ..seen(b"l", &["debian"]) }), ["smoke builder: without it -> with it"]);
        let refused = Observed { refused: Some(Refusal { digest: None, why: "not JSON".to_owned() }), ..Observed::default() };
        assert!(matches!(standing(&desired(), &refused), Ok(Standing::There(_))), "a file that is there is no absent one");
    }

    #[test]
    fn a_loaded_file_whose_builders_lag_behind_is_not_yet_loaded() {
        assert!(!seen(b"l", &[]).is_at(&desired(), Stage::Labelled));
        assert!(!seen(b"q", &["debian"]).is_at(&desired(), Stage::Quarantined));
        assert!(seen(b"l", &["debian"]).is_at(&desired(), Stage::Labelled), "`big` is asked for by no builder");
    }

    #[test]
    fn a_file_that_another_site_wrote_is_left_alone_and_one_of_nobody_is_taken_over() {
        let by = |site: Option<&str>| standing(&desired(), &Observed { site: site.map(str::to_owned), ..seen(b"l", &["debian"]) });
        assert!(matches!((by(Some("stage")), by(None)), (Ok(Standing::There(_)), Ok(Standing::There(_)))));
        let told = by(Some("live")).unwrap_err().to_string();
        assert!(told.starts_with("the worker of this name on this Buildbot belongs to the site `live`; it is left alone"), "{told}");
    }

    #[test]
    fn only_a_pause_of_ours_is_ours_to_end() {
        let of = |hold: Hold| match standing(&desired(), &Observed { hold: Some(hold), ..seen(b"l", &["debian"]) }) {
            Ok(Standing::There(Found { hold: Some(hold), .. })) => (hold.is_ours, hold.to_string()),
            other => panic!("{other:?}"),
        };
        assert_eq!(of(Hold::Paused(Some(format!("{OUR_PAUSE}0198")))), (true, "paused: ostler run 0198".to_owned()));
        assert_eq!(of(Hold::Paused(Some("disk swap".to_owned()))), (false, "paused: disk swap".to_owned()));
        assert_eq!(of(Hold::Graceful), (false, "shutting down gracefully".to_owned()));
    }
}
