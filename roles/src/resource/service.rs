//! `service`: a systemd unit: its file, whether it runs, whether it starts at boot.

use super::at_rest::is_live;
use super::{AtRest, Basis, Contradiction, Describe, Effect, Resource, Shown};
use crate::words::{AbsPath, Content, Digest, UnitName};
use serde::{Deserialize, Serialize};

/// A unit as it shall be. A field that is none is left as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desired {
    /// Its name with suffix.
    pub name: UnitName,
    /// The text of `/etc/systemd/system/NAME`.
    pub unit: Option<Content>,
    /// Whether it runs.
    pub state: Option<State>,
    /// Whether it starts at boot.
    pub enabled: Option<bool>,
    /// Proves the configuration before each restart or reload; failing, leaves the service alone.
    pub check: Option<Vec<String>>,
    /// It is made so in an image: whether it runs is not asked, and nothing is done about it.
    #[serde(default, skip_serializing_if = "is_live")]
    pub at_rest: bool,
}

/// Whether a unit runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Active.
    Running,
    /// Inactive.
    Stopped,
}

/// A unit as systemd has it, and as it will have it after the next boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    /// Whether there is a unit of this name, beneath a mask too.
    pub found: bool,
    /// The unit that this name is an alias of; none: it is the unit's own name.
    #[serde(default)]
    pub alias_of: Option<UnitName>,
    /// `active`, `inactive`, `failed`, `activating`, ... (systemctl(1)); `auto-restart` while systemd waits to start it once more.
    pub active: String,
    /// What starts it at boot.
    pub boot: Boot,
    /// Masks in front of its file: paths.
    #[serde(default)]
    pub masks: Vec<AbsPath>,
    /// Digest of `/etc/systemd/system/NAME`, where there is one.
    pub unit: Option<Digest>,
    /// Not all may read that file: its digest is told to nobody, for who knows it could try what may stand there.
    #[serde(default)]
    pub is_private: bool,
    /// Whether its file on disk is newer than what systemd has loaded.
    pub needs_reload: bool,
    /// Active units that start it again once it is stopped: its socket, a timer. Asked for where it shall be stopped.
    #[serde(default)]
    pub triggers: Vec<String>,
}

/// What starts a unit at boot: links in directories of units (systemd.unit(5), [Install]).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Boot {
    /// Those that its [Install] section asks for, below `/etc/systemd/system`; none: it is static.
    pub asked: Vec<String>,
    /// Those that are there.
    pub present: Vec<String>,
    /// Those that come with the system, elsewhere, by their paths. Asked for where they decide.
    #[serde(default)]
    pub given: Vec<String>,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// Write the unit file. A unit that runs owes a restart then.
    Unit {
        /// What was found: a digest, or a word.
        from: String,
        /// What is wanted, likewise.
        to: String,
    },
    /// Tell systemd to read its files again.
    ReloadManager,
    /// Take the masks away.
    Unmask,
    /// Start at boot, by the links that its [Install] section asks for and no others.
    Enable {
        /// By which links it is enabled; `false`: by none.
        from: String,
        /// By which it shall be.
        to: String,
    },
    /// Do not start at boot.
    Disable,
    /// Start it now.
    Start(String),
    /// Stop it now.
    Stop {
        /// What it is.
        from: String,
        /// What starts it again.
        triggers: Vec<String>,
    },
}

impl Describe for Change {
    fn shown(&self) -> Shown {
        match self {
            Self::Unit { from, to } => Shown::new("unit", from, to),
            Self::ReloadManager => Shown::new("unit", "older in systemd's memory", "read again"),
            Self::Unmask => Shown::new("unit", "masked", "unmasked"),
            Self::Enable { from, to } => Shown::new("enabled", from, to),
            Self::Disable => Shown::new("enabled", "true", "false"),
            Self::Start(from) => Shown::new("state", from, "running").resting_on(Basis::Passing),
            Self::Stop { from, triggers } => {
                Shown::new("state", from, format!("stopped{}", started_again(triggers))).resting_on(Basis::Passing)
            }
        }
    }
}

/// `; ssh.socket starts it again`, where anything does.
fn started_again(triggers: &[String]) -> String {
    match triggers {
        [] => String::new(),
        [one] => format!("; {one} starts it again"),
        several => format!("; {} start it again", several.join(", ")),
    }
}

impl Desired {
    /// Where its file stands.
    pub fn unit_path(&self) -> AbsPath {
        #[expect(clippy::expect_used, reason = "the alphabet of unit names has no `/`, and none is `..`")]
        AbsPath::parse(&format!("/etc/systemd/system/{}", self.name)).expect("a unit's name is a file's name")
    }

    /// Whether making these changes starts a process that reads all its files anew. One that was about to run already may have read
    /// older ones, unless it is begun anew.
    pub fn starts_anew(&self, observed: &Observed, changes: &[Change]) -> bool {
        let at_rest = is_at_rest(&observed.active) || observed.active == "auto-restart";
        changes.iter().any(|change| matches!(change, Change::Start(_))) && (at_rest || begins_anew(changes))
    }

    /// Whether it owes itself a restart once these changes are made: it runs, or begins to, by an older unit.
    pub fn owes_restart(&self, observed: &Observed, changes: &[Change]) -> bool {
        let rewritten = changes.iter().any(|change| matches!(change, Change::Unit { .. }));
        let stopped = changes.iter().any(|change| matches!(change, Change::Stop { .. }));
        rewritten && !stopped && self.state != Some(State::Stopped) && !is_at_rest(&observed.active)
    }

    /// What "starts at boot" wants changed. `rewritten`: its file will be another one, whose [Install] is read when it is written.
    fn boot_change(&self, observed: &Observed, rewritten: bool) -> Result<Option<Change>, Contradiction> {
        let boot = &observed.boot;
        let enable = |from: &str, to: &str| Ok(Some(Change::Enable { from: from.to_owned(), to: to.to_owned() }));
        match self.enabled {
            None => Ok(None),
            // Whatever links there are: what is masked for good is not started.
            Some(false) if observed.masks.iter().any(holds_at_boot) => Ok(None),
            Some(false) if !boot.present.is_empty() => Ok(Some(Change::Disable)),
            Some(false) if boot.given.is_empty() || !observed.masks.is_empty() => Ok(None),
            Some(false) => Err(Contradiction {
                why: format!("{} starts at boot by {}, which came with the system", self.name, boot.given.join(", ")),
                hint: format!("mask it: `link: {{path: /etc/systemd/system/{}, to: /dev/null}}`", self.unit_name(observed)),
            }),
            Some(true) if rewritten || !observed.found => {
                if boot.present.is_empty() {
                    enable("false", "true")
                } else {
                    Ok(None)
                }
            }
            Some(true) if boot.asked.is_empty() => self.started_by_others(observed).map(|()| None),
            Some(true) if boot.present.is_empty() => enable("false", "true"),
            Some(true) if self.lacks(boot).is_empty() && self.stale(boot).is_empty() => Ok(None),
            Some(true) => enable(&boot.present.join(", "), &boot.asked.join(", ")),
        }
    }

    /// A unit without [Install] starts at boot only where a link that nobody has to make says so.
    fn started_by_others(&self, observed: &Observed) -> Result<(), Contradiction> {
        let boot = &observed.boot;
        if !boot.given.is_empty() || (!boot.present.is_empty() && self.unit.is_none()) {
            return Ok(());
        }
        let name = self.unit_name(observed);
        Err(Contradiction {
            why: format!("{name} is static: its [Install] section asks for nothing, so that `enabled` cannot start it at boot"),
            hint: match self.unit {
                Some(_) => "give its text an [Install] section: `WantedBy=multi-user.target`".to_owned(),
                None => format!(
                    "say when it shall start, in an earlier step: `file: {{path: /etc/systemd/system/{name}.d/boot.conf, content: \"[Install]\\nWantedBy=multi-user.target\\n\"}}`; or leave `enabled` out"
                ),
            },
        })
    }

    /// Links that it should have and has not.
    pub fn lacks<'b>(&self, boot: &'b Boot) -> Vec<&'b String> {
        boot.asked.iter().filter(|link| !boot.present.contains(link)).collect()
    }

    /// Links that its [Install] does not ask for any more. Another name for a unit that is not ours may be somebody's own.
    pub fn stale<'b>(&self, boot: &'b Boot) -> Vec<&'b String> {
        if boot.asked.is_empty() && self.unit.is_none() {
            return Vec::new();
        }
        let ours = |link: &&String| link.contains('/') || self.unit.is_some();
        boot.present.iter().filter(|link| !boot.asked.contains(link)).filter(ours).collect()
    }

    fn unit_name<'o>(&'o self, observed: &'o Observed) -> &'o UnitName {
        observed.alias_of.as_ref().unwrap_or(&self.name)
    }
}

/// The unit file's change, as people may see it.
fn unit_change(observed: &Observed, wanted: &Content) -> Change {
    let (from, to) = match (wanted, observed.unit) {
        (Content::Secret(_), Some(_)) => ("secret".to_owned(), "secret, changed".to_owned()),
        (Content::Secret(_), None) => ("absent".to_owned(), "secret".to_owned()),
        (Content::Blob(blob), None) => ("absent".to_owned(), blob.digest.short()),
        (Content::Blob(blob), Some(_)) if observed.is_private => ("private".to_owned(), blob.digest.short()),
        (Content::Blob(blob), Some(found)) => (found.short(), blob.digest.short()),
    };
    Change::Unit { from, to }
}

/// Whether a unit runs.
fn runs(observed: &Observed) -> bool {
    matches!(observed.active.as_str(), "active" | "reloading")
}

/// Whether nothing of a unit in this state runs, or is about to.
fn is_at_rest(active: &str) -> bool {
    matches!(active, "inactive" | "failed")
}

/// Whether a unit that is to run begins anew: to start one that begins already is to wait for that, by the older unit.
pub fn begins_anew(changes: &[Change]) -> bool {
    let rewritten = changes.iter().any(|change| matches!(change, Change::Unit { .. }));
    rewritten && changes.iter().any(|change| matches!(change, Change::Start(from) if !is_at_rest(from)))
}

/// Whether a mask is still there after a boot.
fn holds_at_boot(mask: &AbsPath) -> bool {
    !mask.as_str().starts_with("/run/")
}

/// Whether a mask is the administrator's: one that `systemctl mask`, with `--runtime` or without, may have made.
fn may_unmask(mask: &AbsPath) -> bool {
    ["/etc/systemd/system/", "/run/systemd/system/"].iter().any(|directory| mask.as_str().starts_with(directory))
}

impl Resource for Desired {
    type Observed = Observed;
    type Change = Change;
    const AT_REST: &'static str = "Its unit is written, and it is enabled, disabled or unmasked. Whether it runs is left to the running machine: nothing starts, stops, restarts or reloads it.";

    fn at_rest(&self) -> AtRest<Self> {
        let later = "whether it runs";
        match self.state {
            None => AtRest::Whole,
            Some(State::Stopped) if self.unit.is_none() && self.enabled.is_none() => AtRest::LeftOut("nothing runs in an image"),
            // What shall run must be there, and must not be masked.
            Some(_) => AtRest::Part { desired: Self { at_rest: true, ..self.clone() }, later },
        }
    }

    fn key(&self) -> String {
        self.name.as_str().strip_suffix(".service").unwrap_or(self.name.as_str()).to_owned()
    }

    fn diff(&self, observed: &Observed) -> Result<Vec<Change>, Contradiction> {
        let gone = !observed.found && self.unit.is_none();
        let wants_gone = self.state != Some(State::Running) && self.enabled != Some(true);
        if gone && wants_gone {
            return Ok(Vec::new());
        }
        let wanted = self.state == Some(State::Running) || self.enabled == Some(true);
        let masks = if wanted && self.unit.is_none() { observed.masks.as_slice() } else { &[] };
        if let Some(mask) = masks.iter().find(|mask| !may_unmask(mask)) {
            return Err(Contradiction {
                why: format!("{} is masked by {mask}, which came with the system", self.name),
                hint: "give its text with `unit_content`, or use another unit".to_owned(),
            });
        }
        if gone {
            let but = observed.masks.first().map(|mask| format!(", only the mask {mask}")).unwrap_or_default();
            return Err(Contradiction {
                why: format!("systemd knows no unit {}{but}", self.name),
                hint: "install its package in an earlier step, or give its text with `unit_content`".to_owned(),
            });
        }
        let mut changes = Vec::new();
        let rewritten = self.unit.as_ref().filter(|unit| observed.unit != Some(unit.comparable()));
        if let Some(unit) = rewritten {
            changes.push(unit_change(observed, unit));
        } else if observed.needs_reload {
            changes.push(Change::ReloadManager);
        }
        // A unit of ours takes the place of its mask.
        if !masks.is_empty() {
            changes.push(Change::Unmask);
        }
        changes.extend(self.boot_change(observed, rewritten.is_some())?);
        match self.state.filter(|_| !self.at_rest) {
            Some(State::Running) if !runs(observed) => changes.push(Change::Start(observed.active.clone())),
            Some(State::Stopped) if !is_at_rest(&observed.active) => {
                changes.push(Change::Stop { from: observed.active.clone(), triggers: observed.triggers.clone() })
            }
            Some(State::Running | State::Stopped) | None => {}
        }
        Ok(changes)
    }

    fn provides(&self) -> Vec<Effect> {
        let mut effects = vec![Effect::Unit(self.name.clone())];
        if self.unit.is_some() {
            effects.push(Effect::Path(self.unit_path()));
        }
        effects
    }

    fn needs(&self) -> Vec<Effect> {
        let files = self.name.files().into_iter().map(Effect::Path);
        std::iter::once(Effect::Unit(self.name.clone())).chain(files).collect()
    }

    fn unchanged(&self, observed: &Observed) -> String {
        if !observed.found {
            return "is not there".to_owned();
        }
        let boot = &observed.boot;
        let enabled = match (boot.present.is_empty(), boot.asked.is_empty()) {
            _ if !observed.masks.is_empty() => ", masked",
            (false, _) => ", enabled",
            (true, false) => ", disabled",
            (true, true) => "",
        };
        let alias = observed.alias_of.as_ref().map(|unit| format!(", an alias of {unit}")).unwrap_or_default();
        let active = if self.at_rest { "at rest" } else { &observed.active };
        format!("is {active}{enabled}{alias}{}", started_again(&observed.triggers))
    }

    fn contents(&self) -> Vec<&Content> {
        self.unit.iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A service that shall run, found in this state, with its unit as it shall be or older.
    fn found(active: &str, rewritten: bool) -> (Desired, Observed) {
        let unit = crate::words::Blob::of(b"[Service]");
        let desired = Desired {
            name: UnitName::parse_service("nginx").unwrap(),
            unit: Some(Content::Blob(unit)),
            state: Some(State::Running),
            enabled: None,
            check: None,
            at_rest: false,
        };
        let observed = Observed {
            found: true,
            alias_of: None,
            active: active.to_owned(),
            boot: Boot::default(),
            masks: Vec::new(),
            unit: if rewritten { None } else { Some(unit.digest) },
            needs_reload: false,
            is_private: false,
            triggers: Vec::new(),
        };
        (desired, observed)
    }

    #[test]
    fn only_what_did_not_run_has_read_everything() {
        let starts_anew = |active, rewritten| {
            let (desired, observed) = found(active, rewritten);
            desired.starts_anew(&observed, &desired.diff(&observed).unwrap())
        };
        assert!(starts_anew("inactive", false) && starts_anew("failed", true));
        assert!(!starts_anew("active", true) && !starts_anew("active", false));
        assert!(!starts_anew("activating", false), "it may have read its files before they changed");
        assert!(starts_anew("activating", true), "it is begun anew");
    }

    #[test]
    fn what_runs_by_an_older_unit_owes_itself_a_restart() {
        let owes = |active, rewritten, state| {
            let (mut desired, observed) = found(active, rewritten);
            desired.state = state;
            desired.owes_restart(&observed, &desired.diff(&observed).unwrap())
        };
        assert!(owes("active", true, Some(State::Running)) && owes("active", true, None));
        assert!(!owes("active", false, None), "its unit is as it shall be");
        for begins in ["activating", "auto-restart", "reloading"] {
            assert!(owes(begins, true, None) && owes(begins, true, Some(State::Running)), "{begins}: by its older unit");
        }
        assert!(!owes("inactive", true, None) && !owes("failed", true, Some(State::Running)), "it is started, or stays as it is");
        assert!(!owes("active", true, Some(State::Stopped)));
    }

    #[test]
    fn what_systemd_waits_to_start_again_does_not_run() {
        let (desired, observed) = found("auto-restart", false);
        assert_eq!(desired.diff(&observed), Ok(vec![Change::Start("auto-restart".to_owned())]));
    }

    #[test]
    fn what_is_as_desired_says_by_which_unit_and_what_would_start_it() {
        let (desired, mut observed) = found("inactive", false);
        observed.alias_of = Some(UnitName::parse_service("web").unwrap());
        observed.triggers = vec!["web.socket".to_owned()];
        observed.boot.asked = vec!["multi-user.target.wants/web.service".to_owned()];
        assert_eq!(desired.unchanged(&observed), "is inactive, disabled, an alias of web.service; web.socket starts it again");
    }
    #[test]
    fn at_rest_what_shall_run_is_there_and_unmasked_and_nothing_is_started() {
        let (live, mut observed) = found("inactive", true);
        let AtRest::Part { desired, later } = live.at_rest() else { panic!("a part") };
        assert_eq!(later, "whether it runs");
        assert_eq!(desired.diff(&observed).unwrap().iter().map(|change| change.shown().field).collect::<Vec<_>>(), ["unit"]);
        let named = Desired { unit: None, ..desired };
        observed.masks = vec![AbsPath::parse("/etc/systemd/system/nginx.service").unwrap()];
        assert_eq!(named.diff(&observed), Ok(vec![Change::Unmask]));
        let missing = Observed { found: false, ..observed };
        assert!(named.diff(&missing).unwrap_err().why.contains("knows no unit nginx.service"));
        let stopped = Desired { state: Some(State::Stopped), at_rest: false, ..named };
        assert_eq!(stopped.at_rest(), AtRest::LeftOut("nothing runs in an image"));
        assert_eq!(Desired { state: None, ..stopped }.at_rest(), AtRest::Whole);
    }

    #[test]
    fn one_that_is_not_at_rest_is_written_as_it_always_was() {
        let (live, _) = found("active", false);
        let written = serde_json::to_value(&live).unwrap();
        assert!(written.get("at_rest").is_none() && written.as_object().unwrap().len() == 5, "{written}");
        let AtRest::Part { desired, .. } = live.at_rest() else { panic!("a part") };
        assert_eq!(serde_json::from_value::<Desired>(serde_json::to_value(&desired).unwrap()).unwrap(), desired);
    }
}
