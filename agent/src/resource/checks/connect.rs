//! `connect`: a TCP connection; one that cannot be made is an answer, with what was said.

use super::Reading;
use crate::host::resolve;
use ostler_roles::check::{Connect, connect::Evidence};
use ostler_roles::outcome::Failure;

pub(super) fn read(connect: &Connect, reading: &Reading<'_>) -> Result<Evidence, Failure> {
    let made = resolve::connect(&connect.host, connect.port, reading.deadline);
    Ok(made.err().map(|error| format!("cannot {error}: {}", error.source)))
}
