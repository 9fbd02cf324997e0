//! One node inside the keeper: its power, its leader, and everything that can happen to it.

use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::cgroup::Cgroup;
use super::child::NodeProcess;
use super::container;
use super::error::LabError;
use super::exec::ExecTarget;
use super::net;
use super::paths::LabPaths;
use super::protocol::Plan;
use super::relay::Relay;
use super::spec::{Delay, Fault, LabNode, Machine, NodeState, NodeStatus};
use super::vm::{self, QemuPaths};

/// How long a node may take from power-on until its sshd lets people in.
const BOOT_LIMIT: Duration = Duration::from_secs(240);
/// How long one try to log in may take; the last one may begin when the time is nearly up.
const LOGIN_LIMIT: Duration = Duration::from_secs(60);
/// How long it may take all in all until a node that is switched on answers, or is named as one that does not.
pub(crate) const ON_LIMIT: Duration = BOOT_LIMIT.saturating_add(LOGIN_LIMIT);
/// How long a killed node's processes may take to be gone.
const KILL_LIMIT: Duration = Duration::from_secs(20);

/// A node and what runs it.
#[derive(Debug)]
pub(crate) struct Node {
    place: LabPaths,
    spec: LabNode,
    index: usize,
    body: Body,
    cgroup: Cgroup,
    relay: Mutex<Option<Relay>>,
    power: Mutex<Power>,
    changed: Condvar,
}

/// What carries a node.
#[derive(Debug)]
enum Body {
    Container { root: PathBuf, real_sync: bool },
    Machine { image: PathBuf, ends: QemuPaths },
}

#[derive(Debug, Default)]
struct Power {
    /// Whether it ran before: a machine is restored once and boots from its disk ever after.
    ran: bool,
    /// Whether a node that asks for a reboot gets one.
    wanted: bool,
    /// The process that carries it, in the lab's pid namespace.
    carrier: Option<u32>,
}

impl Node {
    /// Prepares the node at this index of the plan; it is off.
    pub(crate) fn prepare(place: &LabPaths, plan: &Plan, index: usize, lab: &Cgroup) -> Result<Self, LabError> {
        let spec = plan.spec.nodes[index].clone();
        let ground = plan.grounds.get(&spec.name).ok_or_else(|| LabError::Spec(format!("node {} has no root tree", spec.name)))?;
        let body = match spec.machine {
            Machine::Container { disk_mb } => {
                let root = container::make_root(place, plan, &spec, ground, disk_mb)?;
                Body::Container { root, real_sync: plan.spec.real_sync }
            }
            Machine::Vm => {
                let ends = QemuPaths::of_node(place, &spec.name, index);
                vm::make_disk(&ends, ground)?;
                Body::Machine { image: ground.clone(), ends }
            }
        };
        let cgroup = lab.child(&format!("node-{}", spec.name))?;
        let (relay, power) = (Mutex::default(), Mutex::default());
        Ok(Self { place: place.clone(), spec, index, body, cgroup, relay, power, changed: Condvar::new() })
    }

    pub(crate) fn name(&self) -> &str {
        &self.spec.name
    }

    pub(crate) fn status(&self) -> NodeStatus {
        let state = if self.power().carrier.is_some() { NodeState::Running } else { NodeState::Off };
        NodeStatus { address: self.spec.address, state }
    }

    /// Returns the way in for a command.
    pub(crate) fn target(&self) -> Result<ExecTarget, LabError> {
        let off = || LabError::Refused(format!("node {} is off", self.spec.name));
        let carrier = self.power().carrier.ok_or_else(off)?;
        match self.body {
            Body::Container { .. } => container::leader(carrier).map(ExecTarget::Container).ok_or_else(off),
            Body::Machine { .. } => Ok(ExecTarget::Machine { ssh_config: self.place.ssh_config(), name: self.spec.name.clone() }),
        }
    }

    /// Boots it for the first time and returns when it is itself and its sshd answers.
    pub(crate) fn start(self: &Arc<Self>, plan: &Plan) -> Result<(), LabError> {
        self.power_on()?;
        match &self.body {
            Body::Container { .. } => {}
            Body::Machine { ends, .. } => vm::give_identity(&self.place, plan, &self.spec, ends, &|| self.pulse())?,
        }
        self.wait_for_ssh()
    }

    /// Does to the node what the fault says.
    pub(crate) fn fault(self: &Arc<Self>, fault: &Fault) -> Result<(), LabError> {
        match fault {
            Fault::LinkDown => net::set_link(self.index, false),
            Fault::LinkUp => net::set_link(self.index, true),
            Fault::Drop { port } => self.add_rule(&["tcp", "dport", &port.to_string(), "drop"]),
            Fault::Refuse { port } => self.add_rule(&["tcp", "dport", &port.to_string(), "reject", "with", "tcp", "reset"]),
            Fault::Rule { words } => self.add_rule(&words.iter().map(String::as_str).collect::<Vec<_>>()),
            Fault::ClearRules => net::clear_rules(self.name()),
            Fault::Delay(delay) => self.slow_down(Some(*delay)),
            Fault::ClearDelay => self.slow_down(None),
            Fault::PowerCut => self.power_cut(),
            Fault::PowerOn => self.power_on().and_then(|()| self.wait_for_ssh()),
            Fault::Freeze => self.cgroup.freeze(true),
            Fault::Thaw => self.cgroup.freeze(false),
        }
    }

    fn add_rule(&self, words: &[&str]) -> Result<(), LabError> {
        match self.body {
            Body::Container { .. } => net::add_rule(self.name(), words),
            Body::Machine { .. } => Err(LabError::Spec(format!("node {} is a machine: its rules are in its own kernel", self.name()))),
        }
    }

    fn slow_down(&self, delay: Option<Delay>) -> Result<(), LabError> {
        let mut relay = self.relay.lock().unwrap_or_else(PoisonError::into_inner);
        // The old one first: both would want the same names.
        drop(relay.take());
        *relay = delay.map(|delay| Relay::start(self.index, delay)).transpose()?;
        Ok(())
    }

    /// Boots it, unless it runs.
    pub(crate) fn power_on(self: &Arc<Self>) -> Result<(), LabError> {
        let mut power = self.power();
        if power.carrier.is_some() {
            return Ok(());
        }
        net::set_link(self.index, true)?;
        // The thread first: a carrier that nobody follows would never be known to have ended.
        let (node, (carrier, carriers)) = (Arc::clone(self), mpsc::channel());
        super::child::thread("start a thread for a node", move || carriers.iter().for_each(|carrier| node.follow(carrier)))?;
        let booted = self.boot(!power.ran)?;
        *power = Power { ran: true, wanted: true, carrier: Some(booted.child.id()) };
        // It waits for nothing else.
        let _ = carrier.send(booted);
        Ok(())
    }

    fn boot(&self, first: bool) -> Result<NodeProcess, LabError> {
        match &self.body {
            Body::Container { root, real_sync } => container::boot(&self.place, &self.cgroup, &self.spec, root, *real_sync),
            Body::Machine { image, ends } => vm::boot(&self.cgroup, image, ends, first),
        }
    }

    /// Waits for the carrier's end again and again: a node that asks for a reboot boots, any other end is the end.
    fn follow(&self, mut carrier: NodeProcess) {
        loop {
            let asked = carrier.wait() == Some(container::REBOOT);
            let mut power = self.power();
            let next = if asked && power.wanted { self.boot(false).ok() } else { None };
            power.carrier = next.as_ref().map(|next| next.child.id());
            self.changed.notify_all();
            match next {
                Some(next) => carrier = next,
                None => return,
            }
        }
    }

    /// Ends every process at once. The cable goes first: a node without power does not close its connections.
    fn power_cut(&self) -> Result<(), LabError> {
        net::set_link(self.index, false)?;
        let mut power = self.power();
        power.wanted = false;
        // First the carrier: one that has not entered the cgroup yet has started nothing.
        if let Some(pid) = power.carrier.and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::KILL);
        }
        self.cgroup.kill()?;
        // A frozen node was killed as well; the next one must not wake up frozen.
        self.cgroup.freeze(false)?;
        let waited = self.changed.wait_timeout_while(power, KILL_LIMIT, |power| power.carrier.is_some());
        let (power, _) = waited.unwrap_or_else(PoisonError::into_inner);
        match power.carrier {
            None => Ok(()),
            Some(_) => Err(LabError::Deadline { what: format!("node {} to lose its power", self.spec.name), after: KILL_LIMIT }),
        }
    }

    /// Waits until its sshd lets people in: it answers before the node lets in anybody but root (systemd-user-sessions(8)).
    pub(crate) fn wait_for_ssh(&self) -> Result<(), LabError> {
        let end = Instant::now() + BOOT_LIMIT;
        while !(shows_banner(self.spec.address) && self.lets_people_in()) {
            if Instant::now() >= end {
                return Err(self.unwell(&format!("does not let people in within {} s", BOOT_LIMIT.as_secs())));
            }
            self.pulse()?;
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Says that nothing carries it any more, where that is so.
    fn pulse(&self) -> Result<(), LabError> {
        if self.power().carrier.is_some() { Ok(()) } else { Err(self.unwell("ended while it booted")) }
    }

    fn unwell(&self, how: &str) -> LabError {
        let said = std::fs::read(self.place.console(&self.spec.name)).unwrap_or_default();
        let said = super::child::tail(&String::from_utf8_lossy(&said));
        LabError::Refused(format!("node {} {how}; its console:\n{said}", self.spec.name))
    }

    fn lets_people_in(&self) -> bool {
        let Ok(target) = self.target() else { return false };
        match target {
            ExecTarget::Lab => true,
            ExecTarget::Container(leader) => PathBuf::from(format!("/proc/{leader}/root/run/nologin")).symlink_metadata().is_err(),
            ExecTarget::Machine { ssh_config, name } => {
                let mut login = Command::new("ssh");
                login.arg("-F").arg(ssh_config).args(["-ladmin", "-oConnectTimeout=10", &name, "true"]);
                super::child::run_within(&mut login, LOGIN_LIMIT).is_ok()
            }
        }
    }

    fn power(&self) -> MutexGuard<'_, Power> {
        // The value is whole at every release of the lock, whatever its holder died of.
        self.power.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn shows_banner(address: Ipv4Addr) -> bool {
    let limit = Duration::from_secs(1);
    let Ok(mut stream) = TcpStream::connect_timeout(&SocketAddr::from((address, 22)), limit) else { return false };
    let mut start = [0; 4];
    stream.set_read_timeout(Some(limit)).is_ok() && stream.read_exact(&mut start).is_ok() && &start == b"SSH-"
}
