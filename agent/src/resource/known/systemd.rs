//! systemd asked over D-Bus, and by systemctl(1) where no bus answers.

use super::age;
use super::started_units::StartedUnits;
use crate::engine::ApplyContext;
use crate::host::child::Program;
use crate::host::dbus::{Call, CallError, Connection, Reply, Value};
use crate::host::{EntryKind, Host, Operation, OsError};
use ostler_roles::words::UnitName;
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const PATH: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const UNIT: &str = "org.freedesktop.systemd1.Unit";

/// systemd answers a question in milliseconds; while it reads its files again, in seconds.
pub(in super::super) const ANSWER: Duration = Duration::from_secs(30);
/// How long a service that says nothing when it is ready must stay up to count as started.
const STAYS: Duration = Duration::from_millis(100);

/// The connection to systemd, opened when first needed.
#[derive(Debug, Default)]
pub(in super::super) struct Manager {
    connection: Mutex<Option<Connection>>,
    /// What was started by way of it.
    pub(in super::super) watched: StartedUnits,
}

/// A unit as systemd has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct UnitState {
    /// `loaded`, `not-found`, `masked`, ...
    pub(in super::super) load: String,
    /// `active`, `inactive`, `failed`, `activating`, ...
    pub(in super::super) active: String,
    /// `running`, `exited`, `auto-restart`, ...
    sub: String,
    /// Its object's path; empty where systemctl was asked.
    path: String,
    /// Number of the job that works on it; 0: none.
    job: u32,
    /// What systemctl said of these.
    stale: bool,
    restarts: u32,
}

impl UnitState {
    /// That of a unit of which nobody was asked: where nothing runs, nothing of it does.
    pub(in super::super) fn unasked() -> Self {
        let (load, active, sub, path) = (String::new(), "inactive".to_owned(), String::new(), String::new());
        Self { load, active, sub, path, job: 0, stale: false, restarts: 0 }
    }

    /// Its state in one word: between two starts of a program that ends and ends, `auto-restart` (systemd 254 has two words for it).
    pub(in super::super) fn active_or_restarting(&self) -> &str {
        if self.sub.starts_with("auto-restart") { "auto-restart" } else { &self.active }
    }

    /// The same for people.
    pub(in super::super) fn told(&self) -> &str {
        if self.sub.starts_with("auto-restart") { "failing again and again" } else { &self.active }
    }
}

impl Manager {
    /// Whether systemd runs the node (sd_booted(3)).
    pub(in super::super) fn is_there(&self, host: &Host) -> Result<bool, OsError> {
        Ok(host.look(Path::new("/run/systemd/system"))?.is_some_and(|found| found.kind == EntryKind::Directory))
    }

    /// How a unit is.
    pub(in super::super) fn state(&self, host: &Host, name: &str, deadline: Instant) -> Result<UnitState, OsError> {
        if !host.is_running() {
            let why = io::Error::new(io::ErrorKind::Unsupported, "it is asked only on a running system");
            return Err(OsError::new(Operation::Ask, "systemd", why));
        }
        let names = [name];
        let arguments = [Value::Texts(&names)];
        let call = Call { path: PATH, interface: MANAGER, member: "ListUnitsByNames", arguments: &arguments };
        match self.call_again(host, &call, deadline) {
            Ok(reply) => parse(&reply).ok_or_else(|| garbled("ListUnitsByNames")),
            Err(CallError::Unasked(_) | CallError::Lost(_)) => shown(name, deadline),
            Err(refused @ CallError::Refused { .. }) => Err(said(name, &refused)),
        }
    }

    /// Whether systemd may have read an older state of any file of units than there is. Not known is yes.
    pub(in super::super) fn may_be_older(&self, host: &Host, state: &UnitState) -> Result<bool, OsError> {
        if state.path.is_empty() {
            return Ok(true);
        }
        // Its own word also covers what units are generated from.
        Ok(age::may_be_older(self.loaded(host), age::newest(host)?, age::now()) || self.says_older(host, state))
    }

    /// Whether systemd has surely read an older state of this unit's own files.
    pub(in super::super) fn has_older(&self, host: &Host, unit: &UnitName, state: &UnitState) -> Result<bool, OsError> {
        match self.loaded(host).filter(|_| !state.path.is_empty()) {
            Some(loaded) => Ok(age::is_older(loaded, age::newest_of(host, unit)?, age::now())),
            None => Ok(self.says_older(host, state)),
        }
    }

    /// When it began to read its files the last time; none: it does not say, as before systemd 247.
    fn loaded(&self, host: &Host) -> Option<age::Micros> {
        let reply = self.property(host, PATH, MANAGER, "UnitsLoadTimestamp")?;
        let mut reader = reply.reader();
        (reader.signature() == Some("t")).then(|| reader.wide()).flatten().filter(|loaded| *loaded > 0)
    }

    fn says_older(&self, host: &Host, state: &UnitState) -> bool {
        if state.path.is_empty() {
            return state.stale;
        }
        let reply = self.property(host, &state.path, UNIT, "NeedDaemonReload");
        reply.is_some_and(|reply| {
            let mut reader = reply.reader();
            reader.signature() == Some("b") && reader.number() == Some(1)
        })
    }

    /// How often systemd has started it by itself; 0 for what has no such count: sockets, timers, targets.
    pub(in super::super) fn restarts(&self, host: &Host, state: &UnitState) -> u32 {
        if state.path.is_empty() {
            return state.restarts;
        }
        let reply = self.property(host, &state.path, "org.freedesktop.systemd1.Service", "NRestarts");
        reply
            .and_then(|reply| {
                let mut reader = reply.reader();
                (reader.signature() == Some("u")).then(|| reader.number()).flatten()
            })
            .unwrap_or(0)
    }

    /// The active units that start it: its socket, a timer, a path.
    pub(in super::super) fn triggers(&self, host: &Host, state: &UnitState, deadline: Instant) -> Result<Vec<String>, OsError> {
        if state.path.is_empty() {
            return Ok(Vec::new());
        }
        let Some(reply) = self.property(host, &state.path, UNIT, "TriggeredBy") else { return Ok(Vec::new()) };
        let mut active = Vec::new();
        for unit in texts(&reply).ok_or_else(|| garbled("TriggeredBy"))? {
            if self.state(host, &unit, deadline)?.active == "active" {
                active.push(unit);
            }
        }
        Ok(active)
    }

    fn property(&self, host: &Host, path: &str, interface: &str, name: &str) -> Option<Reply> {
        let arguments = [Value::Text(interface), Value::Text(name)];
        let call = Call { path, interface: "org.freedesktop.DBus.Properties", member: "Get", arguments: &arguments };
        self.call_again(host, &call, Instant::now() + ANSWER).ok()
    }

    /// Makes systemd read its files again.
    pub(in super::super) fn reload_files(&self, host: &Host, deadline: Instant) -> Result<(), OsError> {
        let call = Call { path: PATH, interface: MANAGER, member: "Reload", arguments: &[] };
        match self.call_again(host, &call, deadline) {
            Ok(_) => Ok(()),
            Err(CallError::Unasked(_) | CallError::Lost(_)) => control(&["daemon-reload"], deadline),
            Err(refused @ CallError::Refused { .. }) => Err(said("Reload", &refused)),
        }
    }

    /// Makes or removes the links of a unit's [Install] section; the manager reads its files anew afterwards.
    pub(in super::super) fn enable(&self, host: &Host, name: &str, enabled: bool, deadline: Instant) -> Result<(), OsError> {
        let names = [name];
        // For good and not only until the next boot; a link that leads elsewhere is not replaced.
        let enabling = [Value::Texts(&names), Value::Flag(false), Value::Flag(false)];
        let (member, arguments) = if enabled { ("EnableUnitFiles", &enabling[..]) } else { ("DisableUnitFiles", &enabling[..2]) };
        let call = Call { path: PATH, interface: MANAGER, member, arguments };
        match self.call_again(host, &call, deadline) {
            Ok(_) => Ok(()),
            Err(CallError::Unasked(_) | CallError::Lost(_)) => control(&[if enabled { "enable" } else { "disable" }, "--", name], deadline),
            Err(refused @ CallError::Refused { .. }) => Err(said(name, &refused)),
        }
    }

    /// Queues a job for a unit. A restart is asked for once: whether one without an answer was made is not known, and a second would
    /// cut off what the first has started.
    pub(in super::super) fn ask(&self, host: &Host, verb: &str, name: &str, deadline: Instant) -> Result<(), OsError> {
        let member = match verb {
            "start" => "StartUnit",
            "stop" => "StopUnit",
            "reload" => "ReloadOrRestartUnit",
            _ => "RestartUnit",
        };
        let arguments = [Value::Text(name), Value::Text("replace")];
        let call = Call { path: PATH, interface: MANAGER, member, arguments: &arguments };
        let once = !matches!(verb, "start" | "stop");
        let answered = if once { self.call(host, &call, deadline) } else { self.call_again(host, &call, deadline) };
        match answered {
            Ok(_) => Ok(()),
            Err(CallError::Lost(error)) if once => Err(error),
            Err(CallError::Unasked(_) | CallError::Lost(_)) => {
                let verb = if verb == "reload" { "reload-or-restart" } else { verb };
                control(&["--no-block", verb, "--", name], deadline)
            }
            Err(refused @ CallError::Refused { .. }) => Err(said(name, &refused)),
        }
    }

    /// The unit's state once no job works on it; none: the deadline passed, or the run was cancelled.
    pub(in super::super) fn settled(
        &self,
        host: &Host,
        name: &str,
        work: &ApplyContext<'_>,
        started: bool,
    ) -> Result<Option<UnitState>, OsError> {
        let mut pause = Duration::from_millis(2);
        let mut until = None;
        while Instant::now() < work.deadline && !(work.cancelled)() {
            let state = self.state(host, name, work.deadline)?;
            if state.job == 0 && !matches!(state.active.as_str(), "activating" | "deactivating") {
                if !started || state.active != "active" || self.says_when_ready(host, &state) {
                    return Ok(Some(state));
                }
                if Instant::now() >= *until.get_or_insert_with(|| Instant::now() + STAYS) {
                    return Ok(Some(state));
                }
            } else if state.job == 0 && state.active_or_restarting() == "auto-restart" {
                return Ok(Some(state));
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(50));
        }
        Ok(None)
    }

    /// Whether "active" means that it is up: not so for a program that is only started (systemd.service(5), `Type=`).
    fn says_when_ready(&self, host: &Host, state: &UnitState) -> bool {
        if state.path.is_empty() || state.sub != "running" {
            return state.sub != "running";
        }
        let kind = self.property(host, &state.path, "org.freedesktop.systemd1.Service", "Type");
        kind.is_some_and(|kind| {
            let mut reader = kind.reader();
            reader.signature() == Some("s") && reader.text().is_some_and(|kind| !["simple", "exec", "idle"].contains(&kind))
        })
    }

    /// One call. systemd drops all connections when it starts itself anew: one that takes no call any more is opened anew.
    fn call(&self, host: &Host, call: &Call<'_>, deadline: Instant) -> Result<Reply, CallError> {
        let mut held = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let mut answered = match held.as_mut() {
            Some(connection) => connection.call(call, deadline),
            None => Self::opened(&mut held, host)?.call(call, deadline),
        };
        if let Err(CallError::Unasked(_)) = answered {
            *held = None;
            answered = Self::opened(&mut held, host)?.call(call, deadline);
        }
        if let Err(CallError::Unasked(_) | CallError::Lost(_)) = answered {
            // An answer that comes late must not be taken for another call's.
            *held = None;
        }
        answered
    }

    /// One call that may be made twice, and is when its answer does not come.
    fn call_again(&self, host: &Host, call: &Call<'_>, deadline: Instant) -> Result<Reply, CallError> {
        match self.call(host, call, deadline) {
            Err(CallError::Lost(_)) if Instant::now() < deadline => self.call(host, call, deadline),
            answered => answered,
        }
    }

    fn opened<'h>(held: &'h mut Option<Connection>, host: &Host) -> Result<&'h mut Connection, CallError> {
        Ok(held.insert(Connection::to_systemd(host.is_root()).map_err(CallError::Unasked)?))
    }
}

/// The first element of `a(ssssssouso)` (org.freedesktop.systemd1(5), ListUnitsByNames).
fn parse(reply: &Reply) -> Option<UnitState> {
    let mut reader = reply.reader();
    reader.array(8)?;
    let _name = reader.text()?;
    let _description = reader.text()?;
    let load = reader.text()?.to_owned();
    let active = reader.text()?.to_owned();
    let sub = reader.text()?.to_owned();
    let _following = reader.text()?;
    let path = reader.text()?.to_owned();
    Some(UnitState { load, active, sub, path, job: reader.number()?, stale: false, restarts: 0 })
}

/// A property that is `as`.
fn texts(reply: &Reply) -> Option<Vec<String>> {
    let mut reader = reply.reader();
    if reader.signature()? != "as" {
        return None;
    }
    let end = reader.array(4)?;
    let mut texts = Vec::new();
    while reader.position() < end {
        texts.push(reader.text()?.to_owned());
    }
    Some(texts)
}

fn garbled(what: &str) -> OsError {
    OsError::new(Operation::Ask, format_args!("systemd for {what}"), io::Error::from(io::ErrorKind::InvalidData))
}

fn said(what: &str, refused: &CallError) -> OsError {
    OsError::new(Operation::Ask, format_args!("systemd for {what}"), io::Error::other(refused.to_string()))
}

/// The same from `systemctl show`, where no bus answers.
fn shown(name: &str, deadline: Instant) -> Result<UnitState, OsError> {
    let argv = ["systemctl", "show", "--property=LoadState,ActiveState,SubState,NeedDaemonReload,NRestarts,Job", "--", name];
    let finished = Program::new(argv).run_to_end(deadline)?;
    let text = String::from_utf8_lossy(finished.said()?).into_owned();
    if !finished.is_good() {
        let why = format!("systemctl: {}: {}", finished.status, finished.tail.last_line());
        return Err(OsError::new(Operation::Ask, "systemd", io::Error::other(why)));
    }
    let field = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).unwrap_or("").to_owned();
    Ok(UnitState {
        load: field("LoadState"),
        active: field("ActiveState"),
        sub: field("SubState"),
        path: String::new(),
        job: field("Job").parse().unwrap_or(0),
        stale: field("NeedDaemonReload") == "yes",
        restarts: field("NRestarts").parse().unwrap_or(0),
    })
}

fn control(arguments: &[&str], deadline: Instant) -> Result<(), OsError> {
    let argv = std::iter::once("systemctl").chain(arguments.iter().copied());
    let finished = Program::new(argv).run_to_end(deadline)?;
    if finished.is_good() {
        return Ok(());
    }
    let why = format!("{}: {}", finished.status, finished.tail.last_line());
    Err(OsError::new(Operation::Ask, format_args!("systemctl {}", arguments.join(" ")), io::Error::other(why)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Host;
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixListener;

    #[test]
    fn a_restart_whose_answer_is_lost_is_an_error_and_not_made_twice() {
        let tree = tempfile::tempdir().unwrap();
        let socket = tree.path().join("systemd");
        let listener = UnixListener::bind(&socket).unwrap();
        let served = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"OK 0123456789abcdef\r\n").unwrap();
            // Takes the call, and goes without a word; the greeting may come in a piece of its own.
            let mut said = Vec::new();
            let mut block = [0u8; 4096];
            while !said.windows(b"RestartUnit".len()).any(|word| word == b"RestartUnit") {
                let count = stream.read(&mut block).unwrap();
                said.extend_from_slice(&block[..count]);
            }
        });
        let manager = Manager { connection: Mutex::new(Some(Connection::open(&socket, false).unwrap())), ..Manager::default() };
        let host = Host::at(tree.path()).unwrap();
        let lost = manager.ask(&host, "restart", "x.service", Instant::now() + Duration::from_secs(10)).unwrap_err();
        served.join().unwrap();
        assert_eq!(lost.to_string(), "ask systemd for RestartUnit");
        assert!(manager.connection.lock().unwrap().is_none(), "and the connection is not used again");
    }
}
