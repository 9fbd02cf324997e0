//! The value of a secret: the controller's to give, kept for the run alone.

use super::fault::failure;
use crate::engine::ApplyContext;
use ostler_roles::outcome::{Failure, FailureKind};
use ostler_roles::words::SecretRef;

/// The value of a secret.
pub(super) fn value_of(secret: &SecretRef, work: &ApplyContext<'_>) -> Result<Vec<u8>, Failure> {
    let name = &secret.name;
    let value = (work.secret)(&secret.hmac).map_err(|error| Failure {
        causes: vec![error.to_string()],
        ..failure(FailureKind::Apply, format!("the value of {name} is at hand and cannot be read"))
    })?;
    value.ok_or_else(|| failure(FailureKind::NeedsController, format!("the value of {name} is only the controller's to give")))
}
