//! Why a node is out, with the next step.

use crate::session::SessionError;
use crate::transport::ConnectError;
use ostler_roles::outcome::Failure;
use serde::{Deserialize, Serialize};

/// Why a node is out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trouble {
    /// What kind of trouble: decides the exit code.
    pub kind: TroubleKind,
    /// What was being done and what came in between, outermost first.
    pub chain: Vec<String>,
    /// The one thing to do next.
    pub hint: String,
    /// The failure that the agent told, where it was one.
    pub failure: Option<Box<Failure>>,
}

/// Kinds of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TroubleKind {
    /// No connection, or none any more.
    Unreachable,
    /// The role cannot be compiled for this node.
    Site,
    /// Another run has it.
    Locked,
    /// Everything else.
    Failed,
}

/// An error and all its causes, outermost first.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> Vec<String> {
    let mut lines = vec![error.to_string()];
    let mut source = error.source();
    while let Some(error) = source {
        lines.push(error.to_string());
        source = error.source();
    }
    lines
}

impl From<&ConnectError> for Trouble {
    fn from(error: &ConnectError) -> Self {
        Self { kind: TroubleKind::Unreachable, chain: chain(error), hint: error.hint(), failure: None }
    }
}

impl From<&SessionError> for Trouble {
    fn from(error: &SessionError) -> Self {
        use ostler_roles::wire::message::Refusal;
        let kind = match error {
            SessionError::Refused(Refusal::Locked(_) | Refusal::Starting) => TroubleKind::Locked,
            lost if lost.is_lost() => TroubleKind::Unreachable,
            _ => TroubleKind::Failed,
        };
        let failure = if let SessionError::Fault(failure) = error { Some(failure.clone()) } else { None };
        let causes = failure.iter().flat_map(|failure| failure.causes.clone());
        let chain = chain(error).into_iter().chain(causes).collect();
        Self { kind, chain, hint: error.hint(), failure }
    }
}
