//! Failures of resources, from what the system said.

use crate::host::OsError;
use ostler_roles::outcome::{Failure, FailureKind};
use ostler_roles::resource::Contradiction;

/// A plain failure.
pub(super) fn failure(kind: FailureKind, message: impl Into<String>) -> Failure {
    Failure { kind, message: message.into(), causes: Vec::new(), command: None, hint: None }
}

/// A failure that knows what helps.
pub(super) fn hinted(kind: FailureKind, message: impl Into<String>, hint: impl Into<String>) -> Failure {
    Failure { hint: Some(hint.into()), ..failure(kind, message) }
}

/// The state could not be read.
pub(super) fn unread(error: OsError) -> Failure {
    error.failure(FailureKind::Observe)
}

/// A change could not be made.
pub(super) fn unmade(error: OsError) -> Failure {
    error.failure(FailureKind::Apply)
}

/// The node contradicts the role.
pub(super) fn contradicted(contradiction: Contradiction) -> Failure {
    hinted(FailureKind::Contradiction, contradiction.why, contradiction.hint)
}

/// No such account: an earlier step must make it.
pub(super) fn no_account(what: &str, name: &str) -> Failure {
    hinted(FailureKind::Apply, format!("there is no {what} {name}"), format!("declare `{what}: {{name: {name}}}` in an earlier step"))
}

/// Errors of a write with a proof: the system's, or the proof's.
#[derive(Debug)]
pub(super) enum WriteFault {
    /// The system said no.
    Os(OsError),
    /// The proof did not hold.
    Proof(Box<Failure>),
}

impl From<OsError> for WriteFault {
    fn from(error: OsError) -> Self {
        Self::Os(error)
    }
}

impl From<WriteFault> for Failure {
    fn from(fault: WriteFault) -> Self {
        match fault {
            WriteFault::Os(error) => unmade(error),
            WriteFault::Proof(failure) => *failure,
        }
    }
}
