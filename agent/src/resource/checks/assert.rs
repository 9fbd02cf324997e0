//! `assert`: was decided when the catalog was compiled.

use super::Reading;
use ostler_roles::check::{Assert, assert::Evidence};
use ostler_roles::outcome::Failure;

#[expect(clippy::unnecessary_wraps, reason = "as all kinds of checks")]
pub(super) fn read(_: &Assert, _: &Reading<'_>) -> Result<Evidence, Failure> {
    Ok(Evidence)
}
