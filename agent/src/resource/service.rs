//! `service` at work: the unit's file, systemd's own word on its state, links for "at boot".

mod diagnose;
mod links;
mod manager;

pub(super) use manager::Manager;

use super::Act;
use super::fault::{failure, hinted, unmade, unread};
use super::node::Node;
use crate::engine::ApplyContext;
use crate::host::EntryKind;
use crate::host::child::Program;
use ostler_roles::catalog::Action;
use ostler_roles::outcome::{Failure, FailureKind};
use ostler_roles::resource::service::{Change, Desired, Observed, State};
use ostler_roles::words::{Content, Mode, UnitName};
use std::time::{Duration, Instant};

/// systemd answers a question in milliseconds; while it reads its files again, in seconds.
const ANSWER: Duration = Duration::from_secs(30);
/// How long a service that says nothing when it is ready must stay up to count as started.
const STAYS: Duration = Duration::from_millis(100);

impl Act for Desired {
    fn observe(&self, node: &Node) -> Result<Observed, Failure> {
        let name = self.name.as_str();
        let state = node.manager.state(node, name, Instant::now() + ANSWER).map_err(unread)?;
        let links = links::read(&node.host, name).map_err(unread)?;
        let unit = match &self.unit {
            Some(content) => self.unit_digest(node, content)?,
            None => None,
        };
        let found = state.load != "not-found" || links.found;
        let needs_reload = self.unit.is_some() && found && state.load != "not-found" && node.manager.needs_reload(node, &state);
        Ok(Observed { found, active: state.active, enabled: links.enabled, masked: links.masked, unit, needs_reload })
    }

    fn apply(&self, node: &Node, changes: Vec<Change>, work: &ApplyContext<'_>) -> Result<Vec<String>, Failure> {
        let name = &self.name;
        let runs =
            matches!(node.manager.state(node, name.as_str(), work.deadline).map_err(unread)?.active.as_str(), "active" | "reloading");
        let starts = changes.iter().any(|change| matches!(change, Change::Start(_) | Change::Stop(_)));
        let rewritten = changes.iter().any(|change| matches!(change, Change::Unit { .. }));
        // Whatever changes what systemd reads comes first, then it reads once, then it acts.
        let mut unread = false;
        for change in &changes {
            match change {
                Change::Unit { .. } => self.write_unit(node, work)?,
                Change::ReloadManager => {}
                Change::Unmask => control(node, &["unmask"], name, work)?,
                Change::Enable | Change::Disable => self.enable(node, *change == Change::Enable, work)?,
                Change::Start(_) | Change::Stop(_) => continue,
            }
            unread = true;
        }
        if unread {
            node.manager.reload_files(node, work.deadline).map_err(unmade)?;
        }
        for change in &changes {
            match change {
                Change::Start(_) => act(self, node, Verb::Start, work)?,
                Change::Stop(_) => act(self, node, Verb::Stop, work)?,
                Change::Unit { .. } | Change::ReloadManager | Change::Unmask | Change::Enable | Change::Disable => {}
            }
        }
        if rewritten && runs && !starts {
            act(self, node, Verb::Restart, work)?;
        }
        Ok(Vec::new())
    }

    fn act(&self, node: &Node, action: Action, work: &ApplyContext<'_>) -> Result<(), Failure> {
        if self.state == Some(State::Stopped) {
            // A restart would start it; what it reads, it reads when somebody does.
            return Ok(());
        }
        match action {
            Action::Restart => act(self, node, Verb::Restart, work),
            Action::Reload => act(self, node, Verb::Reload, work),
            Action::Run => Err(failure(FailureKind::Internal, format!("service {} cannot be run", self.name))),
        }
    }

    fn starts(&self, observed: &Observed, changes: &[Change]) -> bool {
        self.starts_anew(observed, changes)
    }
}

trait UnitFile {
    fn unit_digest(&self, node: &Node, content: &Content) -> Result<Option<ostler_roles::words::Digest>, Failure>;
    fn write_unit(&self, node: &Node, work: &ApplyContext<'_>) -> Result<(), Failure>;
    fn enable(&self, node: &Node, enabled: bool, work: &ApplyContext<'_>) -> Result<(), Failure>;
}

impl UnitFile for Desired {
    fn unit_digest(&self, node: &Node, content: &Content) -> Result<Option<ostler_roles::words::Digest>, Failure> {
        let path = self.unit_path();
        match node.host.look(path.as_path()).map_err(unread)? {
            Some(entry) if entry.kind == EntryKind::File => {
                let bytes = node.host.read(path.as_path(), 4 << 20).map_err(unread)?.unwrap_or_default();
                node.digest_like(content, &bytes).map(Some)
            }
            // A link is a mask or an alias: ours takes its place.
            Some(_) | None => Ok(None),
        }
    }

    fn write_unit(&self, node: &Node, work: &ApplyContext<'_>) -> Result<(), Failure> {
        let Some(content) = &self.unit else { return Ok(()) };
        let mode = match content {
            Content::Blob(_) => Mode::FILE,
            Content::Secret(_) => Mode::PRIVATE,
        };
        node.write_content(&self.unit_path(), content, node.roots(mode), None, work)
    }

    fn enable(&self, node: &Node, enabled: bool, work: &ApplyContext<'_>) -> Result<(), Failure> {
        let verb = if enabled { "enable" } else { "disable" };
        // Links of an init script are update-rc.d's (8), which systemctl calls.
        if links::is_old_script(&node.host, self.name.as_str()).map_err(unread)? {
            return control(node, &[verb], &self.name, work);
        }
        node.host.touched_below("/etc".as_ref());
        node.manager.enable(node, self.name.as_str(), enabled, work.deadline).map_err(unmade)
    }
}

/// What is done to a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Start,
    Stop,
    Restart,
    Reload,
}

impl Verb {
    fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
            Self::Reload => "reload",
        }
    }
}

fn act(desired: &Desired, node: &Node, verb: Verb, work: &ApplyContext<'_>) -> Result<(), Failure> {
    let name = desired.name.as_str();
    if let Some(check) = desired.check.as_ref().filter(|_| matches!(verb, Verb::Restart | Verb::Reload)) {
        let finished = Program::new(check.iter().cloned()).run_to_end(work.deadline).map_err(unmade)?;
        finished.good(&format!("{} {name}, whose check does not hold; it was left alone", verb.word()))?;
    }
    // It starts with what systemd has read, which may be older than a file of its that was written in this run.
    if verb != Verb::Stop {
        let state = node.manager.state(node, name, work.deadline).map_err(unmade)?;
        if node.manager.needs_reload(node, &state) {
            node.manager.reload_files(node, work.deadline).map_err(unmade)?;
        }
    }
    node.manager.ask(node, verb.word(), name, work.deadline).map_err(|error| refused(node, verb, name, error))?;
    let started = matches!(verb, Verb::Start | Verb::Restart);
    let state = node.manager.settled(node, name, work, started).map_err(unmade)?;
    let Some(state) = state else {
        let kind = if (work.cancelled)() { FailureKind::Cancelled } else { FailureKind::Deadline };
        return Err(diagnose::diagnose(node, verb.word(), name, failure(kind, format!("{name} did not {} in time", verb.word()))));
    };
    if is_good(verb, desired.state, &state) {
        return Ok(());
    }
    let hint = format!("on the node: systemctl status {name}; journalctl -u {name}");
    Err(diagnose::diagnose(
        node,
        verb.word(),
        name,
        hinted(FailureKind::Apply, format!("{name} is {state} after its {}", verb.word()), hint),
    ))
}

fn is_good(verb: Verb, wanted: Option<State>, state: &str) -> bool {
    match verb {
        // Nobody looks at it again after this; one that shall run must run.
        Verb::Restart | Verb::Reload if wanted == Some(State::Running) => matches!(state, "active" | "reloading"),
        // A one-shot unit has done its work and is inactive.
        Verb::Start | Verb::Restart | Verb::Reload => matches!(state, "active" | "reloading" | "inactive"),
        Verb::Stop => matches!(state, "inactive" | "failed"),
    }
}

fn refused(node: &Node, verb: Verb, name: &str, error: crate::host::OsError) -> Failure {
    let failed = unmade(error);
    diagnose::diagnose(node, verb.word(), name, Failure { message: format!("cannot {} {name}", verb.word()), ..failed })
}

/// Runs systemctl(1) for what only it does: links of [Install], also those of old init scripts.
fn control(node: &Node, verb: &[&str], name: &UnitName, work: &ApplyContext<'_>) -> Result<(), Failure> {
    let mut argv = vec!["systemctl", "--quiet"];
    argv.extend(verb);
    argv.extend(["--", name.as_str()]);
    let finished = Program::new(argv).run_to_end(work.deadline).map_err(unmade)?;
    node.host.touched_below("/etc".as_ref());
    finished.good(&format!("{} {name}", verb.join(" "))).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_shall_run_and_ends_after_its_restart_has_failed() {
        assert!(!is_good(Verb::Restart, Some(State::Running), "inactive"));
        assert!(!is_good(Verb::Reload, Some(State::Running), "inactive"));
        assert!(is_good(Verb::Restart, None, "inactive"), "a one-shot unit");
        assert!(is_good(Verb::Restart, Some(State::Running), "active"));
        assert!(is_good(Verb::Stop, Some(State::Stopped), "failed") && !is_good(Verb::Stop, Some(State::Stopped), "active"));
    }
}
