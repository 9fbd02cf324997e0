//! What else than a key may keep us out: the account, its home, what sshd and sudo read, their programs.

use ostler_roles::catalog::{Catalog, Step};
use ostler_roles::resource::service::State as Runs;
use ostler_roles::resource::{Desired, Shown, directory, file, package, service, user};
use ostler_roles::words::AbsPath;

/// What a change does to whoever comes as this account.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// The next run cannot log in, or not become root: what the step does.
    Shut(String),
    /// It may be so: what a person should look at.
    MayShut(String),
}

/// Who comes, and what the roles say of him.
pub(super) struct Account<'a> {
    user: &'a str,
    home: String,
    catalog: &'a Catalog,
}

impl<'a> Account<'a> {
    /// The account `user`, whose home is the one that the roles give it, or the usual one.
    pub(super) fn of(user: &'a str, catalog: &'a Catalog) -> Self {
        let of_roles = catalog.steps.iter().find_map(|step| match &step.desired {
            Desired::User(account) if account.name.as_str() == user => account.new_home(),
            _ => None,
        });
        let usual = || if user == "root" { "/root".to_owned() } else { format!("/home/{user}") };
        Self { user, home: of_roles.map_or_else(usual, |home| home.to_string()), catalog }
    }

    /// What carrying out a step that changes this would do; none: it has nothing to do with us.
    pub(super) fn way(&self, step: &Step, changes: &[Shown]) -> Option<Way> {
        match &step.desired {
            Desired::User(desired) if desired.name.as_str() == self.user => self.of_user(desired, changes),
            Desired::Group(desired)
                if desired.present.is_none() && self.becomes() && ["sudo", "wheel", "admin"].contains(&desired.name.as_str()) =>
            {
                Some(Way::MayShut(format!("see that {} may still use sudo without this group", self.user)))
            }
            Desired::Service(desired) => self.of_service(desired, changes),
            Desired::Package(desired) if desired.state == package::State::Removed => match desired.name.as_str() {
                "openssh-server" => Some(Way::Shut("it removes the ssh server that we come by".to_owned())),
                "sudo" if self.becomes() => Some(Way::Shut(format!("it removes sudo, by which {} becomes root", self.user))),
                _ => None,
            },
            Desired::Directory(desired) => self.of_directory(desired),
            Desired::File(desired) => self.of_file(desired),
            // What the others write is told by where it stands: this knows no kind but those above by name.
            other => other.path().and_then(|path| self.of_path(path)),
        }
    }

    /// Whether somebody else than root comes, who has to become root.
    fn becomes(&self) -> bool {
        self.user != "root"
    }

    fn of_user(&self, desired: &user::Desired, changes: &[Shown]) -> Option<Way> {
        let user = self.user;
        let Some(present) = &desired.present else { return Some(Way::Shut(format!("it removes {user}, the account that we come by"))) };
        let shell = present.shell.as_ref().map(AbsPath::as_str).filter(|_| changes.iter().any(|change| change.field == "shell"));
        if let Some(shell) = shell.filter(|shell| ["nologin", "false", "true"].contains(&shell.rsplit('/').next().unwrap_or_default())) {
            return Some(Way::Shut(format!("{user}, the account that we come by, gets {shell} as its shell, which lets nobody in")));
        }
        let moves = changes.iter().any(|change| change.field == "home");
        moves.then(|| Way::MayShut(format!("{user} is the account that we come by: see that its keys stand in its new home")))
    }

    fn of_service(&self, desired: &service::Desired, changes: &[Shown]) -> Option<Way> {
        let is_of_ssh = |name: &str| ["ssh.service", "sshd.service", "ssh.socket", "sshd.socket"].contains(&name);
        if !is_of_ssh(desired.name.as_str()) {
            return None;
        }
        // Where a socket would start it again, the plan says so in that place.
        let stops = changes.iter().any(|change| change.field == "state" && change.to == "stopped");
        let other = |step: &Step| matches!(&step.desired, Desired::Service(other) if other.state == Some(Runs::Running) && is_of_ssh(other.name.as_str()) && other.name != desired.name);
        if stops && !self.catalog.steps.iter().any(other) {
            return Some(Way::Shut(format!("it stops {}, by which we come", desired.name)));
        }
        let disables = changes.iter().any(|change| change.field == "enabled" && change.to == "false");
        if stops || disables {
            return Some(Way::MayShut(format!("we come by {}: see that something else answers, also after a boot", desired.name)));
        }
        desired.unit.as_ref().map(|_| Way::MayShut(format!("we come by {}: see that its new text lets us in", desired.name)))
    }

    /// sshd trusts no keys below what others than the account and root may write (sshd_config(5), `StrictModes`). Debian's lets the account's
    /// own group.
    fn of_directory(&self, desired: &directory::Desired) -> Option<Way> {
        let path = desired.path.as_str();
        if path != self.home && path != format!("{}/.ssh", self.home) {
            return self.of_path(&desired.path);
        }
        let ownership = desired.present.as_ref()?;
        let (owner, mode) = (ownership.owner.as_str(), ownership.mode.bits());
        if ![self.user, "root"].contains(&owner) || mode & 0o002 != 0 {
            return Some(Way::Shut(format!(
                "sshd trusts no keys of {} below {path} with owner {owner} and mode {}",
                self.user, ownership.mode
            )));
        }
        (mode & 0o020 != 0)
            .then(|| Way::MayShut(format!("sshd trusts keys below {path} only if nobody else than {} is in its group", self.user)))
    }

    fn of_file(&self, desired: &file::Desired) -> Option<Way> {
        if !self.holds_keys(desired.path.as_str()) {
            let proved = desired.present.as_ref().is_some_and(|present| present.validate.is_some());
            return self.of_path(&desired.path).filter(|_| !(proved && desired.path.as_str().starts_with("/etc/sudoers.d/")));
        }
        let Some(present) = &desired.present else {
            return Some(Way::MayShut(format!("it holds keys that {} logs in by: see that ours stands elsewhere", self.user)));
        };
        let (owner, mode) = (present.ownership.owner.as_str(), present.ownership.mode);
        if ![self.user, "root"].contains(&owner) || mode.bits() & 0o002 != 0 {
            return Some(Way::Shut(format!("sshd trusts no file of keys of {} with owner {owner} and mode {mode}", self.user)));
        }
        Some(Way::MayShut(format!("it holds the keys that {} logs in by: see that ours is one of them", self.user)))
    }

    fn holds_keys(&self, path: &str) -> bool {
        ["authorized_keys", "authorized_keys2"].iter().any(|name| path == format!("{}/.ssh/{name}", self.home))
    }

    /// Files that sshd, sudo and PAM read, whatever writes them.
    fn of_path(&self, path: &AbsPath) -> Option<Way> {
        let path = path.as_str();
        let sshd = path.starts_with("/etc/ssh/")
            || self.holds_keys(path)
            || ["ssh.service", "sshd.service", "ssh.socket"].iter().any(|unit| path.contains(unit));
        let sudo = self.becomes() && (path == "/etc/sudoers" || path.starts_with("/etc/sudoers.d/"));
        let accounts = ["/etc/passwd", "/etc/shadow", "/etc/nologin", "/etc/nsswitch.conf", "/etc/hosts.deny"].contains(&path);
        let reader = match () {
            () if sshd => "sshd",
            () if sudo => "sudo",
            () if accounts || path.starts_with("/etc/pam.d/") || path.starts_with("/etc/security/") => "whoever logs in",
            () => return None,
        };
        Some(Way::MayShut(format!("{reader} goes by it: see that {} is still let in", self.user)))
    }
}
