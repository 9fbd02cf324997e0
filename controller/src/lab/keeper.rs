//! The keeper: brings the lab up inside its namespaces and serves its clients.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use super::cgroup::{self, Cgroup};
use super::child::{self, run};
use super::error::LabError;
use super::exec::{self, ExecTarget};
use super::net;
use super::node::Node;
use super::paths::LabPaths;
use super::protocol::{Event, Exec, Plan, Reply, Request};
use super::spec::{BRIDGE, GATEWAY_PORT, WWW_PORT};
use super::wire::{self, Wire};

/// How long the keeper rests after a client that it could not take in: by then others may have given back what was missing.
const REST: Duration = Duration::from_millis(100);

/// Where the lab's own mount namespace has the unified cgroup hierarchy.
const HIERARCHY: &str = "/sys/fs/cgroup";

/// Everything a request may touch.
#[derive(Debug)]
struct Keeper {
    lab: Cgroup,
    nodes: Vec<Arc<Node>>,
    commands: AtomicU64,
}

/// Runs the keeper until the holder or a client ends it. `holder` is the conversation with the holder.
pub(crate) fn run_keeper(place: &LabPaths, plan: &Plan, holder: &Wire) -> Result<(), LabError> {
    let (_, mut descriptors) = holder
        .receive_within::<()>(Duration::from_secs(10), "the holder's listening socket")?
        .ok_or_else(|| LabError::HolderGone(place.log()))?;
    let listener = descriptors.pop().ok_or_else(|| LabError::Wire("no listening socket came".into()))?;
    let keeper = match bring_up(place, plan, holder) {
        Ok(keeper) => Arc::new(keeper),
        Err(error) => {
            holder.send(&Event::Failed(error.chain()), &[])?;
            return Ok(());
        }
    };
    holder.send(&Event::Up, &[])?;
    serve(&keeper, &listener, holder)
}

fn bring_up(place: &LabPaths, plan: &Plan, holder: &Wire) -> Result<Keeper, LabError> {
    let lab = own_the_ground(place)?;
    name_the_nodes(place, plan)?;
    net::build(&plan.spec)?;
    let bind = |port| TcpListener::bind((BRIDGE, port)).map_err(LabError::system("listen on the bridge"));
    let (gateway, www) = (bind(GATEWAY_PORT)?, bind(WWW_PORT)?);
    holder.send(&Event::Listeners, &[gateway.as_fd(), www.as_fd()])?;
    drop((gateway, www));
    let lab_ref = &lab;
    let nodes: Vec<Arc<Node>> = thread::scope(|scope| {
        let start = |index| {
            let work = move || {
                let node = Arc::new(Node::prepare(place, plan, index, lab_ref)?);
                node.start(plan)?;
                holder.send(&Event::NodeUp(node.name().to_owned()), &[])?;
                Ok(node)
            };
            thread::Builder::new().spawn_scoped(scope, work).map_err(LabError::system("start a thread for a node"))
        };
        let started: Vec<_> = (0..plan.spec.nodes.len()).map(start).collect::<Result<_, _>>()?;
        started
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err(LabError::Refused("a node's thread panicked".into()))))
            .collect::<Result<_, _>>()
    })?;
    Ok(Keeper { lab, nodes, commands: AtomicU64::new(0) })
}

/// Mounts what the lab has for itself and enters its cgroup.
fn own_the_ground(place: &LabPaths) -> Result<Cgroup, LabError> {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    // A private /run: systemd-nspawn and ip leave traces there that must end with the lab.
    run(Command::new("mount").args(["-t", "tmpfs", "-o", "mode=755", "lab", "/run"]))?;
    run(Command::new("mount").args(["-t", "cgroup2", "cgroup2", HIERARCHY]))?;
    run(Command::new("mount").args(["-t", "tmpfs", "-o", "mode=755", "lab"]).arg(place.scratch()))?;
    std::fs::create_dir_all("/run/lock").map_err(LabError::file("create directory", Path::new("/run/lock")))?;
    let hierarchy = Path::new(HIERARCHY);
    cgroup::sweep_dead(hierarchy);
    Cgroup::move_in(hierarchy, &place.id())
}

/// Lets commands inside call nodes by name, with the lab's key: `lab exec -- ssh n1` needs no option.
fn name_the_nodes(place: &LabPaths, plan: &Plan) -> Result<(), LabError> {
    let known = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
    let hosts = place.scratch().join("hosts");
    std::fs::write(&hosts, format!("{}\n{}", known.trim_end(), net::hosts(&plan.spec))).map_err(LabError::file("write", &hosts))?;
    cover(&hosts, Path::new("/etc/hosts"))?;
    let options = place.scratch().join("ssh_config.d");
    let (from, to) = (place.ssh_config(), options.join("lab.conf"));
    std::fs::create_dir(&options).map_err(LabError::file("create directory", &options))?;
    std::fs::copy(&from, &to).map_err(LabError::file("copy to", &to))?;
    cover(&options, Path::new("/etc/ssh/ssh_config.d"))
}

/// Puts `own` over a path of the machine, for the lab alone; a path that is not there needs no cover.
fn cover(own: &Path, path: &Path) -> Result<(), LabError> {
    if !path.exists() {
        return Ok(());
    }
    run(Command::new("mount").arg("--bind").args([own, path])).map(drop)
}

/// Answers clients until the holder or one of them ends the lab. A shortage of descriptors or threads is no end: the end of the
/// keeper is the end of every node, and a shortage passes.
fn serve(keeper: &Arc<Keeper>, listener: &OwnedFd, holder: &Wire) -> Result<(), LabError> {
    let (stopped, stop) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(LabError::system("make a pipe"))?;
    let stop = Arc::new(stop);
    loop {
        let ready = wire::readable(&[holder.as_fd(), stopped.as_fd(), listener.as_fd()], None)?;
        if ready[0] || ready[1] {
            return Ok(());
        }
        if let Err(error) = wire::accept(listener).and_then(|client| take_in(keeper, client, &stop)) {
            // Standard error is the holder's log.
            let _ = rustix::io::write(rustix::stdio::stderr(), format!("{}\n", error.chain()).as_bytes());
            let ready = wire::readable(&[holder.as_fd(), stopped.as_fd()], Some(REST))?;
            if ready[0] || ready[1] {
                return Ok(());
            }
        }
    }
}

/// Answers one client on a thread of its own; one for whom there is none is told so.
fn take_in(keeper: &Arc<Keeper>, client: Wire, stop: &Arc<OwnedFd>) -> Result<(), LabError> {
    let client = Arc::new(client);
    let (keeper, stop, theirs) = (Arc::clone(keeper), Arc::clone(stop), Arc::clone(&client));
    let work = move || {
        match keeper.answer(&theirs) {
            Ok(End::Connection) => {}
            Ok(End::Lab) => drop(rustix::io::write(&*stop, b".")),
            // A client that went away in the middle does not hear it.
            Err(error) => drop(theirs.send(&Reply::Failed(error.chain()), &[])),
        }
    };
    let started = child::thread("the lab's keeper has no room for another request", work);
    started.map(drop).inspect_err(|error| {
        let _ = client.send(&Reply::Failed(error.chain()), &[]);
    })
}

/// What ends after a request.
enum End {
    Connection,
    Lab,
}

impl Keeper {
    fn answer(&self, client: &Wire) -> Result<End, LabError> {
        let Some((request, descriptors)) = client.receive_within::<Request>(Duration::from_secs(10), "a request")? else {
            return Ok(End::Connection);
        };
        match request {
            Request::Status => {
                let status = self.nodes.iter().map(|node| (node.name().to_owned(), node.status())).collect();
                client.send(&Reply::Status(status), &[])?;
            }
            Request::Connect { address, limit } => match connect(address, limit) {
                Ok(stream) => client.send(&Reply::Connected, &[stream.as_fd()])?,
                Err(error) => client.send(&Reply::Failed(error.chain()), &[])?,
            },
            Request::Exec(exec) => {
                if let Err(error) = self.exec(client, &exec, descriptors) {
                    client.send(&Reply::Failed(error.chain()), &[])?;
                }
            }
            Request::Fault { node, fault } => {
                let done = self.node(&node).and_then(|node| node.fault(&fault));
                let reply = done.map_or_else(|error| Reply::Failed(error.chain()), |()| Reply::Done);
                client.send(&reply, &[])?;
            }
            Request::Down => {
                client.send(&Reply::Done, &[])?;
                return Ok(End::Lab);
            }
        }
        Ok(End::Connection)
    }

    fn exec(&self, client: &Wire, exec: &Exec, descriptors: Vec<OwnedFd>) -> Result<(), LabError> {
        let target = exec.node.as_deref().map_or(Ok(ExecTarget::Lab), |name| self.node(name)?.target())?;
        let number = self.commands.fetch_add(1, Ordering::Relaxed);
        let cgroup = self.lab.child(&format!("command-{number}"))?;
        let outcome = exec::run_for(client, exec, &target, descriptors, &cgroup);
        cgroup.remove();
        outcome
    }

    fn node(&self, name: &str) -> Result<&Arc<Node>, LabError> {
        self.nodes.iter().find(|node| node.name() == name).ok_or_else(|| {
            let known = self.nodes.iter().map(|node| node.name()).collect::<Vec<_>>().join(", ");
            LabError::UnknownNode { name: name.to_owned(), known }
        })
    }
}

fn connect(address: SocketAddr, limit: Duration) -> Result<TcpStream, LabError> {
    TcpStream::connect_timeout(&address, limit).map_err(|error| LabError::Refused(format!("connect to {address}: {error}")))
}
