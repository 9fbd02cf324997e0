//! A lab as its user holds it: up, asked, hurt, down.

use std::ffi::OsString;
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::child;
use super::command::{LabCommand, unexpected};
use super::down::{DOWN_LIMIT, DOWN_PATIENCE, bring_down, clear};
use super::error::LabError;
use super::ground::lay_out;
use super::holder::{HOLDER_VERB, read_plan};
use super::keys;
use super::node;
use super::paths::{LabPaths, MISREAD_AS_LAYERS, legible};
use super::programs;
use super::protocol::{Event, Plan, Reply, Request, WIRE};
use super::setup::{Progress, Setup};
use super::spec::{Fault, LabNode, LabSpec, Status};
use super::up_down_lock::{Operation, UpDownLock};
use super::vm;
use super::wire::Wire;

/// How long a keeper may take to mount, to link, to copy disks.
const GROUND_LIMIT: Duration = child::LIMIT;
/// How long a lab may take to come up once its trees are there: longer than the keeper needs to find and tell what is wrong.
const UP_LIMIT: Duration = GROUND_LIMIT.saturating_add(vm::IDENTITY_LIMIT).saturating_add(node::ON_LIMIT);
/// Any other request's answer; a node's boot is the longest, and its own words about that must come first.
const ANSWER_LIMIT: Duration = node::ON_LIMIT.saturating_add(Duration::from_secs(30));

/// A lab that is up.
#[derive(Debug)]
pub struct Lab {
    place: LabPaths,
    plan: Plan,
    /// The holder, where this process started it. Dropping the wire ends a tied lab.
    held: Option<(Child, Wire)>,
    /// Takes it down when dropped.
    owned: bool,
    /// Held while it comes up.
    turn: Option<UpDownLock>,
}

impl Lab {
    /// Builds what is missing, starts the nodes in parallel and returns when every sshd answers.
    ///
    /// # Errors
    /// When root, a program or the mirror is missing, when a lab is up already in that directory, or when it does not come up.
    pub fn up(spec: LabSpec, setup: &Setup, progress: &(dyn Fn(Progress) + Sync)) -> Result<Self, LabError> {
        programs::check(&spec, &setup.environment.search)?;
        spec.validate()?;
        legible("cache directory", &setup.cache_dir, MISREAD_AS_LAYERS)?;
        let place = LabPaths::create(&setup.state_dir)?;
        // The keys and the plan of a lab that comes up must neither be written over nor taken away by another.
        let turn = UpDownLock::take(&place, DOWN_LIMIT)?;
        if Wire::connect(&place.socket()).is_ok() {
            return Err(LabError::AlreadyUp(place.dir().to_owned()));
        }
        turn.tell(Operation::Up);
        clear(&place, DOWN_PATIENCE).map_err(|error| match error {
            // One that cannot be reached is up all the same.
            LabError::Deadline { .. } => LabError::AlreadyUp(place.dir().to_owned()),
            other => other,
        })?;
        let plan = lay_out(spec, setup, progress)?;
        place.prepare()?;
        keys::write_all(&place, &plan.spec)?;
        let bytes = serde_json::to_vec_pretty(&plan).map_err(|error| LabError::Wire(error.to_string()))?;
        super::paths::write_private(&place.plan(), &bytes)?;
        let (child, wire) = start_holder(&place, &setup.program)?;
        let mut lab = Self { place, plan, held: Some((child, wire)), owned: true, turn: Some(turn) };
        lab.wait_until_up(progress)?;
        lab.turn = None;
        lab.owned = !setup.outlives;
        Ok(lab)
    }

    /// Returns the lab that is up in this directory; dropping it leaves it up.
    ///
    /// # Errors
    /// When none is.
    pub fn attach(state_dir: &Path) -> Result<Self, LabError> {
        if !state_dir.is_dir() {
            return Err(LabError::NotUp(state_dir.to_owned()));
        }
        let place = LabPaths::create(state_dir)?;
        let dir = place.dir().to_owned();
        let plan = match read_plan(&place) {
            Ok(plan) if plan.wire == WIRE => plan,
            Ok(_) | Err(LabError::Wire(_)) if Wire::connect(&place.socket()).is_ok() => return Err(LabError::OtherVersion(dir)),
            Err(LabError::File { source, .. }) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(LabError::File { what: "read the plan of the lab in", path: dir, source });
            }
            Ok(_) | Err(_) => return Err(LabError::NotUp(dir)),
        };
        let lab = Self { plan, place, held: None, owned: false, turn: None };
        lab.status()?;
        Ok(lab)
    }

    /// Takes down whatever is up in this directory and removes what a killed lab left. Down already is fine.
    ///
    /// # Errors
    /// When something of it does not end, or when another is bringing it up.
    pub fn down(state_dir: &Path) -> Result<(), LabError> {
        if !state_dir.is_dir() {
            // Somebody may have cleaned up under a lab that is up.
            return LabPaths::of_missing(state_dir).map_or(Ok(()), |place| bring_down(&place));
        }
        let place = LabPaths::create(state_dir)?;
        let turn = UpDownLock::take(&place, DOWN_LIMIT)?;
        turn.tell(Operation::Down);
        bring_down(&place)
    }

    /// Takes this lab down.
    ///
    /// # Errors
    /// When something of it does not end.
    pub fn end(mut self) -> Result<(), LabError> {
        self.take_down()
    }

    fn take_down(&mut self) -> Result<(), LabError> {
        self.owned = false;
        // One that does not come up has its turn already.
        let turn = self.turn.take();
        let downed = if turn.is_some() { bring_down(&self.place) } else { Self::down(self.place.dir()) };
        if let Some((mut child, wire)) = self.held.take() {
            drop(wire);
            // A holder that is still there takes everything along when it is killed.
            let _ = child::wait(&mut child, "the lab's holder", DOWN_LIMIT);
        }
        downed
    }

    fn wait_until_up(&mut self, progress: &(dyn Fn(Progress) + Sync)) -> Result<(), LabError> {
        let gone = || LabError::HolderGone(self.place.log());
        let Some((_, wire)) = &self.held else { return Err(gone()) };
        if hear_until_up(wire, UP_LIMIT, progress)? { Ok(()) } else { Err(gone()) }
    }

    /// Returns the state directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.place.dir()
    }

    /// Returns the process id of the holder, where this process started it.
    #[must_use]
    pub fn holder(&self) -> Option<u32> {
        self.held.as_ref().map(|(child, _)| child.id())
    }

    /// Returns the description of every node.
    #[must_use]
    pub fn nodes(&self) -> &[LabNode] {
        &self.plan.spec.nodes
    }

    /// Returns the description of a node.
    ///
    /// # Errors
    /// When no node has that name; the names there are are in the error.
    pub fn node(&self, name: &str) -> Result<&LabNode, LabError> {
        self.nodes().iter().find(|node| node.name == name).ok_or_else(|| {
            let known = self.nodes().iter().map(|node| node.name.as_str()).collect::<Vec<_>>().join(", ");
            LabError::UnknownNode { name: name.to_owned(), known }
        })
    }

    /// Returns the private key that logs in as `root` and `admin` on every node.
    #[must_use]
    pub fn ssh_key(&self) -> PathBuf {
        self.place.private_key()
    }

    /// Returns the file with every node's host key, by name and address.
    #[must_use]
    pub fn known_hosts(&self) -> PathBuf {
        self.place.known_hosts()
    }

    /// Returns an ssh configuration that knows every node by name: `ssh -F FILE n1`.
    #[must_use]
    pub fn ssh_config(&self) -> PathBuf {
        self.place.ssh_config()
    }

    /// Returns the directory served inside as `http://10.78.0.1:8088/`.
    #[must_use]
    pub fn www(&self) -> PathBuf {
        self.place.www()
    }

    /// Returns a node's console log.
    #[must_use]
    pub fn console(&self, name: &str) -> PathBuf {
        self.place.console(name)
    }

    /// Returns every node's state.
    ///
    /// # Errors
    /// When the holder does not answer.
    pub fn status(&self) -> Result<Status, LabError> {
        match self.ask(&Request::Status, ANSWER_LIMIT)?.0 {
            Reply::Status(status) => Ok(status),
            reply => Err(unexpected(reply)),
        }
    }

    /// Opens a TCP connection from inside the lab.
    ///
    /// # Errors
    /// When the address refuses or does not answer within `limit`.
    pub fn connect(&self, address: SocketAddr, limit: Duration) -> Result<TcpStream, LabError> {
        let (reply, mut descriptors) = self.ask(&Request::Connect { address, limit }, limit + Duration::from_secs(5))?;
        match (reply, descriptors.pop()) {
            (Reply::Connected, Some(socket)) => Ok(TcpStream::from(socket)),
            (reply, _) => Err(unexpected(reply)),
        }
    }

    /// Returns a command to run in the lab's own namespaces, with this process's environment and directory.
    pub fn command<T: Into<OsString>>(&self, argv: impl IntoIterator<Item = T>) -> LabCommand {
        LabCommand::new(&self.place, None, argv)
    }

    /// Returns a command to run as root in a node, past its sshd.
    pub fn node_command<T: Into<OsString>>(&self, node: &str, argv: impl IntoIterator<Item = T>) -> LabCommand {
        LabCommand::new(&self.place, Some(node.to_owned()), argv)
    }

    /// Returns an `ssh` to a node by name, as `user`, run inside the lab.
    pub fn ssh<T: Into<OsString>>(&self, user: &str, node: &str, argv: impl IntoIterator<Item = T>) -> LabCommand {
        let start: [OsString; 5] = ["ssh".into(), "-F".into(), self.ssh_config().into(), format!("-l{user}").into(), node.into()];
        self.command(start.into_iter().chain(argv.into_iter().map(Into::into)))
    }

    /// Does something to a node.
    ///
    /// # Errors
    /// When there is no such node or it cannot be done.
    pub fn fault(&self, node: &str, fault: Fault) -> Result<(), LabError> {
        match self.ask(&Request::Fault { node: node.to_owned(), fault }, ANSWER_LIMIT)?.0 {
            Reply::Done => Ok(()),
            reply => Err(unexpected(reply)),
        }
    }

    fn ask(&self, request: &Request, limit: Duration) -> Result<(Reply, Vec<std::os::fd::OwnedFd>), LabError> {
        let wire = Wire::connect(&self.place.socket()).map_err(|_| LabError::NotUp(self.place.dir().to_owned()))?;
        wire.ask(request, &[], limit, "the lab's holder")?.ok_or_else(|| LabError::HolderGone(self.place.log()))
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if self.owned {
            let _ = self.take_down();
        }
    }
}

/// Passes on what the holder tells until its lab is up; false when it ended before.
fn hear_until_up(wire: &Wire, limit: Duration, progress: &(dyn Fn(Progress) + Sync)) -> Result<bool, LabError> {
    let end = Instant::now() + limit;
    loop {
        let heard = wire.receive_within::<Event>(end.saturating_duration_since(Instant::now()), "the lab's nodes");
        // What was left of it says nothing to anybody: the whole of it was too short.
        let heard = heard.map_err(|error| match error {
            LabError::Deadline { what, .. } => LabError::Deadline { what, after: limit },
            other => other,
        })?;
        match heard {
            None => return Ok(false),
            Some((Event::Up, _)) => return Ok(true),
            Some((Event::Failed(why), _)) => return Err(LabError::Refused(why)),
            Some((Event::NodeUp(name), _)) => progress(Progress::NodeUp(name)),
            Some((Event::Notice(text), _)) => progress(Progress::Notice(text)),
            Some((Event::Listeners, _)) => {}
        }
    }
}

fn start_holder(place: &LabPaths, program: &Path) -> Result<(Child, Wire), LabError> {
    let log_path = place.log();
    let log = fs::File::create(&log_path).map_err(LabError::file("create", &log_path))?;
    let errors = log.try_clone().map_err(LabError::file("create", &log_path))?;
    let (wire, theirs) = Wire::pair()?;
    let mut command = Command::new(program);
    command.args([HOLDER_VERB, "hold"]).arg(place.dir()).stdin(Stdio::from(theirs)).stdout(log).stderr(errors);
    let shown = super::child::shown(&command);
    let child = command.spawn().map_err(|source| LabError::Start { command: shown, source })?;
    Ok((child, wire))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn a_node_that_is_late_is_named_before_those_who_wait_for_it_give_up() {
        let slowest = vm::IDENTITY_LIMIT + node::ON_LIMIT;
        assert!(UP_LIMIT > slowest, "{UP_LIMIT:?}, and a node may take {slowest:?}");
        assert!(ANSWER_LIMIT > node::ON_LIMIT, "{ANSWER_LIMIT:?}");
    }

    #[test]
    fn a_holder_that_falls_silent_is_left_after_the_time_that_is_named() {
        let (ours, theirs) = Wire::pair().expect("pair");
        let (theirs, limit) = (Wire::from(theirs), Duration::from_millis(400));
        let begun = Instant::now();
        let silent = thread::scope(|scope| {
            scope.spawn(|| {
                for number in 0..3 {
                    thread::sleep(Duration::from_millis(100));
                    theirs.send(&Event::NodeUp(format!("n{number}")), &[]).expect("sent");
                }
            });
            hear_until_up(&ours, limit, &|_| {}).expect_err("never up").to_string()
        });
        assert_eq!(silent, "no answer within 0.4 s while waiting for the lab's nodes");
        assert!(begun.elapsed() >= limit);
    }
}
