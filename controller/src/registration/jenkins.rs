//! Executors of a Jenkins: its credentials, its nodes over HTTP, and the agents of those that call in by themselves.

use super::node_job::{NodeJob, Patch};
use super::{Candidate, Registered, Registrar, chain, failed};
use crate::fleet::NodeEnd;
use crate::journal::CredentialStore;
use crate::masters::http::Way;
use crate::masters::jenkins::{self, Agent, Bring, BringError, Client, JenkinsError, Registration, Sent, Verdict};
use ostler_roles::author::compile::{JenkinsCredential, Master, MasterSettings};
use ostler_roles::executor::Launch;
use ostler_roles::master::jenkins as model;
use ostler_roles::words::{Digest, MasterName, NodeName, Secret};
use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::sync::{Arc, Mutex, PoisonError};

/// An job that several executors of one node take turns with.
type Shared = Arc<Mutex<NodeJob>>;

/// Executors that Jenkins can take, each with what it becomes there.
struct Accepted {
    one: Candidate,
    node: model::Node,
    agent: Option<(Agent, Shared)>,
}

impl Registrar {
    pub(super) async fn jenkins(&self, name: &MasterName, master: &Master, batch: &[Candidate], ends: &mut [NodeEnd]) -> Vec<Registered> {
        let fail = |text: String| batch.iter().map(|one| failed(one, text.clone())).collect::<Vec<_>>();
        let MasterSettings::Jenkins { user, password, trust, credentials } = &master.settings else {
            return fail("not a Jenkins".to_owned());
        };
        let key = self.site.key.clone();
        let mark = match self.mark(&key) {
            Ok(mark) => mark,
            Err(error) => return fail(error.to_string()),
        };
        let site = mark.site().clone();
        let way = Way { dial: self.dial.clone(), trust: trust.clone() };
        let client = match Client::new(&master.url, login(user, password), site.clone(), jenkins::Patience::default(), way) {
            Ok(client) => client.stoppable(self.stop.clone()),
            Err(error) => return fail(chain(&error)),
        };
        let mut jobs = BTreeMap::new();
        let (mut accepted, mut done) = (Vec::new(), Vec::new());
        for one in batch {
            match self.accept(one, &site, master, trust.as_ref(), &mut jobs, ends).await {
                Ok(fit) => accepted.push(fit),
                Err(why) => done.push(failed(one, why)),
            }
        }
        if !accepted.is_empty() {
            let names = accepted.iter().map(|fit| (fit.node.name.as_str().to_owned(), fit.one.node.clone())).collect();
            let (this, master_name, credentials) = (self.clone(), name.clone(), credentials.clone());
            let work = move || {
                let told = Reporter { registrar: &this, master: &master_name, nodes: names, mark };
                work(&told, &client, &key, &credentials, accepted)
            };
            match tokio::task::spawn_blocking(work).await {
                Ok(registered) => done.extend(registered),
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            }
        }
        for job in jobs.into_values().filter_map(Arc::into_inner) {
            job.into_inner().unwrap_or_else(PoisonError::into_inner).end(ends).await;
        }
        done
    }

    /// What this site's things are marked with (decision 0009).
    fn mark(&self, key: &[u8]) -> Result<Mark, model::ValueError> {
        match &self.site.id {
            Some(id) => Ok(Mark::Shared(id.clone())),
            None => model::Site::parse(&Digest::of(key).short()).map(Mark::Machine),
        }
    }

    /// What an executor becomes on the master; for one that calls in, with the way to its node.
    async fn accept(
        &self,
        one: &Candidate,
        site: &model::Site,
        master: &Master,
        trust: Option<&String>,
        jobs: &mut BTreeMap<NodeName, Shared>,
        ends: &mut [NodeEnd],
    ) -> Result<Accepted, String> {
        let executor = &one.executor;
        let reach = match &executor.launch {
            Some(Launch::Ssh { .. }) => Some(self.reach(one).await?),
            Some(Launch::Inbound) | None => None,
        };
        let node = model::Node::of(executor, site, reach.as_ref()).map_err(|error| chain(&error))?;
        let agent = match node.launcher {
            model::Launcher::Ssh(_) => None,
            model::Launcher::Inbound => {
                let job = match jobs.get(&one.node) {
                    Some(job) => Arc::clone(job),
                    None => {
                        let job = Arc::new(Mutex::new(self.job(&one.node, ends).await?));
                        jobs.insert(one.node.clone(), Arc::clone(&job));
                        job
                    }
                };
                let agent = Agent {
                    master: executor.master.clone(),
                    url: master.url.clone(),
                    trust: trust.cloned(),
                    name: node.name.clone(),
                    user: executor.user.clone(),
                    remote_fs: executor.remote_fs.clone(),
                };
                Some((agent, job))
            }
        };
        Ok(Accepted { one: one.clone(), node, agent })
    }

    /// Where the master finds the node's sshd: where we found it.
    async fn reach(&self, one: &Candidate) -> Result<model::Reach, String> {
        let address = self.preparation.reach.address(&one.node).await;
        let (host, port) = address.ok_or_else(|| "the address of its sshd is not known".to_owned())?;
        let key = one.host_keys.iter().find(|key| key.starts_with("ssh-ed25519 ")).or_else(|| one.host_keys.first());
        let key = key.ok_or_else(|| "the node told no host key to pin".to_owned())?;
        Ok(model::Reach {
            host: model::HostName::parse(&host).map_err(|error| error.to_string())?,
            port: NonZeroU16::new(port).ok_or_else(|| "port 0 is no port".to_owned())?,
            host_key: model::HostKey::parse(key).map_err(|error| error.to_string())?,
            java: None,
        })
    }
}

/// By what the site knows its own things on a master.
enum Mark {
    /// The `id` that all its admins share.
    Shared(model::Site),
    /// It has none: an id of this machine's, which no other machine has.
    Machine(model::Site),
}

impl Mark {
    fn site(&self) -> &model::Site {
        match self {
            Self::Shared(site) | Self::Machine(site) => site,
        }
    }
}

/// To whom events go.
struct Reporter<'a> {
    registrar: &'a Registrar,
    master: &'a MasterName,
    nodes: BTreeMap<String, NodeName>,
    mark: Mark,
}

impl Reporter<'_> {
    fn everyone(&self, text: &str) {
        self.nodes.values().for_each(|node| self.registrar.tell(node, self.master, text));
    }

    fn event(&self, event: &jenkins::Event) {
        let (name, text) = match event {
            jenkins::Event::Creating(name) => {
                let text = match &self.mark {
                    Mark::Shared(_) => "created, quarantined".to_owned(),
                    Mark::Machine(id) => {
                        format!("created, quarantined; only this machine knows it as this site's: write `id: \"{id}\"` in ostler.yaml")
                    }
                };
                (name, text)
            }
            jenkins::Event::Updating(name, _, changes) => (name, format!("{} values set", changes.len())),
            jenkins::Event::Brought(name) => (name, "its agent is in place".to_owned()),
            jenkins::Event::Connecting(name) => (name, "waiting for it to come online".to_owned()),
            jenkins::Event::Smoking(name) => (name, "online; smoke job runs".to_owned()),
            jenkins::Event::Smoked { name, verdict } => (
                name,
                match verdict {
                    Verdict::Green => "smoke job green".to_owned(),
                    Verdict::Red => "smoke job RED".to_owned(),
                    Verdict::Unknown(why) => format!("smoke job: not known whether it is good: {why}"),
                },
            ),
            jenkins::Event::Note(name, text) => (name, text.clone()),
            jenkins::Event::Waiting(waiting) => match &waiting.node {
                Some(name) => (name, waiting.to_string()),
                None => return self.everyone(&waiting.to_string()),
            },
        };
        if let Some(node) = self.nodes.get(name.as_str()) {
            self.registrar.tell(node, self.master, &text);
        }
    }
}

/// Everything that is asked of the master, in order: credentials, the agents' program, the nodes. Blocks.
fn work(told: &Reporter<'_>, client: &Client, key: &[u8], credentials: &[JenkinsCredential], accepted: Vec<Accepted>) -> Vec<Registered> {
    let batch: Vec<Candidate> = accepted.iter().map(|fit| fit.one.clone()).collect();
    let fail = |text: String| batch.iter().map(|one| failed(one, text.clone())).collect::<Vec<_>>();
    // After an interrupt nothing new is begun: only labels that are no longer earned are still taken off.
    let begins = !client.is_stopped();
    let sent = match put_credentials(told, client, key, if begins { credentials } else { &[] }) {
        Ok(sent) => sent,
        Err(why) => return fail(why),
    };
    let program = match accepted.iter().any(|fit| begins && fit.agent.is_some()).then(|| client.agent_program()).transpose() {
        Ok(program) => Arc::new(program.unwrap_or_default()),
        Err(error) => return fail(chain(&error)),
    };
    let registrations: Vec<Registration> = accepted
        .into_iter()
        .map(|Accepted { one, node, agent }| {
            let agent = agent.map(|(agent, job)| -> Arc<dyn Bring> {
                Arc::new(Bringer { agent, job, program: Arc::clone(&program), key: Key(key.to_vec()) })
            });
            Registration { node, smoke: one.executor.smoke.clone(), proof: one.proof(), agent }
        })
        .collect();
    let endings = match jenkins::register(client, &registrations, &mut |event| told.event(&event)) {
        Ok(endings) => endings,
        Err(error) => return fail(chain(&error)),
    };
    let mut done: Vec<Registered> = batch.iter().zip(&endings).map(|(one, (_, ending))| ended(one, ending)).collect();
    if let Some(first) = done.first_mut() {
        first.changed += sent;
    }
    done
}

fn ended(one: &Candidate, ending: &jenkins::Ending) -> Registered {
    match ending {
        jenkins::Ending::Unchanged | jenkins::Ending::Resting | jenkins::Ending::Away(_) => one.good(ending.to_string(), 0),
        jenkins::Ending::Labelled(_) => one.good(ending.to_string(), 1),
        jenkins::Ending::Red(report) | jenkins::Ending::Unproved(report) => {
            Registered { tail: report.tail.clone(), ..failed(one, ending.to_string()) }
        }
        jenkins::Ending::Held(_) | jenkins::Ending::Stopped(..) => failed(one, ending.to_string()),
        jenkins::Ending::Failed(error) => {
            let tail = if let JenkinsError::Offline { log, .. } = error { log.clone() } else { Vec::new() };
            Registered { tail, ..failed(one, format!("not registered: {}", chain(error))) }
        }
    }
}

/// Sends the credentials that are not what was sent last; returns how many.
fn put_credentials(told: &Reporter<'_>, client: &Client, key: &[u8], credentials: &[JenkinsCredential]) -> Result<u32, String> {
    let store = CredentialStore::new(Arc::clone(&told.registrar.site.store));
    let mut sent = 0;
    for wanted in credentials {
        let id = model::CredentialId::parse(&wanted.id).map_err(|error| error.to_string())?;
        let kind = jenkins::Kind::SshKey { private_key: wanted.key.clone(), passphrase: None };
        let credential = jenkins::Credential { id, username: wanted.user.clone(), kind };
        let last = store.get(told.master, &wanted.id);
        let text = match client.put_credential(&credential, key, last.as_ref()).map_err(|error| chain(&error))? {
            Sent::Unchanged => continue,
            Sent::Created => format!("credential {} created", wanted.id),
            Sent::Replaced => format!("credential {} replaced", wanted.id),
        };
        sent += 1;
        told.everyone(&text);
        store.keep(told.master, &wanted.id, &credential.fingerprint(key)).map_err(|error| chain(&error))?;
    }
    Ok(sent)
}

/// The site's key, which is shown to nobody.
struct Key(Vec<u8>);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key")
    }
}

/// Brings one agent to its node.
#[derive(Debug)]
struct Bringer {
    agent: Agent,
    job: Shared,
    program: Arc<Vec<u8>>,
    key: Key,
}

impl Bring for Bringer {
    fn bring(&self, secret: &Secret<String>, before: &mut dyn FnMut() -> Result<(), JenkinsError>) -> Result<bool, BringError> {
        let failed = |error: Box<dyn std::error::Error + Send + Sync>| BringError(error);
        let steps = self.agent.steps(&self.program, secret, &self.key.0).map_err(|error| failed(Box::new(error)))?;
        let patch = Patch { steps: steps.steps, contents: steps.contents, secrets: steps.secrets };
        let mut job = self.job.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = job.run(&patch, &mut || before().map_err(|error| Box::new(error) as _));
        changed.map(|changed| changed > 0).map_err(|error| failed(Box::new(error)))
    }
}

/// An API token has 34 hexadecimal digits (Jenkins' own form); anything else is a password, which needs a crumb.
fn login(user: &str, secret: &Secret<String>) -> jenkins::Login {
    let is_token = secret.expose().len() == 34 && secret.expose().bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_token {
        jenkins::Login::Token { user: user.to_owned(), token: secret.clone() }
    } else {
        jenkins::Login::Password { user: user.to_owned(), password: secret.clone() }
    }
}
