//! `memory`: what is installed.

use super::super::fault::unread;
use super::Reading;
use crate::facts;
use ostler_roles::check::{Memory, memory::Evidence};
use ostler_roles::outcome::Failure;

pub(super) fn read(_: &Memory, _: &Reading<'_>) -> Result<Evidence, Failure> {
    facts::memory().map_err(unread)
}
