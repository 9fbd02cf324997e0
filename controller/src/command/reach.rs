//! The way to the site's nodes: its `ssh:` words, the user's configuration, and the lab where the site has one.

use super::{CommandError, Context, workspace::Workspace};
use crate::cli::{PaceArgs, ReachArgs};
use crate::fleet::{EventSender, FleetEvent, Reach};
use crate::inventory::{self, NodeReach};
use crate::lab::{BRIDGE, Lab, LabError};
use crate::masters::http::Dial;
use crate::session::Identity;
use crate::transport::{BoxFuture, ConnectError, Dialer, HostSettings, Jump, Link, LocalUser, NewKeys, Ssh, SshOptions, Target};
use ostler_roles::wire::message::Become;
use ostler_roles::words::NodeName;
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Reaches nodes over SSH.
#[derive(Debug)]
pub struct SshReach {
    ssh: Ssh,
    nodes: BTreeMap<NodeName, (Target, Option<Become>)>,
    user: String,
}

/// Where the lab of a site is, when the site has one and it is up.
pub fn lab_of(context: &Context, workspace: &Workspace) -> Result<Option<Arc<Lab>>, CommandError> {
    if workspace.inventory.site.file.lab.is_none() {
        return Ok(None);
    }
    Ok(Some(Arc::new(Lab::attach(&super::lab::state_dir(context, &workspace.inventory.root))?)))
}

impl SshReach {
    /// The way to these nodes.
    ///
    /// # Errors
    /// Two groups that say different things of one node; a lab that is not up.
    pub fn new(
        context: &Context,
        workspace: &Workspace,
        (pace, args): (&PaceArgs, &ReachArgs),
        nodes: &[NodeName],
        events: &EventSender,
    ) -> Result<Self, CommandError> {
        if let Some(file) = &args.ssh_config {
            readable(file)?;
        }
        let lab = lab_of(context, workspace)?;
        let mut reached = BTreeMap::new();
        for node in nodes {
            reached.insert(node.clone(), target(workspace, node, lab.as_deref())?);
        }
        let mut options = SshOptions::new(LocalUser::of_this_process());
        options.config_file = args.ssh_config.clone();
        options.config_memory = Some(context.environment.cache.join("ssh"));
        options.new_keys = if args.accept_new { NewKeys::Accept } else { NewKeys::Refuse };
        options.handshakes = usize::from(pace.forks);
        options.dialer = lab.map_or(Dialer::Direct, dial_in);
        let by_target: HashMap<Target, NodeName> = reached.iter().map(|(node, (target, _))| (target.clone(), node.clone())).collect();
        let (events, first) = (events.clone(), nodes.first().cloned());
        options.listener = Arc::new(move |target, event| {
            // What is no node of the site is a bastion of the ssh configuration: told once, and the event says its host.
            if let Some(node) = by_target.get(target).or(first.as_ref()) {
                events.send(node, FleetEvent::Link(event));
            }
        });
        Ok(Self { ssh: Ssh::new(options), nodes: reached, user: context.environment.user.clone() })
    }
}

/// A configuration file that cannot be read is told once, not by each node.
fn readable(file: &Path) -> Result<(), CommandError> {
    let what = |error: std::io::Error| CommandError::Usage {
        what: format!("read the ssh configuration {}: {error}", file.display()),
        hint: "name another file with --ssh-config, or leave it out".to_owned(),
    };
    // `none` is OpenSSH's word for no file at all (ssh(1), -F).
    if file == Path::new("none") { Ok(()) } else { std::fs::File::open(file).map(drop).map_err(what) }
}

/// TCP streams opened inside the lab.
fn dial_in(lab: Arc<Lab>) -> Dialer {
    Dialer::Through(Arc::new(move |address: SocketAddr| {
        let lab = Arc::clone(&lab);
        Box::pin(async move {
            let opened =
                tokio::task::spawn_blocking(move || lab.connect(address, Duration::from_secs(10))).await.map_err(std::io::Error::other)?;
            let stream = opened.map_err(lab_failure)?;
            stream.set_nonblocking(true)?;
            tokio::net::TcpStream::from_std(stream)
        })
    }))
}

/// Sockets to a master: opened inside the lab where the site has one and the address is the lab's.
pub fn master_dial(lab: Arc<Lab>) -> Dial {
    Arc::new(move |address, limit| {
        let is_inside = matches!(address.ip(), IpAddr::V4(ip) if ip.octets()[..2] == BRIDGE.octets()[..2]);
        if is_inside { lab.connect(address, limit).map_err(lab_failure) } else { TcpStream::connect_timeout(&address, limit) }
    })
}

/// The system's own error where the lab passes one on: refused, no route, timed out.
fn lab_failure(error: LabError) -> std::io::Error {
    match error {
        LabError::System { source, .. } => source,
        LabError::Deadline { .. } => std::io::Error::from(std::io::ErrorKind::TimedOut),
        other => std::io::Error::other(other),
    }
}

fn target(workspace: &Workspace, node: &NodeName, lab: Option<&Lab>) -> Result<(Target, Option<Become>), CommandError> {
    let inventory = &workspace.inventory;
    let Some(entry) = inventory.site.nodes.nodes.iter().find(|entry| entry.name.value == node.as_str()) else {
        return Ok((Target::new(node.as_str()), None));
    };
    let reach = inventory::reach(&inventory.site, entry).map_err(CommandError::Site)?;
    let escalate = reach.escalate.and_then(|word| match word {
        inventory::Become::None => None,
        inventory::Become::Sudo => Some(Become::Sudo),
        inventory::Become::Doas => Some(Become::Doas),
    });
    let jump = match &reach.jump {
        None => Jump::AsConfigured,
        Some(None) => Jump::Direct,
        Some(Some(bastion)) => Jump::Via(Box::new(target(workspace, bastion, lab)?.0)),
    };
    let mut settings = settings(&inventory.root, &reach, jump);
    if let Some(lab) = lab {
        settings.identity.get_or_insert_with(|| lab.ssh_key());
        settings.known_hosts.get_or_insert_with(|| lab.known_hosts());
    }
    Ok((Target { host: reach.host.clone(), settings }, escalate))
}

fn settings(root: &Path, reach: &NodeReach, jump: Jump) -> HostSettings {
    let below = |text: &String| -> PathBuf { if Path::new(text).is_absolute() { PathBuf::from(text) } else { root.join(text) } };
    HostSettings {
        user: reach.user.clone(),
        port: reach.port,
        identity: reach.identity.as_ref().map(below),
        known_hosts: reach.known_hosts.as_ref().map(below),
        jump,
    }
}

impl Reach for SshReach {
    fn connect<'a>(&'a self, node: &'a NodeName, _tell: &'a EventSender) -> BoxFuture<'a, Result<Arc<dyn Link>, ConnectError>> {
        Box::pin(async move {
            let unknown = Target::new(node.as_str());
            let target = self.nodes.get(node).map_or(&unknown, |(target, _)| target);
            let link = self.ssh.connect(target).await?;
            let link: Arc<dyn Link> = Arc::new(link);
            Ok(link)
        })
    }

    fn identity<'a>(&'a self, node: &'a NodeName) -> BoxFuture<'a, Identity> {
        Box::pin(async move {
            let unknown = (Target::new(node.as_str()), None);
            let (target, escalate) = self.nodes.get(node).unwrap_or(&unknown);
            // The user's ssh configuration may name another login. Without an answer there is no connection either.
            let login = match self.ssh.configuration(target).await {
                Ok(config) => config.user.clone(),
                Err(_) => target.settings.user.clone().unwrap_or_else(|| self.user.clone()),
            };
            // A login as root needs no escalation, whatever the site says for the others.
            let r#become = escalate.filter(|_| login != "root");
            Identity { node: node.clone(), login, r#become }
        })
    }

    fn address<'a>(&'a self, node: &'a NodeName) -> BoxFuture<'a, Option<(String, u16)>> {
        Box::pin(async move {
            let (target, _) = self.nodes.get(node)?;
            let config = self.ssh.configuration(target).await.ok()?;
            Some((config.hostname.clone(), config.port))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_root_login_of_the_ssh_configuration_needs_no_sudo() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config");
        std::fs::write(&file, "Host build-1\n  User root\nHost build-2\n  User builder\n").unwrap();
        let mut options = SshOptions::new(LocalUser::of_this_process());
        options.config_file = Some(file);
        let names = ["build-1", "build-2"].map(|name| NodeName::parse(name).unwrap());
        let nodes = names.iter().map(|name| (name.clone(), (Target::new(name.as_str()), Some(Become::Sudo)))).collect();
        let reach = SshReach { ssh: Ssh::new(options), nodes, user: "me".to_owned() };
        let [root, builder] = [reach.identity(&names[0]).await, reach.identity(&names[1]).await];
        assert_eq!((root.login.as_str(), root.r#become), ("root", None));
        assert_eq!((builder.login.as_str(), builder.r#become), ("builder", Some(Become::Sudo)));
    }
}
