//! Executors: what a master may run on a node, as the roles declare it. Which master it is, and how it is told, is the controller's.

use crate::words::{AbsPath, AccountName, Label, MasterName, NodeName, Origin};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::num::NonZeroU32;

/// One executor declaration of one node, closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Executor {
    /// Its name on the master: the node's unless the role says otherwise; unique per master.
    pub name: NodeName,
    /// Which master, a key of `masters`.
    pub master: MasterName,
    /// The account jobs run as.
    pub user: AccountName,
    /// How many jobs at once.
    pub count: NonZeroU32,
    /// One job owns the machine.
    pub alone: bool,
    /// Which jobs it takes.
    pub jobs: Jobs,
    /// The labels it earns, those of every role on the node included. Attached after the smoke has passed.
    pub labels: BTreeSet<Label>,
    /// The jobs' directory.
    pub remote_fs: AbsPath,
    /// How the master reaches it, for masters that launch.
    pub launch: Option<Launch>,
    /// The major version of the Java that its agent runs on, where the role says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub java: Option<u32>,
    /// Commands run as a job before the labels are attached.
    pub smoke: Vec<Smoke>,
    /// Where it is declared.
    pub origin: Origin,
}

/// Which jobs an executor takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Jobs {
    /// Only jobs that ask for one of its labels (Jenkins: EXCLUSIVE).
    Labelled,
    /// Any job (Jenkins: NORMAL).
    Any,
}

/// How a master and an executor meet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Launch {
    /// The master logs in with the credential of this id.
    Ssh {
        /// Id of the credential on the master.
        credential: String,
    },
    /// The node calls the master.
    Inbound,
}

/// One command of the smoke job, run through the executor, as its user, in its workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Smoke {
    /// Its name among the smoke commands of the node.
    pub name: String,
    /// Program and arguments.
    pub run: Vec<String>,
    /// Where it is declared.
    pub origin: Origin,
}
