//! What any master shows of one executor, and the next step towards its labels.

use std::fmt;

/// How far an executor is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// It takes its smoke job and no other.
    Quarantined,
    /// It has its labels.
    Labelled,
}

/// What this run knows of an executor's fitness.
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
    /// A run changed the node and did not come through: it may have no labels, and nothing is proved of it now.
    Lapsed,
}

/// One value on a master that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Difference {
    /// Its name.
    pub what: String,
    /// As it is.
    pub from: String,
    /// As it should be.
    pub to: String,
}

impl Difference {
    /// A difference of this value.
    pub fn new(what: &str, from: impl Into<String>, to: impl Into<String>) -> Self {
        Self { what: what.to_owned(), from: from.into(), to: to.into() }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} -> {}", self.what, self.from, self.to)
    }
}

/// What keeps an executor from taking jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// Whether a run of this program set it, perhaps one that was cut. What somebody else did is never undone.
    pub is_ours: bool,
    /// Who and why, in the master's words: completes "it is …".
    pub text: String,
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// An executor that the master has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What differs from it in quarantine.
    pub to_quarantine: Vec<Difference>,
    /// What differs from it with its labels.
    pub to_labels: Vec<Difference>,
    /// Whether it is connected, a hold left aside.
    pub is_connected: bool,
    /// It is not, and need not be: the master has it connect when a job wants it.
    pub is_resting: bool,
    /// Whether something holds it back.
    pub hold: Option<Hold>,
}

/// What a master shows of one executor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It does not have it.
    Absent,
    /// It has it.
    There(Found),
}

/// The next step for one executor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// It is to be made, or set, as it is in quarantine.
    Quarantine(Vec<Difference>),
    /// It is quarantined, and a run of ours held it: it is to be let go for its smoke job.
    Release,
    /// It is to connect.
    Connect,
    /// It is connected and quarantined: the smoke job is to run on it.
    Smoke,
    /// It is quarantined and somebody holds it back: no job can prove it.
    Held(Hold),
    /// It has earned its labels: they are to be attached.
    Label(Vec<Difference>),
    /// It is as it should be: labelled, or kept in quarantine after a red smoke job.
    Settled(Stage),
}

impl Standing {
    /// Whether it has labels, earned or not.
    pub fn is_labelled(&self) -> bool {
        matches!(self, Self::There(found) if !found.to_quarantine.is_empty())
    }
}

/// Returns the next step from what is seen; total, so a run that was cut anywhere goes on from here.
pub fn next(standing: &Standing, proof: Proof) -> Next {
    let found = match standing {
        Standing::There(found) => found,
        // Nobody sends jobs to what is not there.
        Standing::Absent if proof == Proof::Lapsed => return Next::Settled(Stage::Quarantined),
        Standing::Absent => return Next::Quarantine(Vec::new()),
    };
    let is_ours = found.hold.as_ref().is_some_and(|hold| hold.is_ours);
    let (is_labelled, is_quarantined) = (found.to_labels.is_empty(), found.to_quarantine.is_empty());
    match proof {
        // A run of ours began to change the node and did not come back: the label is to be earned again.
        Proof::Standing if is_labelled && is_ours => Next::Quarantine(found.to_quarantine.clone()),
        Proof::Standing if is_labelled && (found.is_connected || found.is_resting || found.hold.is_some()) => {
            Next::Settled(Stage::Labelled)
        }
        Proof::Standing if is_labelled => Next::Connect,
        Proof::Green if is_labelled => Next::Settled(Stage::Labelled),
        Proof::Green => Next::Label(found.to_labels.clone()),
        Proof::Red | Proof::Lapsed if is_quarantined => Next::Settled(Stage::Quarantined),
        Proof::Standing | Proof::Wanted if is_quarantined => match &found.hold {
            Some(_) if is_ours => Next::Release,
            Some(hold) => Next::Held(hold.clone()),
            None if found.is_connected => Next::Smoke,
            None => Next::Connect,
        },
        Proof::Standing | Proof::Wanted | Proof::Red | Proof::Lapsed => Next::Quarantine(found.to_quarantine.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(what: &str) -> Vec<Difference> {
        vec![Difference::new(what, "a", "b")]
    }

    fn found(stage: Option<Stage>) -> Found {
        let unless = |at, what| if stage == Some(at) { Vec::new() } else { some(what) };
        Found {
            to_quarantine: unless(Stage::Quarantined, "q"),
            to_labels: unless(Stage::Labelled, "l"),
            is_connected: true,
            is_resting: false,
            hold: None,
        }
    }

    fn at(stage: Stage) -> Standing {
        Standing::There(found(Some(stage)))
    }

    fn hold(is_ours: bool) -> Option<Hold> {
        Some(Hold { is_ours, text: "paused: disk swap".to_owned() })
    }

    #[test]
    fn it_goes_from_unknown_to_quarantine_to_smoke_to_labels() {
        assert_eq!(next(&Standing::Absent, Proof::Standing), Next::Quarantine(Vec::new()));
        let apart = Standing::There(Found { is_connected: false, ..found(Some(Stage::Quarantined)) });
        assert_eq!(next(&apart, Proof::Standing), Next::Connect);
        assert_eq!(next(&at(Stage::Quarantined), Proof::Standing), Next::Smoke);
        assert_eq!(next(&at(Stage::Quarantined), Proof::Green), Next::Label(some("l")));
        assert_eq!(next(&at(Stage::Labelled), Proof::Green), Next::Settled(Stage::Labelled));
    }

    #[test]
    fn a_second_run_settles_at_once_and_waits_only_for_one_that_is_away() {
        assert_eq!(next(&at(Stage::Labelled), Proof::Standing), Next::Settled(Stage::Labelled));
        let away = Standing::There(Found { is_connected: false, ..found(Some(Stage::Labelled)) });
        assert_eq!(next(&away, Proof::Standing), Next::Connect);
    }

    #[test]
    fn what_changed_is_proved_again_and_a_red_one_loses_its_labels() {
        assert_eq!(next(&at(Stage::Labelled), Proof::Wanted), Next::Quarantine(some("q")));
        assert_eq!(next(&Standing::There(found(None)), Proof::Standing), Next::Quarantine(some("q")));
        assert_eq!(next(&at(Stage::Labelled), Proof::Red), Next::Quarantine(some("q")));
        assert_eq!(next(&at(Stage::Quarantined), Proof::Red), Next::Settled(Stage::Quarantined));
    }

    #[test]
    fn what_a_failed_run_left_loses_its_labels_and_is_not_proved() {
        assert_eq!(next(&at(Stage::Labelled), Proof::Lapsed), Next::Quarantine(some("q")));
        let held = Standing::There(Found { hold: hold(true), ..found(Some(Stage::Quarantined)) });
        for seen in [at(Stage::Quarantined), held, Standing::Absent] {
            assert_eq!(next(&seen, Proof::Lapsed), Next::Settled(Stage::Quarantined), "{seen:?}");
        }
    }

    #[test]
    fn what_somebody_else_holds_stays_held() {
        let quarantined = Standing::There(Found { hold: hold(false), ..found(Some(Stage::Quarantined)) });
        let Some(theirs) = hold(false) else { panic!() };
        assert_eq!(next(&quarantined, Proof::Standing), Next::Held(theirs));
        let labelled = Standing::There(Found { hold: hold(false), is_connected: false, ..found(Some(Stage::Labelled)) });
        assert_eq!(next(&labelled, Proof::Standing), Next::Settled(Stage::Labelled));
    }

    #[test]
    fn a_hold_of_ours_ends_in_quarantine_only() {
        let labelled = Standing::There(Found { hold: hold(true), ..found(Some(Stage::Labelled)) });
        assert_eq!(next(&labelled, Proof::Standing), Next::Quarantine(some("q")));
        let quarantined = Standing::There(Found { hold: hold(true), ..found(Some(Stage::Quarantined)) });
        assert_eq!(next(&quarantined, Proof::Standing), Next::Release);
    }
}
