//! `virtualization`: the kind of machine.

use super::super::fault::unread;
use super::Reading;
use crate::facts;
use ostler_roles::check::{Virtualization, virtualization::Evidence};
use ostler_roles::outcome::Failure;

pub(super) fn read(_: &Virtualization, reading: &Reading<'_>) -> Result<Evidence, Failure> {
    facts::virtualization(&reading.node.host).map(|(word, _)| word).map_err(unread)
}
