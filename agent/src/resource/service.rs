//! `service` at work: the unit's file, systemd's own word on its state, links for "at boot".

mod boot;
mod diagnose;
mod install;
mod unit_file;
mod watch;

pub(super) use watch::look_again;

use super::Act;
use super::fault::{failure, hinted, unmade, unread};
use super::known::UnitState;
use super::known::systemd::ANSWER;
use super::node::Node;
use crate::engine::ApplyContext;
use crate::host::child::{PATH, Program};
use crate::host::{EntryKind, OsError};
use ostler_roles::catalog::Action;
use ostler_roles::outcome::{Failure, FailureKind};
use ostler_roles::resource::service::{Boot, Change, Desired, Observed, State, begins_anew};
use ostler_roles::words::{Content, Mode, UNIT_DIRECTORIES, UnitName};
use std::path::Path;
use std::time::Instant;

impl Act for Desired {
    fn observe(&self, node: &Node) -> Result<Observed, Failure> {
        let deadline = Instant::now() + ANSWER;
        let files = self.files(node).map_err(unread)?;
        let name = files.name(self);
        let asks = asks_manager(self, node)?;
        let state = if asks { node.manager.state(&node.host, name.as_str(), deadline).map_err(unread)? } else { UnitState::unasked() };
        let (unit, is_private) = match &self.unit {
            Some(content) => self.unit_digest(node, content)?.unzip(),
            None => (None, None),
        };
        let triggers = match self.state.filter(|_| asks) {
            Some(State::Stopped) => node.manager.triggers(&node.host, &state, deadline).map_err(unread)?,
            Some(State::Running) | None => Vec::new(),
        };
        Ok(Observed {
            found: files.found || !matches!(state.load.as_str(), "not-found" | "masked" | ""),
            alias_of: (*name != self.name).then(|| name.clone()),
            active: state.active_or_restarting().to_owned(),
            needs_reload: asks && self.unit.is_some() && files.found && node.manager.has_older(&node.host, name, &state).map_err(unread)?,
            boot: files.boot,
            masks: files.masks,
            unit,
            is_private: is_private.unwrap_or(false),
            triggers,
        })
    }

    fn apply(&self, node: &Node, changes: Vec<Change>, work: &ApplyContext<'_>) -> Result<Vec<String>, Failure> {
        // Whatever changes what systemd reads comes first, then it reads once, then it acts.
        let mut unread = false;
        for change in &changes {
            match change {
                Change::Unit { .. } => self.write_unit(node, work)?,
                Change::ReloadManager => {}
                Change::Unmask => unmask(self, node).map_err(unmade)?,
                Change::Enable { .. } => enable(self, node, work)?,
                Change::Disable => disable(self, node, work)?,
                Change::Start(_) | Change::Stop { .. } => continue,
            }
            unread = true;
        }
        if unread && asks_manager(self, node)? {
            node.manager.reload_files(&node.host, work.deadline).map_err(unmade)?;
        }
        for change in &changes {
            match change {
                Change::Start(_) if begins_anew(&changes) => _ = Act::act(self, node, Action::Restart, work)?,
                Change::Start(_) => {
                    if !unread {
                        read_again(self, node, work)?;
                    }
                    act(self, node, Verb::Start, work)?;
                }
                Change::Stop { .. } => act(self, node, Verb::Stop, work)?,
                Change::Unit { .. } | Change::ReloadManager | Change::Unmask | Change::Enable { .. } | Change::Disable => {}
            }
        }
        Ok(Vec::new())
    }

    fn act(&self, node: &Node, action: Action, work: &ApplyContext<'_>) -> Result<bool, Failure> {
        if self.state == Some(State::Stopped) {
            // A restart would start it; what it reads, it reads when somebody does.
            return Ok(false);
        }
        if !asks_manager(self, node)? {
            // Nothing runs that could have read anything older.
            return Ok(false);
        }
        if self.state.is_none() && !is_up(self, node, work)? {
            // Whether it runs is nobody's wish here: one that is stopped stays so, and reads what is there when somebody starts it.
            return Ok(false);
        }
        let verb = match action {
            Action::Restart => Verb::Restart,
            Action::Reload => Verb::Reload,
            Action::Run => return Err(failure(FailureKind::Internal, format!("service {} cannot be run", self.name))),
        };
        if let Some(check) = &self.check {
            let mut program = Program::new(check.iter().cloned());
            program.path = Some(super::command::roots_own(node, check, PATH, Path::new("/"))?);
            let finished = program.run_to_end(work.deadline).map_err(unmade)?;
            finished.good(&format!("{} {}, whose check does not hold; it was left alone", verb.word(), self.name))?;
        }
        read_again(self, node, work)?;
        act(self, node, verb, work).map(|()| true)
    }

    fn starts(&self, observed: &Observed, changes: &[Change]) -> bool {
        self.starts_anew(observed, changes)
    }

    fn owes(&self, observed: &Observed, changes: &[Change]) -> Option<Action> {
        self.owes_restart(observed, changes).then_some(Action::Restart)
    }
}

/// What the files say of a unit.
#[derive(Debug, Default)]
struct Files {
    /// Its own name, where it was asked for by another.
    alias_of: Option<UnitName>,
    found: bool,
    masks: Vec<ostler_roles::words::AbsPath>,
    boot: Boot,
}

impl Files {
    fn name<'f>(&'f self, desired: &'f Desired) -> &'f UnitName {
        self.alias_of.as_ref().unwrap_or(&desired.name)
    }
}

trait UnitFile {
    fn files(&self, node: &Node) -> Result<Files, OsError>;
    fn unit_digest(&self, node: &Node, content: &Content) -> Result<Option<(ostler_roles::words::Digest, bool)>, Failure>;
    fn write_unit(&self, node: &Node, work: &ApplyContext<'_>) -> Result<(), Failure>;
}

impl UnitFile for Desired {
    fn files(&self, node: &Node) -> Result<Files, OsError> {
        let host = &node.host;
        let mut unit = unit_file::find(host, &self.name)?;
        if unit.is_none() {
            if let Some(boot) = boot::old_script(host, self.name.as_str())? {
                return Ok(Files { found: true, boot, ..Files::default() });
            }
            // Whose text is ours has no other name.
            let other = if self.unit.is_none() { unit_file::find_by_install(host, &self.name)? } else { None };
            unit = other.map(|other| unit_file::find(host, &other)).transpose()?.flatten();
        }
        let Some(mut unit) = unit else { return Ok(Files::default()) };
        if self.unit.is_some() && unit.name != self.name {
            // Our text takes the alias's place.
            unit = unit_file::UnitFile { name: self.name.clone(), path: None, masks: Vec::new() };
        }
        let boot = boot::read(host, &unit, self.enabled)?;
        Ok(Files { found: unit.path.is_some(), alias_of: (unit.name != self.name).then_some(unit.name), masks: unit.masks, boot })
    }

    fn unit_digest(&self, node: &Node, content: &Content) -> Result<Option<(ostler_roles::words::Digest, bool)>, Failure> {
        let path = self.unit_path();
        match node.host.look(path.as_path()).map_err(unread)? {
            Some(entry) if entry.kind == EntryKind::File => {
                let bytes = node.host.read(path.as_path(), 4 << 20).map_err(unread)?.unwrap_or_default();
                Ok(Some((node.digest_like(content, &bytes)?, entry.mode & 0o004 == 0)))
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
        node.write_content(&self.unit_path(), content, node.roots(mode), None, work)?;
        // The links of one that is enabled are those of its new text.
        if self.enabled == Some(true) { enable(self, node, work) } else { Ok(()) }
    }
}

/// Makes the links that the unit's [Install] section asks for now, and takes away those of an older one.
fn enable(desired: &Desired, node: &Node, work: &ApplyContext<'_>) -> Result<(), Failure> {
    // Links of an init script are update-rc.d's (8), which systemctl calls.
    if is_old_script(desired, node).map_err(unmade)? {
        return control(node, "enable", &desired.name, work);
    }
    let files = desired.files(node).map_err(unmade)?;
    let config = Path::new(UNIT_DIRECTORIES[0]);
    for link in desired.stale(&files.boot) {
        node.host.remove(&config.join(link)).map_err(unmade)?;
    }
    if desired.lacks(&files.boot).is_empty() {
        return Ok(());
    }
    node.host.touched_below(config);
    node.manager.enable(&node.host, files.name(desired).as_str(), true, work.deadline).map_err(unmade)
}

fn disable(desired: &Desired, node: &Node, work: &ApplyContext<'_>) -> Result<(), Failure> {
    if is_old_script(desired, node).map_err(unmade)? {
        return control(node, "disable", &desired.name, work);
    }
    let files = desired.files(node).map_err(unmade)?;
    if !files.masks.is_empty() {
        // systemd leaves the links of a masked unit alone (`systemctl disable` of one).
        let config = Path::new(UNIT_DIRECTORIES[0]);
        return files.boot.present.iter().try_for_each(|link| node.host.remove(&config.join(link))).map_err(unmade);
    }
    node.host.touched_below(UNIT_DIRECTORIES[0].as_ref());
    node.manager.enable(&node.host, files.name(desired).as_str(), false, work.deadline).map_err(unmade)
}

/// Takes away the administrator's masks: those for good and those until the next boot.
fn unmask(desired: &Desired, node: &Node) -> Result<(), OsError> {
    desired.files(node)?.masks.iter().try_for_each(|mask| node.host.remove(mask.as_path()))
}

fn is_old_script(desired: &Desired, node: &Node) -> Result<bool, OsError> {
    Ok(unit_file::find(&node.host, &desired.name)?.is_none() && boot::old_script(&node.host, desired.name.as_str())?.is_some())
}

/// Whether systemd has a word in it: not at rest, and where none runs only for a unit whose state is somebody's wish.
fn asks_manager(desired: &Desired, node: &Node) -> Result<bool, Failure> {
    Ok(!desired.at_rest && (desired.state.is_some() || node.manager.is_there(&node.host).map_err(unread)?))
}

/// Whether systemd runs it, or is about to.
fn is_up(desired: &Desired, node: &Node, work: &ApplyContext<'_>) -> Result<bool, Failure> {
    let name = desired.files(node).map_err(unmade)?.name(desired).clone();
    let state = node.manager.state(&node.host, name.as_str(), work.deadline).map_err(unmade)?;
    Ok(!matches!(state.active_or_restarting(), "inactive" | "failed" | "deactivating"))
}

/// A unit starts with what systemd has read: that must not be older than what stands on the disk.
fn read_again(desired: &Desired, node: &Node, work: &ApplyContext<'_>) -> Result<(), Failure> {
    let name = desired.files(node).map_err(unmade)?.name(desired).clone();
    let state = node.manager.state(&node.host, name.as_str(), work.deadline).map_err(unmade)?;
    if node.manager.may_be_older(&node.host, &state).map_err(unmade)? {
        node.manager.reload_files(&node.host, work.deadline).map_err(unmade)?;
    }
    Ok(())
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
    let files = desired.files(node).map_err(unmade)?;
    let name = files.name(desired).as_str();
    // What waits for its next start by itself is not up, so it cannot reload, and a start of it waits as well, for as long as its unit says
    // (systemd, src/core/service.c, `service_start`: EAGAIN).
    let waits = || node.manager.state(&node.host, name, work.deadline).map(|state| state.active_or_restarting() == "auto-restart");
    let begins_anew = matches!(verb, Verb::Start | Verb::Reload) && waits().map_err(unmade)?;
    let verb = if begins_anew { Verb::Restart } else { verb };
    node.manager.ask(&node.host, verb.word(), name, work.deadline).map_err(|error| refused(node, verb, name, error))?;
    let started = matches!(verb, Verb::Start | Verb::Restart);
    let Some(state) = node.manager.settled(&node.host, name, work, started).map_err(unmade)? else {
        if (work.cancelled)() {
            let message = format!("cancelled while systemd was to {} {name}; it goes on with that by itself", verb.word());
            return Err(failure(FailureKind::Cancelled, message));
        }
        let late = failure(FailureKind::Deadline, format!("{name} did not {} in time", verb.word()));
        return Err(diagnose::diagnose(node, verb.word(), name, late));
    };
    if is_good(verb, desired.state, state.active_or_restarting()) {
        match verb {
            Verb::Stop => node.manager.watched.forget(name),
            Verb::Start | Verb::Restart | Verb::Reload => watch::watch(desired, node, &state, name, work.index),
        }
        return Ok(());
    }
    let hint = match state.active_or_restarting() {
        "inactive" if verb != Verb::Stop => format!(
            "its program has ended, and nothing is left to run: a unit of `Type=oneshot` stays up only with `RemainAfterExit=yes`; else leave \
             `state` out, and let a timer or a `command` start it. On the node: systemctl status {name}"
        ),
        _ => format!("on the node: systemctl status {name}; journalctl -u {name}"),
    };
    let message = format!("{name} is {} after its {}", state.told(), verb.word());
    Err(diagnose::diagnose(node, verb.word(), name, hinted(FailureKind::Apply, message, hint)))
}

fn is_good(verb: Verb, wanted: Option<State>, state: &str) -> bool {
    match verb {
        // One that shall run must run: also after its start, where it is told best why it does not.
        Verb::Start | Verb::Restart | Verb::Reload if wanted == Some(State::Running) => matches!(state, "active" | "reloading"),
        // A one-shot unit has done its work and is inactive.
        Verb::Start | Verb::Restart | Verb::Reload => matches!(state, "active" | "reloading" | "inactive"),
        Verb::Stop => matches!(state, "inactive" | "failed"),
    }
}

fn refused(node: &Node, verb: Verb, name: &str, error: crate::host::OsError) -> Failure {
    let failed = unmade(error);
    diagnose::diagnose(node, verb.word(), name, Failure { message: format!("cannot {} {name}", verb.word()), ..failed })
}

/// Runs systemctl(1) for what only it does: links of old init scripts.
fn control(node: &Node, verb: &str, name: &UnitName, work: &ApplyContext<'_>) -> Result<(), Failure> {
    let finished = Program::new(["systemctl", "--quiet", verb, "--", name.as_str()]).run_to_end(work.deadline).map_err(unmade)?;
    node.host.touched_below("/etc".as_ref());
    finished.good(&format!("{verb} {name}")).map(drop)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::host::Host;
    use std::path::PathBuf;

    /// A tree with units in it.
    pub(in super::super) struct Tree(tempfile::TempDir);

    impl Tree {
        pub(in super::super) fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }
        pub(in super::super) fn host(&self) -> Host {
            Host::at(self.0.path()).unwrap()
        }
        /// Where this path of the tree is; the directories above it are made.
        pub(in super::super) fn at(&self, path: &str) -> PathBuf {
            let path = self.0.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            path
        }
        pub(in super::super) fn file(&self, path: &str, text: &str) {
            std::fs::write(self.at(path), text).unwrap();
        }
        pub(in super::super) fn link(&self, to: &str, path: &str) {
            std::os::unix::fs::symlink(to, self.at(path)).unwrap();
        }
    }

    #[test]
    fn a_service_that_shall_run_and_ends_after_its_restart_has_failed() {
        assert!(!is_good(Verb::Restart, Some(State::Running), "inactive"));
        assert!(!is_good(Verb::Reload, Some(State::Running), "inactive"));
        assert!(!is_good(Verb::Start, Some(State::Running), "inactive"), "a one-shot unit does not stay");
        assert!(is_good(Verb::Restart, None, "inactive"), "a one-shot unit");
        assert!(is_good(Verb::Restart, Some(State::Running), "active"));
        assert!(is_good(Verb::Stop, Some(State::Stopped), "failed") && !is_good(Verb::Stop, Some(State::Stopped), "active"));
    }
    #[test]
    fn at_rest_files_say_all_there_is_of_a_unit_and_nobody_is_asked() {
        let tree = Tree::new();
        tree.file("usr/lib/systemd/system/web.service", "[Service]\n[Install]\nWantedBy=multi-user.target\n");
        tree.link("/dev/null", "etc/systemd/system/web.service");
        let node = Node::new(tree.host(), None);
        let name = UnitName::parse_service("web").unwrap();
        let live = Desired { name, unit: None, state: Some(State::Running), enabled: Some(true), check: None, at_rest: false };
        assert!(live.observe(&node).is_err(), "a tree has no manager");
        let rest = Desired { at_rest: true, ..live.clone() };
        let observed = rest.observe(&node).unwrap();
        assert!(observed.found && observed.masks.len() == 1 && observed.boot.present.is_empty() && !observed.needs_reload, "{observed:?}");
        // Nor where none is there and nobody wants a state.
        assert_eq!(Desired { state: None, ..live }.observe(&node).unwrap(), observed);
    }
}
