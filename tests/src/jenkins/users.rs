//! Users, what they may do, and how a request says who sends it: API token, password, session, crumb.

use std::collections::BTreeSet;

use base64::Engine as _;

use super::http::{Request, Response};
use super::pages;
use super::state::State;

/// The permissions that the modelled addresses ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    /// Everything.
    Administer,
    /// See anything at all.
    Read,
    /// Make a node.
    AgentCreate,
    /// Read and change a node's configuration.
    AgentConfigure,
    /// Bring online, launch, read the secret.
    AgentConnect,
    /// Disconnect.
    AgentDisconnect,
    /// Remove a node.
    AgentDelete,
    /// Make a job.
    JobCreate,
    /// See jobs.
    JobRead,
    /// Change jobs.
    JobConfigure,
    /// Start builds.
    JobBuild,
    /// Cancel what waits.
    JobCancel,
    /// Remove jobs.
    JobDelete,
    /// See the credentials store.
    CredentialsView,
    /// Add credentials.
    CredentialsCreate,
    /// Change credentials.
    CredentialsUpdate,
    /// Remove credentials.
    CredentialsDelete,
}

impl Permission {
    /// What `docs/jenkins.md` says is enough for the product, and no more.
    pub const ENOUGH: [Self; 16] = [
        Self::Read,
        Self::AgentCreate,
        Self::AgentConfigure,
        Self::AgentConnect,
        Self::AgentDisconnect,
        Self::AgentDelete,
        Self::CredentialsCreate,
        Self::CredentialsDelete,
        Self::CredentialsUpdate,
        Self::CredentialsView,
        Self::JobBuild,
        Self::JobCancel,
        Self::JobConfigure,
        Self::JobCreate,
        Self::JobDelete,
        Self::JobRead,
    ];

    /// The id in `X-Required-Permission`.
    pub fn id(self) -> &'static str {
        match self {
            Self::Administer => "hudson.model.Hudson.Administer",
            Self::Read => "hudson.model.Hudson.Read",
            Self::AgentCreate => "hudson.model.Computer.Create",
            Self::AgentConfigure => "hudson.model.Computer.Configure",
            Self::AgentConnect => "hudson.model.Computer.Connect",
            Self::AgentDisconnect => "hudson.model.Computer.Disconnect",
            Self::AgentDelete => "hudson.model.Computer.Delete",
            Self::JobCreate => "hudson.model.Item.Create",
            Self::JobRead => "hudson.model.Item.Read",
            Self::JobConfigure => "hudson.model.Item.Configure",
            Self::JobBuild => "hudson.model.Item.Build",
            Self::JobCancel => "hudson.model.Item.Cancel",
            Self::JobDelete => "hudson.model.Item.Delete",
            Self::CredentialsView => "com.cloudbees.plugins.credentials.CredentialsProvider.View",
            Self::CredentialsCreate => "com.cloudbees.plugins.credentials.CredentialsProvider.Create",
            Self::CredentialsUpdate => "com.cloudbees.plugins.credentials.CredentialsProvider.Update",
            Self::CredentialsDelete => "com.cloudbees.plugins.credentials.CredentialsProvider.Delete",
        }
    }

    /// The words on the "Access Denied" page.
    pub fn title(self) -> &'static str {
        match self {
            Self::Administer => "Overall/Administer",
            Self::Read => "Overall/Read",
            Self::AgentCreate => "Agent/Create",
            Self::AgentConfigure => "Agent/Configure",
            Self::AgentConnect => "Agent/Connect",
            Self::AgentDisconnect => "Agent/Disconnect",
            Self::AgentDelete => "Agent/Delete",
            Self::JobCreate => "Job/Create",
            Self::JobRead => "Job/Read",
            Self::JobConfigure => "Job/Configure",
            Self::JobBuild => "Job/Build",
            Self::JobCancel => "Job/Cancel",
            Self::JobDelete => "Job/Delete",
            Self::CredentialsView => "Credentials/View",
            Self::CredentialsCreate => "Credentials/Create",
            Self::CredentialsUpdate => "Credentials/Update",
            Self::CredentialsDelete => "Credentials/Delete",
        }
    }

    /// The ids in `X-Permission-Implied-By`, in order.
    pub fn implied_by(self) -> Vec<&'static str> {
        let generic: &[&str] = match self {
            Self::Administer => return Vec::new(),
            Self::Read => &["hudson.security.Permission.GenericRead"],
            Self::AgentCreate | Self::JobCreate | Self::CredentialsCreate => {
                &["hudson.security.Permission.GenericCreate", "hudson.security.Permission.GenericWrite"]
            }
            Self::AgentConfigure | Self::JobConfigure => &[
                "hudson.security.Permission.GenericConfigure",
                "hudson.security.Permission.GenericUpdate",
                "hudson.security.Permission.GenericWrite",
            ],
            Self::AgentConnect => &["hudson.model.Computer.Disconnect"],
            Self::AgentDelete | Self::JobDelete | Self::CredentialsDelete => {
                &["hudson.security.Permission.GenericDelete", "hudson.security.Permission.GenericWrite"]
            }
            Self::AgentDisconnect | Self::JobRead | Self::JobBuild | Self::JobCancel | Self::CredentialsView | Self::CredentialsUpdate => {
                &[]
            }
        };
        generic.iter().copied().chain(["hudson.model.Hudson.Administer"]).collect()
    }
}

/// An account of the model's own user database.
#[derive(Debug, Clone)]
pub struct User {
    /// Login name.
    pub name: String,
    /// Password.
    pub password: String,
    /// API tokens; a new one does not end the others.
    pub tokens: Vec<String>,
    /// What it may do.
    pub permissions: BTreeSet<Permission>,
}

impl User {
    /// A user with password `NAME-password` and token `11NAME-token`.
    pub fn new(name: &str, permissions: &[Permission]) -> Self {
        Self {
            name: name.to_owned(),
            password: format!("{name}-password"),
            tokens: vec![format!("11{name}-token")],
            permissions: permissions.iter().copied().collect(),
        }
    }

    /// Whether it has the permission, or one that implies it.
    pub fn may(&self, permission: Permission) -> bool {
        self.permissions.contains(&permission)
            || self.permissions.contains(&Permission::Administer)
            || (permission == Permission::AgentConnect && self.permissions.contains(&Permission::AgentDisconnect))
    }
}

/// Who sent a request.
#[derive(Debug, Clone)]
pub enum Who {
    /// Nobody said so.
    Anonymous,
    /// By API token: needs no crumb.
    Token(User),
    /// By password: needs crumb and cookie to write.
    Password(User),
}

impl Who {
    /// The account, if there is one.
    pub fn user(&self) -> Option<&User> {
        match self {
            Self::Anonymous => None,
            Self::Token(user) | Self::Password(user) => Some(user),
        }
    }

    /// The login name.
    pub fn name(&self) -> &str {
        self.user().map_or("anonymous", |user| user.name.as_str())
    }

    /// Whether the account has the permission.
    pub fn may(&self, permission: Permission) -> bool {
        self.user().is_some_and(|user| user.may(permission))
    }
}

/// Reads `Authorization`. `Err` is the 401 that a wrong secret or an unknown user earns.
pub fn identify(state: &State, request: &Request) -> Result<Who, Response> {
    let Some(header) = request.header("Authorization") else { return Ok(Who::Anonymous) };
    let refused = || pages::unauthorized(state.version, &request.path);
    let encoded = header.strip_prefix("Basic ").ok_or_else(refused)?;
    let decoded = base64::engine::general_purpose::STANDARD.decode(encoded).map_err(|_| refused())?;
    let decoded = String::from_utf8(decoded).map_err(|_| refused())?;
    let (name, secret) = decoded.split_once(':').ok_or_else(refused)?;
    let user = state.users.iter().find(|user| user.name == name).ok_or_else(refused)?;
    if user.tokens.iter().any(|token| token == secret) {
        Ok(Who::Token(user.clone()))
    } else if secret == user.password {
        Ok(Who::Password(user.clone()))
    } else {
        Err(refused())
    }
}

/// The cross-site filter: a write by password needs a crumb issued to that very session.
pub fn check_crumb(state: &mut State, request: &Request, who: &Who) -> Result<(), Response> {
    if !state.wants_crumbs || matches!(request.method.as_str(), "GET" | "HEAD") || matches!(who, Who::Token(_)) {
        return Ok(());
    }
    let cookie = session_cookie(state, request);
    let sent = request.header("Jenkins-Crumb").map(str::to_owned).or_else(|| request.parameter("Jenkins-Crumb"));
    if let (Some(cookie), Some(sent)) = (&cookie, &sent)
        && state.crumbs.iter().any(|crumb| crumb.session == *cookie && crumb.value == *sent && crumb.user == who.name())
    {
        return Ok(());
    }
    let mut refused = pages::jetty(state.version, 403, "No valid crumb was included in the request", &request.path);
    if cookie.is_none() && sent.is_some() {
        refused.headers.insert(0, ("Set-Cookie".to_owned(), state.new_session()));
    }
    Err(refused)
}

/// The value of this process' session cookie, if the request carries one.
pub fn session_cookie(state: &State, request: &Request) -> Option<String> {
    let name = format!("JSESSIONID.{}=", state.cookie);
    request.header("Cookie")?.split(';').find_map(|part| part.trim().strip_prefix(&name).map(str::to_owned))
}
