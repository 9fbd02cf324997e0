//! Opens a Buildbot for a run: its REST interface, and its machine for worker files.

use super::connections::Connections;
use super::machine::Machine;
use super::node_job::Patch;
use super::witness::SessionWitness;
use super::worker_service::SessionService;
use super::{Candidate, Opened, Registrar};
use crate::masters::buildbot::{Account, Buildbot, Client, MasterPaths, Patience, Registration, Worker, WorkerFile, steps};
use crate::masters::driver::Cause;
use crate::masters::http::{Access, Http};
use crate::masters::witness::Witness as _;
use ostler_roles::author::compile::{Master, MasterSettings};
use ostler_roles::words::{Digest, RoleName};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How long one request to a master may take.
const REQUEST: Duration = Duration::from_secs(30);

impl Registrar {
    pub(super) fn buildbot(&self, master: &Master, batch: &[Candidate], connections: &Connections) -> Result<Opened, String> {
        let MasterSettings::Buildbot { directory, group, service, account } = &master.settings else {
            return Err("not a Buildbot".to_owned());
        };
        let Some(node) = &master.node else { return Err("a Buildbot master without `node:` cannot be told about workers".to_owned()) };
        let site = self.mark().map_err(|error| error.to_string())?;
        let mut opened = Opened { hint: self.site.id.is_none().then(|| super::nameless(&site)), ..Opened::default() };
        let mut workers = BTreeMap::new();
        for one in batch {
            let witness = SessionWitness::new(&one.node, master, &one.executor, connections.of(&one.node));
            let service = Arc::new(SessionService::new(connections.of(&one.node)));
            match Worker::from_executor(&one.executor, site.clone(), &witness.path()) {
                Ok(worker) => {
                    workers.insert(one.executor.name.clone(), Registration { worker, witness: Arc::new(witness), service });
                }
                Err(error) => opened.refuse(one, super::chain(&error)),
            }
        }
        let way = Access { dial: self.dial.clone(), trust: None, mask: self.preparation.mask.clone() };
        let request = self.wait.unwrap_or(REQUEST);
        let http = Http::new(&master.url, request, way).map_err(|error| super::chain(&error))?;
        let account = account.as_ref().map(|(name, password)| Account { name: name.clone(), password: password.clone() });
        let client = Client::new(http, account).stoppable(self.stop.clone());
        let place = MasterPaths { directory: directory.clone(), group: group.clone(), service: service.clone(), role: role() };
        let patch = move |files: &[WorkerFile]| -> Result<Patch, Cause> {
            let steps = steps(files, &place)?;
            let contents = files.iter().map(|file| (Digest::of(&file.bytes), file.bytes.clone())).collect();
            Ok(Patch { steps, contents, ..Patch::default() })
        };
        let machine = Machine::new(connections.of(node), patch);
        let reason = format!("ostler, for {}", self.controller);
        let usual = Patience::default();
        let patience = Patience { load: self.wait.unwrap_or(usual.load), ..usual };
        opened.driver = Some(Box::new(Buildbot::new(client, machine, workers, &reason, patience)));
        Ok(opened)
    }
}

fn role() -> RoleName {
    #[expect(clippy::expect_used, reason = "a constant name")]
    RoleName::parse("buildbot-master").expect("a role's name")
}
