//! How a conversation ends before its time.

use super::fault::from_error;
use super::line::Gone;
use super::work::WorkError;
use ostler_roles::outcome::{Failure, FailureKind};

/// Why a conversation ended early.
#[derive(Debug)]
pub(super) enum Farewell {
    Gone,
    Fault(Box<Failure>),
}

impl From<Gone> for Farewell {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}
impl From<Failure> for Farewell {
    fn from(failure: Failure) -> Self {
        Self::Fault(Box::new(failure))
    }
}
impl From<ostler_roles::wire::frame::FrameError> for Farewell {
    fn from(error: ostler_roles::wire::frame::FrameError) -> Self {
        from_error(FailureKind::Internal, &error).into()
    }
}
impl From<WorkError> for Farewell {
    fn from(error: WorkError) -> Self {
        match error {
            WorkError::Gone => Self::Gone,
            WorkError::Failed(failure) => Self::Fault(failure),
        }
    }
}
