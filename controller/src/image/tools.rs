//! Programs of this machine that a build runs: found beforehand, with a package to install where one is missing, and gone with us.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use super::error::ImageError;
use crate::lab::{LabError, child};

/// Where programs are, whatever the caller's `PATH` says: root's often lacks the `sbin` directories.
const PLACES: &[&str] = &["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
/// Packing a large disk on a busy machine.
const LIMIT: Duration = Duration::from_secs(3600);

/// Returns the start of a command: the program ends when the thread that started it does, and speaks no language but C.
///
/// # Errors
/// When it is not installed.
pub(super) fn program(program: &'static str, package: &'static str) -> Result<Command, ImageError> {
    let found = PLACES.iter().map(|place| Path::new(place).join(program)).find(|path| path.is_file());
    let path = found.ok_or(ImageError::MissingProgram { program, package })?;
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(path).env("LC_ALL", "C.UTF-8").env("TZ", "UTC0");
    Ok(command)
}

/// Runs it to its end.
///
/// # Errors
/// When it fails or is late; its last words are in the error.
pub(super) fn run(command: &mut Command) -> Result<Output, ImageError> {
    child::run_within(command, LIMIT).map_err(shown)
}

/// Runs a short one to its end with this standard input.
///
/// # Errors
/// When it fails or is late.
pub(super) fn feed(command: &mut Command, input: &[u8]) -> Result<Output, ImageError> {
    child::feed(command, input).map_err(shown)
}

/// Of what was run, the program itself is shown.
fn shown(error: LabError) -> ImageError {
    let plain = |command: String| command.split_once(" -- ").map(|(_, rest)| rest.to_owned()).unwrap_or(command);
    ImageError::Lab(match error {
        LabError::Command { command, status, output } => LabError::Command { command: plain(command), status, output },
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_told_with_its_package() {
        let missing = program("no-such-program", "some-package").expect_err("missing").to_string();
        assert_eq!(missing, "program `no-such-program` is missing; install it with: apt-get install some-package");
        let failed = run(program("false", "coreutils").unwrap().arg("x")).expect_err("it fails").to_string();
        assert_eq!(failed, "`/usr/bin/false x` ended with exit status: 1: ");
        assert_eq!(run(program("echo", "coreutils").unwrap().arg("there")).unwrap().stdout, b"there\n");
    }
}
