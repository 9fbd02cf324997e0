//! The real agent on a lab's node: placed by ssh, talked to through ssh, without the controller in between.

#![expect(clippy::expect_used, reason = "test support: ground that gives way must stop the test at once")]

use crate::protocol::Conversation;
use ostler::lab::Lab;
use ostler_roles::words::Digest;
use std::io::copy;
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// How long reaching a node may take.
const REACH_WITHIN: Duration = Duration::from_secs(10);

/// The static agent to test: `OSTLER_AGENT`, from the workspace's root.
#[expect(clippy::disallowed_methods, reason = "a test's own variable, not the product's")]
pub fn file() -> PathBuf {
    let named = std::env::var_os("OSTLER_AGENT").expect("OSTLER_AGENT names a static agent: `make test` builds and names it");
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(named)
}

/// An agent on a node of a lab.
#[derive(Debug)]
pub struct PlacedAgent<'a> {
    lab: &'a Lab,
    node: String,
    port: u16,
    /// Digest of its file.
    pub digest: Digest,
}

impl<'a> PlacedAgent<'a> {
    /// Places the agent where a controller does: in admin's own cache, under its digest.
    pub fn place(lab: &'a Lab, node: &str) -> Self {
        let bytes = std::fs::read(file()).expect("the agent is built");
        let digest = Digest::of(&bytes);
        let place = format!(
            "umask 077; mkdir -p .cache/ostler && cat > .cache/ostler/new && chmod 700 .cache/ostler/new && mv .cache/ostler/new .cache/ostler/agent-{digest}"
        );
        let placed = lab.ssh("admin", node, [place]).input(bytes).output().expect("ssh runs");
        assert!(placed.ended.is_success(), "{}", placed.all());
        Self { lab, node: node.to_owned(), port: door(lab, node), digest }
    }
    /// A conversation with it as `admin`, through ssh.
    pub fn connect(&self) -> Conversation {
        let mut command = Command::new("ssh");
        command.args(["-F", "/dev/null", "-T", "-oBatchMode=yes", "-oIdentitiesOnly=yes", "-oUser=admin"]);
        command.arg("-i").arg(self.lab.ssh_key()).arg(format!("-oUserKnownHostsFile={}", self.lab.known_hosts().display()));
        command.arg(format!("-oHostKeyAlias={}", self.node)).arg(format!("-p{}", self.port)).arg("127.0.0.1");
        command.arg(format!(".cache/ostler/agent-{}", self.digest)).arg("serve");
        Conversation::over(command)
    }
    /// What a shell command prints on the node, as root.
    pub fn said(&self, command: &str) -> String {
        let output = self.lab.node_command(&self.node, ["sh", "-c", command]).output().expect("the lab runs it");
        assert!(output.ended.is_success(), "{command}: {}", output.all());
        output.text()
    }
}

/// A port on this machine that leads to the node's sshd, as long as this process lives.
fn door(lab: &Lab, node: &str) -> u16 {
    let address = SocketAddr::from((lab.node(node).expect("a node").address, 22));
    let dir = lab.dir().to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("a port").port();
    std::thread::spawn(move || {
        let lab = Lab::attach(&dir).expect("the lab is up");
        for near in listener.incoming().flatten() {
            let Ok(far) = lab.connect(address, REACH_WITHIN) else { return };
            for (mut from, mut to) in [(near.try_clone(), far.try_clone()), (Ok(far), Ok(near))]
                .map(|(from, to)| (from.expect("a socket"), to.expect("a socket")))
            {
                // Ends with either socket.
                std::thread::spawn(move || {
                    let _ = copy(&mut from, &mut to);
                    let _ = to.shutdown(Shutdown::Write);
                });
            }
        }
    });
    port
}
