//! What the lab's processes say to each other.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::sources::Sources;
use super::spec::{Fault, LabSpec, Status};

/// The number of these messages; another one is another `ostler`'s, which may not be understood.
pub(crate) const WIRE: u32 = 1;

/// Everything the holder needs to know; also kept in the state directory for whoever attaches.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// [`WIRE`]; none in what an older `ostler` wrote.
    #[serde(default)]
    pub(crate) wire: u32,
    pub(crate) spec: LabSpec,
    /// Root tree (container) or image directory (virtual machine) of each node, by name.
    pub(crate) grounds: BTreeMap<String, PathBuf>,
    pub(crate) sources: Sources,
    /// Where the gateway keeps packages.
    pub(crate) packages: PathBuf,
    /// Ends the lab when the process that brought it up ends.
    pub(crate) tied: bool,
}

/// Holder to its starter, and keeper to holder.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Event {
    /// Comes with the listening sockets of the gateway and of the file server, made inside.
    Listeners,
    /// Something worth telling the user.
    Notice(String),
    /// A node answers on ssh.
    NodeUp(String),
    /// All nodes answer.
    Up,
    /// It did not come up.
    Failed(String),
}

/// Client to holder: one request a connection.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    /// How are the nodes?
    Status,
    /// Open a TCP connection inside and hand it over.
    Connect { address: SocketAddr, limit: Duration },
    /// Run a program; comes with its stdin, stdout and stderr. It dies when the connection ends.
    Exec(Exec),
    /// Do this to a node.
    Fault { node: String, fault: Fault },
    /// End the lab.
    Down,
}

/// A program to run inside.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Exec {
    /// In this node, as root; without it in the lab's own namespaces.
    pub(crate) node: Option<String>,
    pub(crate) argv: Vec<OsString>,
    pub(crate) environment: Vec<(OsString, OsString)>,
    pub(crate) directory: PathBuf,
}

/// Holder to client.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Reply {
    Status(Status),
    /// Comes with the socket.
    Connected,
    /// The program runs.
    Started,
    Exited(i32),
    Killed(i32),
    Done,
    Failed(String),
}
