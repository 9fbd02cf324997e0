//! Failures that end a conversation.

use ostler_roles::outcome::{Failure, FailureKind};

/// A failure of our own making or finding, told in one sentence.
pub(super) fn failure(kind: FailureKind, message: impl std::fmt::Display, hint: Option<&str>) -> Failure {
    Failure { kind, message: message.to_string(), causes: Vec::new(), command: None, hint: hint.map(str::to_owned) }
}

/// A failure from an error and what lies below it.
pub(super) fn from_error(kind: FailureKind, error: &dyn std::error::Error) -> Failure {
    let mut causes = Vec::new();
    let mut cause = error.source();
    while let Some(below) = cause {
        causes.push(below.to_string());
        cause = below.source();
    }
    Failure { kind, message: error.to_string(), causes, command: None, hint: None }
}
