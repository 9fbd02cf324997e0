//! What goes wrong between us and a Jenkins master.

use super::super::http::{HttpError, UnexpectedJson};
use super::xml::XmlError;
use ostler_roles::master::jenkins::{Change, CredentialId, ForeignOwner, Name, NotOurs, Version};
use std::time::Duration;

impl JenkinsError {
    /// All of it on one line, causes included.
    pub(super) fn told(&self) -> String {
        let mut told = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            told.push_str(&format!(": {error}"));
            cause = error.source();
        }
        told
    }
}

impl JenkinsError {
    /// Whether it says something of the master or of our way to it, and so of every node.
    pub(super) fn is_the_masters(&self) -> bool {
        match self {
            Self::Http { .. } | Self::NotReady { .. } | Self::Stopped { .. } | Self::Lost { .. } | Self::WrongLogin { .. } => true,
            Self::NoJenkins { .. } => true,
            Self::Java { .. } => false,
            Self::MissingPermission { .. } | Self::Refused { .. } | Self::Status { .. } | Self::Redirected { .. } => false,
            Self::NotJenkins { .. } | Self::Shape { .. } | Self::Xml { .. } | Self::NotOurs(_) | Self::Vanished(_) => false,
            Self::ForeignCredential(..) | Self::ForeignJob(..) | Self::NotConverged { .. } | Self::Offline { .. } => false,
            Self::Agent { .. } | Self::Held { .. } | Self::Busy { .. } | Self::Shared(_) => false,
        }
    }

    /// Whether it may pass: Jenkins, or who stands in front, gave an answer that says nothing (a 500, a page for JSON).
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Status { status, .. } => *status >= 500,
            Self::NotReady { .. } | Self::NotJenkins { .. } | Self::Shape { .. } => true,
            Self::Http { .. } | Self::Stopped { .. } | Self::Lost { .. } | Self::WrongLogin { .. } | Self::MissingPermission { .. } => {
                false
            }
            Self::Refused { .. } | Self::Redirected { .. } | Self::Xml { .. } | Self::NotOurs(_) | Self::Vanished(_) => false,
            Self::ForeignCredential(..) | Self::ForeignJob(..) | Self::NotConverged { .. } | Self::Offline { .. } => false,
            Self::Agent { .. } | Self::Held { .. } | Self::Busy { .. } | Self::Shared(_) => false,
            Self::NoJenkins { .. } | Self::Java { .. } => false,
        }
    }
}

/// Why Jenkins could not be asked or told.
#[derive(Debug, thiserror::Error)]
pub enum JenkinsError {
    /// The address, or the transport in a way that waiting does not mend.
    #[error("{action}")]
    Http {
        /// What was being done.
        action: String,
        /// What the transport said.
        #[source]
        source: HttpError,
    },
    /// It did not answer, or was still restarting, when the patience ended.
    #[error("{action}: Jenkins was not ready within {} s: {last}", waited.as_secs_f32().round())]
    NotReady {
        /// What was being done.
        action: String,
        /// How long it was waited for.
        waited: Duration,
        /// What it said last.
        last: String,
    },
    /// The run was interrupted.
    #[error("{action}: interrupted{}", left.as_ref().map_or_else(String::new, |left| format!("; {left}")))]
    Stopped {
        /// What was being done.
        action: String,
        /// What is left of it on the master and could not be taken back.
        left: Option<String>,
    },
    /// The connection broke while a change was under way; whether it was made must be looked up.
    #[error("{action}: the connection broke before Jenkins answered")]
    Lost {
        /// What was being done.
        action: String,
        /// What the transport said.
        #[source]
        source: HttpError,
    },
    /// User and token (or password) do not fit.
    #[error("{action}: Jenkins does not know this token or password of user `{user}` (401)")]
    WrongLogin {
        /// What was being done.
        action: String,
        /// The user.
        user: String,
    },
    /// A permission is missing.
    #[error("{action}: user `{user}` is missing the permission {permission}{}", if permission == "Job/Create" { " (at the top: in a folder alone is not enough)" } else { "" })]
    MissingPermission {
        /// What was being done.
        action: String,
        /// The user.
        user: String,
        /// As Jenkins' security page names it: `Agent/Create`.
        permission: String,
    },
    /// Jenkins refused the content.
    #[error("{action}: refused: {reason}")]
    Refused {
        /// What was being done.
        action: String,
        /// Its `X-Error`, or what stands for it.
        reason: String,
    },
    /// Another status than this request can have.
    #[error("{action}: unexpected status {status}: {excerpt}")]
    Status {
        /// What was being done.
        action: String,
        /// The status.
        status: u16,
        /// The title of the page, or its beginning.
        excerpt: String,
    },
    /// The way leads elsewhere: to `https`, to another host, to a login page.
    #[error(
        "{action}: redirected to {to}; if that is this Jenkins, give its address as `url`; if it is a page to log in at, requests with a token must pass it"
    )]
    Redirected {
        /// What was being done.
        action: String,
        /// Where to.
        to: String,
    },
    /// Another server, or another part of one, answered.
    #[error(
        "{action}: no Jenkins answers at {url}: an answer without `X-Jenkins`; give its whole address as `url`, with the path below which it lies"
    )]
    NoJenkins {
        /// What was being done.
        action: String,
        /// The address.
        url: String,
    },
    /// Its Java is older than this Jenkins allows.
    #[error("Jenkins {version} wants Java {} on its agents, and node `{name}` has Java {has}; give the role a newer one (`java_version`)", version.least_java())]
    Java {
        /// The node.
        name: Name,
        /// The master's version.
        version: Version,
        /// The node's Java.
        has: u32,
    },
    /// Something else than Jenkins' API answered: a proxy's login page, another program.
    #[error("{action}: the answer is not Jenkins' ({kind})")]
    NotJenkins {
        /// What was being done.
        action: String,
        /// The content type that came.
        kind: String,
    },
    /// JSON of another shape.
    #[error("{action}: JSON that this client does not understand")]
    Shape {
        /// What was being done.
        action: String,
        /// Where.
        #[source]
        source: UnexpectedJson,
    },
    /// XML of another shape.
    #[error("{action}: a configuration that this client does not understand")]
    Xml {
        /// What was being done.
        action: String,
        /// What.
        #[source]
        source: XmlError,
    },
    /// The name is not ours to use.
    #[error(transparent)]
    NotOurs(#[from] NotOurs),
    /// A credential of that id was not made by this site.
    #[error("credential `{0}` on this Jenkins {1}")]
    ForeignCredential(CredentialId, ForeignOwner),
    /// A job of that name was not made by this site.
    #[error("job `{0}` on this Jenkins {1}")]
    ForeignJob(String, ForeignOwner),
    /// A node vanished under our hands.
    #[error("node `{0}` is no longer on this Jenkins")]
    Vanished(Name),
    /// Jenkins took the values without a word and did not keep them.
    #[error("node `{name}` did not keep its values: {}", left.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
    NotConverged {
        /// The node.
        name: Name,
        /// What still differs.
        left: Vec<Change>,
    },
    /// The agent did not come up.
    #[error("the agent of node `{name}` is not online after {} s: {reason}", waited.as_secs())]
    Offline {
        /// The node.
        name: Name,
        /// How long it was waited for.
        waited: Duration,
        /// What Jenkins says of it.
        reason: String,
        /// The last lines of the launch log that hold no environment.
        log: Vec<String>,
    },
    /// What the node needs to call in could not be brought there.
    #[error("bring the agent to node `{name}`")]
    Agent {
        /// The node.
        name: Name,
        /// Why.
        #[source]
        source: super::InstallAgentError,
    },
    /// What was done once for all nodes did not come to its end.
    #[error(transparent)]
    Shared(std::sync::Arc<JenkinsError>),
    /// An operator's mark stands in the way.
    #[error("node `{name}` is {hold}")]
    Held {
        /// The node.
        name: Name,
        /// The mark.
        hold: ostler_roles::master::jenkins::Hold,
    },
    /// Jobs were still running on it.
    #[error("node `{name}` was not idle within {} s", waited.as_secs())]
    Busy {
        /// The node.
        name: Name,
        /// How long it was waited for.
        waited: Duration,
    },
}
