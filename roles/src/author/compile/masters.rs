//! The site's masters with their values worked out: addresses, machines, accounts.

use super::Site;
use crate::words::{AbsPath, AccountName, MasterName, NodeName, Secret, UnitName};

/// A master as the controller talks to it.
#[derive(Debug, Clone)]
pub struct Master {
    /// Its name.
    pub name: MasterName,
    /// Its web address.
    pub url: String,
    /// The node it runs on.
    pub node: Option<NodeName>,
    /// What is particular to its kind.
    pub settings: MasterSettings,
}

/// What is particular to a kind of master.
#[derive(Debug, Clone)]
pub enum MasterSettings {
    /// Configured by files on its node.
    Buildbot {
        /// Its base directory.
        directory: AbsPath,
        /// The group that may read worker files.
        group: AccountName,
        /// The unit that is reloaded after its files change.
        service: UnitName,
        /// The account of its web interface.
        account: Option<(String, Secret<String>)>,
    },
    /// Configured over its API.
    Jenkins {
        /// The account that registers.
        user: String,
        /// Its password or API token.
        password: Secret<String>,
        /// The certificate it shows, in PEM.
        trust: Option<String>,
        /// Credentials it must have.
        credentials: Vec<JenkinsCredential>,
    },
}

/// A credential that a Jenkins must have.
#[derive(Debug, Clone)]
pub struct JenkinsCredential {
    /// Its id.
    pub id: String,
    /// The account the master logs in as.
    pub user: String,
    /// The private key.
    pub key: Secret<String>,
}

/// The names of a site's masters.
pub fn master_names(site: &Site) -> impl Iterator<Item = &str> {
    site.file.masters.iter().map(|master| master.name.value.as_str())
}
