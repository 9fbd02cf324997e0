//! `command` as a check: a probe that must not write, as `nobody` unless told otherwise.

use super::super::command::{Prepared, plain, prepared};
use super::super::fault::{failure, unread};
use super::Reading;
use crate::host::child::Identity;
use ostler_roles::check::{Command, command::Evidence};
use ostler_roles::outcome::{Ended, Failure, FailureKind};
use ostler_roles::words::{Secret, Sensitive};

pub(super) fn read(probe: &Command, reading: &Reading<'_>) -> Result<Evidence, Failure> {
    let node = reading.node;
    // Root's own rights are never a probe's; where we are not root, our own are what an ordinary account has.
    let mut program = match prepared(probe, node, &probe.run, node.host.is_root().then(Identity::nobody))? {
        Prepared::Ready(program) => program,
        Prepared::NoDirectory(error) => return Err(unread(error)),
        Prepared::NoAccount => {
            let user = probe.run_as.as_ref().map_or("nobody", |name| name.as_str());
            return Err(failure(FailureKind::Observe, format!("there is no user {user}")));
        }
    };
    program.environment = plain(&probe.environment);
    program.stdin = match &probe.stdin {
        Some(Sensitive::Plain(text)) => Some(Secret::new(text.clone().into_bytes())),
        Some(Sensitive::Secret(_)) | None => None,
    };
    let finished = program.run_to_end(reading.deadline).map_err(unread)?;
    let code = match finished.status {
        Ended::Exit(code) => Some(code),
        Ended::Signal(_) => None,
        Ended::NotStarted | Ended::Deadline => return Err(failure(FailureKind::Observe, "it did not end in time")),
    };
    let lines = finished.tail.into_lines();
    let last = lines.len().saturating_sub(5);
    Ok(Evidence { code, output: lines.get(last..).unwrap_or_default().join(" | ") })
}
