//! Opens a Jenkins for a run: its HTTP interface, its credentials, and the nodes of agents that call in by themselves.

use super::connections::{Connections, SharedJob};
use super::node_job::Patch;
use super::witness::SessionWitness;
use super::{Candidate, Opened, Registrar, chain};
use crate::journal::{Key, Store};
use crate::masters::driver::Cause;
use crate::masters::http::Access;
use crate::masters::jenkins::{
    Agent, AgentProgramStore, AgentSteps, Client, Credential, Credentials, Elsewhere, InstallAgent, InstallAgentError, Jenkins,
    JenkinsError, Kind, Login, Patience, Program, Registration, sent_key,
};
use ostler_roles::author::compile::{JenkinsCredential, JenkinsLogin, Master, MasterSettings};
use ostler_roles::catalog::Step;
use ostler_roles::executor::Launch;
use ostler_roles::master::jenkins as model;
use ostler_roles::words::{Digest, NodeName, Secret};
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU16;
use std::sync::{Arc, PoisonError};

impl Registrar {
    pub(super) async fn jenkins(&self, master: &Master, batch: &[Candidate], connections: &Connections) -> Result<Opened, String> {
        let MasterSettings::Jenkins { user, login: shown, trust, credentials } = &master.settings else {
            return Err("not a Jenkins".to_owned());
        };
        let site = self.mark().map_err(|error| error.to_string())?;
        let way = Access { dial: self.dial.clone(), trust: trust.clone(), mask: self.preparation.mask.clone() };
        let usual = Patience::default();
        let patience = match self.wait {
            None => usual,
            Some(limit) => {
                let (unwell, unauthorized) = (usual.unwell.min(limit), usual.unauthorized.min(limit));
                Patience { request: limit, reach: limit, restart: limit, unwell, unauthorized, ..usual }
            }
        };
        let client = Client::new(&master.url, login(user, shown), site.clone(), patience, way);
        let client = client.map_err(|error| chain(&error))?.stoppable(self.stop.clone());
        let mut opened = Opened::default();
        if self.site.id.is_none() {
            opened.hint = Some(super::nameless(&site));
        }
        let mut registrations = BTreeMap::new();
        for one in batch {
            match self.accept(one, &site, master, trust.as_ref(), connections).await {
                Ok(fit) => drop(registrations.insert(one.executor.name.clone(), fit)),
                Err(why) => opened.refuse(one, why),
            }
        }
        if !registrations.is_empty() {
            let elsewhere = self.elsewhere(master, batch);
            let credentials = sent_by_all(login(user, shown), &site, credentials, elsewhere).await?;
            let programs = KeptProgram { store: Arc::clone(&self.site.store), key: Key::program(&master.name) };
            let driver = Jenkins::new(client, registrations, Some(credentials)).keeping(Box::new(programs));
            opened.driver = Some(Box::new(driver));
        }
        Ok(opened)
    }

    /// Nodes of the site on this master that are none of these.
    fn elsewhere(&self, master: &Master, batch: &[Candidate]) -> Elsewhere {
        let (compile, master) = (Arc::clone(&self.preparation.compile), master.name.clone());
        let here: BTreeSet<NodeName> = batch.iter().map(|one| one.node.clone()).collect();
        Elsewhere(Arc::new(move |id| compile.executors().logged_in_with(&master, id.as_str()).difference(&here).cloned().collect()))
    }

    /// By what the site knows its own things on a master (decision 0009): the `id` that all its admins share, or one of this machine's.
    pub(super) fn mark(&self) -> Result<model::Site, model::ValueError> {
        match &self.site.id {
            Some(id) => Ok(id.clone()),
            None => model::Site::parse(&Digest::of(&self.site.key).short()),
        }
    }

    /// What an executor becomes on the master; for one that calls in, with the way to its node.
    async fn accept(
        &self,
        one: &Candidate,
        site: &model::Site,
        master: &Master,
        trust: Option<&String>,
        connections: &Connections,
    ) -> Result<Registration, String> {
        let executor = &one.executor;
        let reach = match &executor.launch {
            Some(Launch::Ssh { .. }) => Some(self.reach(one).await?),
            Some(Launch::Inbound) | None => None,
        };
        let node = model::Node::of(executor, site, reach.as_ref()).map_err(|error| chain(&error))?;
        let agent: Option<Arc<dyn InstallAgent>> = match node.launcher {
            model::Launcher::Ssh(_) => None,
            model::Launcher::Inbound => {
                let agent = Agent {
                    master: executor.master.clone(),
                    url: master.url.clone(),
                    trust: trust.cloned(),
                    name: node.name.clone(),
                    user: executor.user.clone(),
                    remote_fs: executor.remote_fs.clone(),
                };
                Some(Arc::new(Bringer { agent, job: connections.of(&one.node), key: Secret::new(self.site.key.clone()) }))
            }
        };
        let witness = Arc::new(SessionWitness::new(&one.node, master, executor, connections.of(&one.node)));
        Ok(Registration { node, smoke: executor.smoke.clone(), java: executor.java, agent, witness })
    }

    /// Where the master finds the node's sshd: where we found it.
    async fn reach(&self, one: &Candidate) -> Result<model::Reach, String> {
        let address = self.preparation.reach.address(&one.node).await;
        let (host, port) = address.ok_or_else(|| "the address of its sshd is not known".to_owned())?;
        let key = one.host_keys.iter().find(|key| key.starts_with("ssh-ed25519 ")).or_else(|| one.host_keys.first());
        let key = key.ok_or_else(|| "the node told no host key to pin".to_owned())?;
        Ok(model::Reach {
            host: model::HostName::parse(&host).map_err(|error| error.to_string())?,
            port: NonZeroU16::new(port).ok_or_else(|| "0 is not a port".to_owned())?,
            host_key: model::HostKey::parse(key).map_err(|error| error.to_string())?,
            java: None,
        })
    }
}

/// The agents' program of one master, as the site's state keeps it: its date and its digest on a line each, then its bytes. A power cut may leave
/// half of it, which is none.
#[derive(Debug)]
struct KeptProgram {
    store: Arc<dyn Store>,
    key: Key,
}

impl AgentProgramStore for KeptProgram {
    fn last(&self) -> Option<Program> {
        let kept = self.store.get(&self.key).ok()??;
        let mut parts = kept.splitn(3, |byte| *byte == b'\n');
        let mut line = || std::str::from_utf8(parts.next()?).ok().map(str::to_owned);
        let (modified, digest) = (line()?, line()?);
        let bytes = parts.next()?.to_vec();
        (Digest::of(&bytes).hex() == digest).then_some(Program { bytes, modified: Some(modified) })
    }

    fn keep(&self, program: &Program) {
        let Some(modified) = &program.modified else { return };
        let kept = [modified.as_bytes(), b"\n", Digest::of(&program.bytes).hex().as_bytes(), b"\n", &program.bytes].concat();
        if let Err(error) = self.store.put(&self.key, &kept) {
            tracing::warn!(%error, "the agents' program was not kept");
        }
    }
}

/// Brings one agent to its node.
#[derive(Debug)]
struct Bringer {
    agent: Agent,
    job: SharedJob,
    key: Secret<Vec<u8>>,
}

impl Bringer {
    fn needs(&self, program: &[u8], version: Option<model::Version>, secret: &Secret<String>) -> Result<AgentSteps, InstallAgentError> {
        self.agent.steps(program, version, secret, self.key.expose()).map_err(|error| InstallAgentError(Box::new(error)))
    }
}

impl InstallAgent for Bringer {
    fn steps(&self, program: &[u8], version: Option<model::Version>, secret: &Secret<String>) -> Result<Vec<Step>, InstallAgentError> {
        self.needs(program, version, secret).map(|all| all.steps)
    }

    fn bring(
        &self,
        program: &[u8],
        version: Option<model::Version>,
        secret: &Secret<String>,
        before: &mut dyn FnMut() -> Result<(), JenkinsError>,
    ) -> Result<bool, InstallAgentError> {
        let AgentSteps { steps, contents, secrets } = self.needs(program, version, secret)?;
        let patch = Patch { steps, contents, secrets, ..Patch::default() };
        let mut job = self.job.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = job.run(&patch, &mut || before().map_err(|error| Box::new(error) as Cause));
        changed.map(|changed| changed > 0).map_err(|error| InstallAgentError(Box::new(error)))
    }
}

/// The credentials of a master, with the key of their fingerprints.
async fn sent_by_all(
    login: Login,
    site: &model::Site,
    credentials: &[JenkinsCredential],
    elsewhere: Elsewhere,
) -> Result<Credentials, String> {
    let wanted = credentials.iter().map(|wanted| {
        let id = model::CredentialId::parse(&wanted.id).map_err(|error| error.to_string())?;
        let kind = Kind::SshKey { private_key: wanted.key.clone(), passphrase: None };
        Ok(Credential { id, username: wanted.user.clone(), kind })
    });
    let wanted: Vec<Credential> = wanted.collect::<Result<_, String>>()?;
    if wanted.is_empty() {
        return Ok(Credentials { wanted, key: Secret::new(Vec::new()), elsewhere });
    }
    let site = site.clone();
    match tokio::task::spawn_blocking(move || sent_key(&login, &site)).await {
        Ok(key) => Ok(Credentials { wanted, key, elsewhere }),
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

fn login(user: &str, login: &JenkinsLogin) -> Login {
    let user = user.to_owned();
    match login {
        JenkinsLogin::Token(token) => Login::Token { user, token: token.clone() },
        JenkinsLogin::Password(password) => Login::Password { user, password: password.clone() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::FileStore;
    use ostler_roles::words::MasterName;

    #[test]
    fn half_a_program_is_none_and_is_fetched_anew() {
        let directory = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(FileStore::new(directory.path().join("site")));
        let key = Key::program(&MasterName::parse("ci").unwrap());
        let kept = KeptProgram { store: Arc::clone(&store), key: Key::program(&MasterName::parse("ci").unwrap()) };
        let program =
            Program { bytes: b"PK\x03\x04 a jar\nof two lines".to_vec(), modified: Some("Mon, 02 Nov 2026 07:28:00 GMT".to_owned()) };
        kept.keep(&program);
        assert_eq!(kept.last(), Some(program));
        let whole = store.get(&key).unwrap().unwrap();
        for length in 0..whole.len() {
            // What a power cut leaves of a file that was not synced.
            store.put(&key, &whole[..length]).unwrap();
            assert_eq!(kept.last(), None, "{length} bytes of it");
        }
    }
}
