//! Why a conversation ends before its time.

use super::fault::from_error;
use super::frames::Disconnected;
use super::work::WorkError;
use ostler_roles::outcome::{Failure, FailureKind};

/// Why a conversation ended early.
#[derive(Debug)]
pub(super) enum ServeError {
    Disconnected,
    Fault(Box<Failure>),
}

impl From<Disconnected> for ServeError {
    fn from(_: Disconnected) -> Self {
        Self::Disconnected
    }
}
impl From<Failure> for ServeError {
    fn from(failure: Failure) -> Self {
        Self::Fault(Box::new(failure))
    }
}
impl From<ostler_roles::wire::frame::FrameError> for ServeError {
    fn from(error: ostler_roles::wire::frame::FrameError) -> Self {
        from_error(FailureKind::Internal, &error).into()
    }
}
impl From<WorkError> for ServeError {
    fn from(error: WorkError) -> Self {
        match error {
            WorkError::Disconnected => Self::Disconnected,
            WorkError::Failed(failure) => Self::Fault(failure),
        }
    }
}
