//! A run's events on the controller's side: JSON lines, one file a node, appended as they come.

use super::StateError;
use crate::fleet::FleetEvent;
use crate::report::Journal;
use ostler_roles::words::{NodeName, RunId};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The runs of one site.
#[derive(Debug)]
pub struct RunStore {
    directory: PathBuf,
    files: BTreeMap<NodeName, File>,
}

/// A new run's id: UUIDv7, by the clock.
pub fn new_run() -> RunId {
    #[expect(clippy::expect_used, reason = "a UUID's text is of the run id's alphabet")]
    RunId::parse(&uuid::Uuid::now_v7().to_string()).expect("a UUID is a run id")
}

impl RunStore {
    /// A new directory for one invocation, named so that names sort by time.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(site_state: &Path) -> Result<Self, StateError> {
        let directory = site_state.join("runs").join(uuid::Uuid::now_v7().to_string());
        let failed = |source| StateError::Write { path: directory.clone(), source };
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory).map_err(failed)?;
        Ok(Self { directory, files: BTreeMap::new() })
    }

    /// Where the events are kept.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    fn append(&mut self, node: &NodeName, line: &serde_json::Value) -> std::io::Result<()> {
        if !self.files.contains_key(node) {
            let path = self.directory.join(format!("{node}.jsonl"));
            let file = std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
            self.files.insert(node.clone(), file);
        }
        match self.files.get_mut(node) {
            Some(file) => file.write_all(format!("{line}\n").as_bytes()),
            None => Ok(()),
        }
    }
}

impl Journal for RunStore {
    fn keep(&mut self, node: &NodeName, event: &FleetEvent) {
        let fleeting = matches!(event, FleetEvent::Run { seq: 0, .. });
        let Some(line) = crate::report::event_json(node, event).filter(|_| !fleeting) else { return };
        if let Err(error) = self.append(node, &line) {
            // The node's own journal holds every event: losing this copy costs nothing but a second look.
            tracing::warn!(%node, %error, directory = %self.directory.display(), "an event was not kept");
        }
    }
}
