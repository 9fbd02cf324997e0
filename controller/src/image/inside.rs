//! What sealing and disks want of a mounted root: programs run inside it, and where its files are seen from outside.

use std::path::PathBuf;
use std::process::Output;

use super::error::ImageError;
use crate::lab::child::tail;

/// A root tree in which programs can run.
pub trait Inside {
    /// Runs a program of the tree to its end, whatever that is.
    ///
    /// # Errors
    /// When it cannot be started or does not end in time.
    fn run(&self, argv: &[&str], env: &[(&str, &str)]) -> Result<Output, ImageError>;

    /// Returns where the tree is seen from outside.
    fn tree(&self) -> PathBuf;
}

/// Runs a program of the tree that must end well.
pub(super) fn must(root: &dyn Inside, argv: &[&str], env: &[(&str, &str)]) -> Result<Output, ImageError> {
    let output = root.run(argv, env)?;
    if output.status.success() {
        return Ok(output);
    }
    let said = format!("{}{}", String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
    Err(crate::lab::LabError::Command { command: argv.join(" "), status: output.status.to_string(), output: tail(&said) }.into())
}
