//! One Jenkins, as the rest of the controller sees it. Every call blocks and has a deadline: use `spawn_blocking`.

use super::super::http::Access;
use super::super::wait::Cancellation;
use super::credential::{self, Credential, Sent};
use super::error::JenkinsError;
use super::launch;
use super::node::{self, Listing, Program};
use super::outcome::SmokeReport;
use super::patience::Patience;
use super::session::{Login, Session};
use super::smoke;
use super::unwell::bear;
use crate::masters::driver::Event;
use ostler_roles::executor::Smoke;
use ostler_roles::master::Stage;
use ostler_roles::master::jenkins::{CredentialId, Hold, Name, Node, Seen, Site, Version};
use ostler_roles::words::Secret;
use std::collections::BTreeMap;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

/// One Jenkins master, one login, one site.
#[derive(Debug, Clone)]
pub struct Client {
    session: Session,
    site: Site,
}

impl Client {
    /// A client for the Jenkins at `url`. Nothing is asked yet.
    ///
    /// # Errors
    /// When the address is none, or its trust is none.
    pub fn new(url: &str, login: Login, site: Site, patience: Patience, way: Access) -> Result<Self, JenkinsError> {
        Ok(Self { session: Session::new(url, login, patience, way)?, site })
    }

    /// The same client, whose waits end when the run is interrupted.
    #[must_use]
    pub fn stoppable(mut self, stop: Cancellation) -> Self {
        self.session.stop = stop;
        self
    }

    /// Whether the run is to stop.
    pub fn stop(&self) -> &Cancellation {
        &self.session.stop
    }

    /// How long each wait may last.
    pub fn patience(&self) -> &Patience {
        &self.session.patience
    }

    /// Looks at these names: one listing for all, and the configuration of each that is ours.
    ///
    /// # Errors
    /// When Jenkins cannot be asked, or `Agent/Configure` is missing for a node of ours.
    pub fn observe(&self, names: &[Name]) -> Result<BTreeMap<Name, Seen>, JenkinsError> {
        node::observe(&self.session, &self.site, names)
    }

    /// The same Jenkins, where this one is told of waits and of what else happens.
    #[must_use]
    pub fn telling(&self, events: SyncSender<Event>) -> Self {
        Self { session: self.session.telling(events), site: self.site.clone() }
    }

    /// The same, with what goes wrong with one node told of that one alone, and the other nodes of this site.
    ///
    /// # Errors
    /// When Jenkins cannot be asked.
    pub fn list(&self, names: &[Name]) -> Result<Listing, JenkinsError> {
        node::list(&self.session, &self.site, names)
    }

    /// Whether it is configured as code, as far as can be seen.
    pub(super) fn is_code(&self) -> bool {
        node::is_code(&self.session)
    }

    /// Makes a node, in quarantine, and reads it back.
    ///
    /// # Errors
    /// When it was refused, is another's, or did not keep its values.
    pub fn create(&self, node: &Node) -> Result<(), JenkinsError> {
        let mut was_asked = false;
        bear(&self.session, || {
            // It may have been made all the same.
            if std::mem::replace(&mut was_asked, true) && node::is_ours(&self.session, node)? {
                return node::verify(&self.session, node, Stage::Quarantined);
            }
            node::create(&self.session, node)
        })
    }

    /// Sets our values for a stage, reads them back, and launches an idle agent again if only that makes them true.
    /// The operator's mark, properties and other settings stay.
    ///
    /// # Errors
    /// When it was refused, is another's, did not keep its values, or its jobs did not end in time.
    pub fn update(&self, node: &Node, stage: Stage) -> Result<(), JenkinsError> {
        let mut needs_launch = false;
        bear(&self.session, || {
            // What was written, and then did not show, still has to be launched.
            node::update(&self.session, node, stage, &mut needs_launch)
        })?;
        if needs_launch {
            launch::relaunch(&self.session, &node.name, self.session.patience.drain)?;
        }
        Ok(())
    }

    /// Removes a node of ours; gone already is done.
    ///
    /// # Errors
    /// When it is another's, an orphan, or was refused.
    pub fn delete(&self, name: &Name) -> Result<(), JenkinsError> {
        bear(&self.session, || node::delete(&self.session, &self.site, name))
    }

    /// Waits until the agent is connected, and has been for a while; it is launched where nobody does.
    ///
    /// # Errors
    /// [`JenkinsError::Held`] and [`JenkinsError::Offline`].
    pub fn wait_online(&self, name: &Name) -> Result<(), JenkinsError> {
        launch::wait_online(&self.session, name, self.session.patience.connect)
    }

    /// Marks a node offline with our reason, unless somebody did already, and waits until its jobs have left.
    ///
    /// # Errors
    /// [`JenkinsError::Busy`].
    pub fn drain(&self, name: &Name, reason: &str) -> Result<(), JenkinsError> {
        launch::drain(&self.session, name, reason, self.session.patience.drain)
    }

    /// Marks a node offline with our reason; false: somebody did already.
    ///
    /// # Errors
    /// When Jenkins refuses.
    pub fn mark(&self, name: &Name, reason: &str) -> Result<bool, JenkinsError> {
        // However often it is begun anew: what this call has sent is its own.
        let mut is_sent = false;
        bear(&self.session, || launch::mark(&self.session, name, reason, &mut is_sent))?;
        Ok(is_sent)
    }

    /// Waits until a node that is marked offline runs no job; false: it is no longer marked.
    ///
    /// # Errors
    /// [`JenkinsError::Busy`].
    pub fn wait_idle(&self, name: &Name, patience: Duration) -> Result<bool, JenkinsError> {
        launch::idle(&self.session, name, patience)
    }

    /// Takes our own offline mark off. An operator's stays and is handed back.
    ///
    /// # Errors
    /// When Jenkins refuses.
    pub fn undrain(&self, name: &Name) -> Result<Option<Hold>, JenkinsError> {
        bear(&self.session, || launch::undrain(&self.session, name))
    }

    /// The version of this Jenkins; none where its answers do not say: a proxy in front may take that off.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub fn version(&self) -> Result<Option<Version>, JenkinsError> {
        bear(&self.session, || self.session.version())
    }

    /// The same, if it has said so already.
    pub(super) fn known_version(&self) -> Option<Version> {
        self.session.known_version()
    }

    /// Whether an agent may have this Java, as far as the version is known.
    ///
    /// # Errors
    /// [`JenkinsError::Java`]; or when the version cannot be asked for.
    pub fn accepts_java(&self, name: &Name, has: u32) -> Result<(), JenkinsError> {
        match self.version()? {
            Some(version) if has < version.least_java() => Err(JenkinsError::Java { name: name.clone(), version, has }),
            Some(_) | None => Ok(()),
        }
    }

    /// What an inbound agent must know to call in.
    ///
    /// # Errors
    /// When `Agent/Connect` is missing.
    pub fn agent_secret(&self, name: &Name) -> Result<Secret<String>, JenkinsError> {
        bear(&self.session, || node::agent_secret(&self.session, name))
    }

    /// The program that inbound agents run, as this very master gives it: the two must fit. What is `known` from an earlier run is fetched
    /// again only when it has changed.
    ///
    /// # Errors
    /// When Jenkins does not give it.
    pub fn agent_program(&self, known: Option<Program>) -> Result<Program, JenkinsError> {
        bear(&self.session, || node::agent_program(&self.session, known.clone()))
    }

    /// Runs the smoke job on a quarantined node.
    ///
    /// # Errors
    /// When Jenkins cannot be asked; a red job is no error.
    pub fn smoke(&self, node: &Node, nonce: &str, commands: &[Smoke]) -> Result<SmokeReport, JenkinsError> {
        smoke::run(&self.session, node, nonce, commands, self.session.patience.smoke)
    }

    /// Brings a credential to what it should be. `key` is that of its fingerprint, the same on all machines of the site.
    ///
    /// # Errors
    /// When it is another's, or a permission is missing.
    pub fn put_credential(&self, credential: &Credential, key: &[u8]) -> Result<Sent, JenkinsError> {
        bear(&self.session, || credential::put(&self.session, &self.site, credential, key))
    }

    /// What [`Self::put_credential`] would do. Reads only.
    ///
    /// # Errors
    /// When it is another's, or a permission is missing.
    pub fn look_at_credential(&self, credential: &Credential, key: &[u8]) -> Result<Sent, JenkinsError> {
        bear(&self.session, || credential::look(&self.session, &self.site, credential, key))
    }

    /// Removes a credential of ours; gone already is done.
    ///
    /// # Errors
    /// When it is another's, or a permission is missing.
    pub fn delete_credential(&self, id: &CredentialId) -> Result<(), JenkinsError> {
        bear(&self.session, || credential::delete(&self.session, &self.site, id))
    }
}
