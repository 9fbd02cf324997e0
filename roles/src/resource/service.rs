//! `service`: a systemd unit: its file, whether it runs, whether it starts at boot.

use super::{Contradiction, Describe, Effect, Resource, Shown};
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

/// A unit as systemd has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    /// Whether systemd finds a unit of this name.
    pub found: bool,
    /// `active`, `inactive`, `failed`, `activating`, ... (systemctl(1)).
    pub active: String,
    /// Whether it is enabled: from the links; none for static units, which cannot be.
    pub enabled: Option<bool>,
    /// Whether it is masked.
    pub masked: bool,
    /// Digest of `/etc/systemd/system/NAME`, where there is one.
    pub unit: Option<Digest>,
    /// Whether the file on disk is newer than what systemd has loaded.
    pub needs_reload: bool,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// Write the unit file; the unit is restarted when it runs.
    Unit {
        /// Digest found; none: no file.
        from: Option<Digest>,
        /// Digest wanted.
        to: Digest,
    },
    /// Tell systemd to read its files again.
    ReloadManager,
    /// Take the mask away.
    Unmask,
    /// Start at boot.
    Enable,
    /// Do not start at boot.
    Disable,
    /// Start it now.
    Start(String),
    /// Stop it now.
    Stop(String),
}

impl Describe for Change {
    fn shown(&self) -> Shown {
        match self {
            Self::Unit { from, to } => Shown::new("unit", from.map_or_else(|| "absent".to_owned(), |from| from.short()), to.short()),
            Self::ReloadManager => Shown::new("unit", "older in systemd's memory", "read again"),
            Self::Unmask => Shown::new("unit", "masked", "unmasked"),
            Self::Enable => Shown::new("enabled", "false", "true"),
            Self::Disable => Shown::new("enabled", "true", "false"),
            Self::Start(from) => Shown::new("state", from, "running"),
            Self::Stop(from) => Shown::new("state", from, "stopped"),
        }
    }
}

impl Desired {
    /// Where its file stands.
    pub fn unit_path(&self) -> AbsPath {
        #[expect(clippy::expect_used, reason = "the alphabet of unit names has no `/`, and none is `..`")]
        AbsPath::parse(&format!("/etc/systemd/system/{}", self.name)).expect("a unit's name is a file's name")
    }

    /// Whether making these changes starts a process that reads all its files anew. One that was about to run already may have read
    /// older ones.
    pub fn starts_anew(&self, observed: &Observed, changes: &[Change]) -> bool {
        let rewritten = changes.iter().any(|change| matches!(change, Change::Unit { .. }));
        let moved = changes.iter().any(|change| matches!(change, Change::Start(_) | Change::Stop(_)));
        match observed.active.as_str() {
            "inactive" | "failed" => changes.iter().any(|change| matches!(change, Change::Start(_))),
            // Its new unit restarts it.
            "active" | "reloading" => rewritten && !moved && self.state == Some(State::Running),
            _ => false,
        }
    }
}

impl Resource for Desired {
    type Observed = Observed;
    type Change = Change;

    fn key(&self) -> String {
        self.name.as_str().strip_suffix(".service").unwrap_or(self.name.as_str()).to_owned()
    }

    fn diff(&self, observed: &Observed) -> Result<Vec<Change>, Contradiction> {
        let gone = !observed.found && self.unit.is_none();
        let wants_gone = self.state != Some(State::Running) && self.enabled != Some(true);
        if gone && wants_gone {
            return Ok(Vec::new());
        }
        if gone {
            return Err(Contradiction {
                why: format!("systemd knows no unit {}", self.name),
                hint: "install its package in an earlier step, or give its text with `unit_content`".to_owned(),
            });
        }
        let mut changes = Vec::new();
        if let Some(unit) = self.unit.as_ref().filter(|unit| observed.unit != Some(unit.comparable())) {
            changes.push(Change::Unit { from: observed.unit, to: unit.comparable() });
        } else if observed.needs_reload {
            changes.push(Change::ReloadManager);
        }
        if observed.masked && (self.state == Some(State::Running) || self.enabled == Some(true)) {
            changes.push(Change::Unmask);
        }
        match (self.enabled, observed.enabled) {
            (Some(true), Some(false)) => changes.push(Change::Enable),
            (Some(true), None) if !observed.found => changes.push(Change::Enable),
            (Some(false), Some(true)) => changes.push(Change::Disable),
            _ => {}
        }
        let runs = matches!(observed.active.as_str(), "active" | "reloading");
        match self.state {
            Some(State::Running) if !runs => changes.push(Change::Start(observed.active.clone())),
            Some(State::Stopped) if !matches!(observed.active.as_str(), "inactive" | "failed") => {
                changes.push(Change::Stop(observed.active.clone()))
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
        vec![Effect::Unit(self.name.clone()), Effect::Path(self.unit_path())]
    }

    fn unchanged(&self, observed: &Observed) -> String {
        let enabled = match observed.enabled {
            Some(true) => ", enabled",
            Some(false) => ", disabled",
            None => "",
        };
        if observed.found { format!("is {}{enabled}", observed.active) } else { "is not there".to_owned() }
    }

    fn contents(&self) -> Vec<&Content> {
        self.unit.iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A service that shall run, found in this state, with its unit as it shall be or older.
    fn starts_anew(active: &str, rewritten: bool) -> bool {
        let unit = crate::words::Blob::of(b"[Service]");
        let desired = Desired {
            name: UnitName::parse_service("nginx").unwrap(),
            unit: Some(Content::Blob(unit)),
            state: Some(State::Running),
            enabled: None,
            check: None,
        };
        let found = if rewritten { None } else { Some(unit.digest) };
        let observed = Observed { found: true, active: active.to_owned(), enabled: None, masked: false, unit: found, needs_reload: false };
        desired.starts_anew(&observed, &desired.diff(&observed).unwrap())
    }

    #[test]
    fn only_what_did_not_run_or_is_restarted_has_read_everything() {
        assert!(starts_anew("inactive", false) && starts_anew("failed", true));
        assert!(starts_anew("active", true) && !starts_anew("active", false));
        assert!(!starts_anew("activating", false), "it may have read its files before they changed");
    }
}
