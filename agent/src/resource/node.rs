//! One node during one run: its tree, and what was read once of its shared databases.

use super::fault::{no_account, unmade, unread};
use super::known::mirrors::Remembered;
use super::known::{ConfigFile, Manager, Mirrors, ModuleFiles, Offers, Packages, SshdConfiguration, config_files};
use crate::host::accounts::{Account, Accounts};
use crate::host::child::Identity;
use crate::host::http::Http;
use crate::host::{Host, OsError, Writing};
use ostler_roles::outcome::{Failure, FailureKind};
use ostler_roles::resource::Effect;
use ostler_roles::words::{AbsPath, Mode, Secret};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A database read at most once between two changes of it.
#[derive(Debug)]
pub(super) struct Snapshot<T>(Mutex<Option<Arc<T>>>);

impl<T> Default for Snapshot<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T> Snapshot<T> {
    /// What was read, or is now.
    pub(super) fn get<E>(&self, read: impl FnOnce() -> Result<T, E>) -> Result<Arc<T>, E> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = &*held {
            return Ok(known.clone());
        }
        let fresh = Arc::new(read()?);
        *held = Some(fresh.clone());
        Ok(fresh)
    }
    /// Reads it again the next time.
    pub(super) fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// The node.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) host: Host,
    pub(super) accounts: Snapshot<Accounts>,
    pub(super) packages: Snapshot<Packages>,
    pub(super) offers: Snapshot<Offers>,
    /// What the sources offer that the lists do not.
    pub(super) fresh_offers: Snapshot<Offers>,
    pub(super) manager: Manager,
    pub(super) key: Option<Secret<Vec<u8>>>,
    http: Snapshot<Http>,
    sysctl_files: Snapshot<Vec<ConfigFile>>,
    sshd: Snapshot<SshdConfiguration>,
    /// What sshd has said of accounts, each with the digest of its configuration then.
    pub(super) sshd_said: Remembered<(String, String)>,
    module_files: Snapshot<ModuleFiles>,
    /// What is known of mirrors in this run.
    pub(super) mirrors: Mirrors,
    /// Longest silence of a server; the usual one where none.
    pub(super) stall: Option<Duration>,
}

impl Node {
    pub(super) fn new(host: Host, key: Option<Secret<Vec<u8>>>) -> Self {
        Self {
            host,
            accounts: Snapshot::default(),
            packages: Snapshot::default(),
            offers: Snapshot::default(),
            fresh_offers: Snapshot::default(),
            manager: Manager::default(),
            key,
            http: Snapshot::default(),
            sysctl_files: Snapshot::default(),
            sshd: Snapshot::default(),
            sshd_said: Remembered::default(),
            module_files: Snapshot::default(),
            mirrors: Mirrors::default(),
            stall: None,
        }
    }

    /// The accounts, read once.
    pub(super) fn accounts(&self) -> Result<Arc<Accounts>, Failure> {
        self.accounts.get(|| Accounts::read(&self.host)).map_err(unread)
    }

    /// An account that must be there.
    pub(super) fn account(&self, name: &str) -> Result<Account, Failure> {
        self.accounts()?.account(&self.host, name).map_err(unread)?.ok_or_else(|| no_account("user", name))
    }

    /// Makes the directories above `path` that are missing, as root's.
    pub(super) fn make_parents(&self, path: &AbsPath) -> Result<(), Failure> {
        self.host.make_parents(path.as_path()).map_err(unmade)
    }

    /// Whose rights a child of that account has.
    pub(super) fn identity(&self, name: &str) -> Result<Identity, Failure> {
        let account = self.account(name)?;
        let mut groups = vec![account.gid];
        groups.extend(self.accounts()?.groups_of(name).into_iter().map(|(_, gid)| gid).filter(|gid| *gid != account.gid));
        Ok(Identity { name: account.name, home: account.home, uid: account.uid, gid: account.gid, groups })
    }

    /// The rights of that account; none where they are our own already.
    pub(super) fn foreign_identity(&self, name: &str) -> Result<Option<Identity>, Failure> {
        let identity = self.identity(name)?;
        let own = self.host.default_owner().0 == identity.uid;
        Ok(Some(identity).filter(|_| !own))
    }

    /// The files that set kernel settings at boot.
    pub(super) fn sysctl_files(&self) -> Result<Arc<Vec<ConfigFile>>, OsError> {
        self.sysctl_files.get(|| config_files::read(&self.host, "sysctl.d"))
    }

    /// How sshd is configured.
    pub(super) fn sshd_configuration(&self) -> Result<Arc<SshdConfiguration>, OsError> {
        self.sshd.get(|| SshdConfiguration::read(&self.host))
    }

    /// The files that load modules at boot, and those that keep modules out.
    pub(super) fn module_files(&self) -> Result<Arc<ModuleFiles>, OsError> {
        self.module_files.get(|| ModuleFiles::read(&self.host))
    }

    /// Requests over HTTP, with the node's certificates.
    pub(super) fn http(&self) -> Result<Arc<Http>, Failure> {
        self.http.get(|| Http::new(&self.host)).map_err(unread)
    }

    /// What root owns.
    pub(super) fn roots(&self, mode: Mode) -> Writing {
        let (user, group) = self.host.default_owner();
        Writing { user, group, mode: mode.bits() }
    }

    /// The key under which secrets are compared.
    pub(super) fn key(&self) -> Result<&[u8], Failure> {
        let missing = || super::fault::failure(FailureKind::NeedsController, "the key under which secrets are compared is not at hand");
        self.key.as_ref().map(|key| key.expose().as_slice()).ok_or_else(missing)
    }

    /// Forgets what `thing` may have altered.
    pub(super) fn forget(&self, effect: &Effect) {
        let path_is = |paths: &[&str]| matches!(effect, Effect::Path(path) | Effect::Own(path) if paths.iter().any(|watched| thing_touches(path.as_str(), watched)));
        let all = matches!(effect, Effect::Everything | Effect::Packaged);
        if all || matches!(effect, Effect::User(_) | Effect::Group(_)) || path_is(&["/etc/passwd", "/etc/group", "/etc/nsswitch.conf"]) {
            self.accounts.forget();
        }
        if all || matches!(effect, Effect::Package(_)) || path_is(&["/etc/ssh", "/usr/sbin/sshd"]) {
            self.sshd.forget();
        }
        if all || matches!(effect, Effect::Package(_)) || path_is(&config_files::ABOVE) {
            self.sysctl_files.forget();
            self.module_files.forget();
        }
        if all || matches!(effect, Effect::Package(_)) || path_is(&["/var/lib/dpkg", "/var/lib/apt", "/etc/apt"]) {
            self.packages.forget();
            self.offers.forget();
            self.fresh_offers.forget();
            // A package may bring certificates.
            self.http.forget();
        }
    }
}

/// Whether one path is the other or stands above it.
fn thing_touches(made: &str, read: &str) -> bool {
    let within =
        |inner: &str, outer: &str| outer == "/" || inner == outer || inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'));
    within(made, read) || within(read, made)
}
