//! `package`: installed, or offered by the node's sources.

use super::super::package;
use super::Reading;
use ostler_roles::check::{Package, package::Evidence};
use ostler_roles::outcome::Failure;

pub(super) fn read(wanted: &Package, reading: &Reading<'_>) -> Result<Evidence, Failure> {
    package::evidence(reading.node, wanted, reading.deadline)
}
